//! What rules found, with what the user accepted.

use jiff::civil::Date;
use wi_audit::{ALL, Audit, Audited, Stale, World, audit};
use wi_core::findings::accepted::{self, Entry, Form};
use wi_core::findings::{Findings, NotSeen};

/// The file of accepted findings.
pub fn form() -> Form {
    Form {
        api_version: "wi.audit/v1",
        rules: wi_audit::rules::rows(),
    }
}

/// The rules that tell of the file itself.
const OF_THE_FILE: [&str; 2] = ["WI904", "WI905"];

/// Asks the rules, and marks what is accepted. What an entry says of a rule that was not asked, or could not look at
/// all, is left alone: it may fit what was not seen.
pub fn judged(
    world: &mut World,
    rules: &[&'static Audited],
    entries: Option<(&[Entry], &str)>,
    today: Date,
) -> (Findings, Audit) {
    let (of_file, others): (Vec<&'static Audited>, Vec<_>) = rules
        .iter()
        .copied()
        .partition(|r| OF_THE_FILE.contains(&r.id()));
    let mut audited = audit(world, &others);
    let mut findings = Findings {
        command: "audit",
        rules: wi_audit::rules::rows(),
        all: std::mem::take(&mut audited.findings),
        not_seen: std::mem::take(&mut audited.not_seen),
        ..Findings::default()
    };
    findings.sort();
    if let Some((entries, file)) = entries {
        let stale = accepted::accept(&mut findings, entries, today).into_iter();
        let was_asked = |id: &str| {
            others.iter().any(|r| r.id() == id)
                && !audited.unchecked.contains(id)
                && !audited.left_out.contains(&id)
        };
        world.stale = stale
            .filter(|s| was_asked(&s.names[0]) || s.ended.is_some())
            .map(|s| Stale {
                file: file.to_owned(),
                line: u32::try_from(s.line).unwrap_or(u32::MAX),
                told: s.told(),
                ended: s.ended.is_some(),
                names: s.names,
            })
            .collect();
    }
    let mut of_file = audit(world, &of_file);
    audited.checked += of_file.checked;
    findings.all.append(&mut of_file.findings);
    findings.sort();
    if !audited.left_out.is_empty() {
        let all = audited.left_out.len();
        findings.out_of_reach.push(format!(
            "what is live, which {all} of the {} rules are about (without --offline)",
            ALL.len()
        ));
    }
    findings.not_seen.extend(unlisted(world));
    (findings, audited)
}

/// Where clusters could not be looked for.
fn unlisted(world: &World) -> Vec<NotSeen> {
    let live = world.live.iter();
    live.flat_map(|l| &l.more_clusters)
        .map(|(project, why)| NotSeen {
            what: format!("all clusters of project/{project}"),
            why: why.clone(),
        })
        .collect()
}
