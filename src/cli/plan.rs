//! `wi plan`: what would change.

use super::args::{ChoiceArgs, PlanArgs};
use super::connect::{self, Session};
use super::{Failure, Success, validate};
use crate::desired::Desired;
use crate::gcp::iam;
use crate::live::{self, Live};
use crate::plan::{self, Options, Plan};
use crate::render::{self, print};

pub(super) fn run(args: PlanArgs) -> Result<Success, Failure> {
    let desired = validate::desired(&args.spec, args.choice.base.as_deref())?;
    connect::runtime()?.block_on(async {
        let session = Session::open(&args.connect, &args.spec, &desired).await?;
        let made = make(&session, &desired, &args.choice).await;
        session.close().await?;
        let (plan, _) = made?;
        print::data(&render::text::plan(&plan, print::width()));
        if !plan.is_empty() && std::env::var_os("WI_IN_AUTOMATION").is_none() {
            print::note("\nRun `wi apply` to carry this out; it plans again first and asks.");
        }
        check(&plan, &args.choice)?;
        let changes = args.detailed_exitcode && !plan.is_empty();
        Ok(if changes {
            Success::Changes
        } else {
            Success::Ok
        })
    })
}

/// Reads the live state and plans.
pub(super) async fn make(
    session: &Session,
    desired: &Desired,
    choice: &ChoiceArgs,
) -> Result<(Plan, Live), Failure> {
    let live = live::read(&session.http, desired).await;
    if let Some(text) = render::reached_by(&live.reached_by) {
        print::note(&text);
    }
    let options = Options {
        accept_loss: choice.accept_loss,
        force_conflicts: choice.force_conflicts,
        ignore_exclusions: choice.ignore_maintenance_exclusions,
        allow_mass_removal: choice.allow_mass_removal,
        upgrade: choice.upgrade(),
        now: Some(jiff::Timestamp::now()),
    };
    let mut plan = plan::plan(desired, &live, &options);
    if !choice.target.is_empty() {
        let unmatched = plan::restrict_to(&mut plan, desired, &live, &choice.target);
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
