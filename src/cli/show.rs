//! `wi show`: a saved plan, for people and programs.

use wi_core::desired::Desired;
use wi_core::plan::Plan;

use super::args::{OutputArgs, ShowArgs};
use super::{Failure, Success, plan_file};
use crate::view::{self, markdown, print};

pub(super) fn run(args: ShowArgs) -> Result<Success, Failure> {
    let file = plan_file::read(&args.plan)?;
    if !args.output.json && !args.output.markdown {
        print::note(&view::saved(&file));
    }
    show(&file.plan, &file.desired, || file.hash(), &args.output)?;
    Ok(Success::Ok)
}

/// Prints a plan in the form that is asked for; some have its hash in them.
pub(super) fn show(
    plan: &Plan,
    desired: &Desired,
    hash: impl FnOnce() -> String,
    output: &OutputArgs,
) -> std::io::Result<()> {
    if output.json {
        print::data(&view::json::plan(plan, desired, &hash()))
    } else if output.markdown {
        let about = markdown::About::default();
        print::data(&markdown::plan(plan, &hash(), &about, output.max_bytes))
    } else {
        print::data(&view::text::plan(plan, print::width(), output.expand))
    }
}
