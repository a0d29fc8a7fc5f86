//! What a container brings along to authenticate with, so that it does not ask the metadata server.

use std::fmt;

use super::environment::{Environment, Value};
use super::mounts::{self, FileIn, Place};
use super::programs::{self, Program};
use super::variables::{
    APPLICATION_CREDENTIALS, Form, GCLOUD_FLAGS, LOGINS, Reader, SQL_PROXY_FLAGS, VARIABLES,
};
use crate::live::ConfigMaps;
use crate::wire::pods::{Container, PodSpec};

/// What a container brings along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A credential of its own, which wins over the metadata server.
    Own(Own),
    /// That cannot be told.
    Unclear(Doubt),
    /// None: its program asks the metadata server.
    None,
    /// None that its program would read: it asks the metadata server, whatever the variable leads to.
    Ignored {
        /// The variable.
        by: &'static str,
    },
}

/// A credential of a container's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Own {
    /// The variable or flag that leads to it.
    pub by: &'static str,
    /// Where it is. `None`: it is the value itself.
    pub file: Option<FileIn>,
}

/// Why it cannot be told whether a container has a credential of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// No volume is mounted at the path: the file is in the image, or nowhere.
    NoVolume {
        /// The variable or flag.
        by: &'static str,
        /// The path, if it is one that may be shown.
        path: Option<String>,
    },
    /// The volume that is mounted there does not have it.
    Lacking {
        /// The variable or flag.
        by: &'static str,
        /// The volume's name in the pod.
        volume: String,
    },
    /// The volume that is mounted there cannot be looked into.
    OutOfReach {
        /// The variable or flag.
        by: &'static str,
        /// The volume's name in the pod.
        volume: String,
        /// What kind of volume it is, for the user.
        what: &'static str,
    },
    /// Its value is in a Secret, none of which are read.
    InSecret {
        /// The variable; `None`: any could be, since all of the Secret's keys are variables.
        by: Option<&'static str>,
        /// The Secret's name.
        secret: String,
    },
    /// Its value is in a ConfigMap that could not be read.
    InConfigMap {
        /// The variable; `None`: any could be.
        by: Option<&'static str>,
        /// The ConfigMap's name.
        name: String,
        /// Why it could not be read.
        why: String,
    },
    /// Its value is made when the pod runs, or is nothing that is known.
    Value {
        /// The variable or flag.
        by: &'static str,
    },
    /// `gcloud` may have been logged in with a credential that is kept there.
    Login {
        /// The variable that says where.
        by: &'static str,
    },
}

impl Doubt {
    /// The variable or flag that is set, whatever it leads to: client libraries that see it do not go on
    /// to the metadata server.
    pub fn by(&self) -> Option<&'static str> {
        match self {
            Self::NoVolume { by, .. }
            | Self::Lacking { by, .. }
            | Self::OutOfReach { by, .. }
            | Self::Value { by }
            | Self::Login { by } => Some(by),
            Self::InSecret { by, .. } | Self::InConfigMap { by, .. } => *by,
        }
    }
}

pub(super) fn of(
    pod: &PodSpec,
    container: &Container,
    namespace: &str,
    config_maps: &ConfigMaps,
) -> Credential {
    let environment = Environment {
        container,
        namespace,
        config_maps,
    };
    let finder = Finder { pod, environment };
    let words = programs::words(&finder.environment);
    let program = programs::of(container, &words);
    let by_flag = |flags: &[(&'static str, Form)]| {
        let given = programs::flag(&words, flags);
        given.map_or(Credential::None, |(flag, form, value)| {
            finder.of_value(flag, form, shell_value(value))
        })
    };
    let found = match program {
        // gcloud puts this variable before whatever it is logged in with.
        Program::Gcloud => first(finder.by_variables(Some(Reader::Gcloud)), || {
            by_flag(&GCLOUD_FLAGS)
        }),
        Program::SqlProxy => first(by_flag(&SQL_PROXY_FLAGS), || finder.by_variables(None)),
        Program::Other => finder.by_variables(None),
    };
    if found != Credential::None {
        return found;
    }
    if program == Program::Gcloud
        && let Some(by) = LOGINS
            .into_iter()
            .find(|l| finder.environment.value(l) != Value::Unset)
    {
        return Credential::Unclear(Doubt::Login { by });
    }
    let found = finder.by_whole_objects();
    let by = APPLICATION_CREDENTIALS;
    if found == Credential::None
        && program == Program::Gcloud
        && finder.environment.value(by) != Value::Unset
    {
        return Credential::Ignored { by };
    }
    found
}

/// What a script has a shell put in is not known.
fn shell_value(value: &str) -> Value {
    if value.is_empty() {
        Value::Unset
    } else if value.contains('$') {
        Value::Computed
    } else {
        Value::Known(value.to_owned())
    }
}

/// What wins over others, if there is anything of it.
fn first(one: Credential, others: impl FnOnce() -> Credential) -> Credential {
    match one {
        Credential::None => others(),
        found => found,
    }
}

/// The one that says more for a credential.
fn better(a: Credential, b: Credential) -> Credential {
    match (&a, &b) {
        (Credential::Own(_), _) => a,
        (_, Credential::Own(_)) => b,
        (Credential::Unclear(_), _) => a,
        _ => b,
    }
}

struct Finder<'a> {
    pod: &'a PodSpec,
    environment: Environment<'a>,
}

impl Finder<'_> {
    /// By all variables, or by those of one reader.
    fn by_variables(&self, reader: Option<Reader>) -> Credential {
        let mut found = Credential::None;
        for variable in VARIABLES
            .iter()
            .filter(|v| reader.is_none_or(|r| r == v.reader))
        {
            let one = self.of_value(
                variable.name,
                variable.form,
                self.environment.value(variable.name),
            );
            // Nothing that others read stands in for what the libraries were told to read.
            if variable.name == APPLICATION_CREDENTIALS && one != Credential::None {
                return one;
            }
            found = better(found, one);
        }
        found
    }

    fn of_value(&self, by: &'static str, form: Form, value: Value) -> Credential {
        match (value, form) {
            (Value::Unset, _) => Credential::None,
            (Value::Known(text), Form::Path) => self.file(by, &text),
            (Value::Known(text), _) if text.trim_start().starts_with('{') => {
                Credential::Own(Own { by, file: None })
            }
            (Value::Known(text), Form::Either) if text.starts_with('/') => self.file(by, &text),
            (Value::Known(_) | Value::Computed, _) => Credential::Unclear(Doubt::Value { by }),
            // The pod does not start without it.
            (
                Value::OfSecret {
                    optional: false, ..
                },
                Form::Content | Form::Either,
            ) => Credential::Own(Own { by, file: None }),
            (Value::OfSecret { name, .. }, _) => Credential::Unclear(Doubt::InSecret {
                by: Some(by),
                secret: name,
            }),
            (Value::OfConfigMap { name, why }, _) => Credential::Unclear(Doubt::InConfigMap {
                by: Some(by),
                name,
                why,
            }),
        }
    }

    fn file(&self, by: &'static str, path: &str) -> Credential {
        let container = self.environment.container;
        Credential::Unclear(match mounts::at(self.pod, container, path) {
            Place::File(file) => {
                let file = Some(file);
                return Credential::Own(Own { by, file });
            }
            Place::NoVolume => Doubt::NoVolume {
                by,
                path: is_path(path).then(|| path.to_owned()),
            },
            Place::Lacking { volume } => Doubt::Lacking { by, volume },
            Place::OutOfReach { volume, what } => Doubt::OutOfReach { by, volume, what },
        })
    }

    /// By objects all of whose keys are variables.
    fn by_whole_objects(&self) -> Credential {
        if let Some(secret) = self.environment.whole_secrets().next() {
            return Credential::Unclear(Doubt::InSecret {
                by: None,
                secret: secret.to_owned(),
            });
        }
        // Without a volume there is no file that one of its variables could name.
        match self.environment.unread_config_map() {
            Some((name, why)) if !self.environment.container.volume_mounts.is_empty() => {
                Credential::Unclear(Doubt::InConfigMap {
                    by: None,
                    name: name.to_owned(),
                    why,
                })
            }
            _ => Credential::None,
        }
    }
}

/// Whether it is nothing but a path: keys have been put where a path belongs.
fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && text.len() <= 200
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b))
}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.by;
        match &self.file {
            None => write!(f, "{by}"),
            Some(FileIn::Secret(name)) => write!(f, "{by}, a file of Secret {name}"),
            Some(FileIn::ConfigMap(name)) => write!(f, "{by}, a file of ConfigMap {name}"),
            Some(FileIn::Federation) => write!(f, "{by}, a federation of its own"),
            Some(FileIn::SecretStore(driver)) => write!(f, "{by}, a file of {driver}"),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVolume {
                by,
                path: Some(path),
            } => write!(
                f,
                "{by} is {path}, where no volume is mounted: the file is in the image, or nowhere"
            ),
            Self::NoVolume { by, path: None } => write!(
                f,
                "{by} leads to nothing that is mounted: the file is in the image, or nowhere"
            ),
            Self::Lacking { by, volume } => {
                write!(f, "{by} names a file that volume {volume} does not have")
            }
            Self::OutOfReach { by, volume, what } => {
                write!(f, "{by} leads to volume {volume}, {what}")
            }
            Self::InSecret {
                by: Some(by),
                secret,
            } => write!(f, "{by} is in Secret {secret}, which is not read"),
            Self::InSecret { by: None, secret } => write!(
                f,
                "Secret {secret}, which is not read, may have variables that lead to one"
            ),
            Self::InConfigMap {
                by: Some(by),
                name,
                why,
            } => {
                write!(
                    f,
                    "{by} is in ConfigMap {name}, which could not be read: {why}"
                )
            }
            Self::InConfigMap {
                by: None,
                name,
                why,
            } => write!(
                f,
                "ConfigMap {name} may have variables that lead to one, and could not be read: {why}"
            ),
            Self::Value { by } => write!(f, "{by} has a value that is not known here"),
            Self::Login { by } => write!(
                f,
                "{by} says where gcloud or gsutil keep what they were logged in with"
            ),
        }
    }
}
