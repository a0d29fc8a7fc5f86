//! `wi export`: what the spec asks for, in the words of other tools.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use futures::future::join_all;
use wi_client::google::projects;
use wi_client::http::Http;
use wi_core::desired::Desired;
use wi_core::export::{self, Imports};
use wi_core::live::Live;
use wi_core::names::ProjectId;
use wi_core::plan::{Action, Options};

use super::connect::{self, ConnectArgs, Session};
use super::heading;
use super::validate::SpecArgs;
use super::{Failure, Success};
use crate::engine::pipeline::{self, Input, Part};
use crate::view::print;

#[derive(Debug, Args)]
#[command(next_line_help = true)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// The tool: Terraform's HCL with blocks that import, or Config Connector's YAML
    #[arg(long, value_enum, help_heading = heading::OUTPUT)]
    pub format: Format,
    /// What Terraform is to import: all that the spec declares, as if it was applied; what of it is there, as a plan
    /// sees it; or nothing
    #[arg(long, value_enum, default_value = "declared", help_heading = heading::OUTPUT)]
    pub import: Import,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// Whose words. Without a doc comment on each, they take one line of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Terraform,
    Kcc,
}

/// What Terraform is to import. Without a doc comment on each, they take one line of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Import {
    Declared,
    Existing,
    None,
}

pub(super) fn run(args: ExportArgs) -> Result<Success, Failure> {
    let input = Input::load(&args.spec.paths, None)?;
    let declared = input.declared();
    let looks = args.format == Format::Terraform && args.import == Import::Existing;
    let needs_numbers =
        args.format == Format::Kcc && !export::pools_by_number(&declared).is_empty();
    let imports = match args.import {
        Import::None => Imports::None,
        Import::Declared | Import::Existing => Imports::Declared,
    };
    if !input.discovers() && !needs_numbers && !looks {
        let text = match args.format {
            Format::Terraform => export::terraform(&declared, &imports),
            Format::Kcc => export::config_connector(&declared, &declared.numbers)?,
        };
        print::data(&text)?;
        return Ok(Success::Ok);
    }
    connect::runtime()?.block_on(async {
        let session = Session::open(&args.connect, &args.spec.paths, || input.declared()).await?;
        if looks {
            let text = of_existing(&session.http, input).await?;
            session.close().await?;
            print::data(&text)?;
            return Ok(Success::Ok);
        }
        let found = input.on_all_clusters(&session.http).await?;
        if let Some((what, why)) = found.unlisted.first_key_value() {
            return Err(Failure::Message(format!(
                "{what} could not be listed: {why}"
            )));
        }
        let desired = found.desired;
        let text = match args.format {
            Format::Terraform => export::terraform(&desired, &imports),
            Format::Kcc => {
                let pools = export::pools_by_number(&desired).into_iter();
                let unknown = pools.filter(|pool| !desired.numbers.contains_key(pool));
                let unknown = unknown.filter_map(|pool| {
                    let project: ProjectId = desired.pools.get(&pool)?.clone();
                    Some((pool, project))
                });
                let read = join_all(unknown.map(async |(pool, project)| {
                    let number = projects::project_number(&session.http, &project).await;
                    let number = number.map_err(|e| {
                        format!(
                            "the number of the project {project} could not be read: {}",
                            e.reason()
                        )
                    });
                    Ok::<_, String>((pool, number?))
                }));
                let read: Result<BTreeMap<String, u64>, String> = read.await.into_iter().collect();
                let mut numbers = desired.numbers.clone();
                numbers.extend(read?);
                export::config_connector(&desired, &numbers)?
            }
        };
        session.close().await?;
        print::data(&text)?;
        Ok(Success::Ok)
    })
}

/// What a plan would make is not there to be imported.
async fn of_existing(http: &Http, input: Input) -> Result<String, Failure> {
    let options = Options {
        now: Some(jiff::Timestamp::now()),
        ..Options::default()
    };
    let look = async |_: &Desired, _: &mut Live| Ok::<(), Failure>(());
    let made = pipeline::make(http, input, &options, &Part::default(), look).await?;
    if let Some(unseen) = made.plan.unseen.first() {
        return Err(Failure::Message(format!(
            "what is there could not be seen: {}: {}",
            unseen.what, unseen.why
        )));
    }
    let changes = made.plan.changes.iter();
    let missing = changes.filter(|(_, change)| change.action() == Action::Create);
    let missing = missing.map(|(address, _)| address.clone());
    let imports = Imports::Existing(missing.collect());
    Ok(export::terraform(&made.desired, &imports))
}
