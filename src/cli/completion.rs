//! `wi completion` and `wi man`: what shells and `man` know of the command line, made from its arguments.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::{Failure, Success};
use crate::view::print;

#[derive(Debug, Args)]
pub(super) struct CompletionArgs {
    /// The shell that is to read it
    #[arg(value_enum)]
    pub shell: Shell,
}

/// `cli` is the whole command line.
pub(super) fn run(args: CompletionArgs, mut cli: clap::Command) -> Result<Success, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli, "wi", &mut script);
    print::data(&String::from_utf8_lossy(&script))?;
    Ok(Success::Ok)
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Write the pages of all commands into this directory, instead of wi(1) to standard output
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

/// `cli` is the whole command line.
pub(super) fn man(args: ManArgs, cli: clap::Command) -> Result<Success, Failure> {
    let Some(directory) = args.directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(cli).render(&mut page)?;
        print::data(&String::from_utf8_lossy(&page))?;
        return Ok(Success::Ok);
    };
    std::fs::create_dir_all(&directory)
        .and_then(|()| clap_mangen::generate_to(cli, &directory))
        .map_err(|e| Failure::Message(format!("cannot write to {}: {e}", directory.display())))?;
    Ok(Success::Ok)
}
