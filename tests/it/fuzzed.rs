//! The fuzz targets (`fuzz/`), on a stable compiler: seeds that are cut, doubled, spliced and flipped, the
//! same ones in every run. A fuzzer finds more; this keeps the targets whole, and finds what is shallow.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::io::Read;

use crate::support::Place;
use crate::support::cpu::CpuTime;
use flate2::read::GzDecoder;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

/// One change of some bytes.
#[derive(Debug, Clone)]
enum Edit {
    Flip(Index, u8),
    Cut(Index, Index),
    Double(Index, Index),
    Insert(Index, Vec<u8>),
}

/// Texts that mean something to one of the readers.
const WORDS: [&str; 16] = [
    "null",
    "-1",
    "1e999",
    "18446744073709551616",
    "{}",
    "[]",
    "\"\"",
    "*a",
    "&a ",
    "<<: ",
    "\n---\n",
    "\u{1b}[2J",
    "\u{202e}",
    "\u{0}",
    "..",
    "%2f",
];

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let word = prop_oneof![
        prop::sample::select(WORDS.to_vec()).prop_map(|w| w.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 1..6),
    ];
    let edit = prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Edit::Cut(a, b)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Edit::Double(a, b)),
        (any::<Index>(), word).prop_map(|(at, word)| Edit::Insert(at, word)),
    ];
    prop::collection::vec(edit, 0..5)
}

/// Short pieces, so that most of a seed stays as it was.
fn piece(len: usize, a: &Index, b: &Index) -> std::ops::Range<usize> {
    let from = a.index(len + 1);
    from..(from + b.index(40)).min(len)
}

fn edited(seed: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for edit in edits {
        let len = bytes.len();
        match edit {
            Edit::Flip(at, bit) if len > 0 => bytes[at.index(len)] ^= 1 << (bit % 8),
            Edit::Flip(..) => {}
            Edit::Cut(a, b) => drop(bytes.drain(piece(len, a, b))),
            Edit::Double(a, b) => {
                let range = piece(len, a, b);
                let copy = bytes[range.clone()].to_vec();
                bytes.splice(range.start..range.start, copy);
            }
            Edit::Insert(at, word) => {
                let at = at.index(len + 1);
                bytes.splice(at..at, word.iter().copied());
            }
        }
    }
    bytes
}

/// Runs a target on many edits of its seeds; none may take long.
fn fuzz(seeds: &[Vec<u8>], cases: u32, target: impl Fn(&[u8])) {
    for seed in seeds {
        target(seed);
    }
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRunner::deterministic().new_rng());
    let input = (prop::sample::select(seeds.to_vec()), edits());
    let result = runner.run(&input, |(seed, edits)| {
        let bytes = edited(&seed, &edits);
        let started = CpuTime::now();
        target(&bytes);
        started.is_less_than(10);
        Ok(())
    });
    result.expect("nothing panics and nothing hangs");
}

fn examples(file: &str) -> Vec<Vec<u8>> {
    let read = |example: &str| {
        let path = format!("{}/examples/{example}/{file}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(path).expect("an example")
    };
    ["quickstart", "shop", "brownfield", "fleet"]
        .map(read)
        .to_vec()
}

#[test]
fn specs() {
    fuzz(&examples("wi.yaml"), 600, |bytes| {
        targets::spec(&String::from_utf8_lossy(bytes));
    });
}

#[test]
fn worlds() {
    fuzz(&examples("world.yaml"), 400, |bytes| {
        targets::world(&String::from_utf8_lossy(bytes));
    });
}

#[test]
fn plan_files() {
    let place = Place::example("shop");
    place.wi(&["plan", "wi.yaml", "--out", "plan.wi"]).ok();
    let file = std::fs::read(place.path("plan.wi")).expect("a plan");
    let end = file.iter().position(|b| *b == b'\n').expect("a first line");
    let mut json = Vec::new();
    GzDecoder::new(&file[end + 1..])
        .read_to_end(&mut json)
        .expect("unpacked");
    fuzz(&[file, json], 400, targets::plan_file);
}

#[test]
fn answers() {
    let seeds = [
        r#"{"clusters": [{"name": "c", "location": "europe-west1", "status": "RUNNING", "etag": "e", "workloadIdentityConfig": {"workloadPool": "p.svc.id.goog"}, "nodePools": [{"name": "n", "config": {"workloadMetadataConfig": {"mode": "GKE_METADATA"}}, "upgradeSettings": {"strategy": "BLUE_GREEN", "maxSurge": 1, "blueGreenSettings": {"standardRolloutPolicy": {"batchPercentage": 0.5}}}}]}], "missingZones": ["europe-west1-b"]}"#,
        r#"{"version": 3, "etag": "BwY=", "bindings": [{"role": "roles/viewer", "members": ["serviceAccount:p.svc.id.goog[ns/ksa]", "deleted:serviceAccount:a@b?uid=1", "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p.svc.id.goog/subject/ns/n/sa/k"], "condition": {"title": "t", "expression": "true"}}], "auditConfigs": []}"#,
        r#"{"kind": "Status", "reason": "Conflict", "message": "m", "details": {"causes": [{"reason": "FieldManagerConflict", "message": "m", "field": ".a"}]}}"#,
        r#"{"error": {"code": 403, "message": "m", "status": "PERMISSION_DENIED", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED", "metadata": {"service": "iam.googleapis.com", "consumer": "projects/p"}}]}}"#,
        r#"{"metadata": {"name": "n", "managedFields": [{"manager": "m", "fieldsV1": {"f:metadata": {"f:annotations": {"f:x": {}}}}}]}, "spec": {"serviceAccountName": "k", "containers": [{"env": [{"name": "A", "value": "b"}]}], "minAvailable": "50%", "selector": {"matchLabels": {"a": "b"}}}, "status": {"phase": "Running", "expectedPods": 3}}"#,
        r#"{"name": "operation-1", "status": "DONE", "error": {"code": 3, "message": "m"}, "progress": {"metrics": [{"name": "NODES_TOTAL", "intValue": "3"}]}}"#,
        "blue-green-p125-60s-d",
        "surge-1-0",
        "key/acme-prod/europe-west1/ring/main",
        "//secretmanager.googleapis.com/projects/acme-prod/secrets/stripe-key",
    ];
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|s| s.as_bytes().to_vec()).collect();
    fuzz(&seeds, 4000, targets::answers);
}
