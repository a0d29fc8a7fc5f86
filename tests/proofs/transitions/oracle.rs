//! What each pod is to keep from the first moment of a transition to the last, and what is to be so in the
//! end: from the specs alone, compared with the sandbox's access oracle.

use std::collections::BTreeMap;

use wi_sandbox::{PodAccess, Sample, Source, Token, Use, World};

use super::Transition;
use super::model::{Abilities, Acts, Selector, Spec, abilities, abilities_of, has};

/// Not yet looked at: whether pods of a cluster that leaves the spec, or a namespace, keep what they rely on.
const LEFT_OUT: bool = true;

/// Cluster, namespace and workload.
pub type Workload = (String, String, String);

fn key(pod: &PodAccess) -> Workload {
    let (cluster, namespace) = (pod.cluster.clone(), pod.namespace.clone());
    (cluster, namespace, pod.workload.clone())
}

/// The number of a cluster.
fn number(cluster: &str) -> usize {
    let name = cluster.rsplit("/c").next();
    name.and_then(|n| n.parse().ok()).expect("a number")
}

/// What a token is good for; to act as an account is not what programs do.
fn can(pod: &PodAccess) -> Abilities {
    let roles = pod
        .roles
        .iter()
        .filter(|g| !g.resource.starts_with("serviceaccount/"));
    roles
        .flat_map(|g| abilities_of(&g.role, &g.resource, g.only_if.as_deref()))
        .collect()
}

/// What all pods of each workload can do.
fn by_workload(pods: &[PodAccess]) -> BTreeMap<Workload, Abilities> {
    let mut all: BTreeMap<Workload, Abilities> = BTreeMap::new();
    for pod in pods {
        let can = can(pod);
        all.entry(key(pod))
            .and_modify(|known| known.retain(|a| has(&can, a)))
            .or_insert(can);
    }
    all
}

fn both(one: &Abilities, other: &Abilities) -> Abilities {
    one.iter().filter(|a| has(other, a)).cloned().collect()
}

/// What a workload is to keep; until its service account is ready in another namespace, if it moves there.
#[derive(Debug)]
struct Kept {
    abilities: Abilities,
    moves_to: Option<(String, String, Abilities)>,
}

impl Kept {
    fn all(abilities: Abilities) -> Self {
        Self {
            abilities,
            moves_to: None,
        }
    }
}

fn kept(of: &Transition, pod: &PodAccess) -> Kept {
    let had = can(pod);
    let c = number(&pod.cluster);
    let (ns, name) = (&pod.namespace, &pod.service_account);
    let accepted = of.after.iter().chain(&of.before);
    let accepted = accepted
        .flat_map(|s| &s.accepts)
        .any(|a| *a == format!("{ns}/*"));
    if ns == "keyed" {
        return Kept::all(Abilities::new()); // it asks no metadata server
    }
    let by_node = matches!(pod.token, Token::Node(_));
    let selected = |s: &&Spec| s.selects(c, ns) && s.ksa(ns, name).is_some();
    if let Some(spec) = of.after.iter().find(selected) {
        let wants = wanted(of, spec, ns, name);
        let none = Acts::Nothing;
        return match spec.ksa(ns, name) {
            Some(ksa) if by_node && ksa.acts == none && !accepted => Kept::all(had),
            _ => Kept::all(both(&had, &wants)),
        };
    }
    let of_team = (0..of.before.len()).find(|t| of.before[*t].ksa(ns, name).is_some());
    if by_node {
        // One that has an identity of its own gets that; who is nobody then is looked at in the end.
        let bare = name == "default" && !accepted;
        return Kept::all(if bare { had } else { Abilities::new() });
    }
    if let Some(team) = of_team {
        let (before, after) = (&of.before[team], &of.after[team]);
        if after.ksa(ns, name).is_some() && before.selects(c, ns) {
            let label = after
                .namespaces
                .get(ns)
                .is_some_and(|n| n.clusters == Selector::Prod)
                && before.namespaces[ns].clusters == Selector::Prod
                && after.clusters.contains_key(&c);
            if LEFT_OUT && (label || !after.clusters.contains_key(&c)) {
                let wants = wanted(of, after, ns, name);
                let wanted_before = wanted(of, before, ns, name);
                return Kept::all(both(&both(&had, &wanted_before), &wants));
            }
        }
        let elsewhere = after
            .ksas()
            .find(|(to, n, _)| *n == name && *to != ns && before.ksa(to, n).is_none());
        if let Some((to, _, _)) = elsewhere
            && after.ksa(ns, name).is_none()
            && after.selects(c, to)
        {
            let wants = wanted(of, after, to, name);
            return Kept {
                abilities: both(&had, &wants),
                moves_to: Some((to.clone(), name.clone(), wants)),
            };
        }
        return Kept::all(Abilities::new());
    }
    // It is of no spec: it keeps what its account is to have.
    let Token::Account(email) = &pod.token else {
        return Kept::all(had);
    };
    if let Some(account) = of.after.iter().find_map(|s| s.own(email)) {
        return Kept::all(both(&had, &abilities(&account.grants)));
    }
    Kept::all(had)
}

/// What a spec wants of a service account; of somebody else's account, as far as its owner grants it.
fn wanted(of: &Transition, spec: &Spec, ns: &str, name: &str) -> Abilities {
    let wants = spec.wants(ns, name).expect("it is there");
    let owner = spec
        .account_of(ns, name)
        .filter(|a| a.referred)
        .and_then(|a| of.after.iter().find_map(|s| s.own(&a.email)));
    match owner {
        Some(owner) => both(&wants, &abilities(&owner.grants)),
        None => wants,
    }
}

/// What is broken, in words.
pub fn check_samples(of: &Transition, samples: &[Sample]) -> Result<(), String> {
    let mut promised: BTreeMap<Workload, Kept> = BTreeMap::new();
    for pod in &samples[0].pods {
        let kept = kept(of, pod);
        promised
            .entry(key(pod))
            .and_modify(|all| all.abilities = both(&all.abilities, &kept.abilities))
            .or_insert(kept);
    }
    for sample in samples {
        let now = by_workload(&sample.pods);
        for (workload, can) in &now {
            let Some(kept) = promised.get(workload) else {
                continue; // it came meanwhile
            };
            let lost: Vec<_> = kept.abilities.iter().filter(|a| !has(can, a)).collect();
            if lost.is_empty() {
                continue;
            }
            let is_ready = kept.moves_to.as_ref().is_some_and(|(ns, name, wants)| {
                let mut there = sample
                    .pods
                    .iter()
                    .filter(|p| p.cluster == workload.0)
                    .filter(|p| p.namespace == *ns && p.service_account == *name)
                    .filter(|p| !matches!(p.token, Token::Node(_)));
                there.all(|p| wants.iter().all(|a| has(&self::can(p), a)))
            });
            if is_ready {
                continue;
            }
            let pods = |all: &[PodAccess]| -> Vec<PodAccess> {
                let same = all.iter().filter(|p| key(p) == *workload);
                same.cloned().collect()
            };
            return Err(format!(
                "LOST after {}: {workload:?} lost {lost:?}\nat first: {:#?}\nnow: {:#?}",
                sample.after,
                pods(&samples[0].pods),
                pods(&sample.pods)
            ));
        }
    }
    Ok(())
}

/// Whoever had the node's identity and is nobody now has accepted it.
pub fn check_silent(
    of: &Transition,
    first: &World,
    before: &[Use],
    after: &[Use],
) -> Result<(), String> {
    let accepted = |ns: &str| {
        let specs = of.after.iter().chain(&of.before);
        specs
            .flat_map(|s| &s.accepts)
            .any(|a| *a == format!("{ns}/*"))
    };
    let place = |u: &Use| {
        (
            u.cluster.clone(),
            u.pool.clone(),
            u.namespace.clone(),
            u.workload.clone(),
            u.container.clone(),
        )
    };
    let after: BTreeMap<_, &Use> = after.iter().map(|u| (place(u), u)).collect();
    for was in before {
        let asks = !matches!(was.source, Source::Container(_));
        if !matches!(was.token, Token::Node(_)) || !asks || accepted(&was.namespace) {
            continue;
        }
        let Some(is) = after.get(&place(was)) else {
            continue;
        };
        let nobody = match &is.token {
            // Kubernetes makes no pods of one that never was there; this world has them all the same.
            Token::Refused(_) => was_there(first, was),
            Token::Federated(_) => is
                .roles
                .iter()
                .all(|g| g.resource.starts_with("serviceaccount/")),
            Token::Node(_) | Token::Account(_) => false,
        };
        let at = number(&was.cluster);
        let is_wanted = of.after.iter().any(|s| s.selects(at, &was.namespace));
        if nobody && !is_wanted {
            return Err(format!("SILENT: {was:#?}\nis now {is:#?}"));
        }
    }
    Ok(())
}

/// Whether the service account of a container, by whose name its workload goes, was there at first.
fn was_there(first: &World, of: &Use) -> bool {
    let ns = &of.namespace;
    let name = of.workload.split('/').nth(1).unwrap_or_default();
    let name = name.strip_prefix(&format!("{ns}-")).unwrap_or("default-");
    let name = name.split('-').next().unwrap_or_default();
    let mut clusters = first.clusters.iter();
    let cluster = clusters.find(|c| of.cluster.ends_with(&format!("/{}", c.name)));
    let accounts = cluster.and_then(|c| c.namespaces.get(ns));
    accounts.is_some_and(|a| a.service_accounts.contains_key(name))
}

/// What a spec wants and nobody names as held back is so, and nothing else on the resources that it
/// speaks of. `said`: everything that its last plan says beside its changes.
pub fn check_end(
    of: &Transition,
    team: usize,
    said: &str,
    says_nothing: bool,
    end: &[PodAccess],
) -> Result<(), String> {
    let spec = &of.after[team];
    for pod in end {
        let c = number(&pod.cluster);
        let (ns, name) = (&pod.namespace, &pod.service_account);
        if !spec.selects(c, ns)
            || spec.ksa(ns, name).is_none()
            || matches!(pod.token, Token::Node(_))
        {
            continue;
        }
        let wants = wanted(of, spec, ns, name);
        let can = can(pod);
        let lacks: Vec<_> = wants.iter().filter(|a| !has(&can, a)).collect();
        let ksa = format!("{ns}/{name}");
        let account = spec.account_of(ns, name).map(|a| a.email.as_str());
        let is_named = said.contains(&ksa) || account.is_some_and(|a| said.contains(a));
        if !lacks.is_empty() && !is_named {
            return Err(format!(
                "LACKS {lacks:?}: {pod:#?}\nand is not named in {said}"
            ));
        }
        let spoken_of: Vec<&str> = spec
            .accounts
            .values()
            .flat_map(|a| &a.grants)
            .map(|g| super::model::ROLES[g.role].2)
            .collect();
        let more: Vec<_> = can
            .iter()
            .filter(|a| spoken_of.contains(&a.1.as_str()) && !has(&wants, a))
            .collect();
        let of_another = spec.account_of(ns, name).is_some_and(|a| a.referred);
        if says_nothing && !of_another && !more.is_empty() {
            return Err(format!("MORE {more:?}: {pod:#?}\nand nothing is said"));
        }
    }
    Ok(())
}

/// What a team's spec no longer has is as that said that it is to be, or named.
pub fn check_gone(of: &Transition, team: usize, said: &str, world: &World) -> Result<(), String> {
    let accounts = &world.projects["acme-one"].service_accounts;
    // Under another name it has let go of all.
    let renamed = of.before[team].name != of.after[team].name;
    let left = of.before[team].accounts.values();
    let left = left.filter(|a| !a.referred && !renamed);
    for account in left {
        let is_named = |s: &Spec| s.accounts.values().any(|a| a.email == account.email);
        let id = account.email.split('@').next().expect("an id");
        if of.after.iter().any(is_named) || said.contains(id) {
            continue;
        }
        let there = accounts.get(id);
        // One that was there before the spec goes back to whose it was.
        let is_adopted = of.world["projects"]["acme-one"]["serviceAccounts"][id].is_object();
        let as_said = match account.on_remove {
            None if is_adopted => there.is_some_and(|a| !a.description.contains("[wi:alpha")),
            Some("keep") => there.is_some_and(|a| !a.disabled),
            Some("delete") => there.is_none(),
            _ => there.is_some_and(|a| a.disabled),
        };
        if !as_said {
            return Err(format!(
                "LEFT {account:?}: {there:?}\nand is not named in {said}"
            ));
        }
    }
    Ok(())
}
