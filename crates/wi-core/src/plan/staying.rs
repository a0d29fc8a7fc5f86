//! Kubernetes service accounts with this spec's mark, or of its former version, that it does not name any more
//! where they are, and that stay all the same: nobody took them out of it, and pods run as them.

use std::collections::{BTreeMap, BTreeSet};

use super::ownership::{is_going, is_ours};
use super::{Options, Workload, users};
use crate::address::{KsaKey, NamespaceKey};
use crate::desired::{Desired, GSA_ANNOTATION};
use crate::live::{Live, Objects, Seen};
use crate::names::{Email, KsaIdentity};
use crate::wire::kubernetes::ObjectMeta;

/// Those that stay.
#[derive(Debug, Default)]
pub(super) struct Staying<'a>(BTreeMap<KsaKey, Stays<'a>>);

/// One that stays.
#[derive(Debug)]
pub(super) struct Stays<'a> {
    /// As it is.
    pub meta: &'a ObjectMeta,
    /// As IAM knows it.
    pub identity: KsaIdentity,
    /// Because of what, for the reader.
    pub why: String,
}

impl<'a> Staying<'a> {
    pub(super) fn of(desired: &Desired, live: &'a Live, options: &Options) -> Self {
        let mut staying = BTreeMap::new();
        for (cluster, of) in &desired.clusters {
            let Some(Seen::Found(objects)) = live.kubernetes.get(cluster) else {
                continue;
            };
            for meta in objects.service_accounts.values() {
                let identity =
                    KsaIdentity::new(of.path.project.workload_pool(), &meta.namespace, &meta.name);
                let was_named =
                    is_ours(meta, &desired.owner) || desired.former_ksas.contains(&identity);
                let key = super::impact::ksa_key(cluster, &meta.namespace, &meta.name);
                let Some(key) = key
                    .filter(|key| was_named && !desired.ksas.contains_key(key) && !is_going(meta))
                else {
                    continue;
                };
                if let Some(cause) = cause(desired, objects, &key, meta)
                    && let Some(by) = used_by(objects, meta)
                    && !accepted(desired, options, &key, &by)
                {
                    let why = format!("{cause}, and {}", in_words(&by, &key));
                    let stays = Stays {
                        meta,
                        identity,
                        why,
                    };
                    staying.insert(key, stays);
                }
            }
        }
        Self(staying)
    }

    /// Whether a service account is one of them.
    pub(super) fn get(&self, key: &KsaKey) -> Option<&Stays<'a>> {
        self.0.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&KsaKey, &Stays<'a>)> {
        self.0.iter()
    }
}

/// Why nobody may have meant it to go.
fn cause(desired: &Desired, objects: &Objects, key: &KsaKey, meta: &ObjectMeta) -> Option<String> {
    let KsaKey {
        cluster,
        namespace,
        name,
    } = key;
    let names = desired.by_labels.get(namespace);
    if names.is_some_and(|names| names.contains(name)) {
        let of = NamespaceKey {
            cluster: cluster.clone(),
            namespace: namespace.clone(),
        };
        let what = match desired.namespaces.contains_key(&of) {
            true => format!("{namespace}/{name}"),
            false => format!("the namespace {namespace}"),
        };
        return Some(format!(
            "the labels of cluster.{cluster} do not select {what} any more"
        ));
    }
    let account = meta.annotations.get(GSA_ANNOTATION);
    let account = account.filter(|a| !a.is_empty());
    let takes_its_place = |to: &KsaKey, wanted: Option<&Email>| {
        to.name == *name
            || (account.is_some() && wanted.map(Email::as_str) == account.map(String::as_str))
    };
    let successor = desired.ksas_of(cluster).find(|(to, wanted)| {
        let is_right = |there: &ObjectMeta| {
            let now = there.annotations.get(GSA_ANNOTATION).map(String::as_str);
            !is_going(there) && now == wanted.account.as_ref().map(Email::as_str)
        };
        let place = (to.namespace.to_string(), to.name.to_string());
        wanted.existing
            && takes_its_place(to, wanted.account.as_ref())
            && !objects.service_accounts.get(&place).is_some_and(is_right)
    });
    successor.map(|(to, _)| {
        format!("{to}, which takes its place and is made by others (`existing: true`), is not there yet as it is to be")
    })
}

/// What runs as a service account, or would; `Err`: why that is not known; `None`: nothing.
fn used_by(objects: &Objects, meta: &ObjectMeta) -> Option<Result<BTreeSet<Workload>, String>> {
    let workloads = match &objects.workloads {
        Some(Ok(workloads)) if workloads.has_pods_of(&meta.namespace) => workloads,
        Some(Err(why)) => return Some(Err(why.to_string())),
        Some(Ok(_)) | None => return Some(Err("they were not listed".to_owned())),
    };
    let pods = workloads.pods.iter().filter(|pod| {
        pod.metadata.namespace == meta.namespace
            && pod.service_account() == meta.name
            && !pod.has_ended()
    });
    let templates = workloads
        .templates
        .iter()
        .filter(|t| t.metadata.namespace == meta.namespace && t.pod.service_account() == meta.name);
    let templates = templates.map(Workload::of_template);
    let used: BTreeSet<Workload> = pods.map(Workload::of).chain(templates).collect();
    if used.is_empty() {
        let (kinds, why) = workloads.templates_unseen.first_key_value()?;
        return Some(Err(format!("the {kinds} could not be read: {why}")));
    }
    Some(Ok(used))
}

type Used = Result<BTreeSet<Workload>, String>;

fn accepted(desired: &Desired, options: &Options, key: &KsaKey, by: &Used) -> bool {
    let cluster = desired.clusters.get(&key.cluster);
    let patterns = cluster.map_or(&desired.accept_loss, |c| &c.accept_loss);
    let all = |workloads: &BTreeSet<Workload>| {
        workloads.iter().all(|w| {
            let mut patterns = patterns.iter();
            patterns.any(|p| p.matches(&w.namespace, &w.kind, &w.name))
        })
    };
    options.accept_loss
        || users::accepts(patterns, key.namespace.as_str(), key.name.as_str())
        || by.as_ref().is_ok_and(all)
}

fn in_words(by: &Used, key: &KsaKey) -> String {
    let KsaKey {
        namespace, name, ..
    } = key;
    let who = match by {
        Ok(workloads) => {
            let workloads = workloads.iter();
            let names: Vec<String> = workloads.map(ToString::to_string).collect();
            format!("these run as it: {}", names.join(", "))
        }
        Err(why) => format!("what runs as it could not be read: {why}"),
    };
    format!(
        "{who}. Once nothing does, plan again: then it goes. If they may lose it: acceptLoss: [{namespace}/ServiceAccount/{name}]"
    )
}
