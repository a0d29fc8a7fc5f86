//! Any one line of any example is taken out, and the spec applied again: nothing of that line is left behind
//! that the plan does not name.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use serde_json::Value;

use crate::support::{Place, Ran, flat, size};

const APPLY: [&str; 5] = [
    "apply",
    "--auto-approve",
    "--accept-loss",
    "--allow-mass-removal",
    "--force-conflicts",
];

/// What a principal has: resource, role, member.
type Grants = BTreeSet<(String, String, String)>;

/// All of it in a world.
fn grants(path: &str, value: &Value, found: &mut Grants) {
    for binding in value["bindings"].as_array().into_iter().flatten() {
        for member in binding["members"].as_array().into_iter().flatten() {
            let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
            // Two spellings are one identity.
            let member = text(member);
            found.insert((path.to_owned(), text(&binding["role"]), normal(&member)));
        }
    }
    for (key, below) in value.as_object().into_iter().flatten() {
        grants(&format!("{path}/{key}"), below, found);
    }
}

/// `PROJECT/NAMESPACE/NAME` for both spellings of a service account of Kubernetes.
fn normal(member: &str) -> String {
    let legacy = member.strip_prefix("serviceAccount:").and_then(|m| {
        let (pool, rest) = m.split_once(".svc.id.goog[")?;
        Some(format!("{pool}/{}", rest.strip_suffix(']')?))
    });
    let principal = member
        .split_once("/workloadIdentityPools/")
        .and_then(|(_, m)| {
            let (pool, rest) = m.split_once(".svc.id.goog/subject/ns/")?;
            let (namespace, name) = rest.split_once("/sa/")?;
            Some(format!("{pool}/{namespace}/{name}"))
        });
    legacy.or(principal).unwrap_or_else(|| {
        let email = member.strip_prefix("serviceAccount:");
        email.unwrap_or(member).to_owned()
    })
}

struct Example {
    name: String,
    spec: String,
    world: String,
    /// The world once the whole spec was applied.
    applied: String,
}

fn example(name: &str) -> Example {
    let place = Place::example(name);
    let read = |file: &str| std::fs::read_to_string(place.path(file)).expect(file);
    let (spec, world) = (
        read("wi.yaml"),
        read("world.yaml").replace("timeScale: 300", "timeScale: 20000"),
    );
    let place = Place::new(&spec, &world);
    place.wi(&APPLY).ok();
    Example {
        name: name.to_owned(),
        spec,
        world,
        applied: yaml(&place),
    }
}

fn yaml(place: &Place) -> String {
    serde_saphyr::to_string(&place.state()).expect("YAML")
}

fn applied(spec: &str, world: &str) -> (Ran, Grants) {
    let place = Place::new(spec, world);
    let ran = place.wi(&APPLY);
    let mut found = Grants::new();
    if ran.code == Some(0) {
        grants("", &place.state(), &mut found);
    }
    (ran, found)
}

/// Whether the plan says of a principal that something stays as it is.
fn names(out: &str, principal: &str) -> bool {
    let id = principal.split('@').next().unwrap_or_default();
    out.split("\n\n").map(flat).any(|part| {
        let stays = ["held back", "kept", "stays", "released", "not looked for"];
        let is_named = part.contains(principal)
            || (principal.contains('@') && part.contains(&format!("gsa.{id}")));
        is_named && stays.iter().any(|word| part.contains(word))
    })
}

/// What is wrong without this line; `None`: there is no such spec, or nothing of it is carried out.
fn without(example: &Example, line: usize) -> Option<Result<(), String>> {
    let lines = example.spec.lines().enumerate();
    let spec: String = lines
        .filter(|(at, _)| *at != line)
        .map(|(_, text)| format!("{text}\n"))
        .collect();
    // What this spec has where the other never was.
    let (fresh, declared) = applied(&spec, &example.world);
    if fresh.code != Some(0) {
        return None;
    }
    let (ran, now) = applied(&spec, &example.applied);
    let what = format!(
        "{}:{} {:?}",
        example.name,
        line + 1,
        example.spec.lines().nth(line)
    );
    if ran.code != Some(0) {
        return Some(Err(format!("{what}: {}{}", ran.out, ran.err)));
    }
    let left: Vec<_> = now
        .difference(&declared)
        .filter(|(_, _, member)| !names(&ran.out, member))
        .collect();
    Some(if left.is_empty() {
        Ok(())
    } else {
        Err(format!("{what} leaves {left:?} behind:\n{}", ran.out))
    })
}

fn examples() -> Vec<Example> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let dirs = std::fs::read_dir(root).expect("examples").flatten();
    let mut names: Vec<String> = dirs
        .filter(|d| d.path().join("world.yaml").exists())
        .map(|d| d.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 5, "{names:?}");
    names.iter().map(|name| example(name)).collect()
}

#[test]
fn no_line_of_an_example_leaves_anything_behind() {
    let examples = examples();
    let all: Vec<(&Example, usize)> = examples
        .iter()
        .flat_map(|e| {
            let lines = e.spec.lines().enumerate();
            let said = lines.filter(|(_, text)| {
                let text = text.trim();
                !text.is_empty() && !text.starts_with('#')
            });
            said.map(move |(at, _)| (e, at))
        })
        .collect();
    // Spread over all of them.
    let step = (all.len() / size(all.len())).max(1);
    let todo = Mutex::new(all.into_iter().skip(step / 2).step_by(step));
    let (wrong, compared) = (Mutex::new(Vec::new()), Mutex::new(0));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                loop {
                    let next = todo.lock().expect("no panic").next();
                    let Some((example, line)) = next else { return };
                    if let Some(result) = without(example, line) {
                        *compared.lock().expect("no panic") += 1;
                        wrong.lock().expect("no panic").extend(result.err());
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(compared.into_inner().expect("no panic") > 3);
}
