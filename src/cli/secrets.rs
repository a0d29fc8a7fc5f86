//! Which Secrets may be opened, and the question before the first one is: the arguments that `wi scan` and
//! `wi migrate` share; `wi plan` and `wi apply` take the flag alone for a yes, which stands on the command line and in no environment.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use wi_client::http::Http;
use wi_core::desired::Desired;
use wi_core::live::Live;
use wi_core::plan::Options;
use wi_core::words::{counted, safe};

use super::Failure;
use crate::engine::pipeline::{self, Input, Made, Part};
use crate::scan::live::{ReadSecrets, off_keys, read};
use crate::scan::report::{self, Sighting};
use crate::scan::{Progress, files};
use crate::view::{print, reading};

#[derive(Debug, Args)]
#[command(next_help_heading = "Secrets")]
pub(super) struct SecretsArgs {
    /// Which Secrets are opened
    #[arg(
        long,
        value_enum,
        default_value_t = Secrets::None,
        env = "WI_READ_SECRETS"
    )]
    pub read_secrets: Secrets,
    /// Open them without asking
    #[arg(long)]
    pub auto_approve: bool,
}

/// Which Secrets may be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Secrets {
    None,
    Referenced,
    All,
}

impl SecretsArgs {
    pub fn mode(&self) -> ReadSecrets {
        self.read_secrets.mode()
    }

    /// Says which Secrets are to be opened, and asks.
    pub fn consent(&self, looked: &[read::Looked]) -> Result<(), Failure> {
        let Some(text) = self.read_secrets.in_words(looked) else {
            return Ok(());
        };
        print::note(&text);
        if self.auto_approve {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::Message(
                "Secrets are opened only where somebody says yes: pass --auto-approve".to_owned(),
            ));
        }
        match print::ask("  Only 'yes' will be accepted.\n\n  Enter a value: ")?.trim() {
            "yes" => Ok(()),
            _ => Err(Failure::Message("no Secret was opened".to_owned())),
        }
    }
}

/// Which Secrets are opened for a plan.
#[derive(Debug, Args)]
#[command(next_help_heading = "Secrets")]
pub(super) struct OpenArgs {
    /// Which Secrets are opened, to tell who has a static key that `migrate` of the spec ends
    #[arg(
        long,
        value_enum,
        default_value_t = Secrets::None
    )]
    pub read_secrets: Secrets,
}

impl OpenArgs {
    pub fn mode(&self) -> ReadSecrets {
        self.read_secrets.mode()
    }

    /// As they are typed.
    pub fn words(&self) -> Vec<String> {
        let mode = match self.read_secrets {
            Secrets::None => return Vec::new(),
            Secrets::Referenced => "referenced",
            Secrets::All => "all",
        };
        vec!["--read-secrets".to_owned(), mode.to_owned()]
    }

    /// A plan, for which it is looked at who has keys that the spec's migrations end.
    pub async fn plan(
        &self,
        http: &Http,
        input: Input,
        options: &Options,
        part: &Part,
        spec: &[PathBuf],
    ) -> Result<Made, Failure> {
        let look =
            async |desired: &Desired, live: &mut Live| self.look(http, desired, live, spec).await;
        let made = pipeline::make(http, input, options, part, look);
        reading::while_reading(http, made).await
    }

    /// Looks at who has keys that the spec's migrations end. Whoever passes the flag has said yes to what is opened.
    pub async fn look(
        &self,
        http: &Http,
        desired: &Desired,
        live: &mut Live,
        spec: &[PathBuf],
    ) -> Result<(), Failure> {
        let secrets = self.read_secrets;
        let tell = |looked: &[read::Looked]| {
            if let Some(text) = secrets.in_words(looked) {
                print::note(&text);
            }
            Ok(())
        };
        let in_files = || in_files(spec);
        off_keys::add(http, desired, live, secrets.mode(), in_files, tell).await
    }
}

/// Keys in the files beside a spec.
pub(super) fn in_files(spec: &[PathBuf]) -> Vec<Sighting> {
    report::sightings(&files::scan(spec, &Progress::default()), None)
}

impl Secrets {
    pub fn mode(self) -> ReadSecrets {
        match self {
            Self::None => ReadSecrets::None,
            Self::Referenced => ReadSecrets::Referenced,
            Self::All => ReadSecrets::All,
        }
    }

    /// Which would be opened; `None`: none.
    fn in_words(self, looked: &[read::Looked]) -> Option<String> {
        Some(match self {
            Self::None => return None,
            Self::Referenced => {
                let named = read::named(looked);
                if named.is_empty() {
                    return None;
                }
                let list: Vec<String> = named
                    .iter()
                    .map(|s| format!("cluster.{} {}/{}", s.cluster, s.namespace, s.name))
                    .collect();
                format!(
                    "wi will open {} that workloads and custom resources name; what is in them stays in memory:\n  {}\n",
                    counted(named.len(), "Secret"),
                    safe(&list.join("\u{1f}")).replace("\\u{1f}", "\n  ")
                )
            }
            Self::All => format!(
                "wi will open all Secrets of {}; what is in them stays in memory.\n",
                counted(looked.len(), "cluster")
            ),
        })
    }
}
