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
    assert_eq!(
        ran.out,
        "Wrote wi.yaml\nWrote .wi/wi.v1.schema.json\nWrote .gitignore\n"
    );
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
fn what_is_there_in_one_cluster_is_a_first_spec() {
    let place = Place::example("brownfield");
    let init = |args: &[&str]| {
        let all = [
            "init",
            "wi",
            "--from-live",
            "--project",
            "acme-prod",
            "--sandbox",
            "world.yaml",
        ];
        Ran::of(&mut place.command(&[&all[..], args].concat()))
    };
    // There are two, and nothing is written.
    init(&[]).fails().says(&[
        "which cluster of acme-prod?",
        "europe-west1/main",
        "us-central1-a/edge",
    ]);
    assert!(!place.path("wi").exists());
    init(&["--cluster", "main"])
        .ok()
        .says(&["Wrote 1 file", "wi plan wi --sandbox world.yaml"]);
    let spec = read(&place, "wi/wi.yaml");
    assert!(
        spec.starts_with(
            "# yaml-language-server: $schema=.wi/wi.v1.schema.json\napiVersion: wi/v1\n"
        ),
        "{spec}"
    );
    assert!(
        spec.contains("checkout: { impersonates: checkout }"),
        "{spec}"
    );
    assert!(place.path("wi/.wi/wi.v1.schema.json").exists());
    let plan = Ran::of(&mut place.command(&["plan", "wi", "--sandbox", "world.yaml"])).ok();
    plan.says(&["0 to add", "0 to destroy"]);
    init(&["--cluster", "main"])
        .fails()
        .says(&["has a spec already"]);
    place
        .wi(&["init", "other", "--sandbox"])
        .fails()
        .says(&["--from-live"]);
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
    place.write(".gitlab/wi-fleet.yaml", "# mine\n");
    let ran = place.wi(&["init", "fleet", "--ci", "gitlab"]).fails();
    assert!(ran.err.contains("nothing was written"), "{}", ran.err);
    assert_eq!(read(&place, ".gitlab/wi-fleet.yaml"), "# mine\n");

    // What is ignored there is the user's, too.
    place.write("other/.gitignore", "# mine\n");
    place.wi(&["init", "other"]).ok();
    assert_eq!(read(&place, "other/.gitignore"), "# mine\n");
}

#[test]
fn a_spec_that_is_there_gets_just_the_workflow() {
    let place = Place::example("quickstart");
    let before = read(&place, "wi.yaml");
    let ran = place.wi(&["init", "--ci", "gitlab"]).ok();
    assert_eq!(
        ran.out,
        "Wrote .gitlab/wi.yaml\nWrote .wi/wi.v1.schema.json\nWrote .gitignore\n"
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
    place.wi(&["init", "wi", "--ci", "gitlab"]).ok();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci");
    let example = |name: &str| std::fs::read_to_string(examples.join(name)).expect(name);
    assert_eq!(
        read(&place, ".github/workflows/wi.yaml"),
        example("github.yaml")
    );
    assert_eq!(read(&place, ".gitlab/wi.yaml"), example("gitlab.yaml"));
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
    assert_eq!(github["permissions"], serde_json::json!({}));
    for (name, job) in github["jobs"].as_object().expect("jobs") {
        let permissions = job["permissions"].as_object().expect("permissions");
        assert_eq!(permissions["contents"], "read", "{name}");
        let writes = permissions.iter().filter(|(_, v)| *v == "write");
        let writes: Vec<&str> = writes.map(|(k, _)| k.as_str()).collect();
        let expected: &[&str] = match name.as_str() {
            "plan" => &["id-token", "issues", "pull-requests"],
            "drift" => &["id-token", "issues"],
            _ => &["id-token"],
        };
        assert_eq!(writes, expected, "{name}");
        // Who becomes the account that writes waits for the environment's reviewers.
        let applies = job.to_string().contains("WI_APPLY_ACCOUNT");
        assert_eq!(applies, job["environment"] == "production", "{name}");
        assert_eq!(applies, name == "apply");
        // A group would cancel those that wait.
        assert!(!applies || job.get("concurrency").is_none());
        for step in job["steps"].as_array().expect("steps") {
            let Some(action) = step["uses"].as_str() else {
                continue;
            };
            let (_, commit) = action.split_once('@').expect("a version");
            assert!(
                commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()),
                "{action} is not pinned"
            );
        }
    }
}

/// A repository whose remote calls `branch` its default.
fn repository(branch: &str) -> Place {
    let place = empty();
    place.write(
        ".git/refs/remotes/origin/HEAD",
        &format!("ref: refs/remotes/origin/{branch}\n"),
    );
    place
}

#[test]
fn each_spec_of_a_repository_has_a_workflow_at_its_top() {
    let place = repository("trunk");
    place.write("fleets/eu/wi.yaml", "apiVersion: wi/v1\n");
    let mut command = place.command(&["init", "--ci", "github"]);
    command.current_dir(place.path("fleets/eu"));
    Ran::of(&mut command).ok();
    assert!(!place.path("fleets/eu/.github").exists());
    let eu = read(&place, ".github/workflows/wi-fleets-eu.yaml");
    let eu: Value = serde_saphyr::from_str(&eu).expect("YAML");
    assert_eq!(eu["name"], "wi-fleets-eu");
    assert_eq!(eu["env"]["ROOT"], "fleets/eu");
    assert_eq!(eu["on"]["push"]["branches"], serde_json::json!(["trunk"]));
    assert_eq!(
        eu["on"]["pull_request"]["paths"],
        serde_json::json!(["fleets/eu/**", ".github/workflows/wi-fleets-eu.yaml"])
    );

    // The second one is another workflow, with queues of its own.
    place
        .wi(&["init", "us", "--ci", "github", "--branch", "release/1"])
        .ok();
    let us = read(&place, ".github/workflows/wi-us.yaml");
    let us: Value = serde_saphyr::from_str(&us).expect("YAML");
    assert_eq!(
        us["on"]["push"]["branches"],
        serde_json::json!(["release/1"])
    );
    assert_ne!(
        us["jobs"]["plan"]["concurrency"]["group"],
        eu["jobs"]["plan"]["concurrency"]["group"]
    );

    // GitLab merges what is included: no job of one has the name of the other's.
    place.wi(&["init", "us", "--ci", "gitlab"]).ok();
    place.wi(&["init", "wi", "--ci", "gitlab"]).ok();
    let keys = |file: &str| -> Vec<String> {
        let yaml: Value = serde_saphyr::from_str(&read(&place, file)).expect("YAML");
        let keys = yaml.as_object().expect("jobs").keys();
        keys.filter(|k| *k != "variables").cloned().collect()
    };
    let (us, first) = (keys(".gitlab/wi-us.yaml"), keys(".gitlab/wi.yaml"));
    assert_eq!(us.len(), first.len());
    assert!(us.iter().all(|k| !first.contains(k)), "{us:?} {first:?}");
    let text = read(&place, ".gitlab/wi-us.yaml");
    assert!(text.contains("ROOT: us #") && text.contains("resource_group: wi-us "));
    assert!(!text.contains("extends: .wi\n") && !text.contains("[wi plan main]"));

    let ran = place.wi(&["init", "a b", "--ci", "github"]).fails();
    assert!(ran.err.contains("cannot be named"), "{}", ran.err);
}
