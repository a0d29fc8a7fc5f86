//! What moving a node pool means for the workloads on it, as the plan shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use wi_core::plan::{
    HeldBack, HoldReason, IdentityEffect, Impact, NodeRoles, Restart, Users, Workload,
};
use wi_core::words::safe;

use super::style::{BOLD, DIM, GREEN, RED, YELLOW, paint};
use super::wrap::{block, wrap};

/// So many workloads of one fate are named; those that lose something are all named.
const NAMED: usize = 10;

/// Of an account that workloads get, and that has nothing: what of the node's they lose.
pub(super) fn without_roles(impact: &Impact) -> String {
    let lost: BTreeSet<&str> = match &impact.node_roles {
        NodeRoles::Known(held) => held.iter().map(|(role, _)| role.as_str()).collect(),
        NodeRoles::Unknown(_) => BTreeSet::new(),
    };
    let lost: Vec<String> = lost.into_iter().map(safe).collect();
    format!(
        "It holds no role on its project, nor on what the spec grants on: these lose {}",
        lost.join(", ")
    )
}

/// The rows below a node pool that is moved.
pub(super) fn table(impact: &Impact, width: usize, out: &mut String) {
    let mut lines = |text: &str, style| {
        for line in wrap(text, width.saturating_sub(6)) {
            let _ = writeln!(out, "      {}", paint(style, line));
        }
    };
    if !impact.workloads.is_empty() {
        let head = format!(
            "Workloads on its nodes, until now as {}:",
            safe(&impact.node_account)
        );
        lines(&head, BOLD);
        if impact
            .workloads
            .keys()
            .any(|f| !matches!(f, IdentityEffect::Keeps(_)))
        {
            lines(&roles("That account", impact), DIM);
        }
    }
    if !impact.budgets.is_empty() {
        lines(&budgets(impact), YELLOW);
    }
    for (fate, workloads) in &impact.workloads {
        let (sign, words) = in_words(fate);
        let _ = writeln!(out, "      {sign} {words}");
        if let IdentityEffect::Gets(identity) = fate
            && impact.without_roles.contains(identity)
        {
            let note = without_roles(impact);
            for line in wrap(&note, width.saturating_sub(10)) {
                let _ = writeln!(out, "          {}", paint(YELLOW, line));
            }
        }
        rows(fate, workloads, out);
    }
}

fn in_words(fate: &IdentityEffect) -> (String, String) {
    match fate {
        IdentityEffect::Loses(why) if why.is_empty() => (paint(RED, "-"), "as nobody:".to_owned()),
        IdentityEffect::Loses(why) => (paint(RED, "-"), format!("as nobody ({}):", safe(why))),
        IdentityEffect::LosesAccepted => {
            (paint(RED, "-"), "as nobody, which is accepted:".to_owned())
        }
        IdentityEffect::Gets(identity) => (paint(GREEN, "+"), format!("as {}:", safe(identity))),
        IdentityEffect::Keeps(what) => (" ".to_owned(), format!("as before, by {}:", safe(what))),
    }
}

fn rows(fate: &IdentityEffect, workloads: &BTreeSet<Workload>, out: &mut String) {
    let named = match fate {
        IdentityEffect::Loses(_) | IdentityEffect::LosesAccepted => workloads.len(),
        _ => NAMED,
    };
    for w in workloads.iter().take(named) {
        let _ = writeln!(out, "          {}", workload(w));
    }
    if workloads.len() > named {
        let _ = writeln!(out, "          … and {} more", workloads.len() - named);
    }
}

pub(super) fn workload(w: &Workload) -> String {
    format!(
        "{} {}/{} (service account {})",
        safe(&w.kind),
        safe(&w.namespace),
        safe(&w.name),
        safe(&w.service_account)
    )
}

/// What the node's account may do; `who` begins the sentence.
fn roles(who: &str, impact: &Impact) -> String {
    match &impact.node_roles {
        NodeRoles::Unknown(why) => {
            format!("Which roles {who} holds is not known: {}.", safe(why))
        }
        NodeRoles::Known(held) if held.is_empty() => {
            format!("{who} holds no role on its project, nor on what the spec grants on.")
        }
        NodeRoles::Known(held) => {
            let held: Vec<String> = held
                .iter()
                .map(|(role, resource)| safe(&format!("{role} on {resource}")))
                .collect();
            format!("{who} holds {}.", held.join(", "))
        }
    }
}

fn budgets(impact: &Impact) -> String {
    let names: Vec<String> = impact.budgets.iter().map(|b| safe(b)).collect();
    format!(
        "PodDisruptionBudgets that never admit an eviction: {}. GKE waits up to an hour for each node with such pods, and then evicts them.",
        names.join(", ")
    )
}

/// Why something stays as it is; of a node pool the lines that would let it be moved.
pub(super) fn held_back(held: &HeldBack, impact: Option<&Impact>, width: usize, out: &mut String) {
    let mut text = format!("{} is held back: it stays as it is.\n", safe(&held.address));
    match (&held.why, impact) {
        (HoldReason::Unread, _) => text.push_str(
            "Its pods could not be read, so that who would lose the node's identity is not known.",
        ),
        (HoldReason::RestsOn(unread), _) => {
            let _ = write!(text, "What its pods are to have rests on {}.", safe(unread));
        }
        (HoldReason::Exclusion { name, until }, _) => {
            let _ = write!(
                text,
                "Its cluster is not to be maintained before {} (maintenance exclusion {}). Apply again then, or pass --ignore-maintenance-exclusions.",
                safe(until),
                safe(name)
            );
        }
        (HoldReason::InUse(by), _) => {
            let _ = write!(text, "The spec does not ask for it, but {}.", safe(by));
        }
        (HoldReason::Users(users), _) => others(users, &mut text),
        (HoldReason::Keys { why, .. }, _) => {
            for line in why {
                let _ = write!(text, "\n- {}", safe(line));
            }
        }
        (HoldReason::Loss, None) => {}
        (HoldReason::Loss, Some(impact)) => loss(impact, &mut text),
    }
    block("Warning", YELLOW, &text, width, out);
}

fn loss(impact: &Impact, text: &mut String) {
    let _ = writeln!(
        text,
        "Moved to the GKE metadata server, workloads on it would silently lose the identity of {}:",
        safe(&impact.node_account)
    );
    for (fate, workloads) in &impact.workloads {
        let IdentityEffect::Loses(why) = fate else {
            continue;
        };
        for w in workloads {
            let why = match why.as_str() {
                "" => String::new(),
                why => format!(": {}", safe(why)),
            };
            let _ = write!(text, "\n- {}{why}", workload(w));
        }
    }
    let _ = write!(text, "\n\n{}", roles("That account", impact));
    match impact.give_identity.as_str() {
        "" => text.push_str(
            "\n\nThe spec gives their service accounts an identity, which does not count yet: what it lacks is said there or in a warning. See to that, and plan again.\n",
        ),
        lines => {
            let _ = write!(
                text,
                "\n\nGive their service accounts an identity:\n\n{}",
                indented(lines)
            );
        }
    }
    let _ = write!(
        text,
        "\nOr, if they need none, accept that (or pass --accept-loss):\n\n{}",
        indented(&impact.accept_loss)
    );
}

/// Others who may act as an account of the spec.
fn others(users: &Users, text: &mut String) {
    let account = safe(users.account.as_str());
    if users.leaves {
        let _ = writeln!(
            text,
            "{account} left the spec, and others may act as it. It keeps what it has."
        );
    } else {
        let _ = writeln!(
            text,
            "It lets others act as {account}, whom the spec does not name."
        );
    }
    for user in &users.seen {
        let _ = write!(text, "\n- used by {}", safe(&user.to_string()));
    }
    for why in &users.unseen {
        let _ = write!(text, "\n- whether it is used cannot be seen: {}", safe(why));
    }
    if !users.declare.is_empty() {
        let _ = write!(
            text,
            "\n\nIf that is right, declare it:\n\n{}",
            indented(&users.declare)
        );
    }
    let or = if users.declare.is_empty() {
        "If"
    } else {
        "\nOr, if"
    };
    let before = if users.declare.is_empty() { "\n\n" } else { "" };
    if users.accept_loss.is_empty() {
        let _ = write!(text, "{before}{or} it is to go, pass --accept-loss.");
    } else {
        let _ = write!(
            text,
            "{before}{or} it is to go, accept that (or pass --accept-loss):\n\n{}",
            indented(&users.accept_loss)
        );
    }
}

fn indented(yaml: &str) -> String {
    yaml.lines().map(|l| format!("    {}\n", safe(l))).collect()
}

/// What is to be restarted so that it sees its new identity for sure.
pub(super) fn restarts(restarts: &[Restart], width: usize, out: &mut String) {
    if restarts.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "{}",
        paint(BOLD, "To restart afterwards, for their new identity:")
    );
    let why = "Their pods run already, and may use a token of the former identity until it expires, within an hour.";
    for line in wrap(why, width.saturating_sub(2)) {
        let _ = writeln!(out, "  {}", paint(DIM, line));
    }
    let mut in_cluster: BTreeMap<&str, Vec<&Workload>> = BTreeMap::new();
    for restart in restarts {
        in_cluster
            .entry(&restart.cluster)
            .or_default()
            .push(&restart.workload);
    }
    for (cluster, workloads) in in_cluster {
        let _ = writeln!(out, "  in cluster.{}:", safe(cluster));
        for w in workloads {
            let _ = writeln!(out, "    {}", workload(w));
        }
    }
    out.push('\n');
}
