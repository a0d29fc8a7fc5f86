//! `wi migrate`: where each account stands on its way off static keys.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use wi_core::desired::Desired;
use wi_core::live::Live;
use wi_core::migrate::state::Standing;
use wi_core::plan::Options;
use wi_core::words::safe;

use super::connect::{self, ConnectArgs, Session};
use super::heading;
use super::secrets::{SecretsArgs, in_files};
use super::validate::SpecArgs;
use super::{Failure, Success};
use crate::engine::pipeline::{self, Input, Part};
use crate::migrate::{self, Account, emit};
use crate::scan::live::{off_keys, read, see};
use crate::view::{self, print};

#[derive(Debug, Args)]
#[command(next_line_help = true)]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Only this account, by the spec's name of it (repeatable)
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Vec<String>,
    /// Write the patches of templates that are to be changed next below this directory
    #[arg(long, value_name = "DIR", help_heading = heading::OUTPUT)]
    pub emit: Option<PathBuf>,
    /// Print JSON
    #[arg(long, help_heading = heading::OUTPUT)]
    pub json: bool,
    #[command(flatten)]
    pub secrets: SecretsArgs,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

pub(super) fn run(args: MigrateArgs) -> Result<Success, Failure> {
    let input = Input::load(&args.spec.paths, None)?;
    for name in &args.account {
        if !input.declared().accounts.contains_key(name) {
            let name = safe(name);
            return Err(Failure::Message(format!(
                "--account {name}: the spec has no such Google service account"
            )));
        }
    }
    connect::runtime()?.block_on(async {
        let session = Session::open(&args.connect, &args.spec.paths, || input.declared()).await?;
        let http = &session.http;
        let options = Options {
            now: Some(jiff::Timestamp::now()),
            ..Options::default()
        };
        let wanted = read::Wanted {
            secrets: args.secrets.mode(),
            custom: true,
            metrics: true,
            activity: true,
            logs: false,
            only: None,
        };
        let consent = |looked: &[read::Looked]| args.secrets.consent(looked);
        let mut seen = None;
        let look = async |desired: &Desired, live: &mut Live| {
            let accounts = desired.accounts.values().map(|a| a.project.clone());
            let ids: BTreeSet<_> = accounts.collect();
            let in_files = in_files(&args.spec.paths);
            let looked = see(http, Some(desired), &ids, &wanted, &in_files, consent).await?;
            let mode = args.secrets.mode();
            off_keys::add_shadows(http, desired, live).await;
            let names = off_keys::add_logs(http, desired, live, mode).await;
            let of = off_keys::of_live(http, desired, live, &looked, &names, mode, &in_files).await;
            live.off_keys.extend(of);
            seen = Some(looked);
            Ok::<(), Failure>(())
        };
        let made = pipeline::make(http, input, &options, &Part::default(), look).await?;
        let live = seen.ok_or_else(|| "nothing was looked at".to_owned())?;
        let accounts = migrate::look(&made, &live, &args.account).await;
        session.close().await?;
        match args.json {
            true => print::data(&view::migrate::json::accounts(&accounts))?,
            false => print::data(&view::migrate::accounts(&accounts, print::width()))?,
        }
        if accounts.is_empty() {
            print::note("No account of the spec has a static key that was seen, and `migrate:` names none.\n");
        }
        if let Some(lines) = migrate::proposal(&made.desired, &accounts) {
            print::note(&format!("For the spec:\n\n{lines}\n"));
        }
        if let Some(directory) = &args.emit {
            let emitted = emit::write(&accounts, directory).map_err(Failure::Message)?;
            print::note(&view::migrate::emitted(&emitted));
        }
        outcome(&accounts, live.projects.not_seen.len())
    })
}

/// By the worst of what the spec asks for.
fn outcome(accounts: &[Account], unlisted: usize) -> Result<Success, Failure> {
    let asked = accounts.iter().filter(|a| a.migration.is_some());
    let worst = asked.map(|a| a.standing).max();
    match worst.unwrap_or(Standing::Reached) {
        Standing::CannotSay => Err(Failure::Message(
            "not all could be looked at; see above".to_owned(),
        )),
        _ if unlisted > 0 => Err(Failure::Message(
            "keys of accounts could not be listed: `wi scan --live` says which".to_owned(),
        )),
        Standing::Held => Err(Failure::Message(
            "something stands against it; see above".to_owned(),
        )),
        Standing::Waits => Ok(Success::Paused),
        Standing::Reached => Ok(Success::Ok),
    }
}
