//! Takes a key out of a pod template: the one function for whoever then makes the change.
//!
//! Variable and file go in one edit: a variable that points at a file that is not there is an error in most
//! client libraries, and in some makes anonymous calls. What cannot be told from the template is a [`Trap`],
//! never a guess.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::volumes::{self, Fate, text};
use super::{Accept, DataKey, Trap};
use crate::access::{self, SecretUse, Way};
use crate::live::ConfigMaps;
use crate::wire::pods::PodSpec;

/// What is to be taken out, and what is known beside the template.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The namespace of the template.
    pub namespace: &'a str,
    /// The keys of Secrets' data that are keys of the account.
    pub keys: &'a BTreeSet<DataKey>,
    /// The names of all data of each Secret that was opened.
    pub secrets: &'a BTreeMap<String, BTreeSet<String>>,
    /// The ConfigMaps that were read.
    pub config_maps: &'a ConfigMaps,
    /// The project that client libraries had from the key, where the metadata server would tell another.
    pub project: Option<&'a str>,
    /// Whether some node pools have no GKE metadata server, so that pods have to ask for one that has.
    pub mixed_nodes: bool,
    /// What somebody vouches for.
    pub accept: &'a BTreeSet<Accept>,
}

/// One thing that is changed. In none of it is a value of a variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Step {
    /// A variable goes.
    RemoveVariable {
        list: List,
        container: String,
        name: String,
    },
    /// A mount goes.
    RemoveMount {
        list: List,
        container: String,
        at: String,
        volume: String,
    },
    /// A volume goes.
    RemoveVolume { name: String },
    /// A volume loses the files of keys; it is this then.
    ReplaceVolume { name: String, volume: Value },
    /// An argument goes: that at this index, counted when those before this step are gone.
    RemoveArgument {
        list: List,
        index: usize,
        container: String,
        field: String,
        at: usize,
        text: String,
    },
    /// A variable comes.
    AddVariable {
        list: List,
        container: String,
        name: String,
        value: String,
    },
    /// Pods ask for nodes with the GKE metadata server.
    SelectNodes,
}

/// The two lists of containers of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum List {
    /// `containers`.
    Main,
    /// `initContainers`.
    Init,
}

impl List {
    /// The field.
    pub fn field(self) -> &'static str {
        match self {
            Self::Main => "containers",
            Self::Init => "initContainers",
        }
    }
}

/// A template without the key.
#[derive(Debug, Clone, PartialEq)]
pub struct Edited {
    /// The pod template, all that is not of the key as it was.
    pub template: Value,
    /// What was changed.
    pub steps: Vec<Step>,
    /// Why it must not be used as it is.
    pub traps: BTreeSet<Trap>,
}

/// The label of nodes that run the GKE metadata server.
pub const METADATA_NODES: &str = "iam.gke.io/gke-metadata-server-enabled";

/// Variables from which client libraries take the project, before they ask the metadata server.
const PROJECTS: [&str; 2] = ["GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"];

/// Takes the keys out of a pod template (`metadata` and `spec` of pods).
pub fn without_keys(template: &Value, wanted: &Wanted<'_>) -> Edited {
    let mut edit = Edit {
        template: template.clone(),
        wanted,
        steps: Vec::new(),
        traps: BTreeSet::new(),
        gone: Vec::new(),
    };
    match edit.pod() {
        Ok(pod) => edit.run(&pod),
        Err(why) => {
            edit.traps.insert(Trap::Unreadable(why));
        }
    }
    Edited {
        template: edit.template,
        steps: edit.steps,
        traps: edit.traps,
    }
}

/// Uses of the keys in a pod's spec.
pub fn uses(pod: &PodSpec, wanted: &Wanted<'_>) -> Vec<SecretUse> {
    let all = access::secret_uses(pod, wanted.namespace, wanted.config_maps);
    let is_wanted = |used: &SecretUse| {
        let mut keys = wanted.keys.iter();
        keys.any(|(s, k)| *s == used.secret && used.key.as_ref().is_none_or(|key| key == k))
    };
    all.into_iter().filter(is_wanted).collect()
}

struct Edit<'a> {
    template: Value,
    wanted: &'a Wanted<'a>,
    steps: Vec<Step>,
    traps: BTreeSet<Trap>,
    /// Paths that are gone, by container.
    gone: Vec<(String, String)>,
}

impl Edit<'_> {
    fn pod(&self) -> Result<PodSpec, String> {
        serde_json::from_value(self.template["spec"].clone()).map_err(|e| e.to_string())
    }

    fn trap(&mut self, trap: Trap) {
        if trap
            .accept()
            .is_none_or(|a| !self.wanted.accept.contains(&a))
        {
            self.traps.insert(trap);
        }
    }

    fn run(&mut self, pod: &PodSpec) {
        let found = uses(pod, self.wanted);
        if found.is_empty() {
            return;
        }
        if pod.host_network {
            self.trap(Trap::HostNetwork);
        }
        let os = &self.template["spec"]["os"]["name"];
        let selected = pod.node_selector.get("kubernetes.io/os");
        if os == "windows" || selected.is_some_and(|os| os == "windows") {
            self.trap(Trap::Windows);
        }
        // The containers that have it as a credential.
        let mut known = BTreeSet::new();
        for used in &found {
            if matches!(used.way, Way::Leads { .. }) {
                known.insert(used.container.clone());
            }
            self.take(used);
        }
        self.volumes();
        for container in known {
            self.project(&container);
        }
        self.mentions();
        if self.wanted.mixed_nodes {
            self.select_nodes();
        }
        if let (Ok(pod), true) = (self.pod(), self.traps.is_empty()) {
            for used in uses(&pod, self.wanted) {
                self.trap(Trap::Still {
                    container: used.container,
                    way: used.way.to_string(),
                });
            }
        }
    }

    /// What leads to the key, but for volumes.
    fn take(&mut self, used: &SecretUse) {
        let container = used.container.as_str();
        match &used.way {
            Way::Leads {
                by,
                path: Some(path),
                ..
            } if by.starts_with('-') => {
                self.argument(container, by, path);
            }
            Way::Leads { by, path, .. } => self.variable(container, by, path.as_deref()),
            Way::Variable(name) => {
                self.trap(Trap::UnknownReader {
                    container: container.to_owned(),
                    what: used.way.to_string(),
                });
                self.variable(container, name, None);
            }
            Way::AllVariables(_) => self.trap(Trap::WholeEnvironment {
                container: container.to_owned(),
                secret: used.secret.clone(),
            }),
            Way::Mounted { .. } => self.trap(Trap::UnknownReader {
                container: container.to_owned(),
                what: used.way.to_string(),
            }),
            Way::ImagePull => self.trap(Trap::ImagePull {
                secret: used.secret.clone(),
            }),
            Way::Driver(driver) => self.trap(Trap::Driver {
                volume: used.secret.clone(),
                driver: driver.clone(),
            }),
        }
    }

    /// The list and index of a container.
    fn find(&self, name: &str) -> Option<(List, usize)> {
        [List::Main, List::Init].into_iter().find_map(|list| {
            let all = self.template["spec"][list.field()].as_array()?;
            let at = all.iter().position(|c| c["name"] == name)?;
            Some((list, at))
        })
    }

    fn variable(&mut self, container: &str, name: &str, path: Option<&str>) {
        let Some((list, at)) = self.find(container) else {
            return;
        };
        let of = &mut self.template["spec"][list.field()][at];
        let Some(env) = list_of(of, "env") else {
            return self.tell_elsewhere(container, name, path);
        };
        let before = env.len();
        env.retain(|e| e["name"] != name);
        if env.len() == before {
            return self.tell_elsewhere(container, name, path);
        }
        drop_empty(of, "env");
        self.steps.push(Step::RemoveVariable {
            list,
            container: container.to_owned(),
            name: name.to_owned(),
        });
        // What was hidden by it counts now.
        let from = self.set_by(list, at, name);
        if let Some(by) = from {
            self.trap(Trap::SetElsewhere {
                container: container.to_owned(),
                variable: name.to_owned(),
                by,
            });
        }
        self.gone.push((container.to_owned(), format!("$({name})")));
        self.gone
            .push((container.to_owned(), format!("${{{name}}}")));
        self.gone.push((container.to_owned(), format!("${name}")));
    }

    fn tell_elsewhere(&mut self, container: &str, name: &str, path: Option<&str>) {
        self.trap(Trap::FromElsewhere {
            container: container.to_owned(),
            variable: name.to_owned(),
            path: path.unwrap_or_default().to_owned(),
        });
    }

    /// What of `envFrom` sets a variable, or may.
    fn set_by(&self, list: List, at: usize, name: &str) -> Option<String> {
        let from = self.template["spec"][list.field()][at]["envFrom"].as_array()?;
        from.iter().find_map(|from| {
            let key = name.strip_prefix(text(&from["prefix"]))?;
            if let Some(secret) = from["secretRef"]["name"].as_str() {
                let known = self.wanted.secrets.get(secret);
                return known
                    .is_none_or(|keys| keys.contains(key))
                    .then(|| format!("Secret {secret} (envFrom)"));
            }
            let map = from["configMapRef"]["name"].as_str()?;
            let place = (self.wanted.namespace.to_owned(), map.to_owned());
            let read = self.wanted.config_maps.get(&place);
            // Those that were read are read for such names alone.
            let found = read.and_then(|seen| seen.found());
            let sets = match read {
                Some(crate::live::Seen::Absent) => false,
                _ => found.is_none_or(|data| data.contains_key(key)),
            };
            sets.then(|| format!("ConfigMap {map} (envFrom)"))
        })
    }

    fn argument(&mut self, container: &str, flag: &str, path: &str) {
        if matches!(flag, "--key-file" | "--cred-file") {
            return self.trap(Trap::LoginCommand {
                container: container.to_owned(),
                flag: flag.to_owned(),
            });
        }
        let Some((list, index)) = self.find(container) else {
            return;
        };
        let of = &self.template["spec"][list.field()][index];
        let whole = format!("{flag}={path}");
        let place = ["command", "args"].into_iter().find_map(|field| {
            let words = of[field].as_array()?;
            let one = words.iter().position(|w| *w == whole.as_str());
            let two = || {
                let mut pairs = words.windows(2);
                pairs.position(|pair| pair[0] == flag && pair[1] == path)
            };
            let (at, count) = one.map(|at| (at, 1)).or_else(|| Some((two()?, 2)))?;
            Some((field, at, count, words.len()))
        });
        let Some((field, at, count, length)) = place else {
            return self.trap(Trap::InScript {
                container: container.to_owned(),
                flag: flag.to_owned(),
            });
        };
        // A command without arguments is run as it is; arguments without a command follow the image's own.
        let has_command =
            field == "args" && of["command"].as_array().is_some_and(|c| !c.is_empty());
        if length == count && !has_command {
            return self.trap(Trap::OnlyArgument {
                container: container.to_owned(),
                field: field.to_owned(),
            });
        }
        let of = &mut self.template["spec"][list.field()][index];
        for _ in 0..count {
            let Some(words) = list_of(of, field) else {
                return;
            };
            let word = words.remove(at);
            self.steps.push(Step::RemoveArgument {
                list,
                index,
                container: container.to_owned(),
                field: field.to_owned(),
                at,
                text: text(&word).to_owned(),
            });
        }
        drop_empty(of, field);
    }

    fn volumes(&mut self) {
        let volumes = self.template["spec"]["volumes"].as_array().cloned();
        for volume in volumes.unwrap_or_default() {
            let name = text(&volume["name"]).to_owned();
            match volumes::fate(&volume, self.wanted.keys, self.wanted.secrets) {
                Ok(Fate::Stays) => {}
                Err(trap) => self.trap(trap),
                Ok(Fate::Goes) => {
                    self.mounts(&name, None);
                    let spec = &mut self.template["spec"];
                    if let Some(all) = list_of(spec, "volumes") {
                        all.retain(|v| v["name"] != name.as_str());
                    }
                    drop_empty(spec, "volumes");
                    self.steps.push(Step::RemoveVolume { name });
                }
                Ok(Fate::Loses { files, rest }) => {
                    self.mounts(&name, Some(&files));
                    let all = list_of(&mut self.template["spec"], "volumes");
                    let mut all = all.into_iter().flatten();
                    if let Some(own) = all.find(|v| v["name"] == name.as_str()) {
                        own.clone_from(&rest);
                    }
                    self.steps.push(Step::ReplaceVolume { name, volume: rest });
                }
            }
        }
    }

    /// Takes the mounts of a volume out: all, or those of these files alone.
    fn mounts(&mut self, volume: &str, files: Option<&BTreeSet<String>>) {
        for list in [List::Main, List::Init] {
            let Some(containers) = list_of(&mut self.template["spec"], list.field()) else {
                continue;
            };
            for container in containers {
                let name = text(&container["name"]).to_owned();
                let Some(mounts) = list_of(container, "volumeMounts") else {
                    continue;
                };
                mounts.retain(|mount| {
                    if mount["name"] != volume {
                        return true;
                    }
                    let at = text(&mount["mountPath"]).trim_end_matches('/').to_owned();
                    let sub = text(&mount["subPath"]);
                    let goes = match files {
                        None => true,
                        Some(files) if sub.is_empty() => {
                            for file in files {
                                self.gone.push((name.clone(), format!("{at}/{file}")));
                            }
                            false
                        }
                        Some(files) => files.contains(sub),
                    };
                    if goes {
                        self.gone.push((name.clone(), at));
                        self.steps.push(Step::RemoveMount {
                            list,
                            container: name.clone(),
                            at: text(&mount["mountPath"]).to_owned(),
                            volume: volume.to_owned(),
                        });
                    }
                    !goes
                });
                drop_empty(container, "volumeMounts");
            }
        }
    }

    /// Tells a container's programs the project that they had from the key.
    fn project(&mut self, container: &str) {
        let (Some(project), Some((list, at))) = (self.wanted.project, self.find(container)) else {
            return;
        };
        let of = &self.template["spec"][list.field()][at];
        let env = of["env"].as_array();
        let is_set = |name: &str| env.is_some_and(|env| env.iter().any(|e| e["name"] == name));
        if PROJECTS.iter().any(|name| is_set(name)) {
            return;
        }
        let from = of["envFrom"].as_array();
        if let Some(by) = from.and_then(|from| from.iter().find_map(|f| self.may_set_project(f))) {
            return self.trap(Trap::Project {
                container: container.to_owned(),
                project: project.to_owned(),
                by,
            });
        }
        let variable = json!({"name": PROJECTS[0], "value": project});
        let of = &mut self.template["spec"][list.field()][at];
        match list_of(of, "env") {
            Some(env) => env.push(variable),
            None => of["env"] = json!([variable]),
        }
        self.steps.push(Step::AddVariable {
            list,
            container: container.to_owned(),
            name: PROJECTS[0].to_owned(),
            value: project.to_owned(),
        });
    }

    /// What of `envFrom` may tell the project. Of ConfigMaps other names are read.
    fn may_set_project(&self, from: &Value) -> Option<String> {
        let prefix = text(&from["prefix"]);
        let mut names = PROJECTS.iter().filter_map(|name| name.strip_prefix(prefix));
        if let Some(secret) = from["secretRef"]["name"].as_str() {
            let known = self.wanted.secrets.get(secret);
            let may = names.any(|name| known.is_none_or(|keys| keys.contains(name)));
            return may.then(|| format!("Secret {secret}"));
        }
        let map = from["configMapRef"]["name"].as_str()?;
        names.next().map(|_| format!("ConfigMap {map}"))
    }

    /// What else speaks of what is gone: it would find nothing there.
    fn mentions(&mut self) {
        let mut found = Vec::new();
        for (container, gone) in &self.gone {
            let Some((list, at)) = self.find(container) else {
                continue;
            };
            let of = &self.template["spec"][list.field()][at];
            let mounts = of["volumeMounts"].as_array().into_iter().flatten();
            let left: Vec<&str> = mounts.map(|m| text(&m["mountPath"])).collect();
            for (field, value) in of.as_object().into_iter().flatten() {
                if field == "volumeMounts" {
                    continue;
                }
                each_text(value, field, &mut |field, value| {
                    if let Some(what) = mention(value, gone, &left) {
                        found.push(Trap::Mentions {
                            container: container.clone(),
                            field: field.to_owned(),
                            what,
                        });
                    }
                });
            }
        }
        for trap in found {
            self.trap(trap);
        }
    }

    fn select_nodes(&mut self) {
        let spec = &mut self.template["spec"];
        if spec["nodeSelector"][METADATA_NODES] == "true" {
            return;
        }
        if !spec["nodeSelector"].is_object() {
            spec["nodeSelector"] = json!({});
        }
        spec["nodeSelector"][METADATA_NODES] = json!("true");
        self.steps.push(Step::SelectNodes);
    }
}

/// A list, if it is there. (To look for one by an index makes it.)
fn list_of<'a>(of: &'a mut Value, field: &str) -> Option<&'a mut Vec<Value>> {
    of.get_mut(field)?.as_array_mut()
}

fn drop_empty(of: &mut Value, field: &str) {
    if list_of(of, field).is_some_and(|list| list.is_empty())
        && let Some(of) = of.as_object_mut()
    {
        of.remove(field);
    }
}

/// Every text in a value, with where: `env[0].value`.
fn each_text(value: &Value, field: &str, found: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) => found(field, text),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                each_text(item, &format!("{field}[{at}]"), found);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                each_text(value, &format!("{field}.{key}"), found);
            }
        }
        _ => {}
    }
}

/// What of a text speaks of `gone`, a path or a variable; what is mounted below it still is there.
fn mention(value: &str, gone: &str, left: &[&str]) -> Option<String> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let is_variable = gone.starts_with('$');
    value.match_indices(gone).find_map(|(at, _)| {
        let (before, after) = (&value[..at], &value[at + gone.len()..]);
        let starts = is_variable || !before.ends_with(|c: char| in_name(c) || c == '/');
        let closed = gone.ends_with([')', '}']);
        let ends = closed || !after.starts_with(in_name);
        if !starts || !ends {
            return None;
        }
        let rest: String = after
            .chars()
            .take_while(|c| in_name(*c) || *c == '/')
            .collect();
        let path = match is_variable {
            true => gone.to_owned(),
            false => format!("{gone}{rest}"),
        };
        let is_left = left.iter().any(|mount| {
            let mount = mount.trim_end_matches('/');
            mount.len() > gone.len()
                && path
                    .strip_prefix(mount)
                    .is_some_and(|r| r.is_empty() || r.starts_with('/'))
        });
        (!is_left).then_some(path)
    })
}
