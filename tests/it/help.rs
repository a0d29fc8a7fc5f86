//! `--help` of the commands with many flags: in groups, in 80 columns, and as docs/cli.md has it.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Place, Ran};

/// The flags of a help under their headings, which are numbered as they come.
fn groups(help: &str) -> BTreeMap<(usize, String), BTreeSet<String>> {
    let mut groups: BTreeMap<(usize, String), BTreeSet<String>> = BTreeMap::new();
    let mut heading = (0, String::new());
    for line in help.lines() {
        match line.strip_suffix(':') {
            Some(text) if !text.starts_with(' ') => heading = (heading.0 + 1, text.to_owned()),
            _ => {}
        }
        let words = line.trim_start();
        // What a flag does begins further to the right.
        if line.len() - words.len() <= 6 && words.starts_with('-') {
            let flag = words
                .split([' ', ','])
                .find_map(|word| word.strip_prefix("--"))
                .expect("every flag has a long form");
            let flags = groups.entry(heading.clone()).or_default();
            flags.insert(format!("--{}", flag.trim_end_matches('.')));
        }
    }
    groups
}

fn headings(groups: &BTreeMap<(usize, String), BTreeSet<String>>) -> Vec<&str> {
    groups.keys().map(|(_, text)| text.as_str()).collect()
}

#[test]
fn plan_and_apply_have_their_flags_in_groups() {
    let place = Place::example("quickstart");
    let help = |args: &[&str]| place.wi(args).ok().out;
    let plan = groups(&help(&["plan", "--help"]));
    let apply = groups(&help(&["apply", "--help"]));
    let shared = [
        "What is planned",
        "What is allowed",
        "Rollout",
        "How nodes are recreated (in this run; the settings are put back)",
        "Output",
        "Secrets",
        "Sandbox",
        "Connection",
        "General options",
    ];
    assert_eq!(headings(&plan), shared);
    assert_eq!(headings(&apply)[0], "Approval");
    assert_eq!(headings(&apply)[1..], shared);
    for command in ["plan", "apply", "doctor"] {
        let long = help(&[command, "--help"]);
        assert_eq!(long, help(&[command, "-h"]));
        assert_eq!(long, help(&["help", command]));
        for line in long.lines() {
            assert!(line.chars().count() <= 80, "{command}: {line}");
        }
    }
}

/// The table in docs/cli.md, row by row: group, commands, flags.
#[test]
fn the_documentation_has_every_flag_of_plan_and_apply_in_its_group() {
    let place = Place::example("quickstart");
    let documented: Vec<(String, String, BTreeSet<String>)> = include_str!("../../docs/cli.md")
        .lines()
        .skip_while(|line| !line.starts_with("| Group of flags"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let flags = cells[3].split('`').filter(|word| word.starts_with("--"));
            let flags = flags.map(|f| f.split(' ').next().unwrap_or(f).to_owned());
            (cells[1].to_owned(), cells[2].to_owned(), flags.collect())
        })
        .collect();
    for command in ["plan", "apply"] {
        let mut rows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (group, commands, flags) in &documented {
            if commands.contains(command) {
                rows.entry(group.clone()).or_default().extend(flags.clone());
            }
        }
        let help = place.wi(&[command, "--help"]).ok().out;
        let shown: BTreeMap<String, BTreeSet<String>> = groups(&help)
            .into_iter()
            .map(|((_, heading), flags)| {
                let bare = heading.split(" (").next().unwrap_or_default();
                (bare.to_owned(), flags)
            })
            .collect();
        assert_eq!(rows, shown, "docs/cli.md and `wi {command} --help`");
    }
}

/// A page is read on a terminal: it is where errors send one.
#[test]
fn pages_are_as_wide_as_the_terminal_and_no_markdown() {
    let place = Place::example("quickstart");
    let index = place.wi(&["help"]).ok().out;
    let pages: Vec<&str> = index
        .lines()
        .skip_while(|line| !line.starts_with("Pages"))
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(pages.len() > 10, "{index}");
    let mut listed = 0;
    for name in pages {
        let file = format!("{}/docs/{name}.md", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(file).expect("a page");
        let code: BTreeSet<String> = source.lines().map(|l| format!("    {l}")).collect();
        for width in [40, 80, 132] {
            let page = format!("docs/{name}.md");
            let mut command = place.command(&["help", &page]);
            let shown = Ran::of(command.env("COLUMNS", width.to_string())).ok().out;
            for line in shown.lines().filter(|l| !code.contains(*l)) {
                let is_one_word = line.trim_start_matches("- ").split_whitespace().count() == 1;
                let fits = line.chars().count() <= width;
                // What a runner would obey is escaped where it is printed, after the lines are filled.
                let is_escaped = line.contains("\\u{");
                assert!(
                    fits || is_one_word || is_escaped,
                    "{name} at {width}: {line}"
                );
                let outside: String = line.split('`').step_by(2).collect();
                assert!(!outside.contains("**"), "{name}: {line}");
                listed += usize::from(line.starts_with("- "));
            }
            assert!(
                !shown.contains("\n|"),
                "{name} has a table as it is written"
            );
            assert!(
                !shown.contains(".md)"),
                "{name} has a link as it is written"
            );
            assert!(!shown.contains('\u{1b}'), "{name}: colours in a pipe");
            // Nothing is lost on the way.
            let words = |text: &str| -> BTreeSet<String> {
                let words = text.split(|c: char| !c.is_alphanumeric());
                words.filter(|w| w.len() > 3).map(str::to_owned).collect()
            };
            let bare: String = source
                .split("](")
                .enumerate()
                .map(|(n, part)| match n {
                    0 => part.to_owned(),
                    _ => format!(" {}", part.split_once(')').map_or("", |(_, rest)| rest)),
                })
                .collect();
            let bare = bare
                .replace("```console", "")
                .replace("```yaml", "")
                .replace("```json", "");
            let missing: Vec<String> = words(&bare).difference(&words(&shown)).cloned().collect();
            assert!(
                missing.iter().all(|w| source.contains(&format!("```{w}"))),
                "{name}: {missing:?}"
            );
        }
    }
    assert!(listed > 100, "{listed}");
}
