//! A plan as a comment on a pull request, in the Markdown of GitHub and GitLab: the verdict first,
//! then what can do harm, then who gains and loses what, then all changes, folded by cluster.

pub(super) mod escape;
mod fit;
mod sections;

use std::fmt::Write;

use escape::{code, fence, html};
use fit::{Section, fit};
use sections::{
    access, by_cluster, details, errors, held_back, node_pools, restarts, unread, warnings,
};
use wi_core::plan::{Plan, Risks};
use wi_core::words::safe;

/// How many bytes a comment may have: GitHub takes 65,536 characters, and a marker comes on top.
pub const COMMENT: u32 = 60_000;

/// How many bytes a step's summary may have: GitHub takes 1 MiB.
pub const SUMMARY: u32 = 1_000_000;

/// What the comment is about, besides the plan.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// Which of a repository's specs: its directory.
    pub root: Option<String>,
    /// The commit.
    pub sha: Option<String>,
    /// Where the whole of it can be read.
    pub run_url: Option<String>,
    /// What is typed to plan this anew and carry it out.
    pub apply: Option<String>,
}

impl About {
    fn title(&self, verdict: &str) -> String {
        let mut out = String::from("### wi plan");
        if let Some(root) = &self.root {
            let _ = write!(out, " · {}", code(root));
        }
        let _ = write!(out, " · {verdict}");
        if let Some(sha) = &self.sha {
            let short: String = sha.chars().take(7).collect();
            let _ = write!(out, " (commit {})", code(&short));
        }
        out.push_str("\n\n");
        out
    }

    fn run(&self) -> Option<String> {
        // A link's target is the only text here that is not code.
        let url = self.run_url.as_ref()?;
        let plain = url.starts_with("https://") || url.starts_with("http://");
        let harmless = |c: char| c.is_ascii_alphanumeric() || ":/._-?=&%~#".contains(c);
        (plain && url.chars().all(harmless)).then(|| url.clone())
    }

    fn see(&self) -> &'static str {
        if self.run().is_some() {
            ": see the run"
        } else {
            ""
        }
    }

    fn footer(&self, hash: Option<&str>) -> String {
        let mut parts = Vec::new();
        if let Some(hash) = hash {
            let apply = self.apply.as_deref().unwrap_or_default();
            // What is long is cut: not the hash.
            let rest = apply.strip_prefix("wi apply").unwrap_or_default();
            let apply = html(&format!("wi apply --expect-plan-hash {hash}{rest}"));
            parts.push(format!("To apply just this: {apply}"));
        }
        if let Some(url) = self.run() {
            parts.push(format!("<a href=\"{url}\">the run</a>"));
        }
        parts.push(format!("wi {}", env!("CARGO_PKG_VERSION")));
        format!("<sub>{}</sub>\n", parts.join(" · "))
    }
}

/// A plan and its hash in at most `max` bytes.
pub fn plan(plan: &Plan, hash: &str, about: &About, max: u32) -> String {
    let risks = plan.risks();
    let mut sections = vec![Section::fixed(about.title(&verdict(plan, &risks)))];
    sections.extend(callout(plan, &risks).map(Section::fixed));
    sections.push(errors(plan));
    sections.push(by_cluster(plan, about));
    sections.push(node_pools(plan, about));
    sections.extend(access(plan, about));
    sections.push(held_back(plan, about));
    sections.push(unread(plan));
    sections.push(details(plan, about));
    sections.push(warnings(plan));
    sections.push(restarts(plan));
    let hash = (!plan.is_empty() && plan.errors.is_empty()).then_some(hash);
    sections.push(Section::fixed(about.footer(hash)));
    fit(&sections, max as usize).0
}

/// A plan that could not be made, in at most `max` bytes: the end of what it printed.
pub fn failure(log: &str, about: &About, max: u32) -> String {
    let lines: Vec<String> = plain(log).lines().map(safe).collect();
    let fence = fence(lines.iter().map(String::as_str));
    // The end says what went wrong, so rows are left out at the beginning.
    let title = about.title("❌ the plan failed");
    let footer = about.footer(None);
    let around = title.len() + footer.len() + 2 * fence.len() + 120;
    let mut room = (max as usize).saturating_sub(around);
    let kept = lines
        .iter()
        .rev()
        .take_while(|line| match room.checked_sub(line.len() + 1) {
            Some(rest) => {
                room = rest;
                true
            }
            None => false,
        })
        .count();
    let mut out = title;
    if kept < lines.len() {
        let left = lines.len() - kept;
        let _ = writeln!(out, "… {left} earlier lines left out{}\n", about.see());
    }
    let _ = writeln!(out, "{fence}text");
    for line in &lines[lines.len() - kept..] {
        let _ = writeln!(out, "{line}");
    }
    let _ = writeln!(out, "{fence}\n");
    out.push_str(&footer);
    out
}

/// Without the escape sequences of colours.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn verdict(plan: &Plan, risks: &Risks) -> String {
    if !plan.errors.is_empty() {
        return format!("❌ {}", count(plan.errors.len(), "error"));
    }
    let incomplete = if plan.unseen.is_empty() {
        ""
    } else {
        ", incomplete"
    };
    let held = match plan.waiting() {
        0 => String::new(),
        n => format!(", {n} held back"),
    };
    if plan.is_empty() {
        let sign = if plan.is_whole() { "✅" } else { "⚠️" };
        let left_out = match plan.left_out {
            0 => String::new(),
            n => format!(" to what was chosen, {} left out", count(n, "other change")),
        };
        return format!("{sign} no changes{left_out}{held}{incomplete}");
    }
    let counts = plan.counts();
    let sign = if risks.is_empty() && plan.unseen.is_empty() {
        ""
    } else {
        "⚠️ "
    };
    format!(
        "{sign}{} to add, {} to change, {} to destroy{held}{incomplete}",
        counts.add, counts.change, counts.destroy
    )
}

/// What can do harm, counted.
fn callout(plan: &Plan, risks: &Risks) -> Option<String> {
    let mut items = Vec::new();
    if !risks.losses.is_empty() {
        items.push(format!("{} taken away", count(risks.losses.len(), "role")));
    }
    if !risks.losers.is_empty() {
        items.push(format!(
            "{} lose{} the node's identity",
            count(risks.losers.len(), "workload"),
            if risks.losers.len() == 1 { "s" } else { "" }
        ));
    }
    if !risks.rolls.is_empty() {
        let nodes = risks.rolls.iter().map(|(_, nodes)| *nodes);
        let nodes = nodes.fold(0, u64::saturating_add);
        items.push(format!(
            "{} roll{} ({nodes} nodes recreated)",
            count(risks.rolls.len(), "node pool"),
            if risks.rolls.len() == 1 { "s" } else { "" }
        ));
    }
    if !risks.increases.is_empty() {
        let first = &risks.increases[0];
        let more = match risks.increases.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        items.push(format!(
            "{} ({} → {}{more})",
            count(risks.increases.len(), "privilege increase"),
            code(&first.right.what()),
            code(&first.principal.to_string())
        ));
    }
    if !plan.unseen.is_empty() {
        items.push(format!(
            "{} could not be read",
            count(plan.unseen.len(), "object")
        ));
    }
    (!items.is_empty()).then(|| format!("> [!CAUTION]\n> {}\n\n", items.join(" · ")))
}
