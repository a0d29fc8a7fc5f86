//! The command line: one file a command.

mod access;
mod again;
mod apply;
mod args;
mod audit;
mod choice;
mod comment;
mod completion;
mod connect;
mod doctor;
mod explain;
mod export;
mod graph;
mod heading;
mod help;
mod import;
mod init;
mod logs;
mod migrate;
mod plan;
mod plan_file;
mod report;
mod sandbox;
mod scan;
mod schema;
mod secrets;
mod show;
mod terraform;
mod validate;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use wi_core::spec::SpecErrors;

use crate::engine::pipeline;
use crate::view::print;

/// Why a command ended without success. The message is for the user, and may have colours.
#[derive(Debug)]
pub(crate) enum Failure {
    /// `Error: …` on standard error.
    Message(String),
    /// Already rendered, as it is to be shown.
    Rendered(String),
    /// Already said.
    Said,
    /// The plan is no longer the one that was approved: `Error: …`, and exit code 4.
    Stale(String),
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

impl From<SpecErrors> for Failure {
    fn from(errors: SpecErrors) -> Self {
        Self::Rendered(errors.render(print::width(), true))
    }
}

impl From<pipeline::Error> for Failure {
    fn from(e: pipeline::Error) -> Self {
        match e {
            pipeline::Error::Spec(errors) => errors.into(),
            pipeline::Error::Former(error) => error.into(),
            pipeline::Error::Message(message) => Self::Message(message),
        }
    }
}

/// Errors whose text is for the user.
macro_rules! told_as_they_are {
    ($($error:ty),+ $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(e: $error) -> Self {
                Self::Message(e.to_string())
            }
        }
    )+};
}

told_as_they_are!(
    std::io::Error,
    wi_client::auth::AuthError,
    wi_client::forge::NoTarget,
    wi_client::http::EndpointError,
    crate::engine::FormerError,
    crate::engine::git::GitError,
    crate::explain::ExplainError,
    wi_core::access::NoSubject,
);

/// What a command that succeeded has to say by its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Success {
    /// 0.
    Ok,
    /// 2, under `--detailed-exitcode`: there are changes.
    Changes,
    /// 2: there are findings.
    Findings,
    /// 3: a rollout waits at a gate, a migration for what comes next.
    Paused,
}

/// Runs the command line; the exit codes are those of Terraform (see docs/cli.md).
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match terraform::arguments(args) {
        Ok(args) => args,
        Err(instead) => {
            print::error(&instead);
            return ExitCode::FAILURE;
        }
    };
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            // Help and versions go to standard output and are no failure.
            let printed = e.print();
            return match printed {
                Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                    print::error(&print::unwritten(&e).to_string());
                    ExitCode::FAILURE
                }
                _ if e.use_stderr() => ExitCode::FAILURE,
                _ => ExitCode::SUCCESS,
            };
        }
    };
    cli.global.set_up();
    let _command = tracing::info_span!("command", name = cli.command.name()).entered();
    let result = match cli.command {
        Command::Init(args) => init::run(args),
        Command::Import(args) => import::run(args),
        Command::Export(args) => export::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Apply(args) => apply::run(args),
        Command::Destroy(args) => apply::destroy(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Scan(args) => scan::run(args),
        Command::Access(args) => access::run(*args),
        Command::Audit(args) => audit::run(*args),
        Command::Migrate(args) => migrate::run(args),
        Command::Logs(args) => logs::run(args),
        Command::Comment(args) => comment::run(args),
        Command::Show(args) => show::run(args),
        Command::Validate(args) => validate::run(args),
        Command::Graph(args) => graph::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Sandbox(args) => sandbox::run(args),
        Command::Completion(args) => completion::run(args, Cli::command()),
        Command::Man(args) => completion::man(args, Cli::command()),
        Command::Help(args) => help::run(args, Cli::command()),
    };
    match result {
        Ok(Success::Ok) => ExitCode::SUCCESS,
        Ok(Success::Changes | Success::Findings) => ExitCode::from(2),
        Ok(Success::Paused) => ExitCode::from(3),
        Err(failure) => {
            match failure {
                Failure::Message(message) => print::error(&message),
                Failure::Rendered(text) => print::note(&text),
                Failure::Said => {}
                Failure::Stale(message) => {
                    print::error(&message);
                    return ExitCode::from(4);
                }
            }
            ExitCode::FAILURE
        }
    }
}
