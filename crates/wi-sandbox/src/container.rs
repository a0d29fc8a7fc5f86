//! What a program in a container authenticates with, as the clients look for it: by the container's
//! environment, command and files, before anybody asks the metadata server.
//!
//! The world has no Secrets and no images: where they would decide, it cannot be known.

use std::collections::BTreeMap;

use serde_json::Value;

/// Where a program's credential comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// From what the container brings along.
    Container(String),
    /// From the metadata server.
    MetadataServer,
    /// From what the world does not hold: an image, a Secret, a disk.
    Unknown(String),
}

/// Of one container of a pod; `config_map` gives the data of those of its namespace.
pub fn source(
    pod: &Value,
    container: &Value,
    config_map: &dyn Fn(&str) -> Option<Value>,
) -> Source {
    let world = Inside {
        pod,
        container,
        env: environment(container, config_map),
    };
    if world.runs_gcloud() {
        world.of_gcloud()
    } else {
        world.of_library()
    }
}

/// The text of a variable; `Err`: set to what is not known.
type Text = Result<String, String>;

fn environment(
    container: &Value,
    config_map: &dyn Fn(&str) -> Option<Value>,
) -> BTreeMap<String, Text> {
    let mut env: BTreeMap<String, Text> = BTreeMap::new();
    for from in container["envFrom"].as_array().into_iter().flatten() {
        let prefix = from["prefix"].as_str().unwrap_or_default();
        if let Some(name) = from["secretRef"]["name"].as_str() {
            env.insert("*".to_owned(), Err(format!("secret {name}")));
        }
        let Some(data) = from["configMapRef"]["name"].as_str().and_then(config_map) else {
            continue;
        };
        for (key, value) in data.as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default().to_owned();
            env.insert(format!("{prefix}{key}"), Ok(value));
        }
    }
    for entry in container["env"].as_array().into_iter().flatten() {
        let name = entry["name"].as_str().unwrap_or_default().to_owned();
        let from = &entry["valueFrom"];
        let value = if let Some(map) = from["configMapKeyRef"]["name"].as_str() {
            let key = from["configMapKeyRef"]["key"].as_str().unwrap_or_default();
            let value = config_map(map).and_then(|data| Some(data[key].as_str()?.to_owned()));
            Ok(value.unwrap_or_default())
        } else if from["secretKeyRef"].is_object() {
            let secret = &from["secretKeyRef"];
            let certain = if secret["optional"] == true {
                "perhaps"
            } else {
                "certainly"
            };
            Err(format!("{certain} in secret {}", secret["name"]))
        } else if from.is_object() {
            Err("a field of the pod".to_owned())
        } else {
            let mut text = Ok(entry["value"].as_str().unwrap_or_default().to_owned());
            for (known, value) in &env {
                let reference = format!("$({known})");
                text = match (text, value) {
                    (Ok(text), Ok(value)) => Ok(text.replace(&reference, value)),
                    (Ok(text), Err(why)) if text.contains(&reference) => Err(why.clone()),
                    (text, _) => text,
                };
            }
            text
        };
        env.insert(name, value);
    }
    env.retain(|_, value| *value != Ok(String::new()));
    env
}

struct Inside<'a> {
    pod: &'a Value,
    container: &'a Value,
    env: BTreeMap<String, Text>,
}

impl Inside<'_> {
    fn runs_gcloud(&self) -> bool {
        let image = self.container["image"].as_str().unwrap_or_default();
        let of_image = ["/cloud-sdk", "/google-cloud-cli", "/gcloud", "/gsutil"];
        of_image.iter().any(|i| format!("/{image}").contains(i))
            || self.words().iter().any(|word| {
                let program = word.rsplit('/').next();
                matches!(program, Some("gcloud" | "gsutil" | "bq"))
            })
    }

    fn words(&self) -> Vec<String> {
        let lists = [&self.container["command"], &self.container["args"]];
        let texts = lists.into_iter().filter_map(Value::as_array).flatten();
        texts
            .filter_map(Value::as_str)
            .flat_map(|t| t.split([' ', '\n', ';', '|', '&', '"', '\'', '(', ')', '`']))
            .map(str::to_owned)
            .collect()
    }

    /// gcloud has properties of its own, of which the environment sets some, and a login.
    fn of_gcloud(&self) -> Source {
        let name = "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE";
        if let Some(path) = self.env.get(name) {
            return self.of_path(name, path);
        }
        let words = self.words();
        for flag in ["--key-file", "--cred-file"] {
            let given = words.iter().enumerate().find_map(|(at, word)| {
                let joined = word.strip_prefix(&format!("{flag}="));
                let next = || {
                    (word == flag)
                        .then(|| words.get(at + 1))?
                        .map(String::as_str)
                };
                joined.or_else(next)
            });
            if let Some(path) = given {
                return self.of_path(flag, &Ok(path.to_owned()));
            }
        }
        for name in ["CLOUDSDK_CONFIG", "BOTO_CONFIG", "BOTO_PATH"] {
            if self.env.contains_key(name) {
                return Source::Unknown(name.to_owned());
            }
        }
        self.without()
    }

    /// Application Default Credentials; other programs have variables of their own beside it.
    fn of_library(&self) -> Source {
        let name = "GOOGLE_APPLICATION_CREDENTIALS";
        if let Some(path) = self.env.get(name) {
            return self.of_path(name, path);
        }
        let mut unknown = None;
        for (name, may_be_path, may_be_text) in [
            ("GOOGLE_CREDENTIALS", true, true),
            ("GOOGLE_CLOUD_KEYFILE_JSON", true, true),
            ("GCLOUD_KEYFILE_JSON", true, true),
            ("GOOGLE_BACKEND_CREDENTIALS", true, true),
            ("GOOGLE_APPLICATION_CREDENTIALS_JSON", false, true),
            ("CSQL_PROXY_JSON_CREDENTIALS", false, true),
            ("CSQL_PROXY_CREDENTIALS_FILE", true, false),
            ("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", true, false),
        ] {
            let found = match self.env.get(name) {
                None => continue,
                Some(Ok(text)) if may_be_text && text.trim().starts_with('{') => {
                    Source::Container(name.to_owned())
                }
                Some(Ok(text)) if may_be_path && text.starts_with('/') => {
                    self.of_path(name, &Ok(text.clone()))
                }
                // The pod would not have started without it.
                Some(Err(why)) if may_be_text && why.starts_with("certainly") => {
                    Source::Container(name.to_owned())
                }
                Some(_) => Source::Unknown(name.to_owned()),
            };
            match found {
                Source::Container(_) => return found,
                other => unknown = Some(other),
            }
        }
        unknown.unwrap_or_else(|| self.without())
    }

    fn without(&self) -> Source {
        match self.env.get("*") {
            Some(Err(why)) => Source::Unknown(why.clone()),
            _ => Source::MetadataServer,
        }
    }

    fn of_path(&self, name: &str, path: &Text) -> Source {
        match path.as_ref().ok().and_then(|path| self.has_file(path)) {
            Some(true) => Source::Container(name.to_owned()),
            _ => Source::Unknown(name.to_owned()),
        }
    }

    /// Whether a volume has this file; `None`: it may, or the image may.
    fn has_file(&self, path: &str) -> Option<bool> {
        let mounts = self.container["volumeMounts"].as_array()?;
        let mut nearest: Option<(&Value, String)> = None;
        for mount in mounts {
            let at = mount["mountPath"].as_str()?.trim_end_matches('/');
            let below = match path.strip_prefix(at) {
                Some("") => String::new(),
                Some(rest) if rest.starts_with('/') => rest[1..].to_owned(),
                _ => continue,
            };
            if nearest.as_ref().is_none_or(|(_, n)| below.len() < n.len()) {
                nearest = Some((mount, below));
            }
        }
        let (mount, below) = nearest?;
        let sub_path = mount["subPath"].as_str().unwrap_or_default();
        let file = format!("{sub_path}/{below}");
        let file = file.trim_matches('/');
        let volumes = self.pod["volumes"].as_array()?;
        let volume = volumes.iter().find(|v| v["name"] == mount["name"])?;
        if let Some(driver) = volume["csi"]["driver"].as_str() {
            return driver.starts_with("secrets-store").then_some(true);
        }
        let single = [&volume["secret"], &volume["configMap"]];
        let projected = volume["projected"]["sources"].as_array();
        let projected = projected.into_iter().flatten();
        let sources = single
            .into_iter()
            .chain(projected.flat_map(|s| [&s["secret"], &s["configMap"]]));
        let mut sources = sources.filter(|s| s.is_object());
        let has = |s: &Value| match s["items"].as_array() {
            Some(items) => items.iter().any(|i| i["path"] == file),
            None => !file.is_empty() && !file.contains('/'),
        };
        let found = sources.find(|s| has(s))?;
        (found["optional"] != true).then_some(true)
    }
}
