//! `wi apply`: plans, asks, carries it out; or carries a saved plan out, if it still holds.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;
use wi_client::google::iam;
use wi_core::desired::Desired;
use wi_core::live::Live;
use wi_core::plan::saved::PlanFile;
use wi_core::plan::{Options, Plan, protect};
use wi_core::words::{safe, shell_word};

use super::choice::ChoiceArgs;
use super::connect::{self, ConnectArgs, Session};
use super::heading;
use super::secrets::OpenArgs;
use crate::engine::pipeline::{self, Input, Made};

use super::{Failure, Success, again, plan, plan_file};
use crate::apply::gates::Gates;
use crate::apply::rollout::{self, Ended};
use crate::apply::{Context, Limits, Observer, Status, preflight, proof, rehearsal};
use crate::engine::read;
use crate::scan::live::ReadSecrets;
use crate::verify::{self, Proof};
use crate::view::json::stream::{self, Stream};
use crate::view::outcome::GoOn;
use crate::view::progress::Progress;
use crate::view::{self, print, reading};

#[derive(Debug, Args)]
#[command(next_line_help = true)]
pub(super) struct ApplyArgs {
    /// Spec files and directories, read recursively; or one plan that `wi plan --out` saved, which is
    /// carried out as it is, without a question
    #[arg(value_name = "PATH|PLAN", default_value = ".")]
    pub paths: Vec<PathBuf>,
    /// Do not ask
    #[arg(long, help_heading = APPROVAL)]
    pub auto_approve: bool,
    /// Do not ask if the plan has this hash; do nothing if it has another
    #[arg(long, value_name = "HASH", value_parser = plan_hash, help_heading = APPROVAL)]
    pub expect_plan_hash: Option<String>,
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// Go on after this wave, whose gate is manual (repeatable)
    #[arg(long, value_name = "WAVE", help_heading = heading::ROLLOUT)]
    pub approve: Vec<String>,
    /// How long the pods of changed node pools and templates may take to be ready again
    #[arg(long, value_name = "MINUTES", default_value_t = 15, help_heading = heading::ROLLOUT)]
    pub ready_timeout: u64,
    /// Afterwards, prove that those whose identity or access was changed may do what the spec says, each with its own
    /// token (`wi verify`); in waves, at each gate
    #[arg(long, help_heading = heading::ROLLOUT)]
    pub verify: bool,
    /// How long policies may take to be in force, before what does not hold is a failure
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = super::verify::duration, help_heading = heading::ROLLOUT)]
    pub wait_propagation: Duration,
    /// How long one GKE operation may take
    #[arg(long, value_name = "MINUTES", default_value_t = 360, help_heading = heading::ROLLOUT)]
    pub operation_timeout: u64,
    /// Print each change by itself, also where several clusters have the same
    #[arg(long, help_heading = heading::OUTPUT)]
    pub expand: bool,
    /// Print a JSON object a line, as Terraform's machine-readable UI does
    #[arg(long, help_heading = heading::OUTPUT)]
    pub json: bool,
    #[command(flatten)]
    pub secrets: OpenArgs,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

const APPROVAL: &str = "Approval";

/// The hash of a plan, or its first part.
fn plan_hash(text: &str) -> Result<String, String> {
    let hexadecimal = text.bytes().all(|b| b.is_ascii_hexdigit());
    if hexadecimal && (12..=64).contains(&text.len()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a plan hash has 64 hexadecimal digits, of which the first 12 do".to_owned())
    }
}

/// Where a rollout remembers its gates between runs, below the current directory.
const RUN_DIRECTORY: &str = ".wi-rollout";

/// `wi destroy`: as `wi apply --destroy`.
pub(super) fn destroy(mut args: ApplyArgs) -> Result<Success, Failure> {
    args.choice.destroy = true;
    run(args)
}

pub(super) fn run(args: ApplyArgs) -> Result<Success, Failure> {
    let json = args.json;
    let result = if plan_file::is_one(&args.paths)? {
        saved(&args)
    } else {
        planned(&args)
    };
    if json && let Err(Failure::Message(message) | Failure::Stale(message)) = &result {
        // There is an error already.
        let _ = stream::diagnostic("error", message, "", None, None);
    }
    result
}

/// Plans, asks, and carries it out.
fn planned(args: &ApplyArgs) -> Result<Success, Failure> {
    let asks = !args.auto_approve && args.expect_plan_hash.is_none();
    let interactive =
        std::io::stdin().is_terminal() && std::env::var("WI_INPUT").as_deref() != Ok("0");
    if asks && args.json {
        return Err(Failure::Message(
            "--json leaves no place for a question: pass --auto-approve, or a saved plan"
                .to_owned(),
        ));
    }
    if asks && !interactive {
        return Err(Failure::Message(
            "there is no terminal to ask on: pass --auto-approve to apply without a question"
                .to_owned(),
        ));
    }
    let input = Input::load(&args.paths, args.choice.base.as_deref())?;
    connect::runtime()?.block_on(async {
        let session = Session::open(&args.connect, &args.paths, || input.declared()).await?;
        let input = args.choice.of(input);
        let result = plan_and_apply(&session, input, args, asks).await;
        session.close().await?;
        result
    })
}

async fn plan_and_apply(
    session: &Session,
    input: Input,
    args: &ApplyArgs,
    asks: bool,
) -> Result<Success, Failure> {
    let mut options = args.choice.options();
    // Whoever types the spec's name has been asked what the flag asks.
    options.allow_mass_removal |= args.choice.destroy && asks;
    let Made {
        desired,
        live,
        plan,
    } = {
        let part = args.choice.part();
        let planning = args
            .secrets
            .plan(&session.http, input, &options, &part, &args.paths);
        planning.await?
    };
    if let Some(text) = view::reached_by(&live.reached_by) {
        print::note(&text);
    }
    approves_waves(&plan, args)?;
    show(&plan, args)?;
    if args.choice.destroy && !args.json {
        print::note(plan::STAYS);
    }
    plan::check(&plan, &args.choice)?;
    expect(|| plan.hash(&desired, &options), args)?;
    if plan.is_empty() {
        return Ok(Success::Ok);
    }
    may(session, &plan, &desired, &live).await?;
    if asks && !approved(args.choice.destroy.then_some(&plan.owner))? {
        return Err(Failure::Rendered("Apply cancelled.".to_owned()));
    }
    let next = Next {
        spec: &args.paths,
        asked: asks,
        again: GoOn::Again(again::apply(
            &args.paths,
            &args.choice,
            &args.secrets,
            &args.connect,
        )),
    };
    carry_out(session, plan, &desired, &live, args, &options, next).await
}

/// Carries a saved plan out, if all that it rests on is as it was.
fn saved(args: &ApplyArgs) -> Result<Success, Failure> {
    if args.choice.any() {
        return Err(Failure::Message(
            "a saved plan has been made with its choices: pass --target, --accept-loss and the like to `wi plan --out`"
                .to_owned(),
        ));
    }
    let file = plan_file::read(&args.paths[0])?;
    let version = env!("CARGO_PKG_VERSION");
    if !file.is_of_this_version() {
        return Err(Failure::Message(format!(
            "the plan was made by wi {}, and this is wi {version}: apply it with that one, or plan again with this one",
            file.wi_version
        )));
    }
    match (&file.made_on, &args.connect.sandbox) {
        (Some(made_on), None) => {
            return Err(Failure::Message(format!(
                "the plan was made on {made_on}, not on Google Cloud: apply it there, with --sandbox"
            )));
        }
        (None, Some(_)) => {
            return Err(Failure::Message(
                "the plan was not made on a sandbox: apply it without --sandbox, or plan again with it".to_owned(),
            ));
        }
        _ => {}
    }
    let spec = plan_file::changed_spec(&file);
    if !spec.is_empty() {
        return Err(Failure::Stale(view::outcome::stale_spec(&spec)));
    }
    expect(|| file.hash(), args)?;
    connect::runtime()?.block_on(async {
        let session = Session::open(&args.connect, &file.spec, || file.desired.clone()).await?;
        let result = check_and_apply(&session, &file, args).await;
        session.close().await?;
        result
    })
}

async fn check_and_apply(
    session: &Session,
    file: &PlanFile,
    args: &ApplyArgs,
) -> Result<Success, Failure> {
    if !args.json {
        print::note(&view::saved(file));
    }
    let plan = &file.plan;
    approves_waves(plan, args)?;
    if !plan.errors.is_empty() {
        return Err(Failure::Message(
            "the plan has errors: fix them, and plan again".to_owned(),
        ));
    }
    if plan.is_empty() {
        show(plan, args)?;
        return Ok(Success::Ok);
    }
    if plan.rests_on_secrets() && args.secrets.mode() == ReadSecrets::None {
        return Err(Failure::Message(format!(
            "nothing was written: the plan rests on what is in Secrets, and whether it still holds is not known without: {} opens those that something names",
            again::with_secrets(&args.paths[0], &args.connect)
        )));
    }
    let touched = file.touched();
    let reading = read::read(&session.http, &touched.reads);
    let mut live = reading::while_reading(&session.http, reading).await;
    let looked = args
        .secrets
        .look(&session.http, &touched.desired, &mut live, &file.spec);
    looked.await?;
    if let Some(text) = view::reached_by(&live.reached_by).filter(|_| !args.json) {
        print::note(&text);
    }
    let compared = file.compare(&touched, &live);
    if !compared.unread.is_empty() {
        let caller = iam::caller(&session.http).await;
        let text = view::outcome::unread(&compared.unread, caller.as_deref());
        return Err(Failure::Message(text));
    }
    if !compared.stale.is_empty() {
        return Err(Failure::Stale(view::outcome::stale(&compared.stale)));
    }
    let caller = pipeline::caller(&session.http, plan).await;
    let mut without_own = plan.clone();
    protect(&mut without_own, &caller);
    if without_own.changes.len() < plan.changes.len() {
        return Err(Failure::Message(format!(
            "the plan would take access from {}, who you are, or the way to it: somebody else has to apply it",
            caller.in_words()
        )));
    }
    may(session, plan, &file.desired, &live).await?;
    show(plan, args)?;
    carry_out(
        session,
        plan.clone(),
        &file.desired,
        &live,
        args,
        &file.options(),
        Next {
            spec: &file.spec,
            asked: false,
            again: again::anew(file, &args.paths[0], &args.secrets, &args.connect),
        },
    )
    .await
}

/// A misspelt `--approve` would only be noticed at the gate.
fn approves_waves(plan: &Plan, args: &ApplyArgs) -> Result<(), Failure> {
    for name in &args.approve {
        pipeline::wave(plan, name)?;
    }
    Ok(())
}

fn show(plan: &Plan, args: &ApplyArgs) -> std::io::Result<()> {
    if args.json {
        return Ok(());
    }
    print::data(&view::text::plan(plan, print::width(), args.expand))
}

/// Whether it is the plan that was approved.
fn expect(hash: impl FnOnce() -> String, args: &ApplyArgs) -> Result<(), Failure> {
    let Some(expected) = &args.expect_plan_hash else {
        return Ok(());
    };
    let hash = hash();
    if hash.starts_with(expected.as_str()) {
        return Ok(());
    }
    Err(Failure::Stale(format!(
        "nothing was written: the plan is not the one that was approved. Its hash is {hash}, and --expect-plan-hash is {expected}. Plan again, and have that approved"
    )))
}

/// Whether nothing that can be known before the first write stands in the way.
async fn may(
    session: &Session,
    plan: &Plan,
    desired: &Desired,
    live: &Live,
) -> Result<(), Failure> {
    let missing = preflight::check(&session.http, plan, desired, live).await;
    if !missing.is_empty() {
        return Err(Failure::Message(view::outcome::missing(&missing)));
    }
    let refused = rehearsal::check(&session.http, plan, desired, live).await;
    if refused.is_empty() {
        return Ok(());
    }
    if rehearsal::is_tolerated(plan, &refused) {
        print::note(&view::outcome::will_be_refused(
            plan,
            &refused,
            print::width(),
        ));
        return Ok(());
    }
    Err(Failure::Message(view::outcome::refused(
        plan,
        &refused,
        print::width(),
    )))
}

/// What the user may do next.
struct Next<'a> {
    /// The files of the spec.
    spec: &'a [PathBuf],
    /// Whether somebody was asked since the live state was read.
    asked: bool,
    /// How to go on where something is left.
    again: GoOn,
}

async fn carry_out(
    session: &Session,
    plan: Plan,
    desired: &Desired,
    live: &Live,
    args: &ApplyArgs,
    options: &Options,
    Next { spec, asked, again }: Next<'_>,
) -> Result<Success, Failure> {
    // A gate that was passed by this flag is met again by the next run.
    let again = again.with(
        args.approve
            .iter()
            .map(|w| format!("--approve {}", shell_word(w))),
    );
    let progress = Arc::new(if args.json {
        Progress::json(Stream::begin(&plan, desired)?)
    } else {
        Progress::new()
    });
    let told = Arc::clone(&progress);
    session.http.notices().set(move |text| told.notice(text));
    let limits = Limits {
        operation: Duration::from_secs(args.operation_timeout.saturating_mul(60)),
        ready: Duration::from_secs(args.ready_timeout.saturating_mul(60)),
        ignore_exclusions: options.ignore_exclusions,
        read_secrets: args.secrets.mode(),
        ..Limits::default()
    };
    let stop = CancellationToken::new();
    let context = Context::new(
        session.http.clone(),
        plan.clone(),
        desired,
        live,
        options,
        Arc::<Progress>::clone(&progress),
        limits,
    );
    let context = match asked {
        true => context.after_a_question().await,
        false => context,
    };
    let context = Arc::new(context.stopped_by(&stop));
    let gates = Gates {
        approved: args.approve.iter().cloned().collect(),
        run_file: Some(Path::new(RUN_DIRECTORY).join(format!("{}.json", plan.owner))),
        ready: Duration::from_secs(args.ready_timeout.saturating_mul(60)),
        demands_proof: args.verify,
        propagation: args.wait_propagation,
    };
    let rolling = rollout::roll_out(&context, desired, live, options, &gates, &stop);
    let (outcome, ended) = until_done_or_interrupted(&context, &progress, rolling, &stop).await?;
    let begun = |end: &Status| !matches!(end, Status::NotStarted(_));
    let again = match outcome.values().any(begun) {
        true => again,
        false => again.unbegun(),
    };
    match progress.stream() {
        Some(stream) => stream.end(&plan, &outcome)?,
        None => {
            let text = view::outcome::text(&plan, &outcome, print::width(), ended.waits(), &again);
            print::data(&text)?;
        }
    }
    if let Ended::Paused { wave, why, by } = &ended {
        print::note(&view::outcome::paused(wave, why, *by, &again));
    }
    match ended {
        _ if ended.waits() => Ok(Success::Paused),
        _ if outcome.values().any(|end| *end != Status::Done) => Err(Failure::Said),
        // In waves the gates have done it.
        _ if !args.verify || plan.waves.is_some() => Ok(Success::Ok),
        _ => {
            let proving = prove(session, &plan, desired, &gates, args, spec);
            until_done_or_interrupted(&context, &progress, proving, &stop).await?
        }
    }
}

/// Whether those that the plan was about may do what the spec says.
async fn prove(
    session: &Session,
    plan: &Plan,
    desired: &Desired,
    gates: &Gates,
    args: &ApplyArgs,
    spec: &[PathBuf],
) -> Result<Success, Failure> {
    let done = plan.changes.keys().collect();
    let subjects = proof::subjects(desired, plan, &done, |_| true);
    let proofs = proof::prove(&session.http, desired, &subjects, gates, &print::note).await;
    let holds = |proof: &Proof| {
        matches!(
            proof.outcome(),
            verify::Outcome::Holds | verify::Outcome::Skipped
        )
    };
    let all_hold = proofs.iter().all(holds);
    if args.json {
        for proof in &proofs {
            let key = &proof.key;
            for step in proof
                .steps
                .iter()
                .filter(|s| s.outcome < verify::Outcome::Skipped)
            {
                let summary = format!(
                    "{}/{} on {}: {}",
                    key.namespace, key.name, key.cluster, step.title
                );
                stream::diagnostic(
                    "error",
                    &summary,
                    &step.why,
                    Some(&key.address()),
                    Some(&proof.source),
                )?;
            }
        }
    } else {
        let report = view::verify::Report {
            run: String::new(),
            proofs,
            not_seen: Vec::new(),
            because: std::collections::BTreeMap::new(),
            jobs: None,
            hints: again::hints(spec, &args.connect),
        };
        print::data(&view::verify::text(&report, print::width()))?;
    }
    match all_hold {
        true => Ok(Success::Ok),
        false => Err(Failure::Said),
    }
}

async fn until_done_or_interrupted<T>(
    context: &Arc<Context>,
    progress: &Progress,
    applying: impl Future<Output = T>,
    stop: &CancellationToken,
) -> Result<T, Failure> {
    tokio::pin!(applying);
    let mut signals = connect::Interrupts::new()?;
    loop {
        tokio::select! {
            ended = &mut applying => return Ok(ended),
            () = signals.next() => {
                if stop.is_cancelled() {
                    progress.notice("Stopped at once.");
                    progress.line(&view::outcome::operations(&context.operations_under_way()));
                    return Err(Failure::Said);
                }
                stop.cancel();
                progress.notice("Interrupt received: finishing what is under way, starting nothing more. A second interrupt stops at once.");
            }
        }
    }
}

/// Asks; `all_of` is the name of the spec whose all is to go.
fn approved(all_of: Option<&String>) -> Result<bool, Failure> {
    let (question, only, yes) = match all_of {
        None => (
            "Do you want to perform these actions?\n  wi will perform the actions described above."
                .to_owned(),
            "'yes'",
            "yes",
        ),
        Some(name) => (
            format!(
                "Do you really want to take away all that the spec '{}' owns?\n  wi will perform the actions described above.",
                safe(name)
            ),
            "the name of the spec",
            name.as_str(),
        ),
    };
    let answer = print::ask(&format!(
        "\n{question}\n  Only {only} will be accepted to approve.\n\n  Enter a value: "
    ))?;
    Ok(answer.trim() == yes)
}
