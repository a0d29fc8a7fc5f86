//! `wi help`: of a command, or a page of the documentation, which is in the binary.

use clap::Args;
use wi_core::spec::nearest;

use super::{Failure, Success};
use crate::view::{page, print};

#[derive(Debug, Args)]
pub(super) struct HelpArgs {
    /// A command, or a page: `wi help` lists them
    #[arg(value_name = "COMMAND|PAGE")]
    pub topic: Option<String>,
}

/// A page of docs/: its name there, what it is about, its text.
struct Page {
    name: &'static str,
    about: &'static str,
    text: &'static str,
}

macro_rules! pages {
    ($($name:literal, $about:literal;)*) => {
        [$(Page {
            name: $name,
            about: $about,
            text: include_str!(concat!("../../docs/", $name, ".md")),
        }),*]
    };
}

const PAGES: &[Page] = &pages![
    "concepts", "Ownership, identities, the order of things, addresses";
    "spec", "Every field of the spec";
    "cli", "The command line, exit codes, environment";
    "importing", "A spec from what is there: wi import";
    "keys", "Static keys: where they lie, who uses them";
    "migrating", "Off static keys: how far an account is, patches";
    "audit", "Over-privilege, drift, who can become whom: the rules";
    "logs", "Audit logs: what is unusual in them, who used what";
    "beside-terraform", "Who undoes whom, and how both stay quiet";
    "node-pools", "Who loses what when a node pool moves; recreated nodes";
    "rollout", "Fleets: selectors, discovered clusters, waves";
    "ci", "Saved plans, JSON, comments on pull requests, workflows";
    "troubleshooting", "A pod gets a 403: wi explain";
    "real-projects", "Credentials, permissions, endpoints";
    "guarantees", "What wi promises, and what tries to break it";
    "threat-model", "What wi protects against";
    "performance", "What is measured";
    "sandbox", "The simulator, for wi, gcloud, kubectl and client libraries";
    "decisions", "What was chosen over what one might expect";
];

/// `cli` is the whole command line.
pub(super) fn run(args: HelpArgs, mut cli: clap::Command) -> Result<Success, Failure> {
    // Its subcommands have the flags that all commands take once it is built.
    cli.build();
    let text = match args.topic.as_deref() {
        None => format!("{}\n{}", cli.render_help(), index()),
        Some(topic) => {
            // `docs/sandbox.md` is the page where `sandbox` is a command.
            let name = topic.trim_start_matches("docs/").trim_end_matches(".md");
            let page = PAGES.iter().find(|p| p.name == name);
            match (cli.find_subcommand_mut(topic), page) {
                (Some(command), None) => command.render_help().to_string(),
                (Some(command), Some(_)) => {
                    let help = command.render_help();
                    format!("{help}\nThe page on it: wi help docs/{name}.md\n")
                }
                (None, Some(page)) => page::page(page.text, print::width()),
                (None, None) => return Err(unknown(topic, &cli)),
            }
        }
    };
    print::data(&text)?;
    Ok(Success::Ok)
}

fn unknown(topic: &str, cli: &clap::Command) -> Failure {
    let commands = cli.get_subcommands().map(clap::Command::get_name);
    let meant = match nearest(topic, PAGES.iter().map(|p| p.name).chain(commands)) {
        Some(near) => format!("did you mean {near}?"),
        None => "`wi help` lists them".to_owned(),
    };
    Failure::Message(format!(
        "there is no command and no page {topic:?}: {meant}"
    ))
}

fn index() -> String {
    let width = PAGES.iter().map(|p| p.name.len()).max().unwrap_or(0);
    let pages: String = PAGES
        .iter()
        .map(|p| format!("  {:width$}  {}\n", p.name, p.about))
        .collect();
    format!("Pages (`wi help PAGE`):\n{pages}")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::args::Cli;

    /// What stands between backquotes, and lines of consoles.
    fn commands(text: &str) -> impl Iterator<Item = &str> {
        let inline = text.split('`').skip(1).step_by(2);
        let typed = text.lines().filter_map(|l| l.strip_prefix("$ "));
        inline.chain(typed).filter_map(|c| c.strip_prefix("wi "))
    }

    #[test]
    fn what_the_pages_say_to_type_is_there() {
        let mut cli = Cli::command();
        cli.build();
        let mut flags = 0;
        let readme = include_str!("../../README.md");
        let texts = PAGES.iter().map(|p| p.text).chain([readme]);
        for typed in texts.flat_map(commands) {
            let mut command = &cli;
            for word in typed
                .split_whitespace()
                .take_while(|w| !matches!(*w, "|" | "#"))
            {
                let word = word.trim_matches(['[', ']', '(', ')', ',', '\'']);
                if let Some(flag) = word.strip_prefix("--") {
                    let name = flag.split(['=', '[']).next().unwrap_or_default();
                    let has = |a: &clap::Arg| a.get_long() == Some(name);
                    assert!(command.get_arguments().any(has), "wi {typed}: {word}");
                    flags += 1;
                } else if let Some(below) = command.find_subcommand(word) {
                    command = below;
                }
            }
            let placeholder = typed.starts_with("COMMAND");
            assert!(
                placeholder || command.get_name() != cli.get_name(),
                "wi {typed}"
            );
        }
        assert!(flags >= 40, "only {flags} flags");
    }
}
