//! Plan files come from strangers, and whoever makes one gets its checksum right. What is carried out
//! must be what is shown, so that a file is refused in which an address, an object, the attributes
//! that are shown and what would be written do not fit together.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::basis::{told, workloads_fact};
use super::file::PlanFile;
use super::marks::{OWNER, owner_in_description};
use super::{
    AccountChange, Action, Attribute, Change, KubeChange, Options, Plan, What, access, basis,
    bindings, kubernetes, node_pools,
};
use crate::address::{AccountName, Address};
use crate::desired::{BindingKey, Desired, GSA_ANNOTATION, KsaKey, NamespaceKey};
use crate::names::{ClusterPath, Email, KubeName, Member, ProjectId};
use crate::resource::Resource;
use crate::spec::model::Parallel;

/// What in the file does not fit together; nothing in one that `wi` has written.
pub(super) fn check(file: &PlanFile) -> Result<(), String> {
    let PlanFile {
        wi_version: _,
        made_at: _,
        made_on: _,
        spec: _,
        spec_digests: _,
        options,
        desired,
        plan,
        basis,
    } = file;
    if desired.owner != plan.owner {
        return Err("it is of two specs".to_owned());
    }
    waves(plan)?;
    for (address, change) in &plan.changes {
        let of = Of {
            desired,
            plan,
            options,
            fact: basis.0.get(&**address),
            address,
            change,
        };
        of.check().map_err(|why| format!("{address} {why}"))?;
    }
    for (address, impact) in &plan.impact {
        let fact = basis.0.get(&workloads_fact(address)).map(|f| &f.state);
        if fact.is_some_and(|state| *state != basis::losers(impact)) {
            return Err(format!("the workloads on {address} are not those it shows"));
        }
    }
    shows_all_access(desired, plan)
}

fn waves(plan: &Plan) -> Result<(), String> {
    let Some(waves) = &plan.waves else {
        return match plan.changes.iter().find(|(_, c)| c.wave != 0) {
            Some((address, _)) => Err(format!("{address} is in a wave, and there are none")),
            None => Ok(()),
        };
    };
    let last = plan
        .changes
        .iter()
        .find(|(_, c)| c.wave >= waves.waves.len());
    if let Some((address, _)) = last {
        return Err(format!("{address} is in a wave that there is not"));
    }
    if waves.wave_of.values().any(|w| *w >= waves.waves.len()) {
        return Err("a cluster is in a wave that there is not".to_owned());
    }
    let names: BTreeSet<&str> = waves.waves.iter().map(|w| w.name.as_str()).collect();
    if names.len() != waves.waves.len() {
        return Err("two waves have one name".to_owned());
    }
    let too_many = |w: &crate::desired::WaveSettings| matches!(w.max_parallel, Parallel::Percent(p) if p > 100);
    match waves.waves.iter().find(|w| too_many(w)) {
        Some(wave) => Err(format!("the wave {} is more than whole", wave.name)),
        None => Ok(()),
    }
}

/// Who gains and who loses what is told at least of all changes.
fn shows_all_access(desired: &Desired, plan: &Plan) -> Result<(), String> {
    let shown: BTreeSet<_> = plan
        .access
        .iter()
        .map(|a| (a.gains, &a.principal, &a.role, &a.resource))
        .collect();
    let all = access::rows(desired, plan);
    let hidden = all
        .iter()
        .find(|a| !shown.contains(&(a.gains, &a.principal, &a.role, &a.resource)));
    match hidden {
        Some(a) => Err(format!(
            "it does not show that {} {} {} {}",
            a.principal,
            if a.gains { "gains" } else { "loses" },
            a.role,
            a.resource
        )),
        None => Ok(()),
    }
}

/// One change with what it has to fit.
struct Of<'a> {
    desired: &'a Desired,
    plan: &'a Plan,
    options: &'a Options,
    /// What the plan rests on, of the change's own object.
    fact: Option<&'a basis::Fact>,
    address: &'a Address,
    change: &'a Change,
}

const OTHER: &str = "is another object than its address says";
const UNSHOWN: &str = "does something else than it shows";
const UNKNOWN: &str = "does what wi never does";

/// An error of these words, unless it holds.
fn holds(it: bool, or: &str) -> Result<(), String> {
    if it { Ok(()) } else { Err(or.to_owned()) }
}

impl Of<'_> {
    fn check(&self) -> Result<(), String> {
        match &self.change.what {
            What::ClusterPool {
                cluster,
                path,
                before,
                pool,
            } => {
                self.is_at(&Address::cluster_pool(cluster), cluster, path)?;
                holds(*pool == path.project.workload_pool(), UNKNOWN)?;
                let name = "workloadIdentityConfig.workloadPool";
                self.shows(&[Attribute::new(name, Some(before), Some(pool))])
            }
            What::NodePool {
                cluster,
                path,
                node_pool,
                before,
                nodes: _,
                settings,
            } => {
                let name = self.node_pool(cluster, path, node_pool);
                name.and_then(|()| self.shows(&node_pools::attributes(before, settings.as_deref())))
            }
            What::RestoreSettings {
                cluster,
                path,
                node_pool,
                own,
            } => {
                self.node_pool(cluster, path, node_pool)?;
                let [attribute] = self.change.attributes.as_slice() else {
                    return Err(UNSHOWN.to_owned());
                };
                self.shows(&[Attribute {
                    before: attribute.before.clone(),
                    ..node_pools::restored(own)
                }])
            }
            What::Account {
                project,
                email,
                change,
            } => self.account(project, email, change),
            What::Binding { key, members } => self.binding(key, members),
            What::Namespace(write) => self.namespace(write),
            What::Ksa {
                change,
                account_before,
                drop_annotation,
            } => self.ksa(change, account_before.as_ref(), *drop_annotation),
        }
    }

    /// The attributes that are shown, those without any value apart.
    fn shows(&self, attributes: &[Attribute]) -> Result<(), String> {
        let valued = |all: &[Attribute]| -> Vec<Attribute> {
            let there = |a: &&Attribute| a.before.is_some() || a.after.is_some();
            all.iter().filter(there).cloned().collect()
        };
        holds(
            valued(attributes) == valued(&self.change.attributes),
            UNSHOWN,
        )
    }

    fn acts(&self, action: Action) -> Result<(), String> {
        holds(self.change.action == action, UNSHOWN)
    }

    /// A cluster of the spec, or what is in it.
    fn is_at(&self, address: &Address, cluster: &str, path: &ClusterPath) -> Result<(), String> {
        let declared = self.desired.clusters.get(cluster).map(|c| &c.path);
        holds(self.address == address && declared == Some(path), OTHER)?;
        self.acts(Action::Update)
    }

    fn node_pool(&self, cluster: &str, path: &ClusterPath, name: &str) -> Result<(), String> {
        holds(KubeName::label(name).is_ok(), OTHER)?;
        self.is_at(&Address::node_pool(cluster, name), cluster, path)
    }

    /// By which names an account may go: the spec's, or for one that left the spec its own.
    fn names(&self, email: &Email) -> Vec<AccountName> {
        match self.desired.account_name(email) {
            Some(name) => vec![AccountName::of_spec(name)],
            None if self.desired.accounts.contains_key(email.account_id()) => {
                vec![AccountName::of_email(email)]
            }
            None => vec![AccountName::of_id(email), AccountName::of_email(email)],
        }
    }

    fn account(
        &self,
        project: &ProjectId,
        email: &Email,
        change: &AccountChange,
    ) -> Result<(), String> {
        let addresses = self.names(email);
        let mut addresses = addresses.iter().map(Address::account);
        holds(addresses.any(|a| a == *self.address), OTHER)?;
        holds(email.project().is_none_or(|p| p == *project), OTHER)?;
        let shown = |name: &str| self.change.attributes.iter().find(|a| a.name == name);
        match change {
            AccountChange::Create {
                display_name,
                description,
            }
            | AccountChange::Undelete {
                unique_id: _,
                display_name,
                description,
            } => {
                if let AccountChange::Undelete { unique_id, .. } = change {
                    let digits = unique_id.bytes().all(|b| b.is_ascii_digit());
                    holds(digits && !unique_id.is_empty(), OTHER)?;
                }
                let owner = owner_in_description(description);
                holds(owner == Some(self.plan.owner.as_str()), UNKNOWN)?;
                self.acts(Action::Create)?;
                self.shows(&[
                    Attribute::new("email", None, Some(email.as_str())),
                    Attribute::new("displayName", None, Some(display_name)),
                    Attribute::new("description", None, Some(description)),
                ])
            }
            AccountChange::Update {
                display_name,
                description,
                enable,
            } => {
                self.acts(Action::Update)?;
                let after = |name: &str, value: Option<&str>| {
                    let before = shown(name).and_then(|a| a.before.as_deref());
                    Attribute::new(name, before, value)
                };
                let mut attributes = Vec::new();
                if let Some(value) = display_name {
                    attributes.push(after("displayName", Some(value)));
                }
                if let Some(value) = description {
                    attributes.push(after("description", Some(value)));
                }
                if *enable {
                    let name = "disabled";
                    attributes.push(Attribute::new(name, Some("true"), Some("false")));
                }
                self.shows(&attributes)
            }
            AccountChange::Disable => {
                self.acts(Action::Delete)?;
                self.shows(&[
                    Attribute::new("email", Some(email.as_str()), Some(email.as_str())),
                    Attribute::new("disabled", Some("false"), Some("true")),
                ])
            }
            AccountChange::Delete => {
                self.acts(Action::Delete)?;
                self.shows(&[Attribute::new("email", Some(email.as_str()), None)])
            }
        }
    }

    fn binding(&self, key: &BindingKey, members: &[String]) -> Result<(), String> {
        holds(self.is_binding(key), OTHER)?;
        let all_it = members.iter().all(|m| Member::parse(m) == key.member);
        holds(all_it && !members.is_empty(), OTHER)?;
        let action = self.change.action;
        holds(action != Action::Update, UNKNOWN)?;
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        self.shows(&bindings::attributes(key, &members, action))
    }

    /// The accounts of a plan are those that it changes: another one that has a role has some name.
    fn is_binding(&self, key: &BindingKey) -> bool {
        let names = |email: &Email| match (&key.member, self.desired.account_name(email)) {
            (Member::ServiceAccount(member), None) if member == email => {
                let rest = self.address.name();
                let ends = rest.match_indices([':', '/']).map(|(at, _)| &rest[..at]);
                ends.filter(|name| !self.desired.accounts.contains_key(*name))
                    .map(AccountName::of_spec)
                    .chain([AccountName::of_email(email)])
                    .collect()
            }
            _ => self.names(email),
        };
        let of = |email: Option<&Email>| {
            email.map_or(vec![None], |e| names(e).into_iter().map(Some).collect())
        };
        let resource = match &key.resource {
            Resource::ServiceAccount(email) => Some(email),
            _ => None,
        };
        let member = match &key.member {
            Member::ServiceAccount(email) => Some(email),
            _ => None,
        };
        of(resource).iter().any(|on| {
            of(member).iter().any(|who| {
                let name = |email: &Email| {
                    let name = if Some(email) == member { who } else { on };
                    Cow::Owned(name.clone().unwrap_or_else(|| AccountName::of_email(email)))
                };
                Address::binding(key, name) == *self.address
            })
        })
    }

    fn namespace(&self, write: &KubeChange) -> Result<(), String> {
        let object = write.object.as_ref().ok_or(UNKNOWN)?;
        let namespace = KubeName::label(text(object, "name")).map_err(|_| OTHER)?;
        let key = NamespaceKey {
            cluster: write.cluster.clone(),
            namespace,
        };
        holds(key.address() == *self.address, OTHER)?;
        self.object(write, key.namespace.as_str(), "")?;
        let owner = &self.plan.owner;
        holds(
            kubernetes::is_ours(object, "Namespace", &key.namespace, None, owner),
            UNKNOWN,
        )?;
        match write.before {
            None => self.shows(&[]),
            Some(_) => self.shows(&self.annotations(write, &[OWNER])),
        }
    }

    fn ksa(
        &self,
        write: &KubeChange,
        account_before: Option<&Email>,
        drop_annotation: bool,
    ) -> Result<(), String> {
        let (namespace, name) = match (&write.object, &write.before) {
            (Some(object), _) => (text(object, "namespace"), text(object, "name")),
            (None, Some(before)) => (before.namespace.as_str(), before.name.as_str()),
            (None, None) => return Err(UNKNOWN.to_owned()),
        };
        let key = KsaKey {
            cluster: write.cluster.clone(),
            namespace: KubeName::label(namespace).map_err(|_| OTHER)?,
            name: KubeName::parse(name).map_err(|_| OTHER)?,
        };
        holds(key.address() == *self.address, OTHER)?;
        self.object(write, name, namespace)?;
        if let Some(object) = &write.object {
            let (namespace, owner) = (Some(&key.namespace), &self.plan.owner);
            holds(
                kubernetes::is_ours(object, "ServiceAccount", &key.name, namespace, owner),
                UNKNOWN,
            )?;
        }
        let annotation = |m: &BTreeMap<String, String>| m.get(GSA_ANNOTATION).cloned();
        let was = write
            .before
            .as_ref()
            .and_then(|m| annotation(&m.annotations));
        let before = was.as_deref().and_then(|a| Email::parse(a).ok());
        holds(before.as_ref() == account_before, UNSHOWN)?;
        let attributes = self.annotations(write, &[GSA_ANNOTATION, OWNER]);
        let removed = |a: &Attribute| a.name == GSA_ANNOTATION && a.after.is_none();
        holds(!drop_annotation || attributes.iter().any(removed), UNSHOWN)?;
        self.shows(&attributes)
    }

    /// The object before is the one that is named, of this spec or nobody's, and the one that the plan
    /// rests on.
    fn object(&self, write: &KubeChange, name: &str, namespace: &str) -> Result<(), String> {
        holds(self.desired.clusters.contains_key(&write.cluster), OTHER)?;
        self.acts(match (&write.before, &write.object) {
            (_, None) => Action::Delete,
            (None, Some(_)) => Action::Create,
            (Some(_), Some(_)) => Action::Update,
        })?;
        let fact = self.fact.ok_or("does not say what it rests on")?;
        let Some(before) = &write.before else {
            holds(!write.force || self.options.force_conflicts, UNKNOWN)?;
            return holds(fact.state.is_null(), UNSHOWN);
        };
        holds(before.name == name && before.namespace == namespace, OTHER)?;
        let same = fact.state["uid"] == before.uid.as_str()
            && fact.version == before.resource_version
            && told(&fact.state["labels"]) == told(&serde_json::json!(before.labels))
            && told(&fact.state["annotations"]) == told(&serde_json::json!(before.annotations));
        holds(same && !before.uid.is_empty(), OTHER)?;
        let mark = before.annotations.get(OWNER);
        let ours = mark == Some(&self.plan.owner);
        let leaves = write
            .object
            .as_ref()
            .is_none_or(|o| o["metadata"]["annotations"].is_null());
        holds(ours || (mark.is_none() && !leaves), UNKNOWN)?;
        holds(
            ours || !write.force || self.options.force_conflicts,
            UNKNOWN,
        )
    }

    /// What becomes of annotations, as it is to be shown.
    fn annotations(&self, write: &KubeChange, names: &[&str]) -> Vec<Attribute> {
        let mut attributes = Vec::new();
        for name in names {
            let before = write.before.as_ref().and_then(|m| m.annotations.get(*name));
            let after = write.object.as_ref();
            let after = after.and_then(|o| o["metadata"]["annotations"][*name].as_str());
            let before = before.map(String::as_str);
            if before != after {
                attributes.push(Attribute::new(name, before, after));
            }
        }
        attributes
    }
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object["metadata"][name].as_str().unwrap_or_default()
}
