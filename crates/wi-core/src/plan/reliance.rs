//! What live annotations rely on that this spec does not write: those of Kubernetes service accounts that are
//! only referred to (`existing: true`), until they read as they are to be; those on clusters that have
//! dropped out of the spec; and those of service accounts that stay where labels select them no more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use jiff::Timestamp;

use super::impact::ksa_key;
use super::ownership::owner_of;
use super::staying::Staying;
use super::tokens::{self, Holder};
use super::{Options, Plan, users};
use crate::access::IMPERSONATION;
use crate::address::{Address, BindingKey, KsaKey};
use crate::desired::{Desired, GSA_ANNOTATION};
use crate::live::{Live, Seen};
use crate::names::{ClusterPath, Email, KsaIdentity, Member};
use crate::resource::Resource;
use crate::wire::kubernetes::ObjectMeta;

/// Whose annotation relies on something.
#[derive(Debug)]
pub(super) enum By<'a> {
    /// One that others write.
    Existing(&'a KsaKey),
    /// One on a cluster that is not in the spec, or not any more.
    Dropped(&'a ClusterPath, &'a ObjectMeta),
    /// One of a cluster of the spec where it does not name it.
    Unnamed(KsaKey),
    /// One that stays where the spec does not name it any more.
    Staying(KsaKey),
    /// Pods that may have tokens of before.
    Tokens(Holder<'a>),
}

#[derive(Debug)]
struct Relies<'a> {
    by: By<'a>,
    /// Whether the spec lets the same one act so elsewhere: what it takes from that it takes from all of them.
    is_meant: bool,
}

/// Who relies on what.
#[derive(Debug)]
pub(super) struct Reliance<'a> {
    /// Accounts that are still in an annotation, and those identities.
    accounts: BTreeMap<Email, BTreeMap<KsaIdentity, Relies<'a>>>,
    /// Identities that still act as themselves.
    themselves: BTreeMap<KsaIdentity, By<'a>>,
    /// Pods that may have tokens of a former identity, by the identity that their service account has.
    tokens: BTreeMap<KsaIdentity, Vec<By<'a>>>,
    /// Whether rights to act as all accounts of a project or more were seen: they are on no account.
    has_wide_rights: bool,
    live: &'a Live,
    now: Option<Timestamp>,
}

impl<'a> Reliance<'a> {
    pub(super) fn of(
        desired: &'a Desired,
        live: &'a Live,
        options: &Options,
        staying: &Staying<'a>,
    ) -> Self {
        let mut tokens: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for holder in tokens::holders(desired, live, options) {
            let of_identity = tokens.entry(holder.identity.clone()).or_default();
            of_identity.push(By::Tokens(holder));
        }
        let mut reliance = Self {
            accounts: BTreeMap::new(),
            themselves: BTreeMap::new(),
            has_wide_rights: !tokens.is_empty() && has_wide_rights(live),
            tokens,
            live,
            now: options.now,
        };
        reliance.add_left_behind(desired, live, options, staying);
        for (key, ksa) in desired.ksas.iter().filter(|(_, ksa)| ksa.existing) {
            let objects = live.kubernetes.get(&key.cluster).and_then(Seen::found);
            let name = (key.namespace.to_string(), key.name.to_string());
            let Some(there) = objects.and_then(|o| o.service_accounts.get(&name)) else {
                continue;
            };
            if acts_as(there) != ksa.account.as_ref().map(Email::as_str) {
                reliance.add(ksa.identity.clone(), there, By::Existing(key), false);
            }
        }
        reliance
    }

    /// Those that nobody took out of the spec where they are.
    fn add_left_behind(
        &mut self,
        desired: &'a Desired,
        live: &'a Live,
        options: &Options,
        staying: &Staying<'a>,
    ) {
        let elsewhere = Elsewhere::of(desired);
        for (key, stays) in staying.iter() {
            let is_meant = elsewhere.acts_so(stays.meta);
            let by = By::Staying(key.clone());
            self.add(stays.identity.clone(), stays.meta, by, is_meant);
        }
        // Those of others, or of nobody, in the spec's own clusters, where it does not name them.
        for cluster in desired.clusters.keys() {
            let objects = live.kubernetes.get(cluster).and_then(Seen::found);
            for meta in objects.iter().flat_map(|o| o.service_accounts.values()) {
                if acts_as(meta).is_some()
                    || !elsewhere.names(meta)
                    || desired.ksa(cluster, &meta.namespace, &meta.name).is_some()
                    || owner_of(meta) == Some(desired.owner.as_str())
                {
                    continue;
                }
                let of = &desired.clusters[cluster];
                let accepted = options.accept_loss
                    || users::accepts(&of.accept_loss, &meta.namespace, &meta.name);
                if let Some(key) = ksa_key(cluster, &meta.namespace, &meta.name)
                    && !accepted
                {
                    let identity = key.identity(&of.path.project);
                    let is_meant = elsewhere.acts_so(meta);
                    self.add(identity, meta, By::Unnamed(key), is_meant);
                }
            }
        }
        for outside in &live.outside {
            for meta in outside.service_accounts.found().into_iter().flatten() {
                let is_ours = owner_of(meta) == Some(desired.owner.as_str());
                // It is the same identity, whoever it is of there: what it acts as is not changed with that of the
                // spec's.
                let is_the_same = elsewhere.names(meta);
                let accept = &desired.accept_loss;
                if !(is_ours || is_the_same)
                    || options.accept_loss
                    || users::accepts(accept, &meta.namespace, &meta.name)
                {
                    continue;
                }
                let identity = KsaIdentity::new(
                    outside.path.project.workload_pool(),
                    &meta.namespace,
                    &meta.name,
                );
                let by = By::Dropped(&outside.path, meta);
                self.add(identity, meta, by, elsewhere.acts_so(meta));
            }
        }
    }

    fn add(&mut self, identity: KsaIdentity, meta: &ObjectMeta, by: By<'a>, is_meant: bool) {
        match acts_as(meta) {
            None if is_meant => {}
            None => _ = self.themselves.insert(identity, by),
            Some(now) => {
                if let Ok(account) = Email::parse(now) {
                    let users = self.accounts.entry(account).or_default();
                    users.insert(identity, Relies { by, is_meant });
                }
            }
        }
    }

    /// Who relies on an account, for all that it has.
    pub(super) fn on_account(&self, email: &Email) -> Option<&By<'a>> {
        let users = self.accounts.get(email).into_iter();
        let mut users = users.flat_map(BTreeMap::values).filter(|r| !r.is_meant);
        users
            .next()
            .map(|r| &r.by)
            .or_else(|| self.of_account(email))
    }

    /// Who may have tokens of an account: looked for among those who may act as it, of whom an account's policy
    /// names few.
    fn of_account(&self, email: &Email) -> Option<&By<'a>> {
        if self.tokens.is_empty() {
            return None;
        }
        let was = |holder: &Holder<'a>| holder.was(email, self.live, self.now);
        let resource = Resource::ServiceAccount(email.clone());
        let rights = match self.live.policy(&resource) {
            Some(Seen::Found(policy)) => BindingKey::of_policy(&resource, policy),
            Some(Seen::Absent) => return None,
            Some(Seen::Unknown(_)) | None => return self.with_tokens(was), // anybody may
        };
        let mut others = self.has_wide_rights;
        for key in rights.into_keys() {
            match &key.member {
                _ if !IMPERSONATION.contains(&key.role.as_str()) => {}
                Member::Ksa(identity) => {
                    let found = self.with_tokens_of(identity, was);
                    if found.is_some() {
                        return found;
                    }
                }
                _ => others = true,
            }
        }
        others.then(|| self.with_tokens(was)).flatten()
    }

    fn with_tokens_of(
        &self,
        identity: &KsaIdentity,
        of_it: impl Fn(&Holder<'a>) -> bool,
    ) -> Option<&By<'a>> {
        let mut all = self.tokens.get(identity)?.iter();
        all.find(|by| matches!(by, By::Tokens(holder) if of_it(holder)))
    }

    fn with_tokens(&self, of_it: impl Fn(&Holder<'a>) -> bool) -> Option<&By<'a>> {
        let mut all = self.tokens.values().flatten();
        all.find(|by| matches!(by, By::Tokens(holder) if of_it(holder)))
    }

    /// Who relies on a member of a policy. The right to act as an account may be of all that a project has, or
    /// those above it.
    pub(super) fn on_binding(&self, key: &BindingKey) -> Option<&By<'a>> {
        let by_annotation = self.by_annotation(key);
        by_annotation.or_else(|| match (&key.member, &key.resource) {
            (Member::Ksa(ksa), on) if IMPERSONATION.contains(&key.role.as_str()) => self
                .with_tokens_of(ksa, |holder| match on {
                    Resource::ServiceAccount(email) => holder.may_have_been(email),
                    _ => true,
                }),
            (Member::Ksa(ksa), _) => self.with_tokens_of(ksa, Holder::was_itself),
            _ => None,
        })
    }

    fn by_annotation(&self, key: &BindingKey) -> Option<&By<'a>> {
        match (&key.member, &key.resource) {
            (Member::ServiceAccount(email), _) => self.on_account(email),
            (Member::Ksa(ksa), on) if IMPERSONATION.contains(&key.role.as_str()) => match on {
                Resource::ServiceAccount(email) => Some(&self.accounts.get(email)?.get(ksa)?.by),
                _ => {
                    let mut users = self.accounts.values();
                    users.find_map(|users| Some(&users.get(ksa)?.by))
                }
            },
            (Member::Ksa(ksa), _) => self.themselves.get(ksa),
            _ => None,
        }
    }
}

fn has_wide_rights(live: &Live) -> bool {
    let wider = live.policies_of_all();
    let mut wider = wider.filter(|(on, _)| !matches!(on, Resource::ServiceAccount(_)));
    wider.any(|(_, policy)| {
        let mut bindings = policy.found().into_iter().flat_map(|p| &p.bindings);
        bindings.any(|b| IMPERSONATION.contains(&b.role.as_str()))
    })
}

/// As which Google service account one acts; `None`: as itself.
fn acts_as(meta: &ObjectMeta) -> Option<&str> {
    let account = meta.annotations.get(GSA_ANNOTATION)?;
    Some(account.as_str()).filter(|a| !a.is_empty())
}

/// As what the spec lets its service accounts act, by namespace and name, wherever they are.
struct Elsewhere<'a>(HashMap<(&'a str, &'a str), BTreeSet<Option<&'a str>>>);

impl<'a> Elsewhere<'a> {
    fn of(desired: &'a Desired) -> Self {
        let mut all: HashMap<_, BTreeSet<_>> = HashMap::new();
        for (key, ksa) in &desired.ksas {
            let as_what = ksa.account.as_ref().map(Email::as_str);
            let name = (key.namespace.as_str(), key.name.as_str());
            all.entry(name).or_default().insert(as_what);
        }
        Self(all)
    }

    fn names(&self, meta: &ObjectMeta) -> bool {
        let name = (meta.namespace.as_str(), meta.name.as_str());
        self.0.contains_key(&name)
    }

    fn acts_so(&self, meta: &ObjectMeta) -> bool {
        let name = (meta.namespace.as_str(), meta.name.as_str());
        let as_what = self.0.get(&name);
        as_what.is_some_and(|all| all.contains(&acts_as(meta)))
    }
}

/// What stays since somebody relies on it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// For a while, by why.
    for_tokens: BTreeMap<String, BTreeSet<Address>>,
}

impl Kept {
    /// Something that stays because of this.
    pub(super) fn add(&mut self, address: &Address, by: &By<'_>, plan: &mut Plan) {
        if let By::Tokens(holder) = by {
            plan.staying.insert(address.clone());
            let of_holder = self.for_tokens.entry(holder.to_string()).or_default();
            of_holder.insert(address.clone());
        } else {
            plan.stays(address, is_kept(address, by));
        }
    }

    /// What stays for the same reason is told once.
    pub(super) fn tell(self, plan: &mut Plan) {
        for (why, what) in self.for_tokens {
            let (stay, they) = match what.len() {
                1 => ("stays", "it is"),
                _ => ("stay", "they are"),
            };
            let what: Vec<&str> = what.iter().map(|a| &**a).collect();
            plan.warnings.push(format!(
                "{} {stay} for now: {why}. Once these have been started again, or then, plan again: then {they} removed",
                what.join(", ")
            ));
        }
    }
}

/// What is said of what stays.
fn is_kept(what: &str, by: &By<'_>) -> String {
    let (relies, once) = match by {
        By::Tokens(holder) => (holder.to_string(), "these have been started again"),
        By::Existing(ksa) => (
            format!("the annotation of {ksa}, which others write (`existing: true`), relies on it"),
            "that reads as it is to be",
        ),
        By::Dropped(cluster, ksa) => (
            format!(
                "the service account {}/{} on {cluster}, which is not in the spec, relies on it",
                ksa.namespace, ksa.name
            ),
            "it is gone or acts as something else",
        ),
        By::Unnamed(ksa) => (
            format!("{ksa}, which the spec does not name there, acts as itself and relies on it"),
            "it is gone or acts as something else",
        ),
        By::Staying(ksa) => (
            format!("{ksa}, which is held back, relies on it"),
            "that is gone or released",
        ),
    };
    kept(what, relies, once)
}

fn kept(what: &str, relies: impl fmt::Display, once: &str) -> String {
    format!(
        "{what} stays, though the spec does not ask for it: {relies}. Once {once}, plan again: then it is removed"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::live::{Outside, Seen};
    use crate::names::ClusterPath;
    use crate::plan::Plan;
    use crate::plan::fixture::{Case, HEAD, marked};

    const WEB: &str = "serviceAccount:acme-prod.svc.id.goog[apps/web]";
    const BACKEND: &str = "serviceaccount/backend@acme-prod.iam.gserviceaccount.com";
    const USER: &str = "roles/iam.workloadIdentityUser";
    const LOGS: &str = "roles/logging.logWriter";

    /// `apps/web` on a cluster that has dropped out, annotated with this account.
    fn case(spec: &str, account: Option<&str>) -> Case {
        let mut case = Case::of(&format!("{HEAD}{spec}"));
        case.account("backend", json!({ "description": "[wi:shop]" }));
        case.grant(BACKEND, USER, WEB);
        case.ksa("main", "apps", "web", marked(account, true));
        let path = case.desired.clusters["main"].path.clone();
        // The same object, on another cluster.
        let Some(Seen::Found(objects)) = case.live.kubernetes.get_mut("main") else {
            panic!("it was read");
        };
        let there = std::mem::take(&mut objects.service_accounts);
        case.live.outside.push(Outside {
            cluster: crate::wire::container::Cluster::default(),
            path: ClusterPath {
                name: "edge".to_owned(),
                ..path
            },
            service_accounts: Seen::Found(there.into_values().collect()),
        });
        case
    }

    fn told<'a>(plan: &'a Plan, words: &str) -> Vec<&'a String> {
        plan.warnings.iter().filter(|w| w.contains(words)).collect()
    }

    #[test]
    fn what_pods_on_a_cluster_that_dropped_out_rely_on_stays_and_is_told() {
        // The account is in the spec, and nobody on its clusters acts as it.
        let plan = case("googleServiceAccounts: { backend: {} }\n", Some("backend")).plan();
        assert!(plan.changes.is_empty(), "{:?}", plan.changes.keys());
        let dropped = told(&plan, "was in this spec and is not any more");
        assert_eq!(dropped.len(), 1, "{:?}", plan.warnings);
        assert!(dropped[0].contains("edge") && dropped[0].contains("apps/web as backend@"));
        assert_eq!(
            told(&plan, "stays, though the spec does not ask for it").len(),
            1
        );
        // Nor is the account itself ended.
        let plan = case("", Some("backend")).plan();
        assert!(plan.changes.is_empty(), "{:?}", plan.changes.keys());
    }

    #[test]
    fn what_the_spec_takes_from_an_account_is_taken_from_all_that_act_by_its_word() {
        let granted = |rest: &str| {
            let spec = format!("googleServiceAccounts: {{ backend: {{}} }}\n{rest}");
            let mut case = case(&spec, Some("backend"));
            let member = "serviceAccount:backend@acme-prod.iam.gserviceaccount.com";
            case.grant("project/acme-prod", LOGS, member);
            case.plan().counts().destroy
        };
        let same =
            "namespaces: { apps: { serviceAccounts: { web: { impersonates: backend } } } }\n";
        assert_eq!(granted(same), 1, "the spec lets the same one act as it");
        assert_eq!(granted(""), 0, "it knows nothing of who does");
        assert_eq!(granted(&same.replace("impersonates: backend", "")), 0);
    }
}
