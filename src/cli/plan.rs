//! `wi plan`: what would change.

use std::path::{Path, PathBuf};

use clap::Args;
use wi_core::plan::Plan;
use wi_core::plan::saved::PlanFile;

use super::choice::ChoiceArgs;
use super::connect::{self, ConnectArgs, Session};
use super::heading;
use super::secrets::OpenArgs;
use super::show::OutputArgs;
use super::validate::SpecArgs;
use super::{Failure, Success, again, plan_file, show};
use crate::engine::pipeline::{Input, Made};
use crate::view::{self, print};

#[derive(Debug, Args)]
#[command(next_line_help = true)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// Save the plan to this file, for `wi apply FILE`; `-` is standard output
    #[arg(long, value_name = "FILE", help_heading = heading::OUTPUT)]
    pub out: Option<PathBuf>,
    /// Exit with 2 when there are changes (0: nothing to do, 1: error)
    #[arg(long, help_heading = heading::OUTPUT)]
    pub detailed_exitcode: bool,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub secrets: OpenArgs,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// What `--destroy` leaves.
pub(super) const STAYS: &str =
    "Clusters and node pools keep Workload Identity, and namespaces stay: others may rely on them.";

pub(super) fn run(args: PlanArgs) -> Result<Success, Failure> {
    if let Some(out) = &args.out {
        plan_file::may_write(out)?;
    }
    let input = Input::load(&args.spec.paths, args.choice.base.as_deref())?;
    connect::runtime()?.block_on(async {
        let session = Session::open(&args.connect, &args.spec.paths, || input.declared()).await?;
        let input = args.choice.of(input);
        let mut options = args.choice.options();
        // That all goes is what is asked for; what is saved is carried out without a question.
        options.allow_mass_removal |= args.choice.destroy && args.out.is_none();
        let (part, paths) = (args.choice.part(), &args.spec.paths);
        let planning = args
            .secrets
            .plan(&session.http, input, &options, &part, paths);
        let made = planning.await;
        let made_on = session.in_words();
        session.close().await?;
        let Made {
            desired,
            live,
            plan,
        } = made?;
        if let Some(text) = view::reached_by(&live.reached_by) {
            print::note(&text);
        }
        let again = again::apply(&args.spec.paths, &args.choice, &args.secrets, &args.connect);
        // Standard output is for one thing.
        if args.out.as_deref() != Some(Path::new("-")) {
            show::show(
                &plan,
                &desired,
                || plan.hash(&desired, &options),
                &again,
                &args.output,
            )?;
        }
        if args.choice.destroy {
            print::note(STAYS);
        }
        check(&plan, &args.choice)?;
        if let Some(out) = &args.out {
            let mut file = PlanFile::new(&plan, &desired, &live, &options);
            file.made_on = made_on;
            file.spec = args.spec.paths.clone();
            file.choices = args.choice.words();
            file.choices.extend(args.secrets.words());
            plan_file::write(out, &file)?;
        }
        if !plan.is_empty() && std::env::var_os("WI_IN_AUTOMATION").is_none() {
            print::note(&next(&args, &again));
        }
        // What is held back is wanted, and not there.
        let done = plan.is_empty() && plan.waiting() == 0;
        let changes = args.detailed_exitcode && !done;
        // The process ends here: taking a fleet's maps apart would only take time.
        std::mem::forget((desired, live, plan));
        Ok(if changes {
            Success::Changes
        } else {
            Success::Ok
        })
    })
}

/// What to do with the plan.
fn next(args: &PlanArgs, again: &str) -> String {
    match &args.out {
        Some(out) if out.as_os_str() != "-" => format!(
            "\nSaved the plan to {}. To carry out exactly this, run: {}",
            out.display(),
            again::saved_just_now(out, &args.secrets, &args.connect)
        ),
        _ => format!("\nRun `{again}` to carry this out; it plans again first and asks."),
    }
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
