//! `wi plan`: what would change.

use std::path::{Path, PathBuf};

use clap::Args;
use wi_client::google::iam;
use wi_core::desired::Desired;
use wi_core::live::Live;
use wi_core::plan::saved::PlanFile;
use wi_core::plan::{self, Options, Plan};

use super::args::heading;
use super::choice::ChoiceArgs;
use super::connect::{self, ConnectArgs, Session};
use super::show::OutputArgs;
use super::validate::{Input, SpecArgs};
use super::{Failure, Success, plan_file, show};
use crate::engine::read;
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
    pub connect: ConnectArgs,
}

pub(super) fn run(args: PlanArgs) -> Result<Success, Failure> {
    let input = Input::load(&args.spec.paths, args.choice.base.as_deref())?;
    connect::runtime()?.block_on(async {
        let session = Session::open(&args.connect, &args.spec.paths, || input.declared()).await?;
        let options = args.choice.options();
        let made = make(&session, input, &options, &args.choice).await;
        let made_on = session.in_words();
        session.close().await?;
        let Made {
            desired,
            live,
            plan,
        } = made?;
        // Standard output is for one thing.
        if args.out.as_deref() != Some(Path::new("-")) {
            show::show(
                &plan,
                &desired,
                || plan.hash(&desired, &options),
                &args.output,
            )?;
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
fn next(out: Option<&Path>) -> String {
    match out {
        Some(out) if out.as_os_str() != "-" => format!(
            "\nSaved the plan to {0}. To carry out exactly this, run: wi apply {0}",
            out.display()
        ),
        _ => "\nRun `wi apply` to carry this out; it plans again first and asks.".to_owned(),
    }
}

/// A plan, and what it was made of.
#[derive(Debug)]
pub(super) struct Made {
    pub desired: Desired,
    pub live: Live,
    pub plan: Plan,
}

/// Finds the clusters, reads the live state, and plans.
pub(super) async fn make(
    session: &Session,
    input: Input,
    options: &Options,
    choice: &ChoiceArgs,
) -> Result<Made, Failure> {
    let found = input.on_all_clusters(&session.http).await?;
    let desired = found.desired;
    let live = read::read_with(&session.http, &desired, found.lists).await;
    if let Some(text) = view::reached_by(&live.reached_by) {
        print::note(&text);
    }
    // The servers' clock: this machine's may be wrong.
    let ahead = session.http.clock_ahead().unwrap_or_default();
    let options = Options {
        now: options.now.map(|now| now - ahead),
        ..options.clone()
    };
    let mut plan = plan::plan(&desired, &live, &options);
    plan.not_looked(found.unseen);
    if !choice.target.is_empty() {
        let unmatched = plan::restrict_to(&mut plan, &live, &choice.target);
        for target in unmatched {
            plan.warnings
                .push(format!("--target {target} matches no change of this plan"));
        }
    }
    only_waves(&mut plan, &live, choice)?;
    if plan::takes_from_accounts(&plan) {
        let caller = iam::caller(&session.http).await;
        plan::protect(&mut plan, caller.as_deref());
    }
    Ok(Made {
        desired,
        live,
        plan,
    })
}

/// Takes other waves than those of `--wave` and `--until-wave` out.
fn only_waves(plan: &mut Plan, live: &Live, choice: &ChoiceArgs) -> Result<(), Failure> {
    let Some(name) = choice.wave.as_ref().or(choice.until_wave.as_ref()) else {
        return Ok(());
    };
    let index = wave(plan, name)?;
    let (first, flag) = match &choice.wave {
        Some(_) => (index, "--wave"),
        None => (0, "--until-wave"),
    };
    let open = plan::waves::restrict_to(plan, live, &(first..=index).collect(), flag);
    if let Some(need) = open.first() {
        return Err(Failure::Message(format!(
            "the wave `{name}` needs {need}, which an earlier wave makes: apply that one first (--until-wave {name})"
        )));
    }
    Ok(())
}

/// The index of the wave of this name.
pub(super) fn wave(plan: &Plan, name: &str) -> Result<usize, Failure> {
    let names: Vec<&str> = plan
        .waves
        .iter()
        .flat_map(|w| &w.waves)
        .map(|w| w.name.as_str())
        .collect();
    names.iter().position(|n| *n == name).ok_or_else(|| {
        Failure::Message(if names.is_empty() {
            format!("there is no wave `{name}`: the spec has no `rollout`")
        } else {
            format!("there is no wave `{name}`: there are {}", names.join(", "))
        })
    })
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
