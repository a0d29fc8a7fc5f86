//! Detectors on logs that are made up, with the truth beside them.

mod made;
mod sql;

use std::collections::BTreeSet;
use std::sync::Arc;

use made::*;
use wi_logs::baseline::Baseline;
use wi_logs::collect::{Collector, Seen};
use wi_logs::detect::{self, Detector, Report};
use wi_logs::expected::{Accepted, Expected, Identity};
use wi_logs::facts::Facts;
use wi_logs::name::{self, Cidr};
use wi_logs::read::{self, Input};
use wi_logs::when;

/// As many as are asked for, or by WI_LOGS_SEED from that one on.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let first = std::env::var("WI_LOGS_SEED")
        .ok()
        .and_then(|s| s.parse().ok());
    let first = first.unwrap_or(1);
    first..first + count
}

fn read_bytes(files: Vec<Vec<u8>>) -> Facts {
    let inputs = files.into_iter().enumerate().map(|(n, bytes)| Input {
        name: format!("file {n}"),
        open: Box::new(move || Ok(Box::new(std::io::Cursor::new(bytes)))),
    });
    let seen = Arc::new(Seen::default());
    let outcome = read::read(inputs, 2, || Collector::new(seen.clone()));
    assert_eq!(outcome.broken, []);
    let mut facts = Facts::default();
    for part in outcome.parts {
        facts.merge(part.finish());
    }
    facts
}

fn read_lines(lines: &[String]) -> Facts {
    read_bytes(vec![lines.join("\n").into_bytes()])
}

fn identity(key: &str, roles: &[&str], users: &[String]) -> Identity {
    let mut identity = Identity::new(key, roles.iter().map(|r| (*r).to_owned()).collect());
    identity.users = users.to_vec();
    identity.has_workloads = !users.is_empty();
    identity
}

/// What the shop's spec says.
fn expected() -> Expected {
    let mut expected = Expected::default();
    let web = identity(
        "account: web",
        &["roles/cloudsql.client", "roles/storage.objectViewer"],
        &[ksa("web")],
    );
    let worker = identity(
        "account: worker",
        &["roles/datastore.user"],
        &[ksa("worker")],
    );
    expected.identities.insert(WEB.to_owned(), web);
    expected.identities.insert(WORKER.to_owned(), worker);
    for name in ["web", "worker"] {
        expected.identities.insert(
            ksa(name),
            identity(&format!("serviceAccount: shop/{name}"), &[], &[]),
        );
    }
    let reports = identity(
        "serviceAccount: shop/reports",
        &["roles/bigquery.jobUser"],
        &[],
    );
    expected.identities.insert(ksa("reports"), reports);
    expected.projects.insert(PROJECT.to_owned());
    expected.namespaces.insert("shop".to_owned());
    expected.regions.insert("europe-west1".to_owned());
    expected
}

fn detected(facts: &Facts, baseline: &Baseline) -> Report {
    detect::detect(facts, baseline, &expected(), &[], 0)
}

fn names(report: &Report) -> BTreeSet<(String, String)> {
    let open = report.findings.iter().filter(|f| f.accepted.is_none());
    open.map(|f| (f.detector.to_string(), f.who.clone()))
        .collect()
}

#[test]
fn thirty_quiet_days_have_no_finding_and_a_change_of_nat_is_told() {
    for seed in seeds(4) {
        let mut made = Made::new(seed);
        made.quiet(0..30);
        let facts = read_lines(&made.lines());
        assert_eq!(facts.counts.entries, made.entries.len() as u64);
        let report = detected(&facts, &Baseline::default());
        assert!(
            report.findings.is_empty(),
            "seed {seed}: {:#?}",
            report.findings
        );
        assert!(
            report
                .notes
                .iter()
                .any(|n| n.contains("198.51.100.0/24") && n.contains("NAT")),
            "{:?}",
            report.notes
        );
        // The same on the days after, with those before as the baseline.
        let mut later = Made::new(seed + 100);
        later.quiet(30..37);
        let baseline = Baseline::of(&facts, &["a".to_owned()]);
        let report = detected(&read_lines(&later.lines()), &baseline);
        assert!(
            report.findings.is_empty(),
            "seed {seed}: {:#?}",
            report.findings
        );
        assert!(
            report.learning.is_empty()
                || report
                    .learning
                    .iter()
                    .all(|l| l.who == DEFAULT || l.who == WI || !l.who.contains('[')),
            "{:?}",
            report.learning
        );
    }
}

#[test]
fn each_thing_that_is_planted_is_found_and_nothing_else() {
    for seed in seeds(3) {
        for detector in Detector::ALL {
            let mut made = Made::new(seed * 1000 + detector as u64);
            made.quiet(0..30);
            made.plant(detector.id(), 15 + (seed as i64 % 12) * 3 % 12);
            let facts = read_lines(&made.lines());
            let report = detected(&facts, &Baseline::default());
            assert_eq!(
                names(&report),
                made.truth,
                "seed {seed} {detector}: {:#?}",
                report.findings
            );
        }
    }
}

#[test]
fn all_that_is_planted_at_once_is_found_against_a_baseline_too() {
    for seed in seeds(4) {
        let mut before = Made::new(seed);
        before.quiet(0..20);
        let baseline = Baseline::of(&read_lines(&before.lines()), &["a".to_owned()]);
        let mut made = Made::new(seed + 50);
        made.quiet(20..30);
        for detector in Detector::ALL {
            made.plant(detector.id(), 25);
        }
        // Silence is planted from the twentieth day on.
        let report = detected(&read_lines(&made.lines()), &baseline);
        let found = names(&report);
        let differ: Vec<_> = found.symmetric_difference(&made.truth).collect();
        assert!(differ.is_empty(), "seed {seed}: {differ:?}");
    }
}

#[test]
fn one_more_address_of_a_nat_is_told_and_two_stolen_tokens_are_found() {
    let others = ["a", "b", "c"].map(|n| format!("{n}@acme-prod.iam.gserviceaccount.com"));
    let with = |users: usize| {
        let mut made = Made::new(9);
        for day in 0..12 {
            for who in &others {
                for _ in 0..10 {
                    let at = made.at(day);
                    let call = Call {
                        ip: "203.0.113.7",
                        ..Call::new(who, "storage.googleapis.com", "storage.objects.get")
                    };
                    made.call(at, &call, serde_json::json!({}));
                }
            }
        }
        for who in &others[..users] {
            let at = made.at(10);
            let call = Call {
                ip: "192.0.2.1",
                ..Call::new(who, "storage.googleapis.com", "storage.objects.get")
            };
            made.call(at, &call, serde_json::json!({}));
        }
        let report = detected(&read_lines(&made.lines()), &Baseline::default());
        (names(&report).len(), report.notes.len())
    };
    assert_eq!(with(3), (0, 1));
    assert_eq!(with(2), (2, 0));
    assert_eq!(with(1), (1, 0));
}

#[test]
fn where_the_clusters_are_is_known_on_the_first_day_and_of_other_vpcs_the_past_decides() {
    let foreign = "//compute.googleapis.com/projects/evil-corp/global/networks/x";
    let call = |made: &mut Made, day, who: &str, ip, network: &str| {
        let at = made.at(day);
        let service = "cloudsql.googleapis.com";
        let call = Call {
            ip,
            ..Call::new(who, service, "cloudsql.instances.connect")
        };
        let network = serde_json::json!({ "requestMetadata": { "callerNetwork": network } });
        made.call(at, &call, network);
    };
    let found = |made: &mut Made, expected: &Expected| {
        let facts = read_lines(&made.lines());
        let report = detect::detect(&facts, &Baseline::default(), expected, &[Detector::L8], 0);
        let all = report.findings.into_iter();
        all.map(|f| (f.who, f.about)).collect::<Vec<_>>()
    };
    let unknown = expected();
    let mut known = expected();
    let pods = Cidr::parse("10.4.0.0/14").expect("a network");
    known.networks.push((pods, "pods of main".to_owned()));
    known.vpcs.insert(name::vpc(OWN_VPC));
    let web = |place: &str| (WEB.to_owned(), place.to_owned());

    let mut made = Made::new(1);
    made.quiet(0..1);
    assert_eq!(found(&mut made, &known), []);
    call(&mut made, 0, WEB, "10.200.0.9", OWN_VPC);
    call(&mut made, 0, WEB, "gce-internal-ip", foreign);
    // Somebody who is no pod calls from where he likes.
    call(&mut made, 0, BATCH, "10.200.0.9", foreign);
    assert_eq!(found(&mut made, &unknown), []);
    assert_eq!(found(&mut made, &known), [web("VPCs of evil-corp")]);
    known.networks_are_all = true;
    let both = [web("10.200.0.0/24"), web("VPCs of evil-corp")];
    assert_eq!(found(&mut made, &known), both);
    // A NAT's address is none of the VPC: of those the past decides.
    call(&mut made, 0, WEB, "192.0.2.77", OWN_VPC);
    assert_eq!(found(&mut made, &known), both);

    // Without the clusters, a VPC is new to who was in another for long enough.
    let mut made = Made::new(2);
    made.quiet(0..9);
    call(&mut made, 8, WEB, "gce-internal-ip", foreign);
    call(&mut made, 8, WORKER, "gce-internal-ip", foreign);
    assert_eq!(found(&mut made, &unknown), [web("VPCs of evil-corp")]);
}

#[test]
fn a_role_that_somebody_made_explains_what_it_permits_once_it_is_read() {
    let mut made = Made::new(4);
    made.quiet(0..1);
    made.plant("L2", 0);
    let facts = read_lines(&made.lines());
    let role = "projects/acme-prod/roles/web";
    let mut expected = expected();
    let mut own = identity("account: web", &[role], &[ksa("web")]);
    own.users.push(ksa("web"));
    expected.identities.insert(WEB.to_owned(), own);
    let mut about = |permissions: Option<&[&str]>| {
        let permissions = permissions.map(|all| all.iter().map(|p| (*p).to_owned()).collect());
        let known = permissions.map(|p| (role.to_owned(), p)).into_iter();
        expected.knows_roles(&known.collect());
        let none = Baseline::default();
        let report = detect::detect(&facts, &none, &expected, &[Detector::L2], 0);
        let all = report.findings.into_iter();
        all.map(|f| f.about).collect::<Vec<_>>()
    };
    assert_eq!(about(None), [""; 0], "nobody knows what it is for");
    let [big, get, sql] = [
        "bigquery.jobs.create",
        "storage.objects.get",
        "cloudsql.instances.connect",
    ];
    assert_eq!(about(Some(&[get, sql])), ["bigquery.googleapis.com"]);
    assert_eq!(about(Some(&[get, sql, big])), [""; 0]);
}

#[test]
fn what_the_spec_does_not_say_is_learned_first() {
    let mut made = Made::new(1);
    made.quiet(0..3);
    made.plant("L3", 2);
    made.plant("L2", 2);
    let report = detected(&read_lines(&made.lines()), &Baseline::default());
    // What the spec says is known on the first day.
    assert_eq!(
        names(&report),
        BTreeSet::from([("L2".to_owned(), WEB.to_owned())])
    );
    let batch = report
        .learning
        .iter()
        .find(|l| l.who == BATCH)
        .expect("it learns");
    assert_eq!(batch.days, 3);
}

#[test]
fn a_finding_shows_its_numbers_and_the_line_that_accepts_it() {
    let mut made = Made::new(1);
    made.quiet(0..9);
    made.plant("L2", 8);
    let facts = read_lines(&made.lines());
    let report = detected(&facts, &Baseline::default());
    let found = &report.findings[0];
    assert!(
        found.what.contains("BigQuery") && found.what.contains("none of its roles explains"),
        "{found:?}"
    );
    assert!(
        found.evidence[0].contains("InsertJob ×14") && found.evidence[0].contains("14 calls"),
        "{found:?}"
    );
    assert!(
        found.evidence.iter().any(|e| e.contains("10.4.1.0/24")),
        "{found:?}"
    );
    assert_eq!(
        found.expect,
        "{ account: web, service: bigquery.googleapis.com, reason: \"…\" }"
    );
    let mut expected = expected();
    let line = |service: &str, until| Accepted {
        who: vec![WEB.to_owned()],
        service: Some(service.to_owned()),
        reason: "the quarter's report".to_owned(),
        until,
        place: "wi.yaml:9".to_owned(),
        ..Accepted::default()
    };
    let today = when::day_from("2026-11-30").expect("a day");
    for (line, accepted) in [
        (line("bigquery.googleapis.com", None), true),
        (line("bigquery.googleapis.com", Some(today)), true),
        (line("bigquery.googleapis.com", Some(today - 1)), false),
        (line("storage.googleapis.com", None), false),
    ] {
        expected.accepted = vec![line];
        let report = detect::detect(&facts, &Baseline::default(), &expected, &[], today);
        assert_eq!(report.findings[0].accepted.is_some(), accepted);
    }
}

#[test]
fn a_baseline_is_the_same_in_whatever_order_it_was_learned_and_names_no_machine() {
    let parts: Vec<Baseline> = (0..3)
        .map(|n| {
            let mut made = Made::new(n + 1);
            made.quiet(n as i64 * 10..n as i64 * 10 + 10);
            made.plant("L6", n as i64 * 10 + 5);
            Baseline::of(&read_lines(&made.lines()), &[format!("digest{n}")])
        })
        .collect();
    let merged = |order: [usize; 3]| {
        let mut all = Baseline::default();
        for n in order {
            all.merge(&parts[n]);
        }
        all.text()
    };
    let text = merged([0, 1, 2]);
    assert_eq!(text, merged([2, 0, 1]));
    assert_eq!(text, merged([1, 2, 0]));
    let read = Baseline::parse(&text).expect("as it was written");
    assert_eq!(read.text(), text);
    for secret in ["203.0.113.7", "10.4.1.9", "0123456789abcdef"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let mut lines: Vec<&str> = text.lines().skip(1).collect();
    lines.sort_unstable();
    assert_eq!(lines, text.lines().skip(1).collect::<Vec<_>>());
    assert!(Baseline::parse("{}").is_err() && Baseline::parse("").is_err());
    let torn = text.replace("2026-11-0", "2026-99-0");
    assert!(Baseline::parse(&torn).is_err());
}

#[test]
fn an_array_lines_and_a_packed_file_say_the_same() {
    let mut made = Made::new(3);
    made.quiet(0..2);
    let lines: Vec<String> = made.entries.iter().map(|(_, e)| e.to_string()).collect();
    let values: Vec<_> = made.entries.iter().map(|(_, e)| e.clone()).collect();
    let pretty = serde_json::to_vec_pretty(&values).expect("JSON");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, lines.join("\n").as_bytes()).expect("memory");
    let of_lines = read_lines(&lines);
    let of_array = read_bytes(vec![pretty]);
    assert_eq!(of_lines.rows, of_array.rows);
    // Twice the same entries, in two files with other digits of the second, count once.
    let other: Vec<String> = lines
        .iter()
        .map(|l| l.replace("Z\",\"", "000Z\",\""))
        .collect();
    let twice = read_bytes(vec![
        gzip.finish().expect("memory"),
        other.join("\n").into_bytes(),
    ]);
    assert_eq!(of_lines.rows, twice.rows);
    assert_eq!(twice.counts.duplicates, lines.len() as u64);
}
