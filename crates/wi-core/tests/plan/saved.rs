//! Saved plans: read again if they are what `wi` wrote, and known by what they would do.

use serde_json::{Value, json};
use wi_core::plan::Options;
use wi_core::plan::saved::PlanFile;

use crate::support::*;

pub fn file_with(spec: &str, world: &Value, options: &Options) -> PlanFile {
    let (desired, live) = (desired(spec), live(world));
    PlanFile::new(
        &wi_core::plan::plan(&desired, &live, options),
        &desired,
        &live,
        options,
    )
}

pub fn file(spec: &str, world: &Value) -> PlanFile {
    file_with(spec, world, &options())
}

/// With a node pool that moves, whose pods have what they need.
pub fn moving() -> Value {
    with(
        bare(),
        json!({
            "clusters": { "main": { "nodePools": { "p1": pool("GCE_METADATA") } } },
            "kubernetes": { "main": { "Node": { "n1": node("p1") }, "Pod": { "shop/a": pod("worker", "n1", "jobs") } } },
        }),
    )
}

#[test]
fn hash_is_of_what_would_be_done() {
    let hash = |spec: &str, world: &Value, options: &Options| {
        let file = file_with(spec, world, options);
        let plan = wi_core::plan::plan(&desired(spec), &live(world), options);
        assert_eq!(
            file.hash(),
            plan.hash(&desired(spec), options),
            "of the plan and of its file"
        );
        file.hash()
    };
    let base = hash(SPEC, &moving(), &options());
    assert_eq!(
        base,
        hash(&format!("# a line more\n{SPEC}"), &moving(), &options()),
        "places do not count"
    );
    let later = Options {
        now: "2026-12-01T00:00:00Z".parse().ok(),
        ..options()
    };
    assert_eq!(base, hash(SPEC, &moving(), &later), "nor does the moment");
    let nodes = with(
        moving(),
        json!({ "kubernetes": { "main": { "Node": { "n2": node("p1") } } } }),
    );
    assert_eq!(
        base,
        hash(SPEC, &nodes, &options()),
        "nor how many nodes there are"
    );
    let selected = SPEC.replace("europe-west1 }", "europe-west1, nodePools: [p1] }");
    assert_eq!(
        hash(&selected, &moving(), &options()),
        hash(&format!("# a line more\n{selected}"), &moving(), &options())
    );
    let mut others = vec![base];
    others.push(hash(
        &SPEC.replace("topic/orders", "bucket/acme-receipts"),
        &moving(),
        &options(),
    ));
    others.push(hash(SPEC, &bare(), &options()));
    others.push(hash(
        SPEC,
        &moving(),
        &Options {
            force_conflicts: true,
            ..options()
        },
    ));
    let loser = with(
        moving(),
        json!({ "kubernetes": { "main": { "Pod": { "shop/b": pod("", "n1", "web") } } } }),
    );
    let accepting = Options {
        accept_loss: true,
        ..options()
    };
    others.push(hash(SPEC, &loser, &options()));
    others.push(hash(SPEC, &loser, &accepting));
    others.push(hash(SPEC, &moving(), &accepting));
    let waves = SPEC.replace(
        "googleServiceAccounts:",
        "rollout: { waves: [{ name: all, clusters: [main] }] }\ngoogleServiceAccounts:",
    );
    others.push(hash(&waves, &moving(), &options()));
    let distinct: std::collections::BTreeSet<&String> = others.iter().collect();
    assert_eq!(distinct.len(), others.len(), "{others:?}");
}

/// What is said of a file with another value at a place.
fn forged(spec: &str, world: &Value, options: &Options, at: &str, value: Value) -> String {
    let mut json = serde_json::to_value(file_with(spec, world, options)).expect("JSON");
    *json.pointer_mut(at).expect(at) = value;
    let text = json.to_string();
    match PlanFile::from_json(text.as_bytes()) {
        Ok(_) => "accepted".to_owned(),
        Err(why) => why.to_string(),
    }
}

#[test]
fn file_of_wis_own_is_read_and_another_refused() {
    let read = |spec: &str, world: &Value| {
        PlanFile::decode(&file(spec, world).encode().expect("bytes")).map(|_| ())
    };
    let waves = SPEC.replace(
        "googleServiceAccounts:",
        "rollout: { waves: [{ name: all, clusters: [main] }] }\ngoogleServiceAccounts:",
    );
    for world in [settled(), bare(), moving()] {
        assert_eq!(read(SPEC, &world), Ok(()));
        assert_eq!(read(&waves, &world), Ok(()));
    }
    let of = |at: &str, value: Value| forged(SPEC, &bare(), &options(), at, value);
    assert!(of("/plan/owner", json!("other")).contains("it is of two specs"));
    assert!(of("/plan/changes/0/wave", json!(1)).contains("is in a wave, and there are none"));
    let of_waves = |at: &str, value: Value| forged(&waves, &bare(), &options(), at, value);
    assert!(of_waves("/plan/changes/0/wave", json!(1)).contains("is in a wave that there is not"));
    assert!(
        of_waves("/plan/waves/wave_of/main", json!(1))
            .contains("a cluster is in a wave that there is not")
    );
    let two = waves
        .replace(
            "[{ name: all, clusters: [main] }]",
            "[{ name: all, clusters: [main] }, { name: none, clusters: [] }]",
        )
        .replace("clusters: []", "clusters: { env: none }")
        .replace(
            "location: europe-west1 }",
            "location: europe-west1 }, edge: { location: europe-west1, labels: { env: none } }",
        );
    let edge = with(
        bare(),
        json!({ "clusters": { "edge": cluster("edge", json!({})) }, "kubernetes": { "edge": {} } }),
    );
    assert!(
        forged(
            &two,
            &edge,
            &options(),
            "/plan/waves/waves/1/name",
            json!("all")
        )
        .contains("two waves have one name")
    );
    assert!(
        of_waves(
            "/plan/waves/waves/0/max_parallel",
            json!({ "Percent": 101 })
        )
        .contains("is more than whole")
    );
    assert_eq!(
        of_waves(
            "/plan/waves/waves/0/max_parallel",
            json!({ "Percent": 100 })
        ),
        "accepted"
    );
    let change =
        serde_json::to_value(file(SPEC, &bare())).expect("JSON")["plan"]["changes"][0].clone();
    assert!(of("/plan/changes", json!([change, change])).contains("is changed twice"));
}

#[test]
fn file_is_unpacked_within_bounds() {
    let packed = file(SPEC, &bare()).encode().expect("bytes");
    assert!(PlanFile::is_one(&packed) && !PlanFile::is_one(b"apiVersion: wi/v1"));
    let head = packed.iter().position(|b| *b == b'\n').expect("a line");
    let line = String::from_utf8(packed[..head].to_vec()).expect("text");
    let of = |line: &str, rest: &[u8]| {
        let bytes = [line.as_bytes(), b"\n", rest].concat();
        PlanFile::decode(&bytes).expect_err("refused").to_string()
    };
    let rest = &packed[head + 1..];
    assert!(
        of(&line.replace("wi-plan 3.0", "wi-plan 4.0"), rest)
            .contains("a newer wi (plan format 4.0")
    );
    assert!(
        of(&line.replace("wi-plan 3.0", "wi-plan 2.9"), rest)
            .contains("an older wi (plan format 2.9")
    );
    assert!(of(&line.replace("wi-plan 3.0", "wi-plan x"), rest).contains("it is damaged"));
    assert!(of(&line, &rest[1..]).contains("its checksum does not fit"));
    assert!(
        PlanFile::decode(b"wi-plan 3.0 abc")
            .expect_err("no end")
            .to_string()
            .contains("it is damaged")
    );
    assert!(
        PlanFile::decode(b"apiVersion: wi/v1")
            .expect_err("no plan")
            .to_string()
            .contains("it is not a saved plan")
    );
    let bomb = format!("{{\"a\":[{}]}}", "{},".repeat(8 << 20));
    assert!(
        PlanFile::from_json(bomb.as_bytes())
            .expect_err("a bomb")
            .to_string()
            .contains("more in it than any plan")
    );
    let newer = line.replace("wi-plan 3.0", "wi-plan 3.9");
    assert!(
        PlanFile::decode(&[newer.as_bytes(), b"\n", rest].concat()).is_ok(),
        "a newer minor version only adds"
    );
}

#[test]
fn file_holds_no_fact_twice() {
    let json = serde_json::to_value(file(SPEC, &bare())).expect("JSON");
    let recorded = json["preconditions"].to_string();
    assert!(recorded.contains("topic/acme-prod/orders"), "{recorded}");
    assert!(
        !recorded.contains("gsa.checkout"),
        "its edit holds what it was: {recorded}"
    );
}
