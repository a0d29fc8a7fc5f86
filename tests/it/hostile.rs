//! Input that nobody meant well: mutated answers of the APIs, plan files and worlds, names with
//! escapes. Nothing panics, hangs or grows without bound, and nothing reaches a terminal raw.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;

use crate::support::cpu::CpuTime;
use crate::support::fake::{Answer, Fake};
use crate::support::served::Served;
use crate::support::{Place, Ran};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wi_core::plan::saved::PlanFile;
use wi_sandbox::World;

/// Escapes, line breaks, bidirectional marks, Markdown, and a name that is a command line.
const HOSTILE: &str =
    "x\u{1b}[2J\u{1b}]8;;http://evil\u{7}\r\n\u{202e}gro\u{2066}`</details>@all $(id)";

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).expect("small")
    }

    fn value(&mut self) -> Value {
        match self.roll(9) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-1),
            3 => json!(1e300),
            4 => json!([]),
            5 => json!({}),
            6 => json!(HOSTILE),
            7 => json!("x".repeat(100_000)),
            _ => json!([[[{"a": [HOSTILE]}]]]),
        }
    }

    /// Puts something else in the place of one value in so many.
    fn mutate(&mut self, value: &mut Value, one_in: usize) {
        if self.roll(one_in) == 0 {
            *value = self.value();
            return;
        }
        match value {
            Value::Array(items) => items.iter_mut().for_each(|v| self.mutate(v, one_in)),
            Value::Object(fields) => {
                if self.roll(one_in) == 0 {
                    fields.insert(HOSTILE.to_owned(), json!(HOSTILE));
                }
                fields.values_mut().for_each(|v| self.mutate(v, one_in));
            }
            // Texts that stay what they are, with something added.
            Value::String(text) if self.roll(one_in) == 0 => text.push_str(HOSTILE),
            _ => {}
        }
    }
}

/// No control character but line breaks, and nothing that reorders text.
#[track_caller]
fn is_clean(text: &str, what: &str) {
    let bad = text.chars().find(|c| {
        (c.is_control() && *c != '\n')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    });
    let line = text
        .split('\n')
        .find(|l| bad.is_some_and(|b| l.contains(b)));
    assert!(bad.is_none(), "{what}: {bad:?} in {line:?}");
}

/// The reads of a plan, and what the sandbox answers.
fn answers(served: &Served) -> BTreeMap<String, Value> {
    served.wi(&["plan", "wi.yaml"]).ok();
    let calls = served.request("GET", "/sandbox/v1/calls", "");
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let mut answers = BTreeMap::new();
    for call in calls["calls"].as_array().expect("calls") {
        let (method, path, query) = (
            text(&call["method"]),
            text(&call["path"]),
            text(&call["query"]),
        );
        let target = if query.is_empty() {
            path
        } else {
            format!("{path}?{query}")
        };
        if target.contains("tokeninfo") {
            continue;
        }
        let body = if call["body"].is_null() {
            String::new()
        } else {
            call["body"].to_string()
        };
        let answer = served.request(&method, &target, &body);
        answers.insert(format!("{method} {target}"), answer);
    }
    answers
}

#[test]
fn no_answer_of_an_api_makes_a_plan_panic_or_reach_the_terminal_raw() {
    let served = Served::of(Place::example("shop"));
    let answers = answers(&served);
    assert!(answers.len() >= 8, "{:?}", answers.keys());
    let token = std::fs::read_to_string(&served.token_file).expect("a token");
    let seeds = Mutex::new(0..60_u64);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(seed) = seeds.lock().expect("lock").next() else {
                        return;
                    };
                    let answers = answers.clone();
                    let one_in = [200, 40, 8][(seed % 3) as usize];
                    let api = Fake::new(move |seen| {
                        let call = format!("{} {}", seen.method, seen.uri);
                        let mut dice = Dice(seed.wrapping_mul(1000) + call.len() as u64);
                        let Some(answer) = answers.get(&call) else {
                            return Answer::json(
                                404,
                                json!({"error": {"code": 404, "message": HOSTILE}}),
                            );
                        };
                        let mut answer = answer.clone();
                        dice.mutate(&mut answer, one_in);
                        Answer::json(200, answer)
                    });
                    for form in [&["plan", "wi.yaml"][..], &["plan", "wi.yaml", "--markdown"]] {
                        let mut command = served.place.command(form);
                        command
                            .env("WI_ENDPOINT", &api.url)
                            .env("GOOGLE_OAUTH_ACCESS_TOKEN", token.trim());
                        let ran = Ran::of(&mut command);
                        let what = format!("seed {seed} {form:?}");
                        assert!(matches!(ran.code, Some(0 | 1)), "{what}: {ran:?}");
                        assert!(!ran.err.contains("panicked"), "{what}: {}", ran.err);
                        is_clean(&ran.out, &what);
                        is_clean(&ran.err, &what);
                    }
                }
            });
        }
    });
}

/// A plan file of an example, as bytes and as JSON.
fn plan_file(example: &str) -> (Place, Vec<u8>, Value) {
    let place = Place::example(example);
    place
        .wi(&["plan", "wi.yaml", "--accept-loss", "--out", "plan.wi"])
        .ok();
    let bytes = std::fs::read(place.path("plan.wi")).expect("a plan");
    let plan = PlanFile::decode(&bytes).expect("a plan");
    (place, bytes, serde_json::to_value(&plan).expect("JSON"))
}

/// A plan file around any bytes, its checksum right.
fn packed(text: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text).expect("packed");
    let packed = packer.finish().expect("packed");
    let digest: String = Sha256::digest(&packed)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let mut file = format!("wi-plan 3.0 {digest}\n").into_bytes();
    file.extend(packed);
    file
}

/// Where the digit of the minor version is: `wi-plan 3.0`.
const MINOR: usize = 10;

/// `fleet` has a rollout and many clusters, `shop` all kinds of changes.
#[test]
fn no_plan_file_makes_it_panic() {
    for (example, seeds, one_in, least) in [("shop", 400, 1500, 20), ("fleet", 150, 12_000, 20)] {
        let (_, bytes, whole) = plan_file(example);
        let (mut read, mut shown) = (0, 0);
        for seed in 0..seeds {
            let mut dice = Dice(seed);
            let mut damaged = bytes.clone();
            let at = dice.roll(damaged.len());
            match dice.roll(3) {
                0 => damaged[at] ^= 1 << dice.roll(8),
                1 => damaged.truncate(at),
                _ => damaged.insert(at, 0xff),
            }
            // Another minor version is read: it only adds fields.
            let mut pairs = damaged.iter().zip(&bytes).enumerate();
            let just_minor =
                damaged.len() == bytes.len() && pairs.all(|(i, (a, b))| a == b || i == MINOR);
            assert!(
                PlanFile::decode(&damaged).is_err() || just_minor,
                "seed {seed}: a damaged file is read"
            );
            // Whoever makes one on purpose gets the checksum right.
            let mut forged = whole.clone();
            dice.mutate(&mut forged, one_in);
            if seed % 2 == 0 {
                dice.mutate(&mut forged["plan"]["warnings"], 10);
                dice.mutate(&mut forged["plan"]["restarts"], 10);
            }
            let checked = PlanFile::decode(&packed(forged.to_string().as_bytes()));
            read += usize::from(checked.is_ok());
            // What is refused is shown here all the same: showing leans on no check.
            if let Ok(file) = serde_json::from_value::<PlanFile>(forged) {
                shown += 1;
                is_shown(&file, &format!("{example}, seed {seed}"));
            }
        }
        assert!(
            read >= least && shown > read,
            "of the forged files of {example} {read} were read and {shown} shown: the test proves little"
        );
    }
}

/// Numbers that point nowhere, and numbers that no sum holds.
#[test]
fn numbers_of_a_plan_file_point_nowhere() {
    let (_, _, whole) = plan_file("fleet");
    for number in [json!(3), json!(u64::MAX)] {
        for paths in [
            &["/plan/waves/wave_of", "/desired/waves/wave_of"][..],
            &["/plan/changes"],
            &["/plan/waves/waves", "/plan/owned", "/plan/left_out"],
        ] {
            let mut forged = whole.clone();
            for path in paths {
                numbers(forged.pointer_mut(path).expect(path), &number);
            }
            let what = format!("{number} in {paths:?}");
            if let Ok(file) = serde_json::from_value::<PlanFile>(forged.clone()) {
                is_shown(&file, &what);
            }
            // Three waves are numbered from 0, and 3 at a time or 3 left out may be.
            let read = PlanFile::decode(&packed(forged.to_string().as_bytes()));
            let may_be = number == json!(3) && paths.contains(&"/plan/owned");
            assert!(may_be || read.is_err(), "{what}");
        }
    }
}

/// Puts a number in the place of all.
fn numbers(value: &mut Value, number: &Value) {
    match value {
        Value::Number(_) => *value = number.clone(),
        Value::Array(items) => items.iter_mut().for_each(|v| numbers(v, number)),
        Value::Object(fields) => fields.values_mut().for_each(|v| numbers(v, number)),
        _ => {}
    }
}

/// In every form, and nothing raw in any.
#[track_caller]
fn is_shown(file: &PlanFile, what: &str) {
    use wi::view::{json, markdown, saved, text};
    let plan = &file.plan;
    is_clean(&saved(file), what);
    for (width, expand) in [(20, true), (40, false), (80, true), (200, false)] {
        let text = text::plan(plan, width, expand);
        is_clean(&console::strip_ansi_codes(&text), what);
    }
    let hash = file.hash();
    let about = markdown::About::default();
    for max in [500, 4000, 60_000, 1_000_000] {
        is_clean(&markdown::plan(plan, &hash, &about, max), what);
    }
    let text = json::plan(plan, &file.desired, &hash);
    is_clean(&text, what);
    serde_json::from_str::<Value>(&text).expect("JSON");
}

/// The same from outside, with all texts that may be anything.
#[test]
fn what_a_plan_file_says_reaches_nobody_raw() {
    let (place, _, mut forged) = plan_file("fleet");
    forged["made_on"] = json!(HOSTILE);
    forged["wi_version"] = json!(HOSTILE);
    forged["spec"] = json!([HOSTILE]);
    forged["spec_digests"] = json!({ HOSTILE: HOSTILE, "wi.yaml": "" });
    forged["plan"]["warnings"] = json!([HOSTILE]);
    forged["plan"]["unseen"] =
        json!([{ "what": HOSTILE, "why": { "text": HOSTILE, "cause_at": 3 } }]);
    let waves = forged["plan"]["waves"]["waves"]
        .as_array_mut()
        .expect("waves");
    waves[0]["name"] = json!(HOSTILE);
    let changes = forged["plan"]["changes"].as_array_mut().expect("changes");
    for change in changes {
        change["notes"] = json!([HOSTILE]);
        change["place"] = json!({ "file": HOSTILE, "line": 1 });
    }
    for version in [HOSTILE, env!("CARGO_PKG_VERSION")] {
        forged["wi_version"] = json!(version);
        std::fs::write(place.path("plan.wi"), packed(forged.to_string().as_bytes()))
            .expect("written");
        for args in [
            &["show", "plan.wi"][..],
            &["show", "plan.wi", "--expand"],
            &["show", "plan.wi", "--json"],
            &["show", "plan.wi", "--markdown"],
            &["comment", "plan.wi", "--root", "wi", "--dry-run"],
            &["apply", "plan.wi"],
            &["apply", "plan.wi", "--sandbox"],
            &["apply", "plan.wi", "--json"],
        ] {
            for columns in ["20", "200"] {
                let mut command = place.command(args);
                let ran = Ran::of(command.env("COLUMNS", columns));
                let what = format!("{args:?}");
                let expected = match (args[0], args.get(2)) {
                    ("apply", Some(&"--sandbox")) if version != HOSTILE => 4,
                    ("apply", _) => 1,
                    _ => 0,
                };
                assert_eq!(ran.code, Some(expected), "{what}: {}", ran.err);
                let all = format!("{}{}", ran.out, ran.err);
                assert!(all.contains("[2J"), "{what}: {all}");
                is_clean(&ran.out, &what);
                is_clean(&ran.err, &what);
            }
        }
    }
}

#[test]
fn a_plan_file_that_unpacks_without_end_is_refused() {
    let bomb = packed(&vec![b' '; 300 << 20]);
    assert!(bomb.len() < 4 << 20);
    let started = CpuTime::now();
    let error = PlanFile::decode(&bomb).expect_err("too large").to_string();
    started.is_less_than(60);
    assert!(
        error.contains("MiB") || error.contains("damaged"),
        "{error}"
    );
}

/// What is small as a text and large in memory.
#[test]
fn a_plan_file_that_takes_too_much_memory_is_refused() {
    let (_, _, mut whole) = plan_file("shop");
    whole["preconditions"] = json!([[{ "Policy": "project/acme-prod" }, { "state": "HERE" }]]);
    let many = r#"{"":0},"#.repeat(30_000_000);
    let text = whole.to_string().replace("\"HERE\"", &format!("[{many}0]"));
    let packed = packed(text.as_bytes());
    let started = CpuTime::now();
    let error = PlanFile::decode(&packed).expect_err("too much").to_string();
    started.is_less_than(60);
    assert!(error.contains("more in it than any plan"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_world_makes_it_panic(cut in 0..4000_usize, insert in ".{0,12}", drop in 0..40_usize) {
        for example in ["shop", "brownfield"] {
            let file = format!("{}/examples/{example}/world.yaml", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(file).expect("a world");
            let at = (0..=cut.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
            let rest: String = text[at..].chars().skip(drop).collect();
            let edited = format!("{}{insert}{rest}", &text[..at]);
            let _ = World::parse(&edited, "world.yaml");
        }
    }
}

/// One that answers without end, and one that never does.
#[test]
fn an_answer_without_end_is_not_kept() {
    let place = Place::example("quickstart");
    let huge = "x".repeat(280 << 20);
    let api = Fake::new(move |seen| match seen.uri.contains("/clusters") {
        true => Answer::text(200, &huge),
        false => Answer::json(200, json!({})),
    });
    let mut command = place.command(&["plan", "wi.yaml"]);
    command
        .env("WI_ENDPOINT", &api.url)
        .env("GOOGLE_OAUTH_ACCESS_TOKEN", "t");
    let ran = Ran::of(&mut command).fails();
    assert!(
        ran.out.contains("larger than"),
        "{}",
        &ran.out[..ran.out.len().min(2000)]
    );
}

/// Whoever opens a pull request can commit a directory that git takes for a bare repository, with a
/// configuration by which git runs a program when it misses an object.
#[cfg(unix)]
#[test]
fn a_repository_in_the_spec_runs_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let spec = "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\n";
    let world = "apiVersion: wi.sandbox/v1\nprojects: { acme-prod: { number: 123456789012 } }\nclusters:\n  - { project: acme-prod, location: europe-west1, name: main, autopilot: true }\n";
    let place = Place::new(spec, world);
    std::fs::create_dir(place.path("infra")).expect("a directory");
    std::fs::rename(place.path("wi.yaml"), place.path("infra/wi.yaml")).expect("moved");
    std::fs::rename(place.path("world.yaml"), place.path("infra/world.yaml")).expect("moved");
    let git = |args: &[&str]| {
        let ran = std::process::Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(args)
            .current_dir(place.dir.path())
            .output()
            .expect("git runs");
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).expect("text")
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "infra/wi.yaml"]);
    git(&["commit", "-qm", "former"]);
    let own = git(&["rev-parse", "HEAD"]);
    let pwned = place.path("pwned");
    let program = place.path("infra/program");
    let script = format!("#!/bin/sh\necho run >> '{}'\nexit 1\n", pwned.display());
    std::fs::write(&program, script).expect("a program");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("executable");
    let configuration = format!(
        "[core]\n\trepositoryformatversion = 1\n\tbare = true\n\tfsmonitor = {0}\n\tsshCommand = {0}\n\tpager = {0}\n\
         [extensions]\n\tpartialClone = origin\n\
         [remote \"origin\"]\n\turl = .\n\tpromisor = true\n\tuploadpack = {0}\n\
         [uploadpack]\n\tpackObjectsHook = {0}\n",
        program.display()
    );
    // As a bare repository, and as what a work tree holds (no commit can, an archive can).
    for (repository, is_bare) in [("infra", true), ("infra/.git", false)] {
        let put = |file: &str, text: &str| {
            let path = place.path(repository).join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            std::fs::write(path, text).expect(file);
        };
        put("objects/x", "");
        put("HEAD", "ref: refs/heads/main\n");
        // One that is there in the repository, and not in this one: git would fetch it.
        put("refs/heads/main", &own);
        put(
            "config",
            &configuration.replace(
                "bare = true",
                if is_bare {
                    "bare = true"
                } else {
                    "bare = false"
                },
            ),
        );
        for (directory, spec) in [
            (".", "infra"),
            (".", "infra/wi.yaml"),
            ("infra", "."),
            ("infra", "../infra"),
        ] {
            if !is_bare && directory == "infra" {
                continue; // then it is the user's own
            }
            let mut command = place.command(&["plan", spec, "--base", "main", "--sandbox"]);
            let ran = Ran::of(
                command
                    .current_dir(place.path(directory))
                    .env("PATH", std::env::var_os("PATH").unwrap_or_default()),
            );
            assert!(
                !pwned.exists(),
                "{repository}, {spec} in {directory}: {ran:?}"
            );
            let ran = ran.ok();
            assert!(ran.out.contains("No changes"), "{}", ran.out);
        }
    }
}

/// Servers and proxies quote what they were sent, and some encode it.
#[test]
fn a_token_that_is_quoted_back_is_seen_nowhere() {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    const TOKEN: &str = "ya29.a0AfH6SMBnobody-may_see/this+token-0123456789ABCDEFGHIJ==";
    let forms = |sent: &str| {
        let percent: String = sent.bytes().map(|b| format!("%{b:02X}")).collect();
        let hex: String = sent.bytes().map(|b| format!("{b:02x}")).collect();
        let partly: String = reqwest::Url::parse_with_params("http://x/", [("t", sent)])
            .expect("a URL")
            .query()
            .expect("a query")
            .to_owned();
        let basic = STANDARD.encode(format!("authorization: {sent}"));
        let safe = URL_SAFE.encode(format!("x{sent}"));
        [
            sent.to_owned(),
            percent,
            partly,
            hex,
            basic,
            safe,
            sent.to_uppercase(),
        ]
    };
    let given_away = |text: &str| {
        let text = text.to_lowercase();
        let text = text.replace('\u{0}', "");
        forms(TOKEN)
            .into_iter()
            .flat_map(|form| {
                let form = form.to_lowercase();
                let middle = form.len() / 2;
                [
                    form[8..middle].to_owned(),
                    form[middle..form.len() - 8].to_owned(),
                ]
            })
            .find(|part| text.contains(part.as_str()))
    };
    for n in 0..7 {
        let api = Fake::new(move |seen| {
            let sent = seen.header("authorization").to_owned();
            let quoted = &forms(&sent)[n];
            // In capitals it is no token any more.
            let whole = &forms(&sent)[n.min(5)];
            match seen.uri.contains("/clusters") {
                // A proxy, the API itself, a redirect, and an answer that is to be used.
                _ if seen.n % 4 == 0 => Answer::text(403, &format!("<b>refused:\n{quoted}</b>")),
                true => Answer::json(
                    200,
                    json!({"clusters": [{"name": whole, "status": whole, "location": "europe-west1"}]}),
                ),
                _ if seen.n % 4 == 1 => Answer::text(302, "")
                    .header("location", &format!("https://evil.example/?{quoted}")),
                _ => Answer::json(
                    403,
                    json!({"error": {"message": format!("{} {quoted}", "x".repeat(n * 100)), "status": quoted,
                    "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": quoted, "metadata": {"permission": quoted}}]}}),
                ),
            }
        });
        let place = Place::example("quickstart");
        for args in [
            &[
                "plan",
                "wi.yaml",
                "-vv",
                "--allow-incomplete",
                "--out",
                "p.plan",
            ][..],
            &["show", "--json", "p.plan"],
            &["show", "--markdown", "p.plan"],
            &["doctor", "wi.yaml", "-vv"],
        ] {
            let mut command = place.command(args);
            command
                .env("WI_ENDPOINT", &api.url)
                .env("GOOGLE_OAUTH_ACCESS_TOKEN", TOKEN);
            let ran = Ran::of(&mut command);
            let all = format!("{}{}", ran.out, ran.err);
            assert!(
                args[0] == "show" || all.contains("[redacted]"),
                "{args:?}: {all}"
            );
            assert_eq!(given_away(&all), None, "{args:?}, form {n}: {all}");
        }
        assert!(api.seen().len() > 4);
    }
}
