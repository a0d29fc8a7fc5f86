//! Which Secrets may be opened, and the question before the first one is: the arguments that `wi scan` and
//! `wi migrate` share.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use wi_core::words::{counted, safe};

use super::Failure;
use crate::scan::live::{ReadSecrets, read};
use crate::view::print;

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
        match self.read_secrets {
            Secrets::None => ReadSecrets::None,
            Secrets::Referenced => ReadSecrets::Referenced,
            Secrets::All => ReadSecrets::All,
        }
    }

    /// Says which Secrets are to be opened, and asks.
    pub fn consent(&self, looked: &[read::Looked]) -> Result<(), Failure> {
        let text = match self.read_secrets {
            Secrets::None => return Ok(()),
            Secrets::Referenced => {
                let named = read::named(looked);
                if named.is_empty() {
                    return Ok(());
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
            Secrets::All => format!(
                "wi will open all Secrets of {}; what is in them stays in memory.\n",
                counted(looked.len(), "cluster")
            ),
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
