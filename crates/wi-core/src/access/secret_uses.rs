//! Which Secrets a pod, or a template that would make one, has, and what leads to them.

use std::collections::BTreeSet;
use std::fmt;

use super::environment::{Environment, Value};
use super::programs;
use super::variables::{Form, GCLOUD_FLAGS, SQL_PROXY_FLAGS, VARIABLES};
use super::{all_of, mounts};
use crate::live::ConfigMaps;
use crate::wire::pods::{Container, PodSpec};

/// A key of a Secret in a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretUse {
    /// The Secret's name, in the pod's namespace.
    pub secret: String,
    /// The key of its data. `None`: all of them.
    pub key: Option<String>,
    /// The container's name; empty: the pod's own.
    pub container: String,
    /// How it comes there.
    pub way: Way,
}

/// How a key of a Secret comes into a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// This variable or flag, which programs take credentials from, leads to it.
    Leads {
        /// The variable or flag.
        by: String,
        /// The file; `None`: the value itself.
        path: Option<String>,
        /// Whether the container keeps what it has started with.
        is_fixed: bool,
    },
    /// It is the value of a variable that nothing is known about.
    Variable(String),
    /// All keys are variables, with this prefix.
    AllVariables(String),
    /// It is mounted here, and nothing that is known reads it.
    Mounted {
        /// The path.
        at: String,
        /// Whether it is a part of the volume, which is not changed in a running container.
        is_fixed: bool,
    },
    /// The kubelet pulls images with it.
    ImagePull,
    /// A CSI driver mounts the volume with it.
    Driver(String),
}

impl Way {
    /// Whether it is known that something reads it as a credential.
    pub fn is_known_use(&self) -> bool {
        matches!(self, Self::Leads { .. } | Self::ImagePull | Self::Driver(_))
    }

    /// Whether a running container keeps what the Secret had when it started.
    pub fn is_fixed(&self) -> bool {
        match self {
            Self::Leads { is_fixed, .. } | Self::Mounted { is_fixed, .. } => *is_fixed,
            Self::Variable(_) | Self::AllVariables(_) => true,
            Self::ImagePull | Self::Driver(_) => false,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leads {
                by,
                path: Some(path),
                ..
            } => write!(f, "{by} -> {path}"),
            Self::Leads { by, path: None, .. } => f.write_str(by),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::AllVariables(prefix) if prefix.is_empty() => f.write_str("envFrom"),
            Self::AllVariables(prefix) => write!(f, "envFrom with prefix {prefix}"),
            Self::Mounted { at, .. } => write!(f, "mounted at {at}"),
            Self::ImagePull => f.write_str("imagePullSecrets: the kubelet pulls with it"),
            Self::Driver(driver) => write!(f, "CSI driver {driver}"),
        }
    }
}

/// Names of the variables that programs take credentials from.
pub fn credential_variables() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().map(|v| v.name)
}

/// All Secrets of a pod, each with what leads to it, in order.
///
/// `config_maps` holds those that were read ([`super::config_maps_asked`]).
pub fn secret_uses(pod: &PodSpec, namespace: &str, config_maps: &ConfigMaps) -> Vec<SecretUse> {
    let mut found = BTreeSet::new();
    for (_, container) in all_of(pod) {
        let environment = Environment {
            container,
            namespace,
            config_maps,
        };
        of_container(pod, &environment, &mut found);
    }
    for pull in &pod.image_pull_secrets {
        found.insert(SecretUse {
            secret: pull.name.clone(),
            key: None,
            container: String::new(),
            way: Way::ImagePull,
        });
    }
    found.into_iter().collect()
}

fn of_container(pod: &PodSpec, environment: &Environment<'_>, found: &mut BTreeSet<SecretUse>) {
    let container = environment.container;
    let mut add = |secret: &str, key: Option<String>, way: Way| {
        found.insert(SecretUse {
            secret: secret.to_owned(),
            key,
            container: container.name.clone(),
            way,
        })
    };
    let mut led = BTreeSet::new();
    let words = programs::words(environment);
    let by_flags = [&GCLOUD_FLAGS[..], &SQL_PROXY_FLAGS[..]];
    let by_flags = by_flags.into_iter().flat_map(|flags| {
        let given = programs::all_flags(&words, flags);
        given
            .filter(|(_, form, value)| *form != Form::Content && value.starts_with('/'))
            .map(|(flag, _, value)| (flag, value.to_owned()))
    });
    let by_variables =
        VARIABLES
            .iter()
            .filter_map(|variable| match environment.value(variable.name) {
                Value::Known(path) if path.starts_with('/') => Some((variable.name, path)),
                _ => None,
            });
    for (by, path) in by_flags.chain(by_variables) {
        if let Some(file) = mounts::secret_at(pod, container, &path) {
            led.insert((file.secret.clone(), file.key.clone()));
            let (by, is_fixed) = (by.to_owned(), file.is_sub_path);
            let path = Some(path);
            add(
                &file.secret,
                Some(file.key),
                Way::Leads { by, path, is_fixed },
            );
        }
    }
    for variable in &container.env {
        let source = variable.value_from.as_ref();
        let Some(reference) = source.and_then(|s| s.secret_key_ref.as_ref()) else {
            continue;
        };
        let is_known = credential_variables().any(|name| name == variable.name);
        let way = match is_known {
            true => Way::Leads {
                by: variable.name.clone(),
                path: None,
                is_fixed: true,
            },
            false => Way::Variable(variable.name.clone()),
        };
        add(&reference.name, Some(reference.key.clone()), way);
    }
    for from in &container.env_from {
        if let Some(secret) = &from.secret_ref {
            add(&secret.name, None, Way::AllVariables(from.prefix.clone()));
        }
    }
    for mount in mounts::secrets_mounted(pod, container) {
        let is_led = match &mount.key {
            Some(key) => led.contains(&(mount.secret.clone(), key.clone())),
            // Without a choice of keys there may be others beside the one that is led to.
            None => led.iter().any(|(secret, _)| *secret == mount.secret),
        };
        if let Some(driver) = mount.driver {
            add(&mount.secret, None, Way::Driver(driver));
        } else if !is_led {
            let (at, is_fixed) = (mount.at, mount.is_sub_path);
            add(&mount.secret, mount.key, Way::Mounted { at, is_fixed });
        }
    }
}

/// Names of all ConfigMaps that a pod has, for whatever it has them.
pub fn config_maps_of(pod: &PodSpec) -> BTreeSet<&str> {
    let volumes = pod.volumes.iter().filter_map(|v| v.config_map.as_ref());
    let projected = pod.volumes.iter().filter_map(|v| v.projected.as_ref());
    let projected = projected.flat_map(|p| &p.sources);
    let projected = projected.filter_map(|s| s.config_map.as_ref());
    let mut found: BTreeSet<&str> = volumes.chain(projected).map(|m| m.name.as_str()).collect();
    for (_, container) in all_of(pod) {
        let all = container
            .env_from
            .iter()
            .filter_map(|f| f.config_map_ref.as_ref());
        found.extend(all.map(|m| m.name.as_str()));
        let sources = container.env.iter().filter_map(|e| e.value_from.as_ref());
        let one = sources.filter_map(|s| s.config_map_key_ref.as_ref());
        found.extend(one.map(|m| m.name.as_str()));
    }
    found
}

/// Values of variables, arguments and commands that stand in the template itself, each with where: these
/// may be keys.
pub fn literals(pod: &PodSpec) -> Vec<(String, &str)> {
    let of = |container: &'_ Container| -> Vec<(String, usize, usize)> {
        let name = &container.name;
        let words = container.command.len() + container.args.len();
        let variables = container.env.iter().enumerate();
        let variables = variables.map(|(at, v)| (format!("{name}, variable {}", v.name), 0, at));
        let words = (0..words).map(|at| (format!("{name}, arguments"), 1, at));
        variables.chain(words).collect()
    };
    let mut found = Vec::new();
    for (_, container) in all_of(pod) {
        for (place, which, at) in of(container) {
            let text = match which {
                0 => container.env.get(at).map(|v| v.value.as_str()),
                _ => container
                    .command
                    .iter()
                    .chain(&container.args)
                    .nth(at)
                    .map(String::as_str),
            };
            found.extend(text.filter(|t| t.len() >= 32).map(|t| (place, t)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(spec: &str) -> Vec<String> {
        let pod: PodSpec = serde_saphyr::from_str(spec).expect("a pod");
        secret_uses(&pod, "shop", &ConfigMaps::new())
            .into_iter()
            .map(|u| {
                let key = u.key.as_deref().unwrap_or("*");
                format!("{} {}#{key}: {}", u.container, u.secret, u.way)
            })
            .collect()
    }

    #[test]
    fn variable_is_followed_to_the_key_of_the_secret_and_what_nothing_reads_is_mounted() {
        let spec = r#"
            volumes:
              - { name: key, secret: { secretName: checkout-key, items: [{ key: key.json, path: gcp/sa.json }] } }
              - { name: tf, projected: { sources: [{ secret: { name: tf-key } }] } }
            containers:
              - name: app
                env: [{ name: GOOGLE_APPLICATION_CREDENTIALS, value: /var/secrets/gcp/sa.json }]
                volumeMounts: [{ name: key, mountPath: /var/secrets }]
              - name: sidecar
                volumeMounts: [{ name: key, mountPath: /k, subPath: gcp/sa.json }, { name: tf, mountPath: /tf }]
            imagePullSecrets: [{ name: registry }]
        "#;
        assert_eq!(
            uses(spec),
            [
                "app checkout-key#key.json: GOOGLE_APPLICATION_CREDENTIALS -> /var/secrets/gcp/sa.json",
                "sidecar checkout-key#key.json: mounted at /k",
                " registry#*: imagePullSecrets: the kubelet pulls with it",
                "sidecar tf-key#*: mounted at /tf",
            ]
        );
    }

    #[test]
    fn flags_variables_and_all_variables_are_told_apart() {
        let spec = r#"
            volumes: [{ name: key, secret: { secretName: sql } }]
            containers:
              - name: proxy
                image: gcr.io/cloud-sql-connectors/cloud-sql-proxy:2
                args: ["--credentials-file=/secrets/key.json", "acme:db"]
                volumeMounts: [{ name: key, mountPath: /secrets }]
              - name: tf
                env:
                  - { name: GOOGLE_CREDENTIALS, valueFrom: { secretKeyRef: { name: tf, key: json } } }
                  - { name: FIREBASE_PRIVATE_KEY, valueFrom: { secretKeyRef: { name: fb, key: pk } } }
                envFrom: [{ prefix: X_, secretRef: { name: all } }]
        "#;
        assert_eq!(
            uses(spec),
            [
                "tf all#*: envFrom with prefix X_",
                "tf fb#pk: variable FIREBASE_PRIVATE_KEY",
                "proxy sql#key.json: --credentials-file -> /secrets/key.json",
                "tf tf#json: GOOGLE_CREDENTIALS",
            ]
        );
    }
}
