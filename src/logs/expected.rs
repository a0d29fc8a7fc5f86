//! What a spec expects of its identities, in the words of logs.

use std::collections::{BTreeMap, BTreeSet};

use std::path::Path;

use wi_client::files;
use wi_core::names::Member;
use wi_core::spec::model::{
    Expected as Subject, Grant, Impersonation, KsaAccess, Scope, SourceLine, Spec,
};
use wi_core::words::safe;
use wi_logs::detect::Detector;
use wi_logs::expected::{Accepted, Expected, Identity};
use wi_logs::name::Cidr;
use wi_logs::{name, when};

/// All that a spec says. The projects of clusters that are found by `discover` count where it names them.
pub fn of(spec: &Spec) -> Expected {
    let mut expected = Expected {
        projects: projects(spec),
        regions: spec
            .clusters
            .values()
            .map(|c| region(&c.path.location))
            .collect(),
        namespaces: spec.namespaces.keys().map(ToString::to_string).collect(),
        ..Expected::default()
    };
    for (name, account) in &spec.accounts {
        let mut identity = identity(&format!("account: {name}"), &account.grants, &account.place);
        identity.users = account
            .users
            .iter()
            .filter_map(|u| pattern(&u.member))
            .collect();
        expected
            .identities
            .insert(account.email.as_str().to_owned(), identity);
    }
    for ksa in ksas(spec) {
        let key = format!("serviceAccount: {}/{}", ksa.namespace, ksa.name);
        let grants: &[Grant] = match ksa.access {
            KsaAccess::Direct(grants) => grants,
            KsaAccess::Impersonates(by) => {
                let account = spec.accounts.get(&by.account).map(|a| a.email.as_str());
                if let Some(known) = account.and_then(|a| expected.identities.get_mut(a)) {
                    known.has_workloads = true;
                    if !known.users.contains(&ksa.principal) {
                        known.users.push(ksa.principal.clone());
                    }
                    add_user(known, &ksa);
                }
                &by.own_grants
            }
        };
        let identity = identity(&key, grants, ksa.place);
        // On several clusters of one project it is one identity, with the roles of all of them.
        let known = expected
            .identities
            .entry(ksa.principal.clone())
            .or_insert(identity);
        add_user(known, &ksa);
    }
    expected.accepted = spec
        .audit
        .expect
        .iter()
        .map(|e| accepted(spec, e))
        .collect();
    expected
}

fn identity(key: &str, grants: &[Grant], place: &SourceLine) -> Identity {
    let mut roles: Vec<String> = grants.iter().map(|g| g.role.to_string()).collect();
    roles.sort();
    roles.dedup();
    let mut identity = Identity::new(key, roles);
    for grant in grants.iter().filter(|g| g.resource.project().is_none()) {
        identity.is_anywhere(grant.role.as_str());
    }
    let line = u32::try_from(place.line).unwrap_or(u32::MAX);
    identity.place = Some((place.file.clone(), line));
    identity
}

/// A Kubernetes service account on a cluster, or on clusters that are found in a project.
struct Ksa<'a> {
    namespace: String,
    name: String,
    principal: String,
    on: String,
    access: &'a KsaAccess,
    place: &'a SourceLine,
}

fn ksas(spec: &Spec) -> Vec<Ksa<'_>> {
    let mut all = Vec::new();
    for (namespace, declared) in &spec.namespaces {
        for (name, ksa) in &declared.service_accounts {
            let mut add = |pool: String, on: &str, access| {
                all.push(Ksa {
                    namespace: namespace.to_string(),
                    name: name.to_string(),
                    principal: format!("{pool}[{namespace}/{name}]"),
                    on: on.to_owned(),
                    access,
                    place: &ksa.place,
                });
            };
            for on in &declared.clusters {
                if let Some(cluster) = spec.clusters.get(on).filter(|c| ksa.is_on(on, c)) {
                    add(
                        cluster.path.project.workload_pool(),
                        on,
                        ksa.on(on, cluster),
                    );
                }
            }
            for found in &spec.discover {
                if let Scope::Project(project) = &found.scope {
                    let on = format!("clusters of {project}");
                    add(project.workload_pool(), &on, &ksa.identity);
                }
            }
        }
    }
    all
}

/// `shop/web on prod-eu, prod-us`.
fn add_user(identity: &mut Identity, ksa: &Ksa<'_>) {
    let name = format!("{}/{}", ksa.namespace, ksa.name);
    let used_by = &mut identity.used_by;
    if used_by.is_empty() {
        *used_by = format!("{name} on {}", ksa.on);
    } else if used_by.ends_with(" …") || used_by.contains(&format!(" on {}", ksa.on)) {
    } else if used_by.len() > 60 {
        used_by.push_str(" …");
    } else if used_by.starts_with(&format!("{name} on ")) {
        used_by.push_str(&format!(", {}", ksa.on));
    } else {
        used_by.push_str(&format!("; {name} on {}", ksa.on));
    }
}

/// Whom a member is, as a pattern of principals. Of a group nobody knows who is in it.
fn pattern(member: &Member) -> Option<String> {
    match member {
        Member::ServiceAccount(email) => Some(email.as_str().to_owned()),
        Member::Ksa(ksa) => Some(format!("{}[{}/{}]", ksa.pool, ksa.namespace, ksa.name)),
        // A token does not say on which cluster its pod is.
        Member::Set(set) => Some(match set.namespace() {
            Some(namespace) => format!("{}[{namespace}/*]", set.pool),
            None => format!("{}[*]", set.pool),
        }),
        Member::DeletedServiceAccount { .. } => None,
        Member::Other(text) => text.starts_with("user:").then(|| name::principal(text)),
    }
}

/// Projects that identities may call into; none if the spec has one by its number, which logs do not have.
fn projects(spec: &Spec) -> BTreeSet<String> {
    let mut all: BTreeSet<_> = spec.project.iter().cloned().collect();
    all.extend(spec.accounts.values().map(|a| a.project.clone()));
    all.extend(spec.clusters.values().map(|c| c.path.project.clone()));
    all.extend(spec.audit.trusted_projects.iter().cloned());
    for found in &spec.discover {
        if let Scope::Project(project) = &found.scope {
            all.insert(project.clone());
        }
    }
    let grants = spec.accounts.values().flat_map(|a| &a.grants);
    all.extend(grants.filter_map(|g| g.resource.project()));
    for namespace in spec.namespaces.values() {
        for ksa in namespace.service_accounts.values() {
            let overrides = ksa.overrides.iter().map(|(_, access)| access);
            for access in overrides.chain([&ksa.identity]) {
                let (KsaAccess::Direct(grants)
                | KsaAccess::Impersonates(Impersonation {
                    own_grants: grants, ..
                })) = access;
                all.extend(grants.iter().filter_map(|g| g.resource.project()));
            }
        }
    }
    match all.iter().any(|p| p.number().is_some()) {
        true => BTreeSet::new(),
        false => all.iter().map(ToString::to_string).collect(),
    }
}

/// The region of a region or a zone.
fn region(location: &str) -> String {
    match location.rsplit_once('-') {
        Some((region, zone)) if zone.len() == 1 => region.to_owned(),
        _ => location.to_owned(),
    }
}

fn accepted(spec: &Spec, expect: &wi_core::spec::model::Expect) -> Accepted {
    let who = match &expect.subject {
        Subject::Account(account) => spec
            .accounts
            .get(account)
            .map(|a| a.email.as_str().to_owned())
            .unwrap_or_default(),
        Subject::Ksa { namespace, name } => format!("*.svc.id.goog[{namespace}/{name}]"),
        Subject::Principal(principal) => principal.clone(),
    };
    Accepted {
        who: vec![who],
        service: expect.service.clone(),
        detector: expect.finding.as_deref().and_then(Detector::parse),
        about: expect.about.clone(),
        reason: expect.reason.clone(),
        until: expect
            .until
            .and_then(|date| when::day_from(&date.to_string())),
        place: expect.place.to_string(),
    }
}

/// What emails of accounts are called in a spec, or the email.
pub fn names(spec: &Spec) -> BTreeMap<String, String> {
    let accounts = spec.accounts.iter();
    accounts
        .map(|(name, account)| (name.clone(), account.email.as_str().to_owned()))
        .collect()
}

/// Reads networks that are known: `10.4.0.0/14 pods of prod-eu` a line; `#` begins a remark.
pub fn networks(file: &Path) -> Result<Vec<(Cidr, String)>, String> {
    let name = file.display();
    let bytes = files::read(file, 4 << 20).map_err(|e| format!("cannot read {name}: {e}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{name} is not text"))?;
    let mut all = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (cidr, label) = line.split_once([' ', '\t', ',']).unwrap_or((line, "known"));
        let cidr = Cidr::parse(cidr)
            .ok_or_else(|| format!("{name}:{}: `{}` is no network", at + 1, safe(cidr)))?;
        all.push((cidr, label.trim().to_owned()));
    }
    Ok(all)
}
