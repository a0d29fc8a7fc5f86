//! Programs in containers: where each finds its credential, as Application Default Credentials do, and what comes of
//! its calls.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::access::Token;
use super::clock::{self, Millis};
use super::faults::matches;
use super::gke::cluster::Cluster;
use super::ids::hash;
use super::kube::{self, KubeCluster, PodState};
use super::logging;
use super::oracle;
use super::state::State;
use super::traffic::{By, Credential, Process};
use super::world::{App, KeyUse, PodCall};

/// How long an access token lasts that a key was exchanged for.
pub const TOKEN_LASTS: Millis = 3600 * 1000;

/// A process that starts now, and looks for its credential.
pub fn start(
    kube: &KubeCluster,
    pod: &Value,
    app: &App,
    container: &Value,
    restarts: i64,
) -> Process {
    Process {
        restarts,
        credential: credential(kube, pod, app, container),
        token_until: None,
        logged_until: None,
    }
}

/// The app of a pod, and the container that it is in.
pub fn of_pod<'s>(state: &'s State, pod: &'s Value) -> Option<(&'s App, &'s Value)> {
    let containers = pod["spec"]["containers"].as_array()?;
    containers.iter().find_map(|container| {
        let image = container["image"].as_str()?;
        let mut apps = state.world.apps.iter();
        let app = apps.find(|app| matches(&format!("{}$", app.image), image))?;
        Some((app, container))
    })
}

/// Where a program finds its credential as it starts.
fn credential(kube: &KubeCluster, pod: &Value, app: &App, container: &Value) -> Credential {
    let inside = Inside {
        kube,
        pod,
        container,
    };
    if let Some(path) = &app.file {
        return match inside.file(path) {
            Some(text) => read_key(&text, path),
            None => Credential::Broken(format!("no such file: {path}")),
        };
    }
    for variable in &app.variables {
        let Some(value) = inside.variable(variable).filter(|value| !value.is_empty()) else {
            continue;
        };
        if value.trim_start().starts_with('{') {
            return read_key(&value, variable);
        }
        return match inside.file(&value) {
            Some(text) => read_key(&text, &value),
            None => Credential::Broken(format!(
                "DefaultCredentialsError: {variable}: file {value} was not found"
            )),
        };
    }
    Credential::MetadataServer
}

/// Whose key a text is. Nothing of the text is told.
fn read_key(text: &str, place: &str) -> Credential {
    let read: Option<Value> = serde_json::from_str(text).ok();
    let word = |field: &str| Some(read.as_ref()?[field].as_str()?.to_owned());
    match (
        word("type").as_deref(),
        word("client_email"),
        word("private_key_id"),
    ) {
        (Some("service_account"), Some(account), Some(id)) => Credential::Key { account, id },
        _ => Credential::Broken(format!("{place} holds no service account's key")),
    }
}

/// What a container sees of its environment and its files.
struct Inside<'a> {
    kube: &'a KubeCluster,
    pod: &'a Value,
    container: &'a Value,
}

impl Inside<'_> {
    fn object(&self, kind: &str, name: &Value) -> Option<Arc<Value>> {
        let namespace = self.pod["metadata"]["namespace"].as_str()?;
        self.kube.object(kind, namespace, name.as_str()?)
    }

    fn of_secret(&self, name: &Value, key: &str) -> Option<String> {
        let secret = self.object("Secret", name)?;
        let bytes = STANDARD.decode(secret["data"][key].as_str()?).ok()?;
        String::from_utf8(bytes).ok()
    }

    fn of_config_map(&self, name: &Value, key: &str) -> Option<String> {
        let map = self.object("ConfigMap", name)?;
        Some(map["data"][key].as_str()?.to_owned())
    }

    fn variable(&self, name: &str) -> Option<String> {
        let env = self.container["env"].as_array().into_iter().flatten();
        if let Some(entry) = env.rev().find(|entry| entry["name"] == name) {
            let from = &entry["valueFrom"];
            let (secret, map) = (&from["secretKeyRef"], &from["configMapKeyRef"]);
            let key = |reference: &Value| reference["key"].as_str().unwrap_or_default().to_owned();
            return if secret.is_object() {
                self.of_secret(&secret["name"], &key(secret))
            } else if map.is_object() {
                self.of_config_map(&map["name"], &key(map))
            } else {
                entry["value"].as_str().map(str::to_owned)
            };
        }
        let from = self.container["envFrom"].as_array().into_iter().flatten();
        from.rev().find_map(|from| {
            let key = name.strip_prefix(from["prefix"].as_str().unwrap_or_default())?;
            self.of_secret(&from["secretRef"]["name"], key)
                .or_else(|| self.of_config_map(&from["configMapRef"]["name"], key))
        })
    }

    /// The text of a file of a Secret or a ConfigMap that is mounted; the last mount that has it counts.
    fn file(&self, path: &str) -> Option<String> {
        let mounts = self.container["volumeMounts"].as_array()?;
        mounts.iter().rev().find_map(|mount| {
            let at = mount["mountPath"].as_str()?.trim_end_matches('/');
            let below = path.strip_prefix(at)?;
            let below = match mount["subPath"].as_str() {
                // The mount is the file itself, or a folder of the volume.
                Some(sub) if below.is_empty() => sub.to_owned(),
                Some(sub) => format!("{sub}{below}"),
                None => below.strip_prefix('/')?.to_owned(),
            };
            let volumes = self.pod["spec"]["volumes"].as_array()?;
            let volume = volumes.iter().find(|v| v["name"] == mount["name"])?;
            kube::volume_sources(volume).find_map(|source| {
                let (secret, map) = (&source["secret"], &source["configMap"]);
                let named = &secret[kube::name_of_secret(secret)];
                let from_secret = || self.of_secret(named, &key_of(secret, &below)?);
                let from_map = || self.of_config_map(&map["name"], &key_of(map, &below)?);
                from_secret().or_else(from_map)
            })
        })
    }
}

/// The key of a Secret or a ConfigMap that a file is: by `items`, or of the same name.
fn key_of(source: &Value, file: &str) -> Option<String> {
    match source["items"].as_array() {
        Some(items) => {
            let item = items.iter().find(|item| item["path"] == file)?;
            Some(item["key"].as_str()?.to_owned())
        }
        None => Some(file.to_owned()),
    }
}

/// Why a key gives no token, if it gives none.
pub fn refused_key(state: &State, account: &str, id: &str) -> Option<String> {
    let Some((project, name)) = state.find_account(account) else {
        return Some("invalid_grant: Invalid grant: account not found".to_owned());
    };
    let found = &state.world.projects[&project].service_accounts[&name];
    if found.disabled {
        return Some(format!("invalid_grant: {account} is disabled"));
    }
    let now = state.clock.now();
    let expires = |at: &str| clock::parse(at).is_some_and(|at| at <= now);
    match found.keys.iter().find(|key| key.id == id && !key.deleted) {
        None => Some("invalid_grant: Invalid JWT Signature.".to_owned()),
        Some(key) if key.disabled => Some(format!("invalid_grant: key {id} is disabled")),
        Some(key) if expires(&key.expires_at) => {
            Some(format!("invalid_grant: key {id} has expired"))
        }
        Some(_) => None,
    }
}

/// Writes what a program does by the metadata server into the audit logs, once for the token's hour.
pub fn note_calls(
    state: &mut State,
    cluster: &Cluster,
    pod: &PodState,
    app: &App,
    by: &By,
    succeeds: bool,
) {
    let By::Metadata(token) = by else { return };
    let at = clock::text(state.clock.now());
    for call in &app.calls {
        let call = PodCall {
            pod: format!("{}/{}", pod.namespace, pod.name),
            at: at.clone(),
            service: call.service.clone(),
            method: call
                .method
                .clone()
                .unwrap_or_else(|| call.permission.clone()),
            permission: call.permission.clone(),
            resource: call.resource.clone(),
            ..PodCall::default()
        };
        let id = format!("app{}", state.next_revision());
        let entries = logging::of_call(state, cluster, pod, token, &call, succeeds, &id);
        state.world.log_entries.extend(entries);
    }
}

/// Notes that a key was exchanged for a token.
pub fn note_use(state: &mut State, account: &str, id: &str) {
    let at = clock::text(state.clock.now());
    let Some((project, name)) = state.find_account(account) else {
        return;
    };
    let Some(project) = state.world.projects.get_mut(&project) else {
        return;
    };
    let account = project.service_accounts.get_mut(&name);
    let key = account.and_then(|a| a.keys.iter_mut().find(|key| key.id == id));
    if let Some(key) = key {
        key.uses.push(KeyUse {
            at,
            count: 1,
            project: None,
            caller_ip: None,
            user_agent: None,
            method: None,
        });
    }
}

/// What comes of a program's calls, and by whom they are made. `Err`: why the first that fails does.
pub fn outcome(
    state: &State,
    cluster: &Cluster,
    pod: &PodState,
    app: &App,
    process: &Process,
) -> (By, Result<(), String>) {
    let (by, token) = match &process.credential {
        Credential::Broken(why) => return (By::Nobody, Err(why.clone())),
        Credential::Key { account, id } => {
            let by = By::Key {
                account: account.clone(),
                id: id.clone(),
            };
            let lasts = process
                .token_until
                .is_some_and(|until| until > state.clock.now());
            let refused = match lasts {
                // A token outlives its key, but not its account.
                true => oracle::usable(state, account)
                    .err()
                    .map(|_| format!("{account} cannot be used")),
                false => refused_key(state, account, id),
            };
            if let Some(why) = refused {
                return (by, Err(why));
            }
            (by, Some(Token::Account(account.clone())))
        }
        Credential::MetadataServer => {
            let token = oracle::token_of(state, cluster, pod);
            (By::Metadata(token), None)
        }
    };
    for call in &app.calls {
        let (_, decision) = match &token {
            Some(token) => {
                let decision =
                    oracle::of_token(state, cluster, pod, token, &call.permission, &call.resource);
                (token.clone(), decision)
            }
            None => oracle::of_call(state, cluster, pod, &call.permission, &call.resource),
        };
        if decision.allowed != Some(true) {
            return (
                by,
                Err(format!(
                    "{} on {}: {}",
                    call.permission, call.resource, decision.why
                )),
            );
        }
    }
    if let By::Metadata(Token::Refused(why)) = &by {
        return (by.clone(), Err(why.clone()));
    }
    if app.signs
        && let By::Metadata(token) = &by
    {
        let may = match token {
            Token::Account(account) | Token::Node(account) => {
                let resource = format!("serviceaccount/{account}");
                let permission = "iam.serviceAccounts.signBlob";
                oracle::of_call(state, cluster, pod, permission, &resource)
                    .1
                    .allowed
                    == Some(true)
            }
            _ => false,
        };
        if !may {
            return (
                by.clone(),
                Err(
                    "it cannot sign: iam.serviceAccounts.signBlob on the account that it is"
                        .to_owned(),
                ),
            );
        }
    }
    (by, Ok(()))
}

/// Whether an account has a key.
pub fn has_key(state: &State, account: &str, id: &str) -> bool {
    let found = state.find_account(account);
    found.is_some_and(|(project, name)| {
        let account = &state.world.projects[&project].service_accounts[&name];
        account.keys.iter().any(|key| key.id == id && !key.deleted)
    })
}

/// Another key of an account, as its file; `None`: there is no such account.
pub fn make_key(state: &mut State, account: &str) -> Option<Value> {
    let (project, name) = state.find_account(account)?;
    let number = hash(&(state.next_revision(), account));
    let id = format!("{number:016x}{:016x}{:08x}", hash(&number), number >> 32);
    let now = clock::text(state.clock.now());
    let found = state
        .world
        .projects
        .get_mut(&project)?
        .service_accounts
        .get_mut(&name)?;
    let key = serde_json::from_value(json!({ "id": id, "createdAt": now })).ok()?;
    found.keys.push(key);
    Some(
        json!({ "type": "service_account", "client_email": account, "private_key_id": id, "private_key": "CANARY" }),
    )
}
