//! `wi show`: a saved plan, for people and programs.

use std::path::PathBuf;

use clap::Args;
use wi_core::desired::Desired;
use wi_core::plan::Plan;

use super::heading;
use super::{Failure, Success, again, plan_file};
use crate::view::{self, markdown, print};

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// A plan that `wi plan --out` saved; `-` is standard input
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// How a plan is printed.
#[derive(Debug, Args)]
#[command(next_help_heading = heading::OUTPUT)]
pub(super) struct OutputArgs {
    /// Print JSON, with the field names of `terraform show -json`
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print Markdown, as for a comment on a pull request
    #[arg(long)]
    pub markdown: bool,
    /// Print each change by itself, also where several clusters have the same
    #[arg(long)]
    pub expand: bool,
    /// The most bytes that the Markdown may have; what does not fit is counted
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = markdown::COMMENT,
        value_parser = clap::value_parser!(u32).range(2000..)
    )]
    pub max_bytes: u32,
}

pub(super) fn run(args: ShowArgs) -> Result<Success, Failure> {
    let file = plan_file::read(&args.plan)?;
    if !args.output.json && !args.output.markdown {
        print::note(&view::saved(&file));
    }
    show(
        &file.plan,
        &file.desired,
        || file.hash(),
        &again::saved(&file),
        &args.output,
    )?;
    Ok(Success::Ok)
}

/// Prints a plan in the form that is asked for; some have its hash in them.
pub(super) fn show(
    plan: &Plan,
    desired: &Desired,
    hash: impl FnOnce() -> String,
    apply: &str,
    output: &OutputArgs,
) -> std::io::Result<()> {
    if output.json {
        print::data(&view::json::plan(plan, desired, &hash()))
    } else if output.markdown {
        let about = markdown::About {
            apply: Some(apply.to_owned()),
            ..markdown::About::default()
        };
        print::data(&markdown::plan(plan, &hash(), &about, output.max_bytes))
    } else {
        print::data(&view::text::plan(plan, print::width(), output.expand))
    }
}
