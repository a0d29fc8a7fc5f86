//! `wi doctor`: who one is, and what stands in the way of a plan and an apply.

use clap::Args;

use super::connect::{self, ConnectArgs, Session};
use super::validate::SpecArgs;
use super::{Failure, Success};
use crate::doctor;
use crate::engine::pipeline::Input;
use crate::view::{self, print};

#[derive(Debug, Args)]
#[command(next_line_help = true)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

pub(super) fn run(args: DoctorArgs) -> Result<Success, Failure> {
    // Without a spec there is still somebody to be.
    let no_spec = args.connect.sandbox.is_none()
        && crate::engine::load(&args.spec.paths)
            .is_err_and(|errors| errors.mistakes().iter().all(|m| m.code == "no_spec"));
    connect::runtime()?.block_on(async {
        let report = if no_spec {
            let http = connect::connect(&args.connect)?;
            doctor::credentials(&http).await?
        } else {
            let input = Input::load(&args.spec.paths, None)?;
            let paths = &args.spec.paths;
            let session = Session::open(&args.connect, paths, || input.declared()).await?;
            let found = input.on_all_clusters(&session.http).await?;
            let mut report = doctor::examine(&session.http, &found.desired).await?;
            report.not_looked(&found.unlisted);
            session.close().await?;
            report
        };
        print::data(&view::doctor::report(&report, print::width()))?;
        if report.failures() + report.unseen() > 0 {
            return Err(Failure::Said);
        }
        Ok(Success::Ok)
    })
}
