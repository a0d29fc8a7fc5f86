//! `wi scan`: what it finds in files and in Git's history, what it does not, and what it never tells.

#[path = "../../crates/wi-keys/tests/made/mod.rs"]
pub mod made;

mod live;
mod planted;

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use made::{Account, LETTERS, Numbers, Rsa, user};
use serde_json::Value;

use crate::support::{Place, Ran};

const SCHEMA: &str = include_str!("../../schemas/wi-findings.v1.schema.json");

/// A directory without a spec.
fn empty() -> Place {
    let place = Place::new("", "");
    std::fs::remove_file(place.path("wi.yaml")).expect("removed");
    std::fs::remove_file(place.path("world.yaml")).expect("removed");
    place
}

fn put(place: &Place, file: &str, text: impl AsRef<[u8]>) {
    let path = place.path(file);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
    std::fs::write(path, text).expect(file);
}

fn scan(place: &Place, args: &[&str]) -> Ran {
    let mut all = vec!["scan"];
    all.extend(args);
    let mut command = place.command(&all);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    Ran::of(&mut command)
}

fn json(place: &Place, args: &[&str]) -> Value {
    scan(place, &[args, &["--format", "json"]].concat()).json(SCHEMA)
}

/// `RULE PATH:LINE` of all findings.
fn told(found: &Value) -> Vec<String> {
    let findings = found["findings"].as_array().expect("findings");
    let mut told: Vec<String> = findings
        .iter()
        .map(|f| {
            let place = &f["place"];
            format!(
                "{} {}:{}",
                f["rule"].as_str().expect("a rule"),
                place["path"].as_str().expect("a path"),
                place["line"]
            )
        })
        .collect();
    told.sort();
    told
}

fn git(directory: &Path, args: &[&str]) {
    let ran = Command::new("git")
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(args)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git runs");
    assert!(ran.status.success(), "{ran:?}");
}

fn secret(data: &str) -> String {
    format!(
        "data:\n  a: eA==\n  key.json: {data}\nkind: Secret\napiVersion: v1\nmetadata: {{ name: checkout-key, namespace: shop }}\n"
    )
}

#[test]
fn key_in_a_manifest_is_found_at_its_line_and_no_byte_of_it_is_printed() {
    let account = Account::new(1);
    let place = empty();
    put(
        &place,
        "k8s/secret.yaml",
        secret(&STANDARD.encode(account.json())),
    );
    let found = json(&place, &[]);
    assert_eq!(told(&found), ["key-in-files k8s/secret.yaml:3"]);
    let key = &found["keys"][0];
    assert_eq!(key["email"], account.email.as_str());
    assert_eq!(key["id"], account.id.as_str());
    assert_eq!(
        found["findings"][0]["subject"],
        format!("{}/{}", account.email, account.id)
    );

    for format in ["text", "json", "sarif", "markdown", "junit"] {
        let ran = scan(
            &place,
            &["-vv", "--format", format, "--write-baseline", "draft.yaml"],
        );
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        let draft = std::fs::read_to_string(place.path("draft.yaml")).expect("a draft");
        std::fs::remove_file(place.path("draft.yaml")).expect("removed");
        for canary in account.canaries() {
            for text in [&ran.out, &ran.err, &draft] {
                assert!(!text.contains(&canary), "{format}: {text}");
            }
        }
        assert!(ran.out.contains(&account.id), "{format} names the key");
    }
}

#[test]
fn one_key_in_eight_places_is_one_key() {
    let account = Account::new(2);
    let (json_file, pem) = (account.json(), account.rsa.pem());
    let base64 = STANDARD.encode(&json_file);
    let place = empty();
    put(&place, "key.json", &json_file);
    put(&place, ".gitignore", "key.json\n.env\n");
    put(
        &place,
        ".env",
        format!("GOOGLE_CREDENTIALS='{}'\n", json_file.replace('\n', "")),
    );
    put(
        &place,
        "charts/values.yaml",
        format!("a: 1\ncredentials: {base64}\n"),
    );
    put(
        &place,
        "terraform.tfstate",
        format!(
            "{{\"resources\":[{{\"instances\":[{{\"attributes\":{{\"private_key\":\"{base64}\"}}}}]}}]}}"
        ),
    );
    put(
        &place,
        ".github/workflows/ci.yml",
        format!("env:\n  KEY: {base64}\n"),
    );
    put(
        &place,
        "Dockerfile",
        format!("FROM scratch\nENV KEY={base64}\n"),
    );
    put(&place, "tls/unnamed.pem", &pem);
    put(&place, "secret.yaml", secret(&STANDARD.encode(&base64)));
    let found = json(&place, &[]);
    let keys = found["keys"].as_array().expect("keys");
    assert_eq!(keys.len(), 1, "{keys:#?}");
    assert_eq!(keys[0]["places"].as_array().expect("places").len(), 8);
    assert_eq!(found["findings"].as_array().expect("findings").len(), 8);
    // Said once, in a width of 80 and of 120.
    for columns in ["80", "120"] {
        let mut command = place.command(&["scan"]);
        let ran = Ran::of(command.env("COLUMNS", columns));
        assert_eq!(
            ran.out
                .matches("gcloud iam service-accounts keys disable")
                .count(),
            1
        );
        let width: usize = columns.parse().expect("a number");
        for line in ran
            .out
            .lines()
            .filter(|l| !l.trim_start().starts_with("gcloud "))
        {
            assert!(line.chars().count() <= width, "{line}");
        }
    }
}

#[test]
fn templates_documents_federation_and_sealed_secrets_are_no_findings() {
    let place = empty();
    let sealed = STANDARD.encode(Numbers(3).bytes(3000));
    put(
        &place,
        "template.json",
        r#"{"type":"service_account","private_key":"REDACTED","client_email":"a@b.iam.gserviceaccount.com"}"#,
    );
    put(
        &place,
        "schema.json",
        r#"{"properties":{"private_key":{"type":"string","description":"-----BEGIN PRIVATE KEY-----"}}}"#,
    );
    put(
        &place,
        "README.md",
        "Put the key with `\"type\": \"service_account\"` into a Secret.\n",
    );
    put(
        &place,
        "federation.json",
        r#"{"type":"external_account","audience":"//iam.googleapis.com/x","credential_source":{"file":"/t"},"token_url":"https://sts.googleapis.com/v1/token"}"#,
    );
    put(
        &place,
        "sealed.yaml",
        format!(
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{ name: key, namespace: shop }}\nspec:\n  encryptedData:\n    key.json: {sealed}\n"
        ),
    );
    put(
        &place,
        "chart/templates/secret.yaml",
        "kind: Secret\ndata:\n  key.json: {{ .Files.Get \"key.json\" | b64enc }}\n",
    );
    let rsa = Rsa::new(4, 2048);
    put(
        &place,
        "tls.yaml",
        format!(
            "kind: Secret\ntype: kubernetes.io/tls\ndata:\n  tls.crt: {}\n  tls.key: {}\n",
            STANDARD.encode(rsa.certificate("shop.example.com")),
            STANDARD.encode(rsa.pem())
        ),
    );
    let ran = scan(&place, &["--fail-on", "low"]).ok();
    assert!(ran.out.contains("Findings: none. Complete."), "{}", ran.out);
    assert!(ran.out.contains("SealedSecret shop/key"), "{}", ran.out);
}

#[test]
fn credentials_of_other_kinds_have_their_own_rules() {
    let place = empty();
    let (login, token) = user(5);
    put(
        &place,
        "adc.yaml",
        format!(
            "kind: Secret\ndata:\n  adc.json: {}\n",
            STANDARD.encode(login)
        ),
    );
    let account = Account::new(6);
    let auth = STANDARD.encode(format!("_json_key:{}", account.json()));
    let config = format!("{{\"auths\":{{\"gcr.io\":{{\"auth\":\"{auth}\"}}}}}}");
    put(
        &place,
        "pull.yaml",
        format!(
            "type: kubernetes.io/dockerconfigjson\ndata:\n  .dockerconfigjson: {}\n",
            STANDARD.encode(config)
        ),
    );
    let mut numbers = Numbers(7);
    let secret = numbers.word(LETTERS, 40);
    put(
        &place,
        "s3.env",
        format!(
            "AWS_ACCESS_KEY_ID=GOOG1E{}\nAWS_SECRET_ACCESS_KEY={secret}\n",
            numbers.word(b"ABCDEFGHIJKLMNOP234567", 55)
        ),
    );
    put(
        &place,
        "key.tf",
        "resource \"google_service_account_key\" \"checkout\" {}\n",
    );
    put(
        &place,
        "app.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: app, namespace: shop }\nspec:\n  template:\n    spec:\n      containers: [{ name: app, env: [{ name: GOOGLE_APPLICATION_CREDENTIALS, value: /k/key.json }], volumeMounts: [{ name: k, mountPath: /k }] }]\n      volumes: [{ name: k, secret: { secretName: app-key } }]\n",
    );
    let found = json(&place, &[]);
    assert_eq!(
        told(&found),
        [
            "hmac-key s3.env:1",
            "key-in-registry-login pull.yaml:3",
            "key-maker key.tf:1",
            "key-of-a-person adc.yaml:3",
            "key-reference app.yaml:1",
        ]
    );
    let text = found.to_string();
    assert!(text.contains("the kubelet pulls as the node"));
    assert!(text.contains("Deployment shop/app, container app, expects a key in Secret app-key"));
    assert!(!text.contains(&secret) && !text.contains(&token[10..40]));
}

#[test]
fn accepted_finding_stays_accepted_when_lines_move_and_counts_again_when_it_has_ended() {
    let account = Account::new(8);
    let place = empty();
    let values = format!("credentials: {}\n", STANDARD.encode(account.json()));
    put(&place, "values.yaml", &values);
    let accepted = |reason: &str, until: &str| {
        format!(
            "apiVersion: wi.scan/v1\naccepted:\n  - finding: key-in-files\n    key: {}/{}\n    place: \"*.yaml\"\n    reason: {reason}\n    until: {until}\n",
            account.email, account.id
        )
    };
    let soon = jiff::Zoned::now()
        .date()
        .saturating_add(jiff::Span::new().days(30))
        .to_string();
    put(
        &place,
        "wi-scan.yaml",
        accepted("on-premises batch job", &soon),
    );
    assert!(
        scan(&place, &[])
            .ok()
            .out
            .contains("Findings: none; 1 accepted.")
    );
    put(
        &place,
        "values.yaml",
        format!("{}{values}", "# above\n".repeat(10)),
    );
    scan(&place, &[]).ok();
    // Another key at the same place is another finding.
    put(
        &place,
        "values.yaml",
        format!("credentials: {}\n", STANDARD.encode(Account::new(9).json())),
    );
    let ran = scan(&place, &[]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.out.contains("wi-scan.yaml:3: fits no finding"),
        "{}",
        ran.out
    );

    put(&place, "values.yaml", &values);
    put(&place, "wi-scan.yaml", accepted("x", "2026-01-01"));
    let ran = scan(&place, &[]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.out.contains("has ended on 2026-01-01"), "{}", ran.out);
    put(&place, "wi-scan.yaml", accepted("\"\"", &soon));
    let ran = scan(&place, &[]).fails();
    assert!(
        ran.err
            .contains("wi-scan.yaml:3: an accepted finding needs a `reason`"),
        "{}",
        ran.err
    );
}

#[test]
fn sarif_has_a_path_and_a_line_for_every_result_and_fingerprints_that_stay() {
    let account = Account::new(10);
    let place = empty();
    let text = format!("credentials: {}\n", STANDARD.encode(account.json()));
    put(&place, "a dir/values.yaml", &text);
    put(
        &place,
        "[x](y).tf",
        "resource \"google_service_account_key\" \"k\" {}\n",
    );
    let sarif = |place: &Place| -> Vec<Value> {
        let ran = scan(place, &["--format", "sarif"]);
        let sarif: Value = serde_json::from_str(&ran.out).expect("JSON");
        assert_eq!(sarif["version"], "2.1.0");
        let run = &sarif["runs"][0];
        assert_eq!(run["invocations"][0]["executionSuccessful"], true);
        let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
        let results = run["results"].as_array().expect("results").clone();
        for result in &results {
            let index =
                usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
            assert_eq!(rules[index]["id"], result["ruleId"]);
            let place = &result["locations"][0]["physicalLocation"];
            let uri = place["artifactLocation"]["uri"].as_str().expect("a uri");
            assert!(
                !uri.is_empty() && !uri.starts_with('/') && !uri.contains([' ', '[']),
                "{uri}"
            );
            assert!(place["region"]["startLine"].as_u64().expect("a line") >= 1);
            assert!(
                !result["message"]["text"]
                    .as_str()
                    .expect("a text")
                    .contains("[x](")
            );
        }
        results
    };
    let before = sarif(&place);
    assert_eq!(before.len(), 2);
    put(&place, "a dir/values.yaml", format!("\n\n\n{text}"));
    let after = sarif(&place);
    assert_ne!(before, after, "the line moved");
    for (a, b) in before.iter().zip(&after) {
        assert_eq!(a["partialFingerprints"], b["partialFingerprints"]);
    }
}

#[test]
fn key_that_was_deleted_is_found_in_the_history_with_its_first_commit() {
    let account = Account::new(11);
    let place = empty();
    let dir = place.dir.path();
    git(dir, &["init", "-q"]);
    put(&place, "config/key.json", account.json());
    git(dir, &["add", "."]);
    git(dir, &["commit", "-qm", "add"]);
    git(dir, &["tag", "base"]);
    git(dir, &["mv", "config/key.json", "config/other.json"]);
    git(dir, &["commit", "-qm", "move"]);
    git(dir, &["rm", "-q", "config/other.json"]);
    git(dir, &["commit", "-qm", "remove"]);
    scan(&place, &[]).ok();
    let found = json(&place, &["--history"]);
    assert_eq!(told(&found), ["key-in-history config/key.json:5"]);
    let remark = found["keys"][0]["places"][0]["remarks"][0]
        .as_str()
        .expect("a remark");
    assert!(remark.starts_with("in Git since commit "), "{remark}");
    // The commits after the tag bring no blob with it.
    assert!(told(&json(&place, &["--history=base..HEAD"])).is_empty());
    assert_eq!(
        told(&json(&place, &["--history=HEAD"])),
        ["key-in-history config/key.json:5"]
    );
    // A key that still lies there is one finding, with its age.
    put(&place, "config/key.json", account.json());
    let found = json(&place, &["--history"]);
    assert_eq!(told(&found), ["key-in-files config/key.json:5"]);
    assert!(
        found["findings"][0]["evidence"]
            .to_string()
            .contains("in Git since commit")
    );

    for (range, why) in [
        ("--history=nothing..HEAD", "git says"),
        ("--history=--all", "no range"),
    ] {
        let ran = scan(&place, &[range]).fails();
        assert!(ran.err.contains(why), "{}", ran.err);
    }
    let ran = scan(&empty(), &["--history"]).fails();
    assert!(ran.err.contains("is in no git work tree"), "{}", ran.err);
}

/// What a repository brings along is not run, whichever git command looks at it.
#[cfg(unix)]
#[test]
fn history_of_a_hostile_repository_runs_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let place = empty();
    let dir = place.dir.path();
    git(dir, &["init", "-q"]);
    put(&place, "key.json", Account::new(12).json());
    put(&place, ".gitattributes", "* diff=evil filter=evil\n");
    git(dir, &["add", "."]);
    git(dir, &["commit", "-qm", "add"]);
    let pwned = place.path("pwned");
    put(
        &place,
        "program",
        format!("#!/bin/sh\necho run >> '{}'\nexit 1\n", pwned.display()),
    );
    let program = place.path("program");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("executable");
    let config = format!(
        "[core]\n\tfsmonitor = {0}\n\tsshCommand = {0}\n\tpager = {0}\n\thooksPath = {0}\n[diff]\n\texternal = {0}\n\
         [diff \"evil\"]\n\tcommand = {0}\n\ttextconv = {0}\n[filter \"evil\"]\n\tsmudge = {0}\n\tclean = {0}\n\
         [log]\n\tshowSignature = true\n[gpg]\n\tprogram = {0}\n[extensions]\n\tpartialClone = origin\n\
         [remote \"origin\"]\n\turl = .\n\tpromisor = true\n\tuploadpack = {0}\n",
        program.display()
    );
    let text = std::fs::read_to_string(place.path(".git/config")).expect("a configuration");
    put(&place, ".git/config", text + &config);
    scan(&place, &["--history"]);
    scan(&place, &["--history=HEAD"]);
    assert!(!pwned.exists(), "something was run");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_makes_the_scan_incomplete_and_is_named() {
    let place = empty();
    put(&place, "fine.txt", "nothing");
    let ran = scan(&place, &["fine.txt", "not-there"]).fails();
    assert!(
        ran.out.contains("not-there") && ran.out.contains("Incomplete."),
        "{}",
        ran.out
    );
    scan(&place, &["fine.txt", "not-there", "--allow-incomplete"]).ok();
    // A link is not followed, a pipe is not waited for, and both are told.
    std::os::unix::fs::symlink("/", place.path("link")).expect("a link");
    let made = Command::new("mkfifo")
        .arg(place.path("pipe"))
        .status()
        .expect("mkfifo runs");
    assert!(made.success());
    let ran = scan(&place, &["."]).ok();
    assert!(ran.out.contains("1 symbolic links"), "{}", ran.out);
    scan(&place, &["pipe"]).fails();
}

#[test]
fn severity_that_fails_is_chosen() {
    let place = empty();
    put(
        &place,
        "a.txt",
        format!("AIza{}", Numbers(13).word(LETTERS, 35)),
    );
    scan(&place, &[]).ok();
    assert_eq!(scan(&place, &["--fail-on", "low"]).code, Some(2));
    put(&place, "key.json", Account::new(14).json());
    assert_eq!(scan(&place, &["--fail-on", "high"]).code, Some(2));
    scan(&place, &["--fail-on", "critical"]).ok();
    // In a file and on standard output.
    let ran = scan(&place, &["--format", "junit", "--out", "report.xml"]);
    assert!(ran.out.contains("Findings: 1 high, 1 low."), "{}", ran.out);
    let xml = std::fs::read_to_string(place.path("report.xml")).expect("a report");
    assert!(xml.contains("<testsuites name=\"wi scan\" tests=\"2\" failures=\"2\" errors=\"0\">"));
}

#[test]
fn key_on_the_border_of_two_blocks_is_whole() {
    let account = Account::new(15);
    let place = empty();
    let line = format!("{}\n", "x y ".repeat(255));
    let mut text = line.repeat((16 << 20) / line.len());
    text.truncate((16 << 20) - 900);
    text.push('\n');
    let lines = text.matches('\n').count();
    text.push_str(&account.json());
    text.push_str(&line.repeat(2000));
    put(&place, "large.log", &text);
    let found = json(&place, &[]);
    assert_eq!(
        told(&found),
        [format!("key-in-files large.log:{}", lines + 5)]
    );
}

#[test]
fn committed_schema_of_findings_is_the_one_that_wi_prints() {
    let place = empty();
    let ran = Ran::of(&mut place.command(&["schema", "findings"])).ok();
    assert_eq!(
        ran.out,
        include_str!("../../schemas/wi-findings.v1.schema.json"),
        "run: cargo run -q -- schema findings > schemas/wi-findings.v1.schema.json"
    );
}

/// Names of files are others' words: JSON has them escaped, and the same for programs.
#[cfg(unix)]
#[test]
fn no_character_of_a_name_reaches_a_terminal_raw_in_any_form() {
    let account = Account::new(1);
    let place = empty();
    let name = "k\u{9b}31m\u{202e}\u{200b}\u{1b}[2J.json";
    put(&place, name, account.json());
    for format in ["text", "json", "sarif", "markdown", "junit"] {
        let ran = scan(&place, &["--format", format]);
        let raw = |c: &char| wi_core::words::misleads(*c) && *c != '\n';
        let found: Vec<char> = ran.out.chars().chain(ran.err.chars()).filter(raw).collect();
        assert!(found.is_empty(), "{format}: {found:?}");
    }
    let found = json(&place, &[]);
    assert_eq!(found["findings"][0]["place"]["path"], name);
}
