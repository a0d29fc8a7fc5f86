//! What becomes of a pod, by what becomes of its containers.

use super::IdentityEffect;
use crate::access::{ContainerIdentity, ContainerKind, Credential, Doubt, Identity, WhyNot};

/// Of a pod on the GKE metadata server; `declared`: what that gives, the spec says.
pub(super) fn of(containers: &[ContainerIdentity<'_>], declared: bool) -> IdentityEffect {
    if containers.iter().any(|c| is_on_the_node(&c.identity)) {
        return IdentityEffect::Keeps("the host's network".into());
    }
    let is_own = |c: &ContainerIdentity<'_>| matches!(c.identity, Identity::Own(_));
    if !containers.is_empty() && containers.iter().all(is_own) {
        return IdentityEffect::Keeps("a credentials file of its own".into());
    }
    let asks = |c: &&ContainerIdentity<'_>| match &c.identity {
        Identity::Unclear(_, otherwise) => gets(otherwise).is_none(),
        identity => !is_own(c) && gets(identity).is_none(),
    };
    if let Some(one) = containers.iter().find(asks) {
        return IdentityEffect::Loses(words(containers, one, declared));
    }
    let identity = containers.iter().find_map(|c| match &c.identity {
        Identity::Unclear(_, otherwise) => gets(otherwise),
        identity => gets(identity),
    });
    match identity {
        Some(identity) => IdentityEffect::Gets(identity),
        None => IdentityEffect::Keeps("a credentials file of its own".into()),
    }
}

fn is_on_the_node(identity: &Identity) -> bool {
    match identity {
        Identity::Node => true,
        Identity::Unclear(_, otherwise) => is_on_the_node(otherwise),
        _ => false,
    }
}

fn gets(identity: &Identity) -> Option<String> {
    match identity {
        Identity::Account(email) => Some(email.to_string()),
        Identity::Principal(ksa) => Some(ksa.to_string()),
        _ => None,
    }
}

/// HoldReason one of the containers is nobody, or may be.
fn words(
    containers: &[ContainerIdentity<'_>],
    one: &ContainerIdentity<'_>,
    declared: bool,
) -> String {
    let given = match &one.identity {
        Identity::Unclear(_, otherwise) => why(otherwise, declared),
        identity => why(identity, declared),
    };
    let container = of_containers(containers, one);
    match (container, given) {
        (Some(container), Some(given)) => format!("{container}; {given}"),
        (Some(text), None) | (None, Some(text)) => text,
        (None, None) => String::new(),
    }
}

/// HoldReason the metadata server gives nothing, where it is not simply that nobody gave anything.
fn why(identity: &Identity, declared: bool) -> Option<String> {
    match identity {
        Identity::Nobody(WhyNot::NoRoles) if declared => {
            Some("the spec gives its service account no role".to_owned())
        }
        Identity::Nobody(WhyNot::NoRoles) => None,
        Identity::Nobody(why) | Identity::Unseen(why) => Some(why.to_string()),
        _ => None,
    }
}

/// What its containers have to do with it: one without a credential beside others that have one, or one
/// of which that is not known.
fn of_containers(
    containers: &[ContainerIdentity<'_>],
    one: &ContainerIdentity<'_>,
) -> Option<String> {
    let without = containers
        .iter()
        .find(|c| matches!(c.credential, Credential::None | Credential::Ignored { .. }));
    match without {
        Some(c) => match c.credential {
            Credential::Ignored { by } => Some(format!(
                "{} runs gcloud or gsutil, which do not read {by}",
                named(c)
            )),
            _ if containers.iter().any(|c| has_some(&c.credential)) => Some(format!(
                "only some of its containers have a credentials file of their own, {} has none",
                named(c)
            )),
            _ => None,
        },
        None => match &one.credential {
            Credential::Unclear(doubt) => Some(format!(
                "whether {} has a credential of its own is not known: {doubt}",
                named(one)
            )),
            _ => None,
        },
    }
}

fn has_some(credential: &Credential) -> bool {
    match credential {
        Credential::Own(_) => true,
        Credential::Unclear(doubt) => !matches!(
            doubt,
            Doubt::InSecret { by: None, .. } | Doubt::InConfigMap { by: None, .. }
        ),
        Credential::None | Credential::Ignored { .. } => false,
    }
}

fn named(c: &ContainerIdentity<'_>) -> String {
    let kind = match c.kind {
        ContainerKind::Main => "container",
        ContainerKind::Init => "init container",
        ContainerKind::Sidecar => "sidecar",
        ContainerKind::Ephemeral => "ephemeral container",
    };
    format!("{kind} {}", c.name)
}
