//! What logs say of identities, for people.

use std::fmt::Write;

use serde_json::{Value, json};
use wi_core::words::safe;
use wi_logs::detect::thousands;
use wi_logs::summary::{Permissions, Used};
use wi_logs::when;

use super::style::{BOLD, DIM, paint};

/// Who used what, as a table: a block a principal.
pub fn summary(used: &[Used], looked_at: &[String]) -> String {
    let mut out = String::new();
    let width = used
        .iter()
        .map(|u| u.service.chars().count())
        .max()
        .unwrap_or(0);
    let mut last = None;
    for line in used {
        if last != Some(&line.who) {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{}", paint(BOLD, safe(&line.who)));
            last = Some(&line.who);
        }
        let stat = &line.stat;
        let denied = match stat.denied {
            0 => String::new(),
            n => format!("  {} denied", thousands(n)),
        };
        let _ = writeln!(
            out,
            "  {:<width$}  {:<5}  {:>9}  {} to {}{denied}",
            safe(&line.service),
            line.class.word(),
            thousands(stat.calls),
            when::date(when::day_of(stat.first)),
            when::date(when::day_of(stat.last)),
        );
    }
    let _ = writeln!(out, "{}", paint(DIM, safe(&looked_at.join("; "))));
    out
}

/// The same for programs.
pub fn summary_json(used: &[Used], looked_at: &[String]) -> String {
    let all: Vec<Value> = used
        .iter()
        .map(|line| {
            json!({
                "principal": line.who,
                "service": line.service,
                "class": line.class.word(),
                "calls": line.stat.calls,
                "denied": line.stat.denied,
                "first": when::rfc3339(line.stat.first),
                "last": when::rfc3339(line.stat.last),
            })
        })
        .collect();
    let root = json!({ "format_version": "1.0", "used": all, "looked_at": looked_at });
    super::json::document(&root)
}

/// The permissions that somebody used.
pub fn permissions(found: &Permissions, unseen: &[String]) -> String {
    let mut out = String::new();
    let who: Vec<String> = found.who.iter().map(|w| safe(w)).collect();
    let _ = writeln!(out, "{}", paint(BOLD, who.join(", ")));
    let width = found
        .used
        .keys()
        .map(|p| p.chars().count())
        .max()
        .unwrap_or(0);
    for (name, used) in &found.used {
        let stat = &used.stat;
        let granted = stat.calls - stat.denied;
        let times = match (granted, stat.denied) {
            (0, denied) => format!("denied {}", thousands(denied)),
            (granted, 0) => thousands(granted),
            (granted, denied) => format!("{}, denied {}", thousands(granted), thousands(denied)),
        };
        let last = when::date(when::day_of(stat.last));
        let _ = writeln!(out, "  {:<width$}  {times:>9}  last {last}", safe(name));
        for resource in used.resources.iter().filter(|r| !r.is_empty()) {
            let _ = writeln!(out, "    {}", paint(DIM, safe(resource)));
        }
        if used.is_more {
            let _ = writeln!(out, "    {}", paint(DIM, "and more"));
        }
    }
    if found.used.is_empty() {
        out.push_str("  no permission was seen in use\n");
    }
    let _ = writeln!(out, "{} of it.", counted_entries(found.counts.entries));
    for (service, _) in found.services.iter().filter(|(_, reads)| !**reads) {
        let _ = writeln!(
            out,
            "Of {} only changes were seen: its reads are in no log unless DATA_READ is on.",
            safe(service)
        );
    }
    for service in unseen {
        let _ = writeln!(
            out,
            "Of {}, which its roles are for, no entry was seen: it is not used, or not logged. Keep what it needs until that is known.",
            safe(service)
        );
    }
    out
}

fn counted_entries(count: u64) -> String {
    match count {
        1 => "1 entry".to_owned(),
        n => format!("{} entries", thousands(n)),
    }
}

/// The same for programs.
pub fn permissions_json(found: &Permissions, unseen: &[String]) -> String {
    let used: Vec<Value> = found
        .used
        .iter()
        .map(|(name, used)| {
            json!({
                "permission": name,
                "calls": used.stat.calls,
                "denied": used.stat.denied,
                "first": when::rfc3339(used.stat.first),
                "last": when::rfc3339(used.stat.last),
                "services": used.services,
                "resources": used.resources,
                "more_resources": used.is_more,
            })
        })
        .collect();
    let only_changes = found.services.iter().filter(|(_, reads)| !**reads);
    let root = json!({
        "format_version": "1.0",
        "principals": found.who,
        "permissions": used,
        "reads_not_logged": only_changes.map(|(s, _)| s).collect::<Vec<_>>(),
        "not_seen": unseen,
    });
    super::json::document(&root)
}
