//! `wi init`: what it writes works as it is, and nothing of the user's is overwritten.

use std::path::Path;
use std::process::Command;

use crate::support::{Place, Ran};
use serde_json::Value;

fn empty() -> Place {
    let place = Place::new("", "");
    std::fs::remove_file(place.path("wi.yaml")).expect("removed");
    std::fs::remove_file(place.path("world.yaml")).expect("removed");
    place
}

fn read(place: &Place, file: &str) -> String {
    std::fs::read_to_string(place.path(file)).expect(file)
}

#[test]
fn the_first_spec_is_valid_and_can_be_tried_at_once() {
    let place = empty();
    let ran = place.wi(&["init", "--project", "acme-prod"]).ok();
    assert_eq!(ran.out, "Wrote wi.yaml\nWrote .wi/wi.v1.schema.json\n");
    let spec = read(&place, "wi.yaml");
    assert!(spec.starts_with("# yaml-language-server: $schema=.wi/wi.v1.schema.json\n"));
    assert_eq!(
        read(&place, ".wi/wi.v1.schema.json"),
        include_str!("../../schemas/wi.v1.schema.json")
    );
    place.wi(&["validate"]).ok();
    let plan = place.wi(&["plan"]).ok();
    assert!(
        plan.out.contains("gsa.example-app will be created"),
        "{}",
        plan.out
    );
    place.wi(&["apply", "--auto-approve"]).ok();
}

#[test]
fn the_project_comes_from_the_environment_too() {
    let place = empty();
    let mut command = place.command(&["init"]);
    command.env("GOOGLE_CLOUD_PROJECT", "example.com:acme-prod");
    Ran::of(&mut command).ok();
    assert!(read(&place, "wi.yaml").contains("project: example.com:acme-prod "));
    place.wi(&["validate"]).ok();
    let ran = empty().wi(&["init", "--project", "Bad_Name"]).fails();
    assert!(ran.err.contains("Bad_Name"), "{}", ran.err);
}

#[test]
fn what_is_there_stays_and_then_nothing_is_written() {
    let place = empty();
    place.write("wi.yaml", "# mine\n");
    let ran = place.wi(&["init"]).fails();
    assert!(ran.err.contains("wi.yaml is there already"), "{}", ran.err);
    assert_eq!(read(&place, "wi.yaml"), "# mine\n");
    assert!(!place.path(".wi").exists());

    place.wi(&["init", "fleet", "--ci", "github"]).ok();
    let ran = place.wi(&["init", "other", "--ci", "github"]).fails();
    assert!(ran.err.contains("nothing was written"), "{}", ran.err);
    assert!(!place.path("other").exists());
}

#[test]
fn a_spec_that_is_there_gets_just_the_workflow() {
    let place = Place::example("quickstart");
    let before = read(&place, "wi.yaml");
    let ran = place.wi(&["init", "--ci", "gitlab"]).ok();
    assert_eq!(
        ran.out,
        "Wrote .gitlab/wi.yaml\nWrote .wi/wi.v1.schema.json\n"
    );
    assert_eq!(read(&place, "wi.yaml"), before);
    assert!(read(&place, ".gitlab/wi.yaml").contains("ROOT: . #"));
}

/// All shell scripts of a workflow.
fn scripts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("run", Value::String(script)) => found.push(script.clone()),
                    ("script" | "before_script", Value::Array(lines)) => found.push(
                        lines
                            .iter()
                            .map(|l| format!("{}\n", l.as_str().expect("a line")))
                            .collect(),
                    ),
                    _ => scripts(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|v| scripts(v, found)),
        _ => {}
    }
}

/// The flags that a script gives to `wi` are flags that `wi` has.
fn wi_knows_its_flags(script: &str, place: &Place) {
    for line in script.lines().filter(|l| l.trim_start().starts_with("wi ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let help = place.wi(&[words[1], "--help"]).ok().out;
        for flag in words.iter().filter(|w| w.starts_with("--")) {
            assert!(help.contains(flag), "{flag} of `{line}`");
        }
    }
}

#[test]
fn the_workflows_are_yaml_whose_scripts_are_shell() {
    let place = empty();
    place.wi(&["init", "wi", "--ci", "github"]).ok();
    place.wi(&["init", "wi2", "--ci", "gitlab"]).ok();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci");
    let example = |name: &str| std::fs::read_to_string(examples.join(name)).expect(name);
    assert_eq!(
        read(&place, ".github/workflows/wi.yaml"),
        example("github.yaml")
    );
    assert_eq!(
        read(&place, ".gitlab/wi.yaml").replace("ROOT: wi2", "ROOT: wi"),
        example("gitlab.yaml")
    );
    for name in ["github.yaml", "github-comment.yaml", "gitlab.yaml"] {
        let workflow: Value = serde_saphyr::from_str(&example(name)).expect(name);
        let mut found = Vec::new();
        scripts(&workflow, &mut found);
        assert!(found.len() >= 2, "{name}: {found:?}");
        for script in &found {
            let checked = Command::new("bash")
                .args(["-n", "-c", script])
                .status()
                .expect("bash");
            assert!(checked.success(), "{name}: {script}");
            wi_knows_its_flags(script, &place);
            // What a pull request's author chooses must come by the environment, not by `${{ }}`.
            assert!(!script.contains("${{"), "{name}: {script}");
        }
    }
}

#[test]
fn no_workflow_gives_a_pull_request_more_than_it_needs() {
    let github: Value =
        serde_saphyr::from_str(include_str!("../../examples/ci/github.yaml")).expect("YAML");
    assert!(github["on"].get("pull_request_target").is_none());
    assert_eq!(github["permissions"]["contents"], "read");
    let plan = &github["jobs"]["plan"]["permissions"];
    assert_eq!(plan["contents"], "read");
    assert_eq!(github["jobs"]["apply"]["if"], "github.event_name == 'push'");
}
