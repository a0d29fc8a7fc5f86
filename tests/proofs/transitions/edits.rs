//! Specs by chance, and what people change in them.

use std::collections::{BTreeMap, BTreeSet};

use super::chance::Chance;
use super::model::{
    Account, Acts, CONDITIONS, ClusterRef, Grant, Ksa, Namespace, ROLES, Selector, Spec,
};

/// Whose namespaces are which.
pub const TEAMS: [(&str, [&str; 2]); 2] = [("alpha", ["shop", "jobs"]), ("beta", ["data", "etl"])];
pub const KSAS: [&str; 3] = ["web", "api", "worker"];
/// Accounts that are nobody's in these specs.
pub const EXTERNAL: [&str; 2] = [
    "ext0@acme-two.iam.gserviceaccount.com",
    "ext1@acme-two.iam.gserviceaccount.com",
];

pub fn address(team: usize, id: &str) -> String {
    format!("{}-{id}@acme-one.iam.gserviceaccount.com", TEAMS[team].0)
}

fn condition(chance: &mut Chance, role: usize) -> usize {
    let is_dataset = ROLES[role].1.starts_with("dataset/");
    if is_dataset || chance.percent(65) {
        0
    } else {
        1 + chance.below(CONDITIONS.len() - 1)
    }
}

fn grant(chance: &mut Chance) -> Grant {
    let role = chance.below(ROLES.len());
    Grant {
        role,
        condition: condition(chance, role),
    }
}

fn grants(chance: &mut Chance) -> Vec<Grant> {
    let mut all = BTreeSet::new();
    for _ in 0..=chance.below(3) {
        all.insert(grant(chance));
    }
    all.into_iter().collect()
}

fn account(chance: &mut Chance, email: String) -> Account {
    Account {
        email,
        referred: false,
        on_remove: *chance
            .pick(&[None, None, Some("delete"), Some("keep"), Some("disable")])
            .expect("one"),
        display_name: None,
        grants: grants(chance),
    }
}

fn acts(chance: &mut Chance, accounts: &[String]) -> Acts {
    match chance.below(8) {
        0..=4 => chance
            .pick(accounts)
            .map_or(Acts::Nothing, |key| Acts::As(key.clone())),
        5 | 6 => Acts::Direct(grants(chance)),
        _ => Acts::Nothing,
    }
}

/// `clusters`: how many there are; `whose`: an account of another team that it may use by its address.
pub fn spec(chance: &mut Chance, team: usize, clusters: usize, whose: Option<&str>) -> Spec {
    let mut of = Spec {
        name: TEAMS[team].0.to_owned(),
        clusters: BTreeMap::new(),
        accounts: BTreeMap::new(),
        namespaces: BTreeMap::new(),
        accepts: BTreeSet::new(),
    };
    let excludes = chance.percent(60);
    for c in 0..clusters {
        if c == 0 || chance.percent(85) {
            let prod = chance.percent(80);
            of.clusters.insert(c, ClusterRef { prod, excludes });
        }
    }
    for i in 0..=chance.below(3) {
        let id = format!("a{i}");
        let email = address(team, &id);
        of.accounts.insert(id, account(chance, email));
    }
    if chance.percent(30) {
        let whose = whose.filter(|_| chance.percent(60));
        let email = whose.unwrap_or(EXTERNAL[0]);
        let referred = Account {
            email: email.to_owned(),
            referred: true,
            on_remove: None,
            display_name: None,
            // What its owner does not grant the owner takes away.
            grants: if whose.is_none() && chance.percent(50) {
                grants(chance)
            } else {
                Vec::new()
            },
        };
        of.accounts.insert("far".to_owned(), referred);
    }
    let keys: Vec<String> = of.accounts.keys().cloned().collect();
    for name in TEAMS[team].1 {
        let mut ksas = BTreeMap::new();
        for ksa in KSAS {
            if chance.percent(45) {
                let acts = acts(chance, &keys);
                let existing = acts != Acts::Nothing && chance.percent(20);
                ksas.insert(ksa.to_owned(), Ksa { existing, acts });
            }
        }
        let clusters = selector(chance, clusters);
        of.namespaces
            .insert(name.to_owned(), Namespace { clusters, ksas });
    }
    for workload in super::scenery::SILENT {
        if chance.percent(30) {
            of.accepts.insert(format!("{}/*", workload.0));
        }
    }
    tidy(&mut of);
    of
}

fn selector(chance: &mut Chance, clusters: usize) -> Selector {
    match chance.below(4) {
        0 | 1 => Selector::All,
        2 => Selector::Prod,
        _ => Selector::Names((0..clusters).filter(|_| chance.percent(70)).collect()),
    }
}

/// As a spec has to be: what is referred to is there.
fn tidy(of: &mut Spec) {
    of.namespaces.retain(|_, ns| !ns.ksas.is_empty());
    let clusters: BTreeSet<usize> = of.clusters.keys().copied().collect();
    let selected = |n: &Namespace| n.clusters == Selector::Prod;
    if of.namespaces.values().any(selected) && !of.clusters.values().any(|c| c.prod) {
        let first = of.clusters.values_mut().next();
        first.expect("a cluster").prod = true;
    }
    for ns in of.namespaces.values_mut() {
        if let Selector::Names(names) = &mut ns.clusters {
            names.retain(|c| clusters.contains(c));
            if names.is_empty() {
                ns.clusters = Selector::All;
            }
        }
        for ksa in ns.ksas.values_mut() {
            if let Acts::As(key) = &ksa.acts
                && !of.accounts.contains_key(key)
            {
                ksa.acts = Acts::Nothing;
            }
            if ksa.acts == Acts::Nothing {
                ksa.existing = false;
            }
        }
    }
}

/// What is changed of a spec; the name says how often it came.
type Edit = fn(&mut Chance, usize, usize, &mut Spec) -> bool;

pub const EDITS: [(&str, Edit); 21] = [
    ("role", role),
    ("role", role),
    ("condition", change_condition),
    ("condition", change_condition),
    ("two conditions", two_conditions),
    ("grant added", grant_added),
    ("grant removed", grant_removed),
    ("other account", other_account),
    ("other account", other_account),
    ("to direct, or back", to_direct_or_back),
    ("to direct, or back", to_direct_or_back),
    ("namespace", moves),
    ("selector", selects_otherwise),
    ("cluster's label", label),
    ("existing", existing),
    ("owner", owner),
    ("account removed", account_removed),
    ("KSA removed", ksa_removed),
    ("KSA added", ksa_added),
    ("id", other_id),
    ("given up, or taken in", by_address),
];

/// Those that come now and then.
pub const MORE: [(&str, Edit); 3] = [
    ("cluster left out", cluster_left_out),
    ("node pools", node_pools),
    ("display name", display_name),
];

/// Changes a spec in some ways; answers with their names.
pub fn edit(chance: &mut Chance, team: usize, clusters: usize, of: &mut Spec) -> Vec<&'static str> {
    let mut made = Vec::new();
    let wanted = 1 + chance.below(3);
    for _ in 0..20 {
        if made.len() == wanted {
            break;
        }
        let (name, edit) = match chance.percent(15) {
            true => *chance.pick(&MORE).expect("one"),
            false => *chance.pick(&EDITS).expect("one"),
        };
        // Another owner's name is an error, and nothing else counts then.
        if name == "owner" && !chance.percent(30) {
            continue;
        }
        let before = of.clone();
        if edit(chance, team, clusters, of) {
            tidy(of);
        } else {
            of.clone_from(&before);
        }
        if *of != before {
            made.push(name);
        }
    }
    made
}

/// The grants of an account or of a KSA, by chance.
fn some_grants<'a>(chance: &mut Chance, of: &'a mut Spec) -> Option<&'a mut Vec<Grant>> {
    let mut all: Vec<&mut Vec<Grant>> = of.accounts.values_mut().map(|a| &mut a.grants).collect();
    for ns in of.namespaces.values_mut() {
        for ksa in ns.ksas.values_mut() {
            if let Acts::Direct(grants) = &mut ksa.acts {
                all.push(grants);
            }
        }
    }
    if all.is_empty() {
        return None;
    }
    let at = chance.below(all.len());
    Some(all.swap_remove(at))
}

fn sort(grants: &mut Vec<Grant>) -> bool {
    grants.sort();
    grants.dedup();
    true
}

/// Another role on the same resource.
fn role(chance: &mut Chance, _: usize, _: usize, of: &mut Spec) -> bool {
    let Some(grants) = some_grants(chance, of).filter(|g| !g.is_empty()) else {
        return false;
    };
    let at = chance.below(grants.len());
    let resource = ROLES[grants[at].role].1;
    let same: Vec<usize> = (0..ROLES.len())
        .filter(|r| ROLES[*r].1 == resource)
        .collect();
    grants[at].role = *chance.pick(&same).expect("itself");
    sort(grants)
}

fn change_condition(chance: &mut Chance, _: usize, _: usize, of: &mut Spec) -> bool {
    let Some(grants) = some_grants(chance, of).filter(|g| !g.is_empty()) else {
        return false;
    };
    let at = chance.below(grants.len());
    let title = CONDITIONS[grants[at].condition].0;
    let same: Vec<usize> = (0..CONDITIONS.len())
        .filter(|c| CONDITIONS[*c].0 == title && *c > 0)
        .collect();
    grants[at].condition = match chance.pick(&same).filter(|_| chance.percent(70)) {
        Some(other) => *other,
        None => condition(chance, grants[at].role),
    };
    sort(grants)
}

/// One role under two conditions of one title.
fn two_conditions(chance: &mut Chance, _: usize, _: usize, of: &mut Spec) -> bool {
    let Some(grants) = some_grants(chance, of).filter(|g| !g.is_empty()) else {
        return false;
    };
    let at = chance.below(grants.len());
    if ROLES[grants[at].role].1.starts_with("dataset/") {
        return false;
    }
    let role = grants[at].role;
    grants[at].condition = 1;
    grants.push(Grant { role, condition: 2 });
    sort(grants)
}

fn grant_added(chance: &mut Chance, _: usize, _: usize, of: &mut Spec) -> bool {
    let new = grant(chance);
    let Some(grants) = some_grants(chance, of) else {
        return false;
    };
    grants.push(new);
    sort(grants)
}

fn grant_removed(chance: &mut Chance, _: usize, _: usize, of: &mut Spec) -> bool {
    let Some(grants) = some_grants(chance, of).filter(|g| !g.is_empty()) else {
        return false;
    };
    let at = chance.below(grants.len());
    grants.remove(at);
    true
}

fn some_ksa(chance: &mut Chance, of: &Spec) -> Option<(String, String)> {
    let all: Vec<(String, String)> = of
        .ksas()
        .map(|(ns, name, _)| (ns.clone(), name.clone()))
        .collect();
    chance.pick(&all).cloned()
}

fn ksa_mut<'a>(of: &'a mut Spec, (ns, name): &(String, String)) -> &'a mut Ksa {
    let ns = of.namespaces.get_mut(ns).expect("the namespace");
    ns.ksas.get_mut(name).expect("the KSA")
}

/// A new account that can do as much, or more, or less; or one that is there.
fn other_account(chance: &mut Chance, team: usize, _: usize, of: &mut Spec) -> bool {
    let Some(ksa) = some_ksa(chance, of) else {
        return false;
    };
    let former = match &ksa_mut(of, &ksa).acts {
        Acts::As(key) => key.clone(),
        _ => return false,
    };
    let key = if chance.percent(50) {
        let key = "new".to_owned();
        let mut new = account(chance, address(team, "new"));
        if chance.percent(80) {
            new.grants.clone_from(&of.accounts[&former].grants);
        }
        of.accounts.insert(key.clone(), new);
        key
    } else {
        let keys: Vec<String> = of.accounts.keys().cloned().collect();
        chance.pick(&keys).cloned().unwrap_or(former.clone())
    };
    ksa_mut(of, &ksa).acts = Acts::As(key);
    if chance.percent(40)
        && !of
            .ksas()
            .any(|(_, _, k)| k.acts == Acts::As(former.clone()))
    {
        of.accounts.remove(&former);
    }
    true
}

fn to_direct_or_back(chance: &mut Chance, team: usize, _: usize, of: &mut Spec) -> bool {
    let Some(ksa) = some_ksa(chance, of) else {
        return false;
    };
    let acts = ksa_mut(of, &ksa).acts.clone();
    match acts {
        Acts::As(key) => {
            let mut direct = of.accounts[&key].grants.clone();
            if direct.is_empty() || chance.percent(20) {
                direct = grants(chance);
            }
            ksa_mut(of, &ksa).acts = Acts::Direct(direct);
            if chance.percent(50) && !of.ksas().any(|(_, _, k)| k.acts == Acts::As(key.clone())) {
                of.accounts.remove(&key);
            }
        }
        Acts::Direct(direct) => {
            let mut new = account(chance, address(team, "for"));
            new.grants = direct;
            of.accounts.insert("for".to_owned(), new);
            ksa_mut(of, &ksa).acts = Acts::As("for".to_owned());
        }
        Acts::Nothing => ksa_mut(of, &ksa).acts = Acts::Direct(grants(chance)),
    }
    true
}

fn moves(chance: &mut Chance, team: usize, clusters: usize, of: &mut Spec) -> bool {
    let Some(ksa) = some_ksa(chance, of) else {
        return false;
    };
    let [one, other] = TEAMS[team].1;
    let to = if ksa.0 == one { other } else { one };
    let moved = ksa_mut(of, &ksa).clone();
    let from = of.namespaces.get_mut(&ksa.0).expect("the namespace");
    from.ksas.remove(&ksa.1);
    let same = from.clusters.clone();
    let selector = if chance.percent(80) {
        same
    } else {
        selector(chance, clusters)
    };
    let to = of
        .namespaces
        .entry(to.to_owned())
        .or_insert_with(|| Namespace {
            clusters: selector,
            ksas: BTreeMap::new(),
        });
    to.ksas.entry(ksa.1).or_insert(moved);
    true
}

fn selects_otherwise(chance: &mut Chance, _: usize, clusters: usize, of: &mut Spec) -> bool {
    let names: Vec<String> = of.namespaces.keys().cloned().collect();
    let Some(name) = chance.pick(&names) else {
        return false;
    };
    let selector = selector(chance, clusters);
    of.namespaces.get_mut(name).expect("it").clusters = selector;
    true
}

fn label(chance: &mut Chance, _: usize, _: usize, of: &mut Spec) -> bool {
    let all: Vec<usize> = of.clusters.keys().copied().collect();
    let at = *chance.pick(&all).expect("a cluster");
    let cluster = of.clusters.get_mut(&at).expect("it");
    cluster.prod = !cluster.prod;
    // Or it is the label of nothing.
    of.namespaces.values().any(|n| n.clusters == Selector::Prod)
}

fn existing(chance: &mut Chance, _: usize, _: usize, of: &mut Spec) -> bool {
    let Some(ksa) = some_ksa(chance, of) else {
        return false;
    };
    let ksa = ksa_mut(of, &ksa);
    ksa.existing = !ksa.existing;
    true
}

fn owner(_: &mut Chance, _: usize, _: usize, of: &mut Spec) -> bool {
    of.name.push_str("-renamed");
    true
}

fn account_removed(chance: &mut Chance, _: usize, _: usize, of: &mut Spec) -> bool {
    let keys: Vec<String> = of.accounts.keys().cloned().collect();
    let Some(key) = chance.pick(&keys) else {
        return false;
    };
    of.accounts.remove(key);
    let drop = chance.percent(60);
    for ns in of.namespaces.values_mut() {
        ns.ksas
            .retain(|_, k| !(drop && k.acts == Acts::As(key.clone())));
    }
    true
}

fn ksa_removed(chance: &mut Chance, _: usize, _: usize, of: &mut Spec) -> bool {
    let Some((ns, name)) = some_ksa(chance, of) else {
        return false;
    };
    let of = of.namespaces.get_mut(&ns).expect("the namespace");
    of.ksas.remove(&name);
    true
}

fn ksa_added(chance: &mut Chance, team: usize, _: usize, of: &mut Spec) -> bool {
    let keys: Vec<String> = of.accounts.keys().cloned().collect();
    let acts = acts(chance, &keys);
    let ns = *chance.pick(&TEAMS[team].1).expect("one");
    let ns = of
        .namespaces
        .entry(ns.to_owned())
        .or_insert_with(|| Namespace {
            clusters: Selector::All,
            ksas: BTreeMap::new(),
        });
    let name = *chance.pick(&KSAS).expect("one");
    let existing = false;
    ns.ksas
        .entry(name.to_owned())
        .or_insert(Ksa { existing, acts });
    true
}

/// The same key is another account.
fn other_id(chance: &mut Chance, team: usize, _: usize, of: &mut Spec) -> bool {
    let mut own: Vec<&mut Account> = of.accounts.values_mut().filter(|a| !a.referred).collect();
    if own.is_empty() {
        return false;
    }
    let at = chance.below(own.len());
    own[at].email = address(team, "next");
    of.accounts
        .values()
        .filter(|a| a.email == address(team, "next"))
        .count()
        == 1
}

/// An account that becomes somebody else's, or is no longer.
fn by_address(chance: &mut Chance, team: usize, _: usize, of: &mut Spec) -> bool {
    let keys: Vec<String> = of.accounts.keys().cloned().collect();
    let Some(key) = chance.pick(&keys) else {
        return false;
    };
    let account = of.accounts.get_mut(key).expect("it");
    if account.referred {
        account.email = EXTERNAL[1 - usize::from(account.email == EXTERNAL[1])].to_owned();
    } else {
        account.email = if chance.percent(70) {
            account.email.clone()
        } else {
            EXTERNAL[team % 2].to_owned()
        };
        (account.on_remove, account.display_name) = (None, None);
        account.referred = true;
    }
    let emails: BTreeSet<&String> = of.accounts.values().map(|a| &a.email).collect();
    emails.len() == of.accounts.len()
}

fn cluster_left_out(chance: &mut Chance, _: usize, _: usize, of: &mut Spec) -> bool {
    if of.clusters.len() < 2 {
        return false;
    }
    let all: Vec<usize> = of.clusters.keys().copied().collect();
    of.clusters.remove(chance.pick(&all).expect("one"));
    true
}

fn node_pools(chance: &mut Chance, _: usize, _: usize, of: &mut Spec) -> bool {
    for cluster in of.clusters.values_mut() {
        cluster.excludes = false;
    }
    if chance.percent(40) {
        let all = super::scenery::SILENT.iter();
        of.accepts.extend(all.map(|(ns, ..)| format!("{ns}/*")));
    }
    true
}

fn display_name(_: &mut Chance, _: usize, _: usize, of: &mut Spec) -> bool {
    for account in of.accounts.values_mut().filter(|a| !a.referred) {
        account.display_name = Some("Checkout");
    }
    true
}
