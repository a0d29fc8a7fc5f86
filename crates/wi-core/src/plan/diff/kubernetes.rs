//! Namespaces and Kubernetes service accounts: marks, annotations, adoption and removal.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::desired::{
    Desired, DesiredCluster, DesiredKsa, DesiredNamespace, GSA_ANNOTATION, KsaKey, NamespaceKey,
};
use crate::live::{Live, Objects, Seen};
use crate::names::{Email, KsaIdentity, KubeName};
use crate::plan::ownership::{
    ADOPTED, DEFAULT, FORMER, MANAGED_BY, OWNER, copied_mark, is_given_back, is_going, is_ours,
    other_manager, owner_of,
};
use crate::plan::staying::Staying;
use crate::plan::{
    Change, Edit, HeldBack, HoldReason, Ksa, KsaAfter, Namespace, Options, Plan, Was,
};
use crate::wire::container::Cluster;
use crate::wire::kubernetes::ObjectMeta;

/// Whose mark an object carries.
enum Mark<'a> {
    None,
    /// Not put there by `wi`: nobody's.
    Copied(&'a str),
    Ours,
    Other(&'a str),
}

fn mark<'a>(meta: &'a ObjectMeta, owner: &str) -> Mark<'a> {
    match (owner_of(meta), copied_mark(meta)) {
        (Some(name), _) if name == owner => Mark::Ours,
        (Some(name), _) => Mark::Other(name),
        (None, Some(name)) => Mark::Copied(name),
        (None, None) => Mark::None,
    }
}

/// What is only referred to is neither made nor marked nor changed.
fn refer_to(key: &KsaKey, wanted: &DesiredKsa, there: Option<&ObjectMeta>, plan: &mut Plan) {
    let Some(there) = there else {
        let annotation = match &wanted.account {
            Some(account) => format!("with the annotation {GSA_ANNOTATION}: {account}"),
            None => format!("without the annotation {GSA_ANNOTATION}"),
        };
        return plan.warnings.push(format!(
            "{key} is not there yet, and is made by others (`existing: true`): what it needs in IAM is prepared, and it has to be made {annotation}"
        ));
    };
    let now = there.annotations.get(GSA_ANNOTATION).map(String::as_str);
    let after = wanted.account.as_ref().map(Email::as_str);
    if now != after {
        let shown = |v: Option<&str>| match v {
            None => "not set".to_owned(),
            Some("") => "set to nothing (`\"\"`)".to_owned(),
            Some(v) => format!("`{v}`"),
        };
        let owner =
            other_manager(there).map_or("where it is managed".to_owned(), |t| format!("in {t}"));
        plan.warnings.push(format!(
            "{key} is only referred to (`existing: true`): its annotation {GSA_ANNOTATION} is {} and has to become {}, {owner}, once this plan is carried out",
            shown(now),
            shown(after)
        ));
    }
}

/// The mark of a spec that is taken over from becomes this one's.
fn take_over(
    key: &NamespaceKey,
    wanted: &DesiredNamespace,
    there: &ObjectMeta,
    desired: &Desired,
    options: &Options,
    plan: &mut Plan,
) {
    let Mark::Other(owner) = mark(there, &desired.owner) else {
        return;
    };
    if !options.adopt_from.contains(owner) {
        return; // whose spec made it has the mark
    }
    let edit = Namespace {
        key: key.clone(),
        before: Some(there.into()),
        taken_over: true,
    };
    let notes = vec![taken_over_from(owner)];
    let change = Change::new(Edit::Namespace(edit), notes, Some(&wanted.place));
    plan.insert(change);
}

fn taken_over_from(owner: &str) -> String {
    format!("taken over from the spec named `{owner}`, as --adopt-from says")
}

/// What this spec had made or adopted, and only refers to now: the marks go, and nothing else.
fn let_go(
    key: &KsaKey,
    wanted: &DesiredKsa,
    there: Option<&ObjectMeta>,
    desired: &Desired,
    plan: &mut Plan,
) {
    let Some(there) = there.filter(|meta| is_ours(meta, &desired.owner)) else {
        return;
    };
    let edit = Ksa {
        key: key.clone(),
        before: Some(there.into()),
        after: KsaAfter::LetGo,
        force: true,
        drop_annotation: false,
    };
    let note = "let go: others make and annotate it from now on (`existing: true`); its annotation stays as it is";
    let change = Change::new(Edit::Ksa(edit), vec![note.to_owned()], Some(&wanted.place));
    plan.insert(change);
}

pub(in crate::plan) fn diff(
    desired: &Desired,
    live: &Live,
    options: &Options,
    staying: &Staying<'_>,
    plan: &mut Plan,
) {
    for (cluster, wanted) in &desired.clusters {
        match live.kubernetes.get(cluster) {
            Some(Seen::Found(objects)) => {
                diff_cluster(cluster, desired, objects, options, plan);
                remove_what_left(cluster, desired, objects, staying, plan);
            }
            Some(Seen::Unknown(why)) if told_apart(wanted, &live.clusters[cluster]) => {
                plan.unseen(
                    format!("the Kubernetes objects of cluster.{cluster}"),
                    why.clone(),
                );
            }
            _ => {} // the cluster itself is reported already
        }
    }
}

const GOING: &str =
    "it is being deleted, and takes nothing new. Once it is gone, plan again: it is made anew";

/// Whether objects that could not be read are told of beside their cluster: one that comes or goes, or
/// could not be read itself, is told of as such where it is ours.
fn told_apart(wanted: &DesiredCluster, cluster: &Seen<Cluster>) -> bool {
    match cluster {
        Seen::Found(c) => !wanted.managed || c.status.may_answer(),
        Seen::Absent => false,
        Seen::Unknown(_) => !wanted.managed,
    }
}

fn diff_cluster(
    cluster: &str,
    desired: &Desired,
    objects: &Objects,
    options: &Options,
    plan: &mut Plan,
) {
    // Namespaces that others make later.
    let mut to_come: BTreeSet<&KubeName> = BTreeSet::new();
    for (key, wanted) in desired
        .namespaces
        .iter()
        .filter(|(k, _)| k.cluster == cluster)
    {
        if let Some(there) = objects.namespaces.get(key.namespace.as_str()) {
            if is_going(there) {
                plan.unseen(format!("{key} and what is to be in it"), GOING);
            } else if wanted.create {
                take_over(key, wanted, there, desired, options, plan);
            }
            continue; // not adopted: it holds more than what the spec knows of
        }
        if !wanted.create {
            to_come.insert(&key.namespace);
            continue;
        }
        let edit = Namespace {
            key: key.clone(),
            before: None,
            taken_over: false,
        };
        plan.insert(Change::new(
            Edit::Namespace(edit),
            Vec::new(),
            Some(&wanted.place),
        ));
    }
    let mut waiting: BTreeMap<&KubeName, Vec<&str>> = BTreeMap::new();
    let by_name: HashMap<(&str, &str), &ObjectMeta> = objects
        .service_accounts
        .values()
        .map(|meta| ((meta.namespace.as_str(), meta.name.as_str()), meta))
        .collect();
    for (key, wanted) in desired.ksas_of(cluster) {
        let namespace = objects.namespaces.get(key.namespace.as_str());
        if namespace.is_some_and(is_going) {
            continue; // told of with the namespace
        }
        let there = by_name
            .get(&(key.namespace.as_str(), key.name.as_str()))
            .copied();
        if there.is_some_and(is_going) {
            plan.unseen(key.address(), GOING);
            continue;
        }
        if wanted.existing {
            refer_to(key, wanted, there, plan);
            let_go(key, wanted, there, desired, plan);
            continue;
        }
        if to_come.contains(&key.namespace) {
            waiting
                .entry(&key.namespace)
                .or_default()
                .push(key.name.as_str());
            continue;
        }
        diff_ksa(key, wanted, there, desired, options, plan);
    }
    for namespace in to_come {
        let names = waiting.remove(namespace).unwrap_or_default();
        let then = if names.is_empty() {
            String::new()
        } else {
            let next = "once it is there, plan again: then wi makes";
            format!(", and {next} {} in it", names.join(", "))
        };
        plan.warnings.push(format!(
            "the namespace {namespace} is not there yet in cluster.{cluster}, and is made by others (`create: false`): what its service accounts need in IAM is prepared{then}"
        ));
    }
    if objects.only_of_spec {
        plan.warnings.push(format!(
            "of cluster.{cluster} just the namespaces of the spec may be read: service accounts that left the spec in others are not seen"
        ));
    }
    let marked = |m: &&ObjectMeta| matches!(mark(m, &desired.owner), Mark::Ours);
    plan.owned += objects.service_accounts.values().filter(marked).count();
}

fn diff_ksa(
    key: &KsaKey,
    wanted: &DesiredKsa,
    there: Option<&ObjectMeta>,
    desired: &Desired,
    options: &Options,
    plan: &mut Plan,
) {
    let after = wanted.account.as_ref().map(Email::as_str);
    let before = there
        .and_then(|m| m.annotations.get(GSA_ANNOTATION))
        .map(String::as_str);
    // The one that each namespace has is made by Kubernetes, and its pods' for good.
    let mut adopted = key.name.as_str() == DEFAULT;
    let mut force = false;
    let mut reason = None;
    let was = there.map(Was::from);
    let foreign = was
        .as_ref()
        .map_or(&[][..], |was| was.annotation_managers.as_slice());
    match there.map(|m| mark(m, &desired.owner)) {
        None => {}
        Some(Mark::Ours) => {
            adopted |= there.is_some_and(|m| m.annotations.contains_key(ADOPTED));
            force = true;
            if before != after && !foreign.is_empty() {
                reason = Some(format!("changed outside wi, by {}", foreign.join(", ")));
            }
        }
        Some(Mark::Other(owner)) if options.adopt_from.contains(owner) => {
            adopted |= there.is_some_and(|m| m.annotations.contains_key(ADOPTED));
            force = true;
            reason = Some(taken_over_from(owner));
        }
        Some(Mark::Other(owner)) => {
            return plan.error(
                key.address(),
                Some(&wanted.place),
                format!("it belongs to the spec named `{owner}` (annotation {OWNER}). Take it over with --adopt-from {owner}, and out of that spec afterwards; or take it out of that spec first; or say `existing: true` here, which uses it and leaves it to its owner"),
            );
        }
        Some(not_owned) => {
            adopted = true;
            let copy = match not_owned {
                Mark::Copied(name) => Some(name),
                _ => None,
            };
            reason = Some(match copy {
                Some(name) => format!(
                    "adopted: it carries the mark of `{name}`, which is a copy: wi has not put it there"
                ),
                None => "adopted: it exists and nobody has marked it".to_owned(),
            });
            if before != after
                && before.is_some_and(|b| after.is_some() || !b.is_empty())
                && !foreign.is_empty()
                && !options.force_conflicts
            {
                return plan.error(
                    key.address(),
                    Some(&wanted.place),
                    format!(
                        "the annotation {GSA_ANNOTATION} is {}{} and belongs to the field manager {}. Change it there, or pass --force-conflicts to take it over",
                        before.filter(|b| !b.is_empty()).unwrap_or("empty"),
                        if in_other_letters(before, after) { " (in other letters than IAM has it)" } else { "" },
                        foreign.join(", ")
                    ),
                );
            }
            // Nothing else conflicts than what others have copied of our marks, and what a release has put back:
            // a field of ours, written in another way.
            force = options.force_conflicts
                || copy.is_some()
                || was.as_ref().is_some_and(Was::annotation_is_ours);
        }
    }
    if in_other_letters(before, after) {
        let before = reason
            .map(|reason| format!("{reason}; "))
            .unwrap_or_default();
        reason = Some(before + OTHER_LETTERS);
    }
    let managed_by = there.and_then(|m| m.labels.get(MANAGED_BY));
    let edit = Edit::Ksa(Ksa {
        key: key.clone(),
        before: was.clone(),
        after: KsaAfter::Kept {
            account: wanted.account.clone(),
            adopted,
            former: former(there, after, foreign).filter(|_| adopted),
            // A label of another tool stays its own; our annotation is mark enough.
            labelled: managed_by.is_none_or(|t| t == "wi"),
        },
        force,
        drop_annotation: before.is_some() && after.is_none() && !foreign.is_empty(),
    });
    if edit.attributes(&desired.owner).is_empty() {
        return;
    }
    if let Some(tool) = there.and_then(other_manager) {
        plan.warnings.push(format!(
            "{key} is managed by {tool}, which may undo what wi writes: put the annotation there and say `existing: true` here, or take the account out of it"
        ));
    }
    let notes = reason.into_iter().collect();
    plan.insert(Change::new(edit, notes, Some(&wanted.place)));
}

const OTHER_LETTERS: &str = "the same account in other letters: whether the metadata server takes it for that is not known, so that it is written as IAM has it";

/// Whether two accounts differ in capital letters alone.
fn in_other_letters(a: Option<&str>, b: Option<&str>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a != b && a.eq_ignore_ascii_case(b))
}

/// As which Google service account one acted that is adopted: it is kept in mind, to be put back one day.
fn former(there: Option<&ObjectMeta>, after: Option<&str>, others: &[String]) -> Option<String> {
    let there = there?;
    let annotations = &there.annotations;
    let is_marked = owner_of(there).is_some();
    let known = annotations.get(FORMER).filter(|_| is_marked);
    // What others have written is theirs, also where it was first the same as what we write.
    let replaced = annotations.get(GSA_ANNOTATION).filter(|before| {
        let theirs = !is_marked || !others.is_empty();
        theirs && !before.is_empty() && Some(before.as_str()) != after
    });
    known.or(replaced).cloned()
}

/// What carries our mark and left the spec: what `wi` made is deleted, what it adopted is released.
fn remove_what_left(
    cluster: &str,
    desired: &Desired,
    objects: &Objects,
    staying: &Staying<'_>,
    plan: &mut Plan,
) {
    let key = |meta: &ObjectMeta| {
        Some(KsaKey {
            cluster: cluster.to_owned(),
            namespace: KubeName::parse(&meta.namespace).ok()?,
            name: KubeName::parse(&meta.name).ok()?,
        })
    };
    let wanted: HashSet<(&str, &str)> = desired
        .ksas_of(cluster)
        .map(|(key, _)| (key.namespace.as_str(), key.name.as_str()))
        .collect();
    for meta in objects.service_accounts.values() {
        if wanted.contains(&(meta.namespace.as_str(), meta.name.as_str()))
            || !matches!(mark(meta, &desired.owner), Mark::Ours)
        {
            continue;
        }
        let Some(key) = key(meta) else {
            continue;
        };
        if is_going(meta) {
            plan.warnings.push(format!(
                "{key} left the spec and is being deleted already: it is gone once its finalizers are"
            ));
            continue;
        }
        if let Some(stays) = staying.get(&key) {
            plan.held_back.push(HeldBack {
                address: key.address(),
                why: HoldReason::InUse(stays.why.clone()),
            });
            continue;
        }
        let was = Was::from(meta);
        let released = if meta.name == DEFAULT {
            "released: each namespace has one by this name, and pods run as it"
        } else {
            "released: it was there before this spec, which no longer names it"
        };
        let (after, note) = if is_given_back(meta) {
            let mut note = released.to_owned();
            if !was.annotation_managers.is_empty() {
                let others = was.annotation_managers.join(", ");
                let pool = desired.clusters[cluster].path.project.workload_pool();
                let identity = KsaIdentity::new(pool, &meta.namespace, &meta.name);
                note += &format!(
                    "; the annotation {GSA_ANNOTATION} stays, {others} owns it, too, and so does what it relies on: {identity} may act as that account as before"
                );
            }
            if let Some(former) = was
                .former_account()
                .filter(|_| was.annotation_managers.is_empty())
            {
                note += &format!(
                    "; the annotation {GSA_ANNOTATION} is {former} again, as it was before"
                );
            }
            (KsaAfter::Released, note)
        } else {
            (
                KsaAfter::Deleted,
                "made by this spec and no longer in it; pods that still use it lose their identity"
                    .to_owned(),
            )
        };
        let edit = Ksa {
            key,
            before: Some(was),
            after,
            force: true,
            drop_annotation: false,
        };
        plan.insert(Change::new(Edit::Ksa(edit), vec![note], None));
    }
    for meta in objects.namespaces.values() {
        let Ok(namespace) = KubeName::parse(&meta.name) else {
            continue;
        };
        let key = NamespaceKey {
            cluster: cluster.to_owned(),
            namespace,
        };
        if desired.namespaces.contains_key(&key)
            || !matches!(mark(meta, &desired.owner), Mark::Ours)
        {
            continue;
        }
        let edit = Namespace {
            key,
            before: Some(meta.into()),
            taken_over: false,
        };
        let note = "released: no longer in the spec; wi never deletes a namespace, since all in it would go";
        plan.insert(Change::new(
            Edit::Namespace(edit),
            vec![note.to_owned()],
            None,
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::address::Address;
    use crate::desired::GSA_ANNOTATION;
    use crate::plan::fixture::{Case, HEAD, email, marked};
    use crate::plan::{Edit, Ksa, KsaAfter, Plan};

    const BACKEND: &str = "googleServiceAccounts: { backend: {} }\nnamespaces: { apps: { serviceAccounts: { web: { impersonates: backend } } } }\n";

    fn ksa(plan: &Plan) -> &Ksa {
        match &plan.changes["ksa.main/apps/web"].edit {
            Edit::Ksa(ksa) => ksa,
            other => panic!("{other:?}"),
        }
    }

    fn former(plan: &Plan) -> Option<&str> {
        match &ksa(plan).after {
            KsaAfter::Kept { former, .. } => former.as_deref(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn as_which_account_one_acted_that_is_adopted_is_kept_in_mind_and_put_back() {
        let legacy = email("legacy-app");
        let mut case = Case::of(&format!("{HEAD}{BACKEND}"));
        case.ksa(
            "main",
            "apps",
            "web",
            json!({ GSA_ANNOTATION: legacy.as_str() }),
        );
        let plan = case.plan();
        assert_eq!(former(&plan), Some(legacy.as_str()));
        assert!(ksa(&plan).force, "the field is ours already");
        // As it is then, under another account, and out of the spec.
        let mut annotations = marked(Some("backend"), true);
        annotations["wi/former-account"] = legacy.as_str().into();
        case.ksa("main", "apps", "web", annotations);
        let other = BACKEND.replace("backend", "newer-app");
        let mut case = case.under(&format!("{HEAD}{other}"));
        assert_eq!(former(&case.plan()), Some(legacy.as_str()));
        case = case.under(HEAD);
        let plan = case.plan();
        assert_eq!(ksa(&plan).after, KsaAfter::Released);
        assert_eq!(ksa(&plan).account_after(), Some(legacy.as_str()));
        assert_eq!(ksa(&plan).gives_back(), Some(Some(legacy.as_str())));
        assert_eq!(plan.identity_losses().count(), 0, "it was not read");
        // Where that account does not let it act any more, it is nobody.
        let on_legacy = format!("serviceaccount/{legacy}");
        case.account("legacy-app", json!({}));
        case.grant(&on_legacy, "roles/viewer", "user:jo@acme.example");
        assert_eq!(case.plan().identity_losses().count(), 1);
        let member = "serviceAccount:acme-prod.svc.id.goog[apps/web]";
        case.grant(&on_legacy, "roles/iam.workloadIdentityUser", member);
        let plan = case.plan();
        assert_eq!(plan.identity_losses().count(), 0);
        let takes = |a: &&Address| a.starts_with("binding.") || a.starts_with("grant.");
        assert_eq!(
            plan.changes.keys().filter(takes).count(),
            0,
            "it is not this spec's"
        );
    }

    #[test]
    fn one_that_was_made_or_acted_as_nobody_has_nothing_to_put_back() {
        let mut case = Case::of(&format!("{HEAD}{BACKEND}"));
        case.ksa("main", "apps", "web", json!({}));
        assert_eq!(former(&case.plan()), None);
        case.ksa(
            "main",
            "apps",
            "web",
            json!({ GSA_ANNOTATION: email("backend").as_str() }),
        );
        assert_eq!(former(&case.plan()), None, "it is the same one");
        case.ksa("main", "apps", "web", marked(Some("backend"), true));
        let plan = case.under(HEAD).plan();
        assert_eq!(ksa(&plan).account_after(), None);
        assert_eq!(plan.identity_losses().count(), 1);
    }

    #[test]
    fn an_account_in_other_letters_is_written_anew_and_told_as_such() {
        let mut case = Case::of(&format!("{HEAD}{BACKEND}"));
        let capital = email("backend").as_str().replace("backend", "Backend");
        case.ksa("main", "apps", "web", json!({ GSA_ANNOTATION: capital }));
        let plan = case.plan();
        let notes = &plan.changes["ksa.main/apps/web"].notes;
        assert!(
            notes[0].contains("the same account in other letters"),
            "{notes:?}"
        );
    }
}
