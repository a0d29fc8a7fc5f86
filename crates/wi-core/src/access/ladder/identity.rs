//! From the pod to an identity: links 1 to 11, 26 and 28, and as whom the program calls in the end.

use super::account::{account_links, apis_link, binding_links};
use super::grants::{Scene, Who, grant_links};
use super::node::{Server, cluster_links, node_account, pool_of, server_links};
use super::program::{network_link, program_link};
use super::{
    ActsAs, Caller, Fix, Ladder, Link, Rung, Situation, State, Workload, ksa_principal,
    not_evaluated, verdict,
};
use crate::access::facts::{Look, look};
use crate::access::{KsaPrincipal, Principal};
use crate::address::{Address, KsaKey};
use crate::desired::{DesiredKsa, GSA_ANNOTATION};
use crate::live::Seen;
use crate::names::{Email, KubeName};

/// All links of a Kubernetes service account, or of a pod or workload that runs as it.
pub fn workload(s: &Situation<'_>) -> Ladder {
    let mut links = Vec::new();
    let object = s.read.workload.as_ref().and_then(|w| w.object.found());
    if let Some(workload) = &s.read.workload {
        links.extend(pod_links(s, workload));
    }
    let spec = spec_of(s);
    links.extend(ksa_link(s, spec));
    let (annotation, acts_as) = annotation_link(s, spec);
    links.extend(annotation);
    links.extend(other_annotations(s));
    let server = server_links(s, object, &mut links);
    cluster_links(s, &mut links);
    if let Some(object) = object {
        links.extend(program_link(s, object));
        links.extend(network_link(s, object));
    }

    let own = links
        .iter()
        .any(|l| l.rung == Rung::Program && l.state == State::Broken);
    let missing = s.read.workload.is_some() && object.is_none();
    let ksa = ksa_principal(s);
    let wanted = wanted(&acts_as, spec);
    let mut may_be = None;
    links.extend(apis_link(s, &wanted));
    if let ActsAs::Account(email) = &wanted {
        let address = binding_address(s, spec, email);
        links.extend(account_links(s.facts, s.desired, email));
        let (binding, allowed) = binding_links(s, &ksa, email, address);
        links.extend(binding);
        may_be = Some(allowed);
    }

    let caller = if own {
        Caller::Own("the credential that it brings along".to_owned())
    } else if missing {
        Caller::Unknown
    } else {
        match &server {
            Server::Node(pool) => match node_account(s, pool.as_deref()) {
                Some(email) => Caller::Node(email),
                None => Caller::Unknown,
            },
            Server::Unknown => Caller::Unknown,
            Server::Gke => match (&acts_as, may_be) {
                (ActsAs::Itself, _) => Caller::Ksa(ksa.identity.clone()),
                (ActsAs::Account(email), Some(Some(true))) => match usable(s, email) {
                    Some(true) => Caller::Account(email.clone()),
                    Some(false) => Caller::Nobody,
                    None => Caller::Unknown,
                },
                (ActsAs::Account(_), Some(Some(false))) | (ActsAs::NoAccount, _) => Caller::Nobody,
                (ActsAs::Absent, _) => Caller::Nobody,
                _ => Caller::Unknown,
            },
        }
    };
    // Whose roles are looked at: those of whoever calls, or will once the rest is mended.
    let who = match (&caller, &wanted) {
        (Caller::Node(email), _) => Some(Who::node(email, pool_of(s, &server))),
        (Caller::Own(_), _) => None,
        (_, ActsAs::Account(email)) => Some(Who::account(email)),
        (_, ActsAs::Itself) => Some(Who::ksa(&ksa)),
        _ => None,
    };
    if matches!(caller, Caller::Node(_) | Caller::Own(_)) {
        irrelevant(&mut links);
    }
    let unsure = matches!(server, Server::Unknown) || reads_elsewhere(s) || pod_unseen(s);
    if unsure && !matches!(caller, Caller::Own(_)) {
        perhaps_irrelevant(&mut links);
    }
    let mut answer = None;
    match who {
        Some(who) => {
            let (mut more, asked) = grant_links(&Scene::of(s), &who);
            if unsure {
                perhaps_irrelevant(&mut more);
            }
            links.extend(more);
            answer = asked;
        }
        None if s.asked.is_some() => links.push(Link::new(
            Rung::Grant,
            State::Irrelevant,
            "as whom it calls is not known, so that its roles are not looked at",
        )),
        None => {}
    }
    links.sort_by_key(|l| l.rung);
    // As the account or as nobody: what the account may not do is denied either way.
    let at_best = match (&caller, &server, &acts_as) {
        (Caller::Unknown, Server::Gke, ActsAs::Account(email)) if !missing && !unsure => {
            Caller::Account(email.clone())
        }
        _ => caller.clone(),
    };
    Ladder {
        verdict: verdict(&links, answer.as_ref(), &at_best),
        caller,
        answer,
        links,
        not_evaluated: not_evaluated(),
    }
}

/// Whether a link is one of the Kubernetes service account's own identity.
fn of_identity(rung: Rung) -> bool {
    matches!(
        rung,
        Rung::ServiceAccount
            | Rung::Annotation
            | Rung::Annotations
            | Rung::WorkloadPool
            | Rung::Apis
            | Rung::Account
            | Rung::Binding
            | Rung::Deny
            | Rung::Boundary
    )
}

/// With another's identity the Kubernetes service account does not matter.
fn irrelevant(links: &mut [Link]) {
    for link in links.iter_mut().filter(|l| of_identity(l.rung)) {
        link.state = State::Irrelevant;
        link.fix = None;
    }
}

/// Where it was not seen whether it is another's, what is broken may not matter.
fn perhaps_irrelevant(links: &mut [Link]) {
    let of_roles = |r| {
        matches!(
            r,
            Rung::Grant | Rung::Role | Rung::Condition | Rung::Service
        )
    };
    for link in links.iter_mut() {
        if link.state == State::Broken && (of_identity(link.rung) || of_roles(link.rung)) {
            link.state = State::Unseen;
            link.detail.push(
                "it matters if the pod has its own identity, which could not be seen".to_owned(),
            );
        }
    }
}

/// Whether a ConfigMap that was not read may say that a container has a credential of its own.
fn reads_elsewhere(s: &Situation<'_>) -> bool {
    s.read
        .config_maps
        .values()
        .any(|m| matches!(m, Seen::Unknown(_)))
}

fn pod_unseen(s: &Situation<'_>) -> bool {
    let object = s.read.workload.as_ref().map(|w| &w.object);
    matches!(object, Some(Seen::Unknown(_)))
}

/// As whom it is to act: as the spec says, where it says. The links that follow are of that one, since they
/// are what is to be mended next.
fn wanted(acts_as: &ActsAs, spec: Option<&DesiredKsa>) -> ActsAs {
    match spec.map(|k| (&k.account, k.has_direct_grants)) {
        Some((Some(account), _)) => ActsAs::Account(account.clone()),
        Some((None, true)) => ActsAs::Itself,
        _ => acts_as.clone(),
    }
}

/// What the spec asks of this account.
fn spec_of<'a>(s: &'a Situation<'_>) -> Option<&'a DesiredKsa> {
    s.desired?
        .ksa(s.cluster_name?, &s.read.namespace, &s.read.name)
}

fn ksa_address(s: &Situation<'_>) -> Option<Address> {
    spec_of(s)?;
    let key = KsaKey {
        cluster: s.cluster_name?.to_owned(),
        namespace: KubeName::parse(&s.read.namespace).ok()?,
        name: KubeName::parse(&s.read.name).ok()?,
    };
    Some(key.address())
}

fn binding_address(
    s: &Situation<'_>,
    spec: Option<&DesiredKsa>,
    email: &Email,
) -> Option<(Address, crate::spec::model::SourceLine)> {
    let desired = s.desired?;
    let identity = &spec?.identity;
    let key = desired.bindings.iter().find(|(key, _)| {
        let on = crate::resource::Resource::ServiceAccount(email.clone());
        ((key.is_impersonation() && key.resource == on) || key.is_wide())
            && key.member == crate::names::Member::Ksa(identity.clone())
    });
    key.map(|(key, place)| (desired.binding_address(key), place.clone()))
}

/// 1 and 2: the pod or workload, and as whom it runs; 6 and 7 are of its spec, too.
fn pod_links(s: &Situation<'_>, workload: &Workload) -> Vec<Link> {
    let Workload { kind, name, .. } = workload;
    let what = format!("{kind} {}/{name}", s.read.namespace);
    let object = match &workload.object {
        Seen::Found(object) => object,
        Seen::Absent => {
            let mut link = Link::new(Rung::Pod, State::Broken, format!("there is no {what}"));
            if !workload.others.is_empty() {
                link.detail
                    .push(format!("there is {}", workload.others.join(", ")));
            }
            return vec![link];
        }
        Seen::Unknown(why) => return vec![Link::unseen(Rung::Pod, &what, why)],
    };
    let on = match object.spec.node_name.as_str() {
        "" => String::new(),
        node => format!(" on node {node}"),
    };
    let of_pod = match &object.pod {
        Some(pod) if pod != name => format!(" (pod {pod})"),
        _ => String::new(),
    };
    let phase = object.status.as_ref().map(|s| s.phase.as_str());
    let (state, does) = match phase {
        None => (State::Doubtful, "has no pod that runs".to_owned()),
        Some("Running" | "") => (State::Holds, format!("runs{on}{of_pod}")),
        Some("Pending") if on.is_empty() => (State::Broken, "is on no node yet".to_owned()),
        Some("Pending") => (State::Broken, format!("has not started{on}{of_pod}")),
        Some(phase) => (State::Doubtful, format!("is {phase}{on}{of_pod}")),
    };
    let mut links = vec![Link::new(Rung::Pod, state, format!("{what} {does}"))];
    let runs_as = object.spec.service_account();
    let mut runs = Link::new(
        Rung::ServiceAccountName,
        State::Holds,
        format!(
            "it runs as Kubernetes service account {}/{runs_as}",
            s.read.namespace
        ),
    );
    if runs_as == "default"
        && let Some(other) = declared_names(s).first()
    {
        runs.state = State::Doubtful;
        runs.detail.push(format!(
            "the spec has {} in this namespace",
            declared_names(s).join(", ")
        ));
        runs.fix = Some(Fix::Say(format!(
            "in the workload's manifest: serviceAccountName: {other}"
        )));
    }
    links.push(runs);
    if object.spec.automount_service_account_token == Some(false) {
        links.push(Link::new(
            Rung::Automount,
            State::Doubtful,
            "automountServiceAccountToken is false: no matter to Workload Identity, but programs that read the token's file find none",
        ));
    }
    links
}

/// The service accounts that the spec has in the namespace.
fn declared_names(s: &Situation<'_>) -> Vec<String> {
    let (Some(desired), Some(cluster)) = (s.desired, s.cluster_name) else {
        return Vec::new();
    };
    let of_cluster = desired.ksas_of(cluster);
    of_cluster
        .filter(|(key, _)| key.namespace.as_str() == s.read.namespace)
        .map(|(key, _)| key.name.to_string())
        .collect()
}

/// 3.
fn ksa_link(s: &Situation<'_>, spec: Option<&DesiredKsa>) -> Option<Link> {
    let what = format!(
        "Kubernetes service account {}/{}",
        s.read.namespace, s.read.name
    );
    Some(match &s.read.ksa {
        Seen::Found(_) => Link::new(Rung::ServiceAccount, State::Holds, format!("{what} exists")),
        Seen::Absent => {
            let mut link = Link::new(
                Rung::ServiceAccount,
                State::Broken,
                format!("there is no {what}"),
            );
            if !s.read.other_ksas.is_empty() {
                link.detail
                    .push(format!("there is {}", s.read.other_ksas.join(", ")));
            }
            let apply = ksa_address(s).map(|a| Fix::Apply(vec![a]));
            link.fix(apply.or_else(|| {
                Some(Fix::Run(format!(
                    "kubectl create serviceaccount {} --namespace {}",
                    s.read.name, s.read.namespace
                )))
            }))
            .source(spec.map(|k| &k.place))
        }
        Seen::Unknown(why) => Link::unseen(Rung::ServiceAccount, &what, why),
    })
}

/// 4.
fn annotation_link(s: &Situation<'_>, spec: Option<&DesiredKsa>) -> (Option<Link>, ActsAs) {
    let meta = match &s.read.ksa {
        Seen::Found(meta) => meta,
        Seen::Absent => {
            let acts_as = match spec.map(|k| &k.account) {
                Some(Some(account)) => ActsAs::Account(account.clone()),
                _ => ActsAs::Absent,
            };
            return (None, acts_as);
        }
        Seen::Unknown(_) => {
            let link = Link::new(
                Rung::Annotation,
                State::Unseen,
                "its annotation could not be seen",
            );
            return (Some(link), ActsAs::Unknown);
        }
    };
    let annotation = meta.annotations.get(GSA_ANNOTATION).map(String::as_str);
    let annotation = annotation.filter(|a| !a.is_empty());
    let wanted = spec.map(|k| k.account.as_ref());
    let apply = || {
        let existing = spec.is_some_and(|k| k.existing);
        match ksa_address(s) {
            Some(address) if !existing => Some(Fix::Apply(vec![address])),
            Some(_) => Some(Fix::Say(format!(
                "it is `existing`: correct {GSA_ANNOTATION} where it is made"
            ))),
            None => None,
        }
    };
    let broken = |title: String| {
        Link::new(Rung::Annotation, State::Broken, title)
            .fix(apply())
            .source(spec.map(|k| &k.place))
    };
    let (link, acts_as) = match (annotation, wanted) {
        (Some(text), _) if Email::parse(text).is_err() => {
            let link = broken(format!("its annotation is `{text}`, which is no account"));
            (link, ActsAs::NoAccount)
        }
        (Some(text), Some(Some(email))) if email.as_str() != text.to_ascii_lowercase() => {
            let link = broken(format!(
                "it is annotated with {text}, and the spec has {email}"
            ));
            (
                link,
                Email::parse(text).map_or(ActsAs::NoAccount, ActsAs::Account),
            )
        }
        (Some(text), Some(None)) if spec.is_some_and(|k| k.has_direct_grants) => {
            let link = broken(format!(
                "it is annotated with {text}, and the spec gives roles to itself: the annotation overrides them"
            ));
            (
                link,
                Email::parse(text).map_or(ActsAs::NoAccount, ActsAs::Account),
            )
        }
        (Some(text), _) => {
            let link = Link::new(
                Rung::Annotation,
                State::Holds,
                format!("annotation: {text}"),
            );
            let acts_as = Email::parse(text).map_or(ActsAs::NoAccount, ActsAs::Account);
            (link.source(spec.map(|k| &k.place)), acts_as)
        }
        (None, Some(Some(email))) => {
            let link = broken(format!("it has no annotation, and the spec has {email}"));
            (link, ActsAs::Itself)
        }
        (None, _) => {
            let title = "no annotation: it acts as itself";
            let link = Link::new(Rung::Annotation, State::Holds, title);
            (link, ActsAs::Itself)
        }
    };
    (Some(link), acts_as)
}

/// 5.
fn other_annotations(s: &Situation<'_>) -> Vec<Link> {
    let Seen::Found(meta) = &s.read.ksa else {
        return Vec::new();
    };
    let says = |name: &str| meta.annotations.get(name).filter(|v| !v.is_empty());
    let mut links = Vec::new();
    if let Some(project) = says("iam.gke.io/credential-quota-project") {
        links.push(Link::new(
            Rung::Annotations,
            State::Doubtful,
            format!("its calls count against the quota of {project}: the identity needs serviceusage.services.use there"),
        ));
    }
    if says("iam.gke.io/gcp-service-account-delegates").is_some() {
        links.push(Link::new(
            Rung::Annotations,
            State::Doubtful,
            "it names delegates, which only the Secret Store CSI provider honours",
        ));
    }
    links
}

/// Whether tokens of an account can be made.
fn usable(s: &Situation<'_>, email: &Email) -> Option<bool> {
    match look(&s.facts.accounts, email) {
        Look::Found(account) => Some(!account.disabled),
        Look::Absent => Some(false),
        Look::Unseen(_) => None,
    }
}

/// Whose rights on what decides: who acts as the account, the account or the Kubernetes service account
/// itself, and the node's account where the pod gets that. For who reads what the answer takes.
pub fn principals(s: &Situation<'_>) -> Vec<Principal> {
    let spec = spec_of(s);
    let (_, acts_as) = annotation_link(s, spec);
    let object = s.read.workload.as_ref().and_then(|w| w.object.found());
    let server = server_links(s, object, &mut Vec::new());
    let mut found = Vec::new();
    if let Server::Node(pool) = &server {
        found.extend(node_account(s, pool.as_deref()).map(Principal::Account));
    }
    match wanted(&acts_as, spec) {
        ActsAs::Account(email) => found.push(Principal::Account(email)),
        ActsAs::Itself => found.push(Principal::Ksa(ksa_principal(s))),
        ActsAs::NoAccount | ActsAs::Absent | ActsAs::Unknown => {}
    }
    found
}

/// The Kubernetes service account as IAM knows it.
pub fn ksa(s: &Situation<'_>) -> KsaPrincipal {
    ksa_principal(s)
}

/// The Google service account that it is to act as, if it is one.
pub fn acts_as(s: &Situation<'_>) -> Option<Email> {
    let spec = spec_of(s);
    let (_, acts_as) = annotation_link(s, spec);
    match wanted(&acts_as, spec) {
        ActsAs::Account(email) => Some(email),
        _ => None,
    }
}
