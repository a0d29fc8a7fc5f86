//! Input that nobody meant well: mutated answers of the APIs, plan files and worlds, names with
//! escapes. Nothing panics, hangs or grows without bound, and nothing reaches a terminal raw.

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::fake::{Answer, Fake};
use support::served::Served;
use support::{Place, Ran};
use wi::plan::file::PlanFile;
use wi::sandbox::World;

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
                        let started = Instant::now();
                        let mut command = served.place.command(form);
                        command
                            .env("WI_ENDPOINT", &api.url)
                            .env("GOOGLE_OAUTH_ACCESS_TOKEN", token.trim());
                        let ran = Ran::of(command.output().expect("wi runs"));
                        let what = format!("seed {seed} {form:?}");
                        assert!(matches!(ran.code, Some(0 | 1)), "{what}: {ran:?}");
                        assert!(!ran.err.contains("panicked"), "{what}: {}", ran.err);
                        is_clean(&ran.out, &what);
                        is_clean(&ran.err, &what);
                        assert!(
                            started.elapsed() < Duration::from_secs(30),
                            "{what} took too long"
                        );
                    }
                }
            });
        }
    });
}

/// A plan file with many kinds of changes, as bytes and as JSON.
fn plan_file() -> (Vec<u8>, Vec<u8>) {
    let place = Place::example("shop");
    place.wi(&["plan", "wi.yaml", "--out", "plan.wi"]).ok();
    let bytes = std::fs::read(place.path("plan.wi")).expect("a plan");
    let plan = PlanFile::decode(&bytes).expect("a plan");
    (bytes, serde_json::to_vec(&plan).expect("JSON"))
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
    let mut file = format!("wi-plan 1.0 {digest}\n").into_bytes();
    file.extend(packed);
    file
}

#[test]
fn no_plan_file_makes_it_panic() {
    let (bytes, text) = plan_file();
    let whole: Value = serde_json::from_slice(&text).expect("JSON");
    let mut read = 0;
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let mut damaged = bytes.clone();
        let at = dice.roll(damaged.len());
        match dice.roll(3) {
            0 => damaged[at] ^= 1 << dice.roll(8),
            1 => damaged.truncate(at),
            _ => damaged.insert(at, 0xff),
        }
        assert!(
            PlanFile::decode(&damaged).is_err(),
            "seed {seed}: a damaged file is read"
        );
        // Whoever makes one on purpose gets the checksum right.
        let mut forged = whole.clone();
        dice.mutate(&mut forged, 1500);
        if let Ok(plan) = PlanFile::decode(&packed(forged.to_string().as_bytes())) {
            read += 1;
            let what = format!("seed {seed}");
            is_clean(
                &strip(&wi::render::text::plan(&plan.plan, 100, true)),
                &what,
            );
            is_clean(&markdown(&plan.plan), &what);
        }
    }
    assert!(
        read >= 20,
        "only {read} of the forged files were read: the test proves little"
    );
}

fn markdown(plan: &wi::plan::Plan) -> String {
    use wi::render::markdown;
    markdown::plan(plan, &markdown::About::default(), 60_000)
}

fn strip(text: &str) -> String {
    console::strip_ansi_codes(text).into_owned()
}

#[test]
fn a_plan_file_that_unpacks_without_end_is_refused() {
    let started = Instant::now();
    let bomb = packed(&vec![b' '; 300 << 20]);
    assert!(bomb.len() < 4 << 20);
    let error = PlanFile::decode(&bomb).expect_err("too large");
    assert!(
        error.contains("MiB") || error.contains("damaged"),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(60));
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
    let ran = Ran::of(command.output().expect("wi runs")).fails();
    assert!(
        ran.out.contains("larger than"),
        "{}",
        &ran.out[..ran.out.len().min(2000)]
    );
}
