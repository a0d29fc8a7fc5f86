//! What is at a path in a container.

use super::credential::FileIn;
use crate::wire::pods::{Container, KeyToPath, PodSpec, Projection, Volume, VolumeMount};

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

/// Whether keys are files under this path; without items each key is, under its name.
fn has(items: &[KeyToPath], path: &str) -> bool {
    if items.is_empty() {
        !path.is_empty() && !path.contains('/')
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
