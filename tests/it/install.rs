//! How `wi` comes onto a machine: the action and the workflows, the commit in its version, completions, manual pages, and the
//! documentation that is in the binary.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::Place;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn text(file: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(file)).expect(file)
}

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&text(file)).expect(file)
}

/// The job of GitLab's component: what follows its inputs.
fn component() -> Value {
    let text = text("templates/wi.yml");
    let (inputs, job) = text.split_once("\n---\n").expect("inputs and a job");
    let inputs: Value = serde_saphyr::from_str(inputs).expect("inputs");
    for input in ["version", "sha256", "releases", "job"] {
        assert!(inputs["spec"]["inputs"][input].is_object(), "{input}");
        assert!(job.contains(&format!("$[[ inputs.{input} ]]")), "{input}");
    }
    serde_saphyr::from_str(job).expect("a job")
}

/// A directory of releases with one archive, as `.ci/package` makes it, and the archive's checksum.
fn release(place: &Place, version: &str) -> String {
    let name = format!("wi-{version}-x86_64-unknown-linux-musl");
    place.write(&format!("stage/{name}/wi"), "#!/bin/sh\necho installed\n");
    let archive = place.path(&format!("releases/v{version}/{name}.tar.gz"));
    std::fs::create_dir_all(archive.parent().expect("a directory")).expect("made");
    let packed = Command::new("tar")
        .args(["--mode=u=rwx,go=rx", "-czf"])
        .arg(&archive)
        .arg("-C")
        .arg(place.path("stage"))
        .arg(&name)
        .status();
    assert!(packed.expect("tar").success());
    let sum = Sha256::digest(std::fs::read(&archive).expect("read"));
    sum.iter().map(|b| format!("{b:02x}")).collect()
}

/// Runs a step's script as a runner does; whether it succeeded, and what it then puts first into `PATH`: by `$GITHUB_PATH`, or itself.
fn step(script: &str, place: &Place, version: &str, sha256: &str) -> (bool, String) {
    let runner = |file: &str| place.path(file).to_str().expect("UTF-8").to_owned();
    let releases = format!("file://{}", runner("releases"));
    let first_of_path =
        "if [ -z \"$(cat \"$GITHUB_PATH\")\" ]; then echo \"${PATH%%:*}\" >\"$GITHUB_PATH\"; fi";
    let script = format!("{script}\n{first_of_path}");
    place.write("path", "");
    std::fs::create_dir_all(place.path("temp")).expect("made");
    let ran = Command::new("bash")
        .args(["-eo", "pipefail", "-c", &script])
        .current_dir(place.path("."))
        .env("RUNNER_OS", "Linux")
        .env("RUNNER_ARCH", "X64")
        .env("RUNNER_TEMP", runner("temp"))
        .env("RUNNER_TOOL_CACHE", runner("tools"))
        .env("CI_PROJECT_DIR", runner("project"))
        .env("GITHUB_PATH", runner("path"))
        .env("GITHUB_OUTPUT", runner("output"))
        .envs([("WI_RELEASES", &releases), ("RELEASES", &releases)])
        .envs([("WI_VERSION", version), ("VERSION", version)])
        .envs([("WI_SHA256", sha256), ("SHA256", sha256)])
        .output()
        .expect("bash");
    let path = std::fs::read_to_string(place.path("path")).expect("read");
    (ran.status.success(), path.trim().to_owned())
}

#[test]
fn installation_takes_just_the_archive_of_that_checksum() {
    let action = yaml("action.yaml");
    let workflow = yaml("examples/ci/github.yaml");
    let action = &action["runs"]["steps"][0]["run"];
    let workflow = &workflow["jobs"]["plan"]["steps"][1]["run"];
    let gitlab = yaml("examples/ci/gitlab.yaml");
    let gitlab = &gitlab[".wi"]["before_script"][1];
    let component = component();
    let component = &component["$[[ inputs.job ]]"]["before_script"][1];
    assert_eq!(gitlab, component);
    for script in [action, workflow, component] {
        let script = script.as_str().expect("a script");
        let place = Place::new("", "");
        let sum = release(&place, "9.9.9");
        let (installed, path) = step(script, &place, "9.9.9", &sum);
        assert!(installed, "{script}");
        let wi = Command::new(Path::new(&path).join("wi")).output();
        assert_eq!(wi.expect("runs").stdout, b"installed\n");

        // Somebody has put another one there: nothing of it is unpacked.
        let other = "0".repeat(64);
        let place = Place::new("", "");
        release(&place, "9.9.9");
        let (installed, path) = step(script, &place, "9.9.9", &other);
        assert!(!installed && path.is_empty(), "{script}");
        assert!(!place.path("temp/wi/wi").exists() && !place.path("tools").exists());
        assert!(!place.path("project.bin").exists());
    }
    let step = workflow.as_str().expect("a script");
    let comment = text("examples/ci/github-comment.yaml");
    for line in step.lines().filter(|l| !l.contains("GITHUB_PATH")) {
        assert!(comment.contains(line.trim()), "github-comment.yaml: {line}");
    }
}

#[test]
fn workflows_install_the_version_that_wrote_them() {
    let pinned = format!("WI_VERSION: {}\n", env!("CARGO_PKG_VERSION"));
    for file in ["github.yaml", "github-comment.yaml", "gitlab.yaml"] {
        assert!(
            text(&format!("examples/ci/{file}")).contains(&pinned),
            "{file}: {pinned}"
        );
    }
}

#[test]
fn completions_and_manual_pages_know_the_commands() {
    let place = Place::new("", "");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.wi(&["completion", shell]).ok().out;
        for word in ["apply", "expect-plan-hash", "doctor"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
    assert!(place.wi(&["man"]).ok().out.starts_with(".ie"));
    place.wi(&["man", "pages/man1"]).ok();
    for page in ["wi", "wi-apply", "wi-plan"] {
        assert!(
            place.path(&format!("pages/man1/{page}.1")).exists(),
            "{page}"
        );
    }
}

/// The pages that `wi help` lists.
fn pages(place: &Place) -> BTreeSet<String> {
    let help = place.wi(&["help"]).ok().out;
    let (_, pages) = help.split_once("Pages (`wi help PAGE`):\n").expect("pages");
    let names = pages.lines().filter_map(|l| l.split_whitespace().next());
    names.map(str::to_owned).collect()
}

#[test]
fn every_page_of_the_documentation_is_in_the_binary() {
    let place = Place::new("", "");
    let there = std::fs::read_dir(Path::new(ROOT).join("docs")).expect("docs");
    let there: BTreeSet<String> = there
        .filter_map(|entry| {
            let name = entry.expect("an entry").file_name().into_string();
            name.expect("UTF-8").strip_suffix(".md").map(str::to_owned)
        })
        .collect();
    assert_eq!(pages(&place), there);
    for page in &there {
        let said = place.wi(&["help", &format!("docs/{page}.md")]).ok().out;
        let file = text(&format!("docs/{page}.md"));
        let title = file.lines().next().and_then(|l| l.strip_prefix("# "));
        assert_eq!(said.lines().next(), title);
    }
    // As messages of others have it.
    assert_eq!(
        place.wi(&["help", "docs/ci.md"]).ok().out,
        place.wi(&["help", "ci"]).ok().out
    );
    let ran = place.wi(&["help", "rollouts"]).fails();
    assert!(ran.err.contains("did you mean rollout?"), "{}", ran.err);
}

/// Every `wi help PAGE` in the sources names a page.
#[test]
fn messages_name_pages_that_there_are() {
    let pages = pages(&Place::new("", ""));
    let mut named = 0;
    let mut directories = ["src", "crates/wi-client/src", "crates/wi-core/src"]
        .map(|d| Path::new(ROOT).join(d))
        .to_vec();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).expect("read");
            for (_, rest) in source
                .match_indices("`wi help ")
                .map(|(at, m)| (at, &source[at + m.len()..]))
            {
                let page = rest.split('`').next().unwrap_or_default();
                if page == "PAGE" {
                    continue;
                }
                assert!(pages.contains(page), "{}: {page}", path.display());
                named += 1;
            }
            // Users of the binary do not have docs/.
            let names_a_file = |line: &str| {
                let comment = line.trim_start().starts_with("//");
                !comment && line.contains("docs/") && line.contains(".md")
            };
            let file = path.strip_prefix(ROOT).expect("below");
            if file != Path::new("src/cli/help.rs") {
                let line = source.lines().find(|l| names_a_file(l));
                assert_eq!(line, None, "{}", file.display());
            }
        }
    }
    assert!(named >= 5, "{named}");
}
