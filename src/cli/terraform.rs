//! What Terraform's users type out of habit: taken where it means the same, answered in a word where it does not.

use std::ffi::OsString;

/// Flags that mean the same: `-auto-approve` is taken for `--auto-approve`.
const SAME: [&str; 9] = [
    "auto-approve",
    "destroy",
    "detailed-exitcode",
    "json",
    "no-color",
    "out",
    "parallelism",
    "target",
    "version",
];

/// Flags that `wi` has no use for, or another word.
const FLAGS: [(&str, &str); 14] = [
    (
        "backend-config",
        "there is no state and no backend: the live state is the state",
    ),
    (
        "compact-warnings",
        "each warning of wi is a line of its own already",
    ),
    (
        "force-unlock",
        "there is no lock: each write is made under the etag of what was read",
    ),
    (
        "input",
        "wi asks only on a terminal; --auto-approve answers, WI_INPUT=0 has it never ask",
    ),
    (
        "lock",
        "there is no lock: each write is made under the etag of what was read",
    ),
    (
        "lock-timeout",
        "there is no lock: each write is made under the etag of what was read",
    ),
    (
        "migrate-state",
        "there is no state: the live state is the state",
    ),
    (
        "reconfigure",
        "there is no state and no backend: the live state is the state",
    ),
    (
        "refresh",
        "every plan reads the live state: there is nothing to refresh",
    ),
    (
        "refresh-only",
        "every plan reads the live state, and `wi plan` is how drift is seen: `wi plan --detailed-exitcode`",
    ),
    (
        "replace",
        "nothing is replaced; an object that was made anew meanwhile is seen by its uid",
    ),
    ("upgrade", "there are no providers or modules to upgrade"),
    (
        "var",
        "specs have no variables: YAML anchors, several files and several clusters of one spec take their place",
    ),
    (
        "var-file",
        "specs have no variables: YAML anchors, several files and several clusters of one spec take their place",
    ),
];

/// Commands that `wi` has no use for, or another word.
const COMMANDS: [(&str, &str); 10] = [
    (
        "console",
        "`wi graph` and `wi plan --json` have what there is to ask",
    ),
    ("fmt", "specs are YAML: any formatter of YAML does"),
    (
        "force-unlock",
        "there is no lock: each write is made under the etag of what was read",
    ),
    (
        "output",
        "specs have no outputs: `wi plan --json` prints all that is planned",
    ),
    ("providers", "there are no providers"),
    (
        "refresh",
        "every plan reads the live state: `wi plan` shows the drift",
    ),
    ("state", "there is no state: the live state is the state"),
    (
        "taint",
        "nothing is replaced; an object that was made anew meanwhile is seen by its uid",
    ),
    (
        "test",
        "`wi plan --sandbox` and `wi apply --sandbox` try a spec on the simulator",
    ),
    (
        "workspace",
        "each spec has a `name`; another directory with another spec is another one",
    ),
];

/// The arguments as `wi` has them; or what to say to somebody who typed what it does not have.
pub(super) fn arguments(args: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>, String> {
    let mut rest_is_paths = false;
    let mut own = Vec::new();
    for (position, arg) in args.into_iter().enumerate() {
        let Some(text) = arg.to_str().filter(|_| !rest_is_paths) else {
            own.push(arg);
            continue;
        };
        rest_is_paths = text == "--";
        if position == 1
            && let Some((name, instead)) = COMMANDS.iter().find(|(name, _)| *name == text)
        {
            return Err(format!("wi has no `{name}`: {instead}"));
        }
        let one_dash = text.strip_prefix('-').filter(|t| !t.starts_with('-'));
        let name = |t: &str| t.split('=').next().unwrap_or_default().to_owned();
        let flag = one_dash.or_else(|| text.strip_prefix("--")).map(name);
        if let Some(flag) = flag
            && let Some((_, instead)) = FLAGS.iter().find(|(name, _)| *name == flag)
        {
            return Err(format!("wi has no -{flag}: {instead}"));
        }
        if one_dash.is_some_and(|t| SAME.contains(&name(t).as_str())) {
            own.push(format!("-{text}").into());
        } else {
            own.push(arg);
        }
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::args::Cli;
    use super::*;

    #[test]
    fn one_dash_is_as_good_as_two() {
        let args = [
            "wi",
            "apply",
            "-auto-approve",
            "-target=gsa.a",
            "--",
            "-target",
        ];
        let args = arguments(args.map(OsString::from)).expect("known");
        assert_eq!(
            args[2..],
            ["--auto-approve", "--target=gsa.a", "--", "-target"]
        );
    }

    #[test]
    fn what_is_answered_in_a_word_is_nothing_that_wi_has() {
        let mut cli = Cli::command();
        cli.build();
        for command in cli.get_subcommands() {
            assert!(COMMANDS.iter().all(|(name, _)| *name != command.get_name()));
            for argument in command.get_arguments().filter_map(clap::Arg::get_long) {
                assert!(
                    FLAGS.iter().all(|(name, _)| *name != argument),
                    "{argument}"
                );
            }
        }
        for (name, instead) in FLAGS {
            for dashes in ["-", "--"] {
                for value in ["", "=false"] {
                    let typed =
                        ["wi", "plan", &format!("{dashes}{name}{value}")].map(OsString::from);
                    assert!(
                        arguments(typed).is_err_and(|e| e.ends_with(instead)),
                        "{name}"
                    );
                }
            }
        }
        // Behind `--` there are only paths.
        let typed = ["wi", "plan", "--", "-var", "state"].map(OsString::from);
        assert!(arguments(typed).is_ok());
    }
}
