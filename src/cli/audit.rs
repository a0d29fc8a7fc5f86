//! `wi audit`: over-privilege, drift and hygiene, by rules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use wi_audit::{ALL, Audited, Read, World};
use wi_core::desired::Desired;
use wi_core::findings::Finding;
use wi_core::spec::model::Audit;
use wi_core::words::safe;

use super::connect::{self, ConnectArgs, Session};
use super::report::{FailOn, ReportArgs, accepted_file, put, read_accepted, write_draft};
use super::{Failure, Success, again};
use crate::audit;
use crate::engine::pipeline::Input;
use crate::scan::Report;
use crate::view::{audit as rules_view, findings as view, print, suggest as suggest_view};

const CHECKED: &str = "What is checked";
const JUDGED: &str = "What counts";

#[derive(Debug, Args)]
#[command(next_line_help = true)]
pub(super) struct AuditArgs {
    /// Spec files and directories, read recursively; `-` is standard input
    #[arg(value_name = "PATH", default_value = ".")]
    pub paths: Vec<PathBuf>,
    /// Only these rules; * stands for anything: WI1*,WI301
    #[arg(long, value_name = "RULE", value_delimiter = ',', help_heading = CHECKED)]
    pub rules: Vec<String>,
    /// Not these rules
    #[arg(long, value_name = "RULE", value_delimiter = ',', help_heading = CHECKED)]
    pub skip: Vec<String>,
    /// Check the spec alone, and ask no server
    #[arg(long, help_heading = CHECKED)]
    pub offline: bool,
    /// Only what the spec at this commit, tag or branch does not have
    #[arg(long, value_name = "GIT_REF", requires = "offline", help_heading = CHECKED)]
    pub base: Option<String>,
    /// Say which smaller roles are enough for what was used, as a patch of the spec
    #[arg(long, requires = "logs", conflicts_with_all = ["offline", "rules", "skip", "baseline", "write_baseline"], help_heading = CHECKED)]
    pub suggest: bool,
    /// Files of audit logs that say what was used, directories with them (repeatable)
    #[arg(long, value_name = "FILE", requires = "suggest", help_heading = CHECKED)]
    pub logs: Vec<PathBuf>,
    /// Take grants out of the spec that nobody loses by: what has ended, and what another grant of the spec gives as well
    #[arg(long, conflicts_with_all = ["offline", "suggest", "rules", "skip", "baseline", "write_baseline"], help_heading = CHECKED)]
    pub fix: bool,
    /// Print the rules, a line each
    #[arg(long, help_heading = CHECKED)]
    pub list_rules: bool,
    /// Print what a rule is about, how it decides, and what it takes
    #[arg(long, value_name = "RULE", help_heading = CHECKED)]
    pub explain_rule: Option<String>,
    /// Exit with 2 from this severity on
    #[arg(long, value_enum, default_value_t = FailOn::High, help_heading = JUDGED)]
    pub fail_on: FailOn,
    /// The file of accepted findings (default: wi-audit.yaml in the first PATH, if it is there)
    #[arg(long, value_name = "FILE", help_heading = JUDGED)]
    pub baseline: Option<PathBuf>,
    /// Write a file that accepts what is open, for you to fill in the reasons
    #[arg(long, value_name = "FILE", help_heading = JUDGED)]
    pub write_baseline: Option<PathBuf>,
    /// Exit with 0 or 2 although something could not be looked at
    #[arg(long, help_heading = JUDGED)]
    pub allow_incomplete: bool,
    #[command(flatten)]
    pub report: ReportArgs,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// The file of accepted findings, where none is named.
const BASELINE: &str = "wi-audit.yaml";

pub(super) fn run(args: AuditArgs) -> Result<Success, Failure> {
    if let Some(id) = &args.explain_rule {
        let rule = wi_audit::rules::of(id).ok_or_else(|| no_rule(id))?;
        print::data(&rules_view::explained(rule, print::width()))?;
        return Ok(Success::Ok);
    }
    let rules = chosen(&args)?;
    if args.list_rules {
        print::data(&rules_view::listed(&rules))?;
        return Ok(Success::Ok);
    }
    if args.fix {
        return fix(&args);
    }
    if args.suggest {
        return suggest(&args);
    }
    let today = jiff::Zoned::now().date();
    let form = audit::form();
    // Mistakes of the file are told before the work is done.
    let file = accepted_file(args.baseline.as_deref(), &args.paths, BASELINE);
    let accepted = read_accepted(file.as_deref(), today, &form)?;
    let input = Input::load(&args.paths, None)?;
    let mut world = match args.offline {
        true => of_spec(input.declared(), input.audit()),
        false => look(&args, input, &rules)?,
    };
    let entries = accepted.as_ref().map(|(e, f)| (e.as_slice(), f.as_str()));
    let (mut findings, audited) = audit::judged(&mut world, &rules, entries, today);
    if let Some(reference) = &args.base {
        let former = crate::engine::load_former(reference, &args.paths)?;
        let mut former = of_spec(Desired::of(&former), &former.audit);
        let (before, _) = audit::judged(&mut former, &rules, None, today);
        let same = |a: &Finding, b: &Finding| a.rule.id == b.rule.id && a.subject == b.subject;
        findings
            .all
            .retain(|f| !before.all.iter().any(|b| same(b, f)));
    }
    if let Some(file) = &args.write_baseline {
        write_draft(file, &findings, today, &form)?;
    }
    findings.not_seen.sort();
    let hints = again::hints(&args.paths, &args.connect);
    for fix in findings.all.iter_mut().filter_map(|f| f.fix.as_mut()) {
        if let Some(rest) = fix.strip_prefix("wi apply") {
            *fix = format!("{}{rest}{}", hints.apply, hints.end);
        }
    }
    let report = Report {
        findings,
        keys: Vec::new(),
        looked_at: rules_view::looked_at(&audited, rules.len(), world.live()),
    };
    let text = || view::text::findings(&report.findings, &report.looked_at, print::width());
    args.report.put(&report, text)?;
    if !report.findings.is_complete() && !args.allow_incomplete {
        return Err(Failure::Message(
            "the audit is incomplete; see above. Pass --allow-incomplete to go by what could be looked at".to_owned(),
        ));
    }
    Ok(args.fail_on.judge(&report.findings))
}

/// Takes out of the spec what nobody loses by. What is in force stays until the next apply.
fn fix(args: &AuditArgs) -> Result<Success, Failure> {
    let input = Input::load(&args.paths, None)?;
    let wanted = BTreeSet::from([Read::Policies, Read::Roles, Read::Numbers]);
    let world = connect::runtime()?.block_on(async {
        let session = Session::open(&args.connect, &args.paths, || input.declared()).await?;
        let world = audit::live(&session.http, input, &wanted).await;
        session.close().await?;
        Ok::<_, Failure>(world?)
    })?;
    let (edits, told) = audit::suggest::needless(&world, &args.paths);
    let text = suggest_view::fixed(&told, &edits.patches());
    put(&text, args.report.out.as_deref(), || {
        suggest_view::fixed(&told, &edits.patches())
    })?;
    for (file, text) in edits.files() {
        if file == "-" {
            return Err(Failure::Message(
                "standard input cannot be written: apply the patch above".to_owned(),
            ));
        }
        wi_client::files::write_whole(Path::new(file), text.as_bytes())
            .map_err(|e| format!("cannot write {}: {e}", safe(file)))?;
        print::note(&format!("Wrote {}.", safe(file)));
    }
    Ok(Success::Ok)
}

/// What is enough for what was used.
fn suggest(args: &AuditArgs) -> Result<Success, Failure> {
    let input = Input::load(&args.paths, None)?;
    let (world, catalogue) = connect::runtime()?.block_on(async {
        let session = Session::open(&args.connect, &args.paths, || input.declared()).await?;
        let read = async {
            let wanted = BTreeSet::from([Read::Policies, Read::Roles, Read::Numbers]);
            let world = audit::live(&session.http, input, &wanted).await?;
            let catalogue = audit::suggest::catalogue(&session.http).await;
            Ok::<_, Failure>((
                world,
                catalogue.map_err(|e| format!("the roles of Google could not be read: {e}"))?,
            ))
        };
        let read = read.await;
        session.close().await?;
        read
    })?;
    let suggested = audit::suggest::suggest(&world, &catalogue, &args.paths, &args.logs)?;
    let text = suggest_view::text(&suggested);
    put(&text, args.report.out.as_deref(), || {
        suggest_view::text(&suggested)
    })?;
    if !suggested.broken.is_empty() {
        return Err(Failure::Message(suggested.broken.join("; ")));
    }
    Ok(Success::Ok)
}

/// What the spec alone says.
fn of_spec(desired: Desired, expected: &Audit) -> World {
    let (trusted, conditional) = (
        expected.trusted_projects.clone(),
        expected.conditional.clone(),
    );
    World::of_spec(desired, trusted, conditional, Some(jiff::Timestamp::now()))
}

fn look(args: &AuditArgs, input: Input, rules: &[&'static Audited]) -> Result<World, Failure> {
    let wanted = audit::reads(rules);
    connect::runtime()?.block_on(async {
        let session = Session::open(&args.connect, &args.paths, || input.declared()).await?;
        let world = audit::live(&session.http, input, &wanted).await;
        session.close().await?;
        Ok(world?)
    })
}

/// The rules that are asked.
fn chosen(args: &AuditArgs) -> Result<Vec<&'static Audited>, Failure> {
    let matching = |pattern: &String| match wi_audit::rules::matching(pattern) {
        found if found.is_empty() => Err(no_rule(pattern)),
        found => Ok(found),
    };
    let flat = |patterns: &[String]| -> Result<Vec<&'static Audited>, Failure> {
        let all: Result<Vec<_>, Failure> = patterns.iter().map(matching).collect();
        Ok(all?.into_iter().flatten().collect())
    };
    let (only, skipped) = (flat(&args.rules)?, flat(&args.skip)?);
    let has = |of: &[&'static Audited], rule: &Audited| of.iter().any(|r| r.id() == rule.id());
    let chosen = ALL
        .iter()
        .copied()
        .filter(|r| only.is_empty() || has(&only, r))
        .filter(|r| !has(&skipped, r));
    Ok(chosen.collect())
}

fn no_rule(id: &str) -> Failure {
    Failure::Message(format!(
        "there is no rule `{}`: --list-rules prints them",
        safe(id)
    ))
}
