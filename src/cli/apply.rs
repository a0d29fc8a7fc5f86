//! `wi apply`: plans, asks, carries it out.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::args::ApplyArgs;
use super::connect::{self, Session};
use super::{Failure, Success, plan, validate};
use crate::apply::{self, Context, End, Limits, preflight};
use crate::desired::Desired;
use crate::render::progress::Progress;
use crate::render::{self, print};

pub(super) fn run(args: ApplyArgs) -> Result<Success, Failure> {
    let interactive =
        std::io::stdin().is_terminal() && std::env::var("WI_INPUT").as_deref() != Ok("0");
    if !args.auto_approve && !interactive {
        return Err(Failure::Message(
            "there is no terminal to ask on: pass --auto-approve to apply without a question"
                .to_owned(),
        ));
    }
    let desired = validate::desired(&args.spec, args.choice.base.as_deref())?;
    connect::runtime()?.block_on(async {
        let session = Session::open(&args.connect, &args.spec, &desired).await?;
        let result = plan_and_apply(&session, &desired, &args).await;
        session.close().await?;
        result
    })
}

async fn plan_and_apply(
    session: &Session,
    desired: &Desired,
    args: &ApplyArgs,
) -> Result<Success, Failure> {
    let (plan, live) = plan::make(session, desired, &args.choice).await?;
    print::data(&render::text::plan(&plan, print::width()));
    plan::check(&plan, &args.choice)?;
    if plan.is_empty() {
        return Ok(Success::Ok);
    }
    let missing = preflight::check(&session.http, &plan, desired, &live).await;
    if !missing.is_empty() {
        return Err(Failure::Message(render::outcome::missing(&missing)));
    }
    if !args.auto_approve && !approved()? {
        return Err(Failure::Rendered("Apply cancelled.".to_owned()));
    }
    let progress = Arc::new(Progress::new());
    let limits = Limits {
        operation: Duration::from_secs(args.operation_timeout.saturating_mul(60)),
        ignore_exclusions: args.choice.ignore_maintenance_exclusions,
        ..Limits::default()
    };
    let context = Arc::new(Context::new(
        session.http.clone(),
        plan.clone(),
        desired,
        &live,
        Arc::clone(&progress),
        limits,
    ));
    let stop = CancellationToken::new();
    let outcome = {
        let applying = apply::apply(Arc::clone(&context), stop.clone());
        tokio::pin!(applying);
        let mut signals = connect::Interrupts::new()?;
        loop {
            tokio::select! {
                outcome = &mut applying => break outcome,
                () = signals.next() => {
                    if stop.is_cancelled() {
                        progress.notice("Stopped at once.");
                        progress.line(&render::outcome::operations(&context.operations_under_way()));
                        return Err(Failure::Said);
                    }
                    stop.cancel();
                    progress.notice("Interrupt received: finishing what is under way, starting nothing more. A second interrupt stops at once.");
                }
            }
        }
    };
    print::data(&render::outcome::text(&plan, &outcome));
    if outcome.values().all(|end| *end == End::Done) {
        Ok(Success::Ok)
    } else {
        Err(Failure::Said)
    }
}

fn approved() -> Result<bool, Failure> {
    let answer = print::ask(
        "\nDo you want to perform these actions?\n  wi will perform the actions described above.\n  Only 'yes' will be accepted to approve.\n\n  Enter a value: ",
    )?;
    Ok(answer.trim() == "yes")
}
