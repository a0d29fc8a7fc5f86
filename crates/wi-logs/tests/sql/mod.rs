//! The SQL is run: transpiled to DuckDB by sqlglot, on logs in BigQuery's spelling, and both engines are held to
//! the same findings. Where there is no Python with both, that is said, and nothing is tested.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use wi_logs::sql::Query;

use super::made::{Made, PROJECT};
use super::{Baseline, detected, names, read_bytes, read_lines};

/// A Python that has both, or makes itself one from the package registry.
fn python() -> Option<PathBuf> {
    let has_both = |python: &PathBuf| {
        let check = Command::new(python)
            .args(["-c", "import sqlglot, duckdb"])
            .output();
        check.is_ok_and(|o| o.status.success())
    };
    if let Some(named) = std::env::var_os("WI_LOGS_PYTHON").map(PathBuf::from) {
        assert!(
            has_both(&named),
            "WI_LOGS_PYTHON has no sqlglot or no duckdb"
        );
        return Some(named);
    }
    let system = PathBuf::from("python3");
    if has_both(&system) {
        return Some(system);
    }
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("logs-python");
    let own = home.join("bin/python");
    if has_both(&own) {
        return Some(own);
    }
    let ran = |command: &mut Command| command.output().is_ok_and(|o| o.status.success());
    let made = ran(Command::new("python3").args(["-m", "venv"]).arg(&home))
        && ran(Command::new(&own).args(["-m", "pip", "install", "-q", "sqlglot", "duckdb"]));
    (made && has_both(&own)).then_some(own)
}

/// An entry as a sink to BigQuery has it.
fn as_row(entry: &Value) -> Value {
    let mut row = entry.clone();
    let mut payload = row["protoPayload"].take();
    if let Some(data) = payload
        .as_object_mut()
        .and_then(|p| p.remove("serviceData"))
    {
        payload["servicedata_v1_iam"] = data;
    }
    if let Some(metadata) = payload.as_object_mut().and_then(|p| p.remove("metadata")) {
        payload["metadataJson"] = metadata.to_string().into();
    }
    row["protopayload_auditlog"] = payload;
    row.as_object_mut()
        .expect("an object")
        .remove("protoPayload");
    row
}

const SCRIPT: &str = r#"
import json, sys, duckdb, sqlglot
sql, rows, out = sys.argv[1:4]
query = sqlglot.transpile(open(sql).read(), read="bigquery", write="duckdb")[0]
db = duckdb.connect()
db.execute("SET TimeZone='UTC'")
person = "STRUCT(principalSubject VARCHAR, firstPartyPrincipal STRUCT(principalEmail VARCHAR))[]"
delta = "STRUCT(bindingDeltas STRUCT(action VARCHAR, role VARCHAR, member VARCHAR)[])"
payload = " ".join(f"""STRUCT(serviceName VARCHAR, methodName VARCHAR, resourceName VARCHAR, status STRUCT(code INTEGER),
  authenticationInfo STRUCT(principalEmail VARCHAR, principalSubject VARCHAR, serviceAccountKeyName VARCHAR,
    serviceAccountDelegationInfo {person}),
  requestMetadata STRUCT(callerIp VARCHAR, callerSuppliedUserAgent VARCHAR, callerNetwork VARCHAR, requestAttributes STRUCT(host VARCHAR)),
  resourceLocation STRUCT(currentLocations VARCHAR[]), servicedata_v1_iam STRUCT(policyDelta {delta}), metadataJson VARCHAR)""".split())
columns = {"logName": "VARCHAR", "timestamp": "TIMESTAMPTZ", "insertId": "VARCHAR",
  "resource": "STRUCT(type VARCHAR, labels STRUCT(project_id VARCHAR, email_id VARCHAR, unique_id VARCHAR))",
  "protopayload_auditlog": payload}
db.execute('CREATE SCHEMA logs')
for table in ["data_access", "activity"]:
    db.execute(f"""CREATE TABLE logs.cloudaudit_googleapis_com_{table} AS SELECT * FROM
      read_json('{rows}', format='newline_delimited', columns={json.dumps(columns)}) WHERE logName LIKE '%{table}'""")
db.execute(f"COPY ({query.rstrip().rstrip(';')}) TO '{out}' (FORMAT json)")
"#;

#[test]
fn the_sql_finds_what_the_files_do() {
    let Some(python) = python() else {
        eprintln!(
            "skipped: no Python with sqlglot and duckdb, and none could be had from the registry"
        );
        return;
    };
    let here =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("logs-sql-{}", std::process::id()));
    std::fs::create_dir_all(&here).expect("a directory");
    let file = |name: &str| here.join(name);
    let query = Query {
        dataset: "logs",
        since: None,
        until: None,
        by_day: false,
    };
    std::fs::write(file("query.sql"), query.text()).expect("a file");
    std::fs::write(file("run.py"), SCRIPT).expect("a file");
    for seed in [3, 4] {
        let mut made = Made::new(seed);
        made.quiet(0..30);
        for detector in wi_logs::detect::Detector::ALL {
            made.plant(detector.id(), 25);
        }
        let lines = made.lines();
        let rows: Vec<String> = lines
            .iter()
            .map(|line| as_row(&serde_json::from_str(line).expect("JSON")).to_string())
            .collect();
        std::fs::write(file("rows.json"), rows.join("\n")).expect("a file");
        let ran = Command::new(&python)
            .args([
                file("run.py"),
                file("query.sql"),
                file("rows.json"),
                file("out.json"),
            ])
            .output()
            .expect("it runs");
        assert!(
            ran.status.success(),
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        let result = std::fs::read(file("out.json")).expect("a result");
        let by_sql = read_bytes(vec![result]);
        let by_files = read_lines(&lines);
        assert_eq!(by_sql.counts.entries, by_files.counts.entries);
        for (row, stat) in &by_files.rows {
            assert_eq!(by_sql.rows.get(row), Some(stat), "{row:?}");
        }
        assert_eq!(by_sql.rows.len(), by_files.rows.len());
        let none = Baseline::default();
        let (sql, files) = (detected(&by_sql, &none), detected(&by_files, &none));
        assert_eq!(names(&sql), made.truth, "seed {seed}");
        assert_eq!(sql.findings, files.findings);
        // And they teach the same.
        let (a, b) = (Baseline::of(&by_sql, &[]), Baseline::of(&by_files, &[]));
        assert_eq!(a.text(), b.text());
    }
    std::fs::remove_dir_all(&here).expect("removed");
    let by_day = Query {
        dataset: "acme.logs",
        since: wi_logs::when::parse("2026-11-01T00:00:00Z"),
        until: None,
        by_day: true,
    };
    assert!(
        by_day
            .text()
            .contains("`acme.logs.cloudaudit_googleapis_com_activity_*`")
    );
    assert!(by_day.text().contains("_TABLE_SUFFIX >= '20261101'"));
    assert_eq!(json!(PROJECT), json!("acme-prod"));
}
