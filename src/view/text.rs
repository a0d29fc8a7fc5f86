//! A plan as Terraform's users expect to read it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use wi_core::address::Address;
use wi_core::plan::{AccessChange, Action, Attribute, Change, Plan};
use wi_core::words::{counted, duration, safe};

use super::cause::together;
use super::impact;
use super::style::{BOLD, DIM, GREEN, RED, YELLOW, paint, symbol};
use super::wrap::{block, wrap};

/// So many clusters of a row are named.
const NAMED: usize = 8;

/// Names of attributes are padded up to so many columns.
const WIDEST_NAME: usize = 80;

/// So many clusters with the same change are one row.
const SAME: usize = 4;

/// Changes that are the same but for their clusters.
struct Row<'a> {
    address: &'a Address,
    change: &'a Change,
    clusters: Vec<&'a str>,
    attributes: Vec<Attribute>,
    impact: String,
}

/// What changes have in common that are the same but for their clusters.
type Sameness<'a> = (u8, Action, Address, Vec<Attribute>, &'a [String], String);

/// One row for each change; those that are the same in several clusters together, unless `expand`.
fn rows(plan: &Plan, width: usize, expand: bool) -> Vec<Row<'_>> {
    let mut rows: Vec<Row> = Vec::with_capacity(plan.changes.len());
    let mut same: HashMap<Sameness, usize> = HashMap::new();
    let mut all: Vec<(&Address, &Change)> = plan.changes.iter().collect();
    all.sort_by_key(|(address, change)| (change.edit.rank(), *address));
    for (address, change) in all {
        let mut impact = String::new();
        if let Some(found) = plan.impact.get(address).filter(|i| !i.workloads.is_empty()) {
            impact.push('\n');
            impact::table(found, width, &mut impact);
        }
        let cluster = change.cluster();
        let row = Row {
            address,
            change,
            clusters: cluster.into_iter().collect(),
            attributes: change.edit.attributes(&plan.owner),
            impact: impact.clone(),
        };
        let Some(cluster) = cluster.filter(|_| !expand) else {
            rows.push(row);
            continue;
        };
        let key = (
            change.edit.rank(),
            change.action(),
            address.in_cluster("*"),
            row.attributes.clone(),
            change.notes.as_slice(),
            impact,
        );
        match same.get(&key) {
            Some(first) => rows[*first].clusters.push(cluster),
            None => {
                same.insert(key, rows.len());
                rows.push(row);
            }
        }
    }
    // A few are clearer by themselves.
    if rows.iter().any(|r| (2..SAME).contains(&r.clusters.len())) {
        let few: BTreeMap<Address, ()> = rows
            .iter()
            .filter(|r| (2..SAME).contains(&r.clusters.len()))
            .flat_map(|r| r.clusters.iter().map(|c| r.address.in_cluster(c)))
            .map(|address| (address, ()))
            .collect();
        let mut apart = Vec::with_capacity(rows.len() + few.len());
        for row in rows {
            if !(2..SAME).contains(&row.clusters.len()) {
                apart.push(row);
                continue;
            }
            for cluster in &row.clusters {
                let address = row.address.in_cluster(cluster);
                if let Some((address, change)) = plan.changes.get_key_value(&address) {
                    apart.push(Row {
                        address,
                        change,
                        clusters: vec![*cluster],
                        attributes: change.edit.attributes(&plan.owner),
                        impact: row.impact.clone(),
                    });
                }
            }
        }
        apart.sort_by_key(|r| (r.change.edit.rank(), r.address));
        return apart;
    }
    rows
}

/// The whole plan, with colours. `width` is the terminal's, in columns. `expand`: every change has its
/// own row.
pub fn plan(plan: &Plan, width: usize, expand: bool) -> String {
    let mut out = String::new();
    if !plan.changes.is_empty() {
        legend(plan, &mut out);
        let mut grouped = false;
        for row in rows(plan, width, expand) {
            grouped |= row.clusters.len() > 1;
            resource(&row, &mut out, width);
            out.push_str(&row.impact);
            out.push('\n');
        }
        if grouped {
            let note =
                "Changes that are the same in several clusters are one row: --expand shows each.";
            let _ = writeln!(out, "{}\n", paint(DIM, note));
        }
        access(&plan.access(), &mut out);
    }
    impact::restarts(&plan.restarts, width, &mut out);
    for held in &plan.held_back {
        impact::held_back(held, plan.impact.get(&held.address), width, &mut out);
    }
    for warning in &plan.warnings {
        block("Warning", YELLOW, &safe(warning), width, &mut out);
    }
    for note in &plan.notes {
        let lines = wrap(&format!("Note: {}", safe(note)), width);
        let _ = writeln!(out, "{}\n", paint(DIM, lines.join("\n")));
    }
    if !plan.unseen.is_empty() {
        let mut text = String::from(
            "The plan is incomplete: not all could be read, and what was not seen is not taken for absent.\n",
        );
        for unseen in together(&plan.unseen, |u| u.why.cause()) {
            let (what, why) = (safe(&unseen[0].what), safe(&unseen[0].why));
            let _ = write!(text, "\n- {what}: {why}");
            if unseen.len() > 1 {
                let others: Vec<String> = unseen[1..].iter().map(|u| safe(&u.what)).collect();
                let _ = write!(text, "\n- for the same reason: {}", others.join(", "));
            }
        }
        block("Warning", YELLOW, &text, width, &mut out);
    }
    if plan.left_out > 0 {
        let flags: Vec<String> = plan.left_out_by.iter().map(|flag| safe(flag)).collect();
        let (flags, leaves) = match flags.len() {
            0 => ("What was chosen".to_owned(), "leaves"),
            n => (flags.join(" and "), if n == 1 { "leaves" } else { "leave" }),
        };
        let text = format!(
            "{flags} {leaves} out {}: this is not the whole plan.",
            counted(plan.left_out, "other change")
        );
        block("Warning", YELLOW, &text, width, &mut out);
    }
    for errors in together(&plan.errors, |e| e.message.as_str()) {
        let mut text = String::new();
        for error in &errors {
            let place = error.place.as_ref();
            let place = place.map(|p| format!(" ({p})")).unwrap_or_default();
            let _ = writeln!(text, "{}{}", safe(&error.subject.to_string()), safe(&place));
        }
        text.push_str(&safe(&errors[0].message));
        block("Error", RED, &text, width, &mut out);
    }
    waves(plan, &mut out);
    summary(plan, &mut out);
    out
}

/// In which order clusters are changed.
fn waves(plan: &Plan, out: &mut String) {
    let Some(waves) = plan.waves.as_ref().filter(|_| !plan.is_empty()) else {
        return;
    };
    let _ = writeln!(out, "{}", paint(BOLD, "Rollout, wave after wave:"));
    for (index, wave) in waves.waves.iter().enumerate() {
        if waves.only.as_ref().is_some_and(|o| !o.contains(&index)) {
            let _ = writeln!(
                out,
                "  {}. {}: not in this plan",
                index + 1,
                safe(&wave.name)
            );
            continue;
        }
        let changes = plan.changes.values().filter(|c| c.wave == index).count();
        let clusters = waves.size(index);
        let at_a_time = wave.max_parallel.of(clusters);
        let mut then = Vec::new();
        if wave.verify {
            then.push("verified".to_owned());
        }
        if !wave.soak.is_zero() {
            then.push(format!("soaks for {}", duration(wave.soak)));
        }
        if wave.manual {
            then.push("waits for approval".to_owned());
        }
        let then = match then.is_empty() {
            true => String::new(),
            false => format!("; then {}", then.join(", ")),
        };
        let _ = writeln!(
            out,
            "  {}. {}: {}, {at_a_time} at a time, {}{then}",
            index + 1,
            safe(&wave.name),
            counted(clusters, "cluster"),
            counted(changes, "change"),
        );
    }
    out.push('\n');
}

fn legend(plan: &Plan, out: &mut String) {
    out.push_str("wi will perform the following actions. Symbols:\n");
    let counts = plan.counts();
    for (count, action, text) in [
        (counts.add, Action::Create, "create"),
        (counts.change, Action::Update, "update in-place"),
        (counts.destroy, Action::Delete, "destroy"),
    ] {
        if count > 0 {
            let _ = writeln!(out, "  {} {text}", symbol(action));
        }
    }
    out.push('\n');
}

fn resource(row: &Row<'_>, out: &mut String, width: usize) {
    let change = row.change;
    let several = row.clusters.len() > 1;
    let address = if several {
        row.address.in_cluster("*")
    } else {
        row.address.clone()
    };
    let count = if several {
        format!(" in {} clusters", row.clusters.len())
    } else {
        String::new()
    };
    let _ = writeln!(
        out,
        "  {}",
        paint(
            BOLD,
            format!("# {} {}{count}", safe(&address), change.edit.verb())
        )
    );
    if several {
        let names: Vec<String> = row.clusters.iter().take(NAMED).map(|c| safe(c)).collect();
        let more = match row.clusters.len().saturating_sub(NAMED) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let list = format!("in {}{more}", names.join(", "));
        for line in wrap(&list, width.saturating_sub(4)) {
            let _ = writeln!(out, "  {}", paint(DIM, format!("# {line}")));
        }
    }
    for note in &change.notes {
        for line in wrap(&format!("({})", safe(note)), width.saturating_sub(4)) {
            let _ = writeln!(out, "  {}", paint(DIM, format!("# {line}")));
        }
    }
    let sign = symbol(change.action());
    let _ = writeln!(out, "  {sign} {}", paint(BOLD, safe(&address)));
    let pad = row
        .attributes
        .iter()
        .map(|a| a.name.len())
        .max()
        .unwrap_or(0)
        .min(WIDEST_NAME);
    for attribute in &row.attributes {
        let _ = writeln!(out, "      {}", attribute_row(attribute, pad));
    }
    if let Some(place) = change.place.as_ref().filter(|_| !several) {
        let _ = writeln!(
            out,
            "      {}",
            paint(DIM, format!("# {}", safe(&place.to_string())))
        );
    }
}

fn attribute_row(attribute: &Attribute, pad: usize) -> String {
    let name = format!("{:pad$}", safe(&attribute.name));
    match (&attribute.before, &attribute.after) {
        (Some(b), Some(a)) if b == a => format!("  {name} = {}", safe(a)),
        (Some(b), Some(a)) => format!(
            "{} {name} = {} -> {}",
            symbol(Action::Update),
            safe(b),
            safe(a)
        ),
        (None, Some(a)) => format!("{} {name} = {}", symbol(Action::Create), safe(a)),
        (Some(b), None) => format!("{} {name} = {}", symbol(Action::Delete), safe(b)),
        (None, None) => format!("  {name}"),
    }
}

/// By principal, so that each one's gains and losses are read together.
fn access(rows: &[AccessChange], out: &mut String) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "{}", paint(BOLD, "Who gains and who loses access:"));
    let mut of_principal: BTreeMap<String, Vec<&AccessChange>> = BTreeMap::new();
    for row in rows {
        let principal = row.principal.to_string();
        of_principal.entry(principal).or_default().push(row);
    }
    for (principal, rows) in of_principal {
        let clusters = match rows.iter().map(|r| r.clusters).max().unwrap_or(0) {
            0 | 1 => String::new(),
            n => paint(DIM, format!("  (in {n} clusters at once)")),
        };
        let _ = writeln!(out, "  {}{clusters}", safe(&principal));
        for row in rows
            .iter()
            .filter(|r| r.gains)
            .chain(rows.iter().filter(|r| !r.gains))
        {
            let sign = if row.gains {
                paint(GREEN, "+ gains")
            } else {
                paint(RED, "- loses")
            };
            let _ = writeln!(
                out,
                "    {sign} {} {}",
                safe(&row.right.what()),
                safe(&row.right.on_what())
            );
        }
    }
    out.push('\n');
}

fn summary(plan: &Plan, out: &mut String) {
    if plan.is_empty() {
        let text = if !plan.errors.is_empty() {
            "Nothing is planned until the errors above are fixed.".to_owned()
        } else if plan.left_out > 0 {
            format!(
                "No changes to what was chosen; {} {} left out.",
                counted(plan.left_out, "other change"),
                if plan.left_out == 1 { "is" } else { "are" }
            )
        } else if plan.is_whole() {
            "No changes. Your infrastructure matches the configuration.".to_owned()
        } else {
            "No changes to what could be planned; see above for the rest.".to_owned()
        };
        let _ = writeln!(out, "{}", paint(BOLD, text));
        return;
    }
    let counts = plan.counts();
    let held = match plan.waiting() {
        0 => String::new(),
        n => format!(" {n} held back."),
    };
    let _ = writeln!(
        out,
        "{} {} to add, {} to change, {} to destroy.{held}",
        paint(BOLD, "Plan:"),
        counts.add,
        counts.change,
        counts.destroy
    );
}
