//! What is at a path in a container.

use crate::wire::pods::{Container, KeyToPath, PodSpec, Projection, Volume, VolumeMount};

/// What has a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileIn {
    /// This Secret.
    Secret(String),
    /// This ConfigMap.
    ConfigMap(String),
    /// A ConfigMap beside a projected token of the Kubernetes service account: the configuration of a
    /// federation, without a key.
    Federation,
    /// A Secret Store CSI driver.
    SecretStore(String),
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A file that this provides.
    File(FileIn),
    /// Something that this volume may have: it is filled by others, at run time or beforehand.
    OutOfReach { volume: String, what: &'static str },
    /// Nothing: the volume that is mounted there does not have it.
    Lacking { volume: String },
    /// No volume is mounted there. The image may have it.
    NoVolume,
}

/// What is at `path`.
pub(super) fn at(pod: &PodSpec, container: &Container, path: &str) -> Place {
    let Some(path) = parts(path) else {
        return Place::NoVolume; // relative to a directory that the image sets
    };
    let mounted = container
        .volume_mounts
        .iter()
        .filter_map(|mount| Some((mount, inside(&parts(&mount.mount_path)?, &path)?)))
        .min_by_key(|(_, rest)| rest.len());
    let Some((mount, rest)) = mounted else {
        return Place::NoVolume;
    };
    let Some(volume) = pod.volumes.iter().find(|v| v.name == mount.name) else {
        return Place::NoVolume; // the API server refuses such a pod
    };
    in_volume(volume, mount, &rest)
}

/// The components of an absolute path, without `.` and empty ones; `None` of any other path.
fn parts(path: &str) -> Option<Vec<&str>> {
    let path = path.strip_prefix('/')?;
    let parts: Vec<&str> = path
        .split('/')
        .filter(|p| !matches!(*p, "" | "."))
        .collect();
    (!parts.contains(&"..")).then_some(parts)
}

/// What is left of a path below a directory.
fn inside<'a>(directory: &[&str], path: &[&'a str]) -> Option<Vec<&'a str>> {
    path.starts_with(directory)
        .then(|| path[directory.len()..].to_vec())
}

fn in_volume(volume: &Volume, mount: &VolumeMount, rest: &[&str]) -> Place {
    let out_of_reach = |what| Place::OutOfReach {
        volume: volume.name.clone(),
        what,
    };
    if !mount.sub_path_expr.is_empty() {
        return out_of_reach("a path in it that is computed");
    }
    let sub_path = mount.sub_path.split('/').filter(|p| !p.is_empty());
    let path: Vec<&str> = sub_path.chain(rest.iter().copied()).collect();
    let path = path.join("/");
    let found = |file: FileIn, optional: bool, items: &[KeyToPath]| {
        if !has(items, &path) {
            Place::Lacking {
                volume: volume.name.clone(),
            }
        } else if optional {
            out_of_reach("optional, so that it may be empty")
        } else {
            Place::File(file)
        }
    };
    if let Some(secret) = &volume.secret {
        let file = FileIn::Secret(secret.secret_name.clone());
        return found(file, secret.optional, &secret.items);
    }
    if let Some(map) = &volume.config_map {
        let file = FileIn::ConfigMap(map.name.clone());
        return found(file, map.optional, &map.items);
    }
    if let Some(projected) = &volume.projected {
        let federated = projected
            .sources
            .iter()
            .any(|s| s.service_account_token.is_some());
        let source = projected.sources.iter().find_map(|s| of_source(s, &path));
        return match source {
            Some((_, true)) => out_of_reach("optional, so that it may be empty"),
            // Its configuration names the token that is beside it.
            Some((FileIn::ConfigMap(_), false)) if federated => Place::File(FileIn::Federation),
            Some((file, false)) => Place::File(file),
            None => Place::Lacking {
                volume: volume.name.clone(),
            },
        };
    }
    if let Some(csi) = &volume.csi {
        return if csi.driver.starts_with("secrets-store") {
            Place::File(FileIn::SecretStore(csi.driver.clone()))
        } else {
            out_of_reach("a volume of a CSI driver")
        };
    }
    if volume.empty_dir.is_some() {
        return out_of_reach("an emptyDir, which is filled at run time");
    }
    if volume.host_path.is_some() {
        return out_of_reach("a directory of the node");
    }
    if volume.persistent_volume_claim.is_some() {
        return out_of_reach("a persistent volume");
    }
    out_of_reach("a volume of another kind")
}

/// Whether keys are files under this path; without items each key is, under its name, in which there is no
/// blank (`IsConfigMapKey` of apimachinery's `validation.go`).
fn has(items: &[KeyToPath], path: &str) -> bool {
    if items.is_empty() {
        let is_of_a_key = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        !path.is_empty() && path.bytes().all(is_of_a_key)
    } else {
        items.iter().any(|i| i.path == path)
    }
}

/// What provides the path in a projected volume, and whether it is optional. A source without items has
/// all of its keys.
fn of_source(source: &Projection, path: &str) -> Option<(FileIn, bool)> {
    let (file, keys) = match (&source.secret, &source.config_map) {
        (Some(secret), _) => (FileIn::Secret(secret.name.clone()), secret),
        (None, Some(map)) => (FileIn::ConfigMap(map.name.clone()), map),
        (None, None) => return None,
    };
    has(&keys.items, path).then_some((file, keys.optional))
}

/// A file of a Secret in a container.
pub(super) struct SecretFile {
    pub secret: String,
    /// The key of its data.
    pub key: String,
    /// Whether it is mounted by a path in the volume.
    pub is_sub_path: bool,
}

/// The key of a Secret that is at `path`.
pub(super) fn secret_at(pod: &PodSpec, container: &Container, path: &str) -> Option<SecretFile> {
    let path = parts(path)?;
    let (mount, rest) = container
        .volume_mounts
        .iter()
        .filter_map(|mount| Some((mount, inside(&parts(&mount.mount_path)?, &path)?)))
        .min_by_key(|(_, rest)| rest.len())?;
    let volume = pod.volumes.iter().find(|v| v.name == mount.name)?;
    let sub_path = mount.sub_path.split('/').filter(|p| !p.is_empty());
    let file: Vec<&str> = sub_path.chain(rest).collect();
    let file = file.join("/");
    secrets_of(volume).into_iter().find_map(|(secret, items)| {
        Some(SecretFile {
            secret: secret.to_owned(),
            key: key_of(items, &file)?,
            is_sub_path: !mount.sub_path.is_empty(),
        })
    })
}

/// The Secrets that a volume has, with the choice of their keys.
fn secrets_of(volume: &Volume) -> Vec<(&str, &[KeyToPath])> {
    let own = volume.secret.iter();
    let own = own.map(|s| (s.secret_name.as_str(), s.items.as_slice()));
    let sources = volume.projected.iter().flat_map(|p| &p.sources);
    let projected = sources.filter_map(|s| s.secret.as_ref());
    own.chain(projected.map(|s| (s.name.as_str(), s.items.as_slice())))
        .collect()
}

/// The key of the file at this path in the volume.
fn key_of(items: &[KeyToPath], file: &str) -> Option<String> {
    if !has(items, file) {
        return None;
    }
    let item = items.iter().find(|i| i.path == file);
    Some(item.map_or(file, |i| i.key.as_str()).to_owned())
}

/// A Secret that is mounted.
pub(super) struct MountedSecret {
    pub secret: String,
    /// The key of its data; `None`: all of them.
    pub key: Option<String>,
    pub at: String,
    pub is_sub_path: bool,
    /// The CSI driver that mounts the volume by it.
    pub driver: Option<String>,
}

/// All Secrets that are mounted in a container.
pub(super) fn secrets_mounted(pod: &PodSpec, container: &Container) -> Vec<MountedSecret> {
    let mut found = Vec::new();
    for mount in &container.volume_mounts {
        let Some(volume) = pod.volumes.iter().find(|v| v.name == mount.name) else {
            continue;
        };
        let is_sub_path = !mount.sub_path.is_empty() || !mount.sub_path_expr.is_empty();
        let mut add = |secret: &str, key: Option<String>, driver: Option<String>| {
            found.push(MountedSecret {
                secret: secret.to_owned(),
                key,
                at: mount.mount_path.clone(),
                is_sub_path,
                driver,
            });
        };
        for (secret, items) in secrets_of(volume) {
            if !mount.sub_path.is_empty()
                && let Some(key) = key_of(items, &mount.sub_path)
            {
                add(secret, Some(key), None);
            } else if items.is_empty() {
                add(secret, None, None);
            } else {
                for item in items {
                    add(secret, Some(item.key.clone()), None);
                }
            }
        }
        if let Some(csi) = &volume.csi
            && let Some(secret) = &csi.node_publish_secret_ref
        {
            add(&secret.name, None, Some(csi.driver.clone()));
        }
    }
    found
}
