//! `wi plan`: what would change.

use std::path::Path;

use super::args::{ChoiceArgs, PlanArgs};
use super::connect::{self, Session};
use super::{Failure, Success, plan_file, show, validate};
use crate::desired::Desired;
use crate::gcp::iam;
use crate::live::{self, Live};
use crate::plan::file::PlanFile;
use crate::plan::{self, Options, Plan};
use crate::render::{self, print};

pub(super) fn run(args: PlanArgs) -> Result<Success, Failure> {
    let desired = validate::desired(&args.spec.paths, args.choice.base.as_deref())?;
    connect::runtime()?.block_on(async {
        let session = Session::open(&args.connect, &args.spec.paths, &desired).await?;
        let options = args.choice.options();
        let made = make(&session, &desired, &options, &args.choice.target).await;
        let made_on = session.in_words();
        session.close().await?;
        let (plan, live) = made?;
        // Standard output is for one thing.
        if args.out.as_deref() != Some(Path::new("-")) {
            show::show(&plan, &args.output);
        }
        check(&plan, &args.choice)?;
        if let Some(out) = &args.out {
            let mut file = PlanFile::new(&plan, &desired, &live, &options);
            file.made_on = made_on;
            file.spec = args.spec.paths.clone();
            plan_file::write(out, &file)?;
        }
        if !plan.is_empty() && std::env::var_os("WI_IN_AUTOMATION").is_none() {
            print::note(&next(args.out.as_deref()));
        }
        let changes = args.detailed_exitcode && !plan.is_empty();
        Ok(if changes {
            Success::Changes
        } else {
            Success::Ok
        })
    })
}

/// What to do with the plan.
fn next(out: Option<&Path>) -> String {
    match out {
        Some(out) if out.as_os_str() != "-" => format!(
            "\nSaved the plan to {0}. To carry out exactly this, run: wi apply {0}",
            out.display()
        ),
        _ => "\nRun `wi apply` to carry this out; it plans again first and asks.".to_owned(),
    }
}

/// Reads the live state and plans.
pub(super) async fn make(
    session: &Session,
    desired: &Desired,
    options: &Options,
    targets: &[String],
) -> Result<(Plan, Live), Failure> {
    let live = live::read(&session.http, desired).await;
    if let Some(text) = render::reached_by(&live.reached_by) {
        print::note(&text);
    }
    let mut plan = plan::plan(desired, &live, options);
    if !targets.is_empty() {
        let unmatched = plan::restrict_to(&mut plan, desired, &live, targets);
        for target in unmatched {
            plan.warnings
                .push(format!("--target {target} matches no change of this plan"));
        }
    }
    if plan::takes_from_accounts(&plan) {
        let caller = iam::caller(&session.http).await;
        plan::protect(&mut plan, caller.as_deref());
    }
    Ok((plan, live))
}

/// Whether the plan is fit to be relied on.
pub(super) fn check(plan: &Plan, choice: &ChoiceArgs) -> Result<(), Failure> {
    if !plan.errors.is_empty() {
        return Err(Failure::Message(format!(
            "the plan has {}; see above",
            match plan.errors.len() {
                1 => "1 error".to_owned(),
                n => format!("{n} errors"),
            }
        )));
    }
    if !plan.unseen.is_empty() && !choice.allow_incomplete {
        return Err(Failure::Message(
            "the plan is incomplete; see above. Pass --allow-incomplete to go on with what could be read".to_owned(),
        ));
    }
    Ok(())
}
