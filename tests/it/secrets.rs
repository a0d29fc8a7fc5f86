//! Tokens and keys in play are looked for in all that `wi` prints, logs at its highest level, and
//! writes: plan files, the record of a rollout, the sandbox's state; and in the command lines of the
//! programs that it runs.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::fake::{Answer, Fake};
use crate::support::{Place, Ran};
use serde_json::{Value, json};
use wi_sandbox::{Sandbox, World};

const REFRESH: &str = "1//refresh-token-that-nobody-may-see";
const SECRET: &str = "client-secret-that-nobody-may-see";
const KEY: &str = include_str!("../data/rsa-for-tests.pem");
const GITHUB: &str = "ghs_forge-token-that-nobody-may-see";
const GITLAB: &str = "glpat-token-that-nobody-may-see";
const SUBJECT: &str = "subject-token-that-nobody-may-see";
const REQUEST: &str = "request-token-that-nobody-may-see";
const FEDERATED: &str = "federated-token-that-nobody-may-see";
const EXECUTED: &str = "token-of-a-program-that-nobody-may-see";
const KUBE: &str = "kubeconfig-token-that-nobody-may-see";
const ACCOUNT: &str = "ci@acme-prod.iam.gserviceaccount.com";

/// Files that the test itself puts secrets into.
const OURS: [&str; 5] = [
    "credentials.json",
    "kubeconfig",
    "login",
    "subject",
    "client-key",
];

/// All files below a directory, but for ours.
fn files(directory: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if !OURS.iter().any(|ours| path.ends_with(ours)) {
            let bytes = std::fs::read(&path).expect("a file");
            found.push((path.display().to_string(), bytes));
        }
    }
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|w| w == secret.as_bytes())
}

/// A program that leaves its command line, that of `wi`, and its own environment in `NAME.seen`, and then
/// prints `answer`.
fn program(place: &Place, name: &str, answer: &Value) {
    let text = format!(
        "#!/bin/sh\n{{ tr '\\0' ' ' < /proc/$$/cmdline; tr '\\0' ' ' < /proc/$PPID/cmdline; }} >> {name}.seen\necho '{answer}'\n"
    );
    place.write(name, &text);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.path(name), mode).expect("permissions");
}

/// A world with one cluster, and the spec that reaches it by a kubeconfig.
fn by_kubeconfig(place: &Place) {
    let spec = std::fs::read_to_string(place.path("wi.yaml")).expect("a spec");
    let eu = "prod-eu: { location: europe-west1,";
    let by = format!(
        "{eu} access: {{ kubeconfig: kubeconfig, context: gke_acme-prod_europe-west1_prod-eu }},"
    );
    assert!(spec.contains(eu));
    place.write("by-kubeconfig/wi.yaml", &spec.replace(eu, &by));
}

#[test]
fn nothing_secret_is_printed_logged_or_saved() {
    let place = Place::example("shop");
    std::fs::create_dir(place.path("by-kubeconfig")).expect("a directory");
    by_kubeconfig(&place);
    let world = std::fs::read_to_string(place.path("world.yaml")).expect("a world");
    let world = World::parse(&world, "world.yaml").expect("valid");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sandbox = runtime
        .block_on(Sandbox::start(
            world,
            wi_sandbox::Options {
                state_file: Some(place.path("state.yaml")),
                ..wi_sandbox::Options::default()
            },
        ))
        .expect("the sandbox starts");
    let token = sandbox.token();

    // What hands out tokens: OAuth, the token service, IAM Credentials, a forge's own.
    let handed_out = token.clone();
    let tokens = Fake::new(move |seen| match seen.uri.as_str() {
        "/sts" => Answer::json(
            200,
            json!({"access_token": FEDERATED, "expires_in": 3600, "token_type": "Bearer", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}),
        ),
        "/id" => Answer::json(200, json!({"value": SUBJECT})),
        uri if uri.ends_with(":generateAccessToken") => Answer::json(
            200,
            json!({"accessToken": handed_out, "expireTime": "2099-01-01T00:00:00Z"}),
        ),
        _ => Answer::json(200, json!({"access_token": handed_out, "expires_in": 3600})),
    });
    let user = json!({"type": "authorized_user", "client_id": "id", "client_secret": SECRET,
        "refresh_token": REFRESH, "token_uri": tokens.url});
    let key = json!({"type": "service_account", "client_email": ACCOUNT,
        "private_key": KEY, "token_uri": tokens.url});
    let impersonation = format!(
        "{}v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken",
        tokens.url
    );
    let federated = |source: Value| {
        json!({"type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/providers/p",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("{}sts", tokens.url),
            "service_account_impersonation_url": impersonation,
            "credential_source": source})
    };
    place.write("subject", SUBJECT);
    let by_file = federated(json!({"file": "subject"}));
    let by_url = federated(json!({"url": format!("{}id", tokens.url),
        "headers": {"Authorization": format!("Bearer {REQUEST}")},
        "format": {"type": "json", "subject_token_field_name": "value"}}));
    let answer = json!({"version": 1, "success": true, "id_token": EXECUTED,
        "token_type": "urn:ietf:params:oauth:token-type:jwt", "expiration_time": 4_070_908_800_i64});
    program(&place, "login", &answer);
    let login = place.path("login").display().to_string();
    let by_program =
        federated(json!({"executable": {"command": login, "timeout_millis": 120_000}}));
    let impersonated = json!({"type": "impersonated_service_account", "source_credentials": user,
        "service_account_impersonation_url": impersonation});

    let mut printed = Vec::new();
    let mut run = |args: &[&str], edit: &dyn Fn(&mut Command)| {
        let mut command = place.command(args);
        command
            .env("WI_ENDPOINT", sandbox.endpoint())
            .env("GOOGLE_APPLICATION_CREDENTIALS", "credentials.json")
            .env("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")
            .env("WI_ALLOW_EXEC_PLUGINS", "1")
            .env("PATH", "/usr/bin:/bin")
            .env(
                "WI_LOG",
                "trace,hyper=trace,h2=trace,rustls=trace,reqwest=trace",
            );
        edit(&mut command);
        let ran = Ran::of(&mut command);
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        printed.push((args.join(" "), format!("{}{}", ran.out, ran.err)));
        ran
    };
    let nothing = |_: &mut Command| {};
    let all = [&user, &key, &by_file, &by_url, &by_program, &impersonated];
    for credentials in all {
        place.write("credentials.json", &credentials.to_string());
        let ran = run(&["plan", "wi.yaml", "--out", "plan.wi"], &nothing).ok();
        assert!(
            ran.err.len() > 20_000,
            "the log is on: {} bytes",
            ran.err.len()
        );
        run(&["plan", "wi.yaml", "-vv"], &nothing).ok();
        run(&["doctor", "wi.yaml"], &nothing);
    }
    let chained = ["plan", "wi.yaml", "--impersonate-service-account", ACCOUNT];
    run(&chained, &|command| {
        command.env("WI_ENDPOINT_IAMCREDENTIALS", &tokens.url);
    })
    .ok();
    let refusing = Fake::new(|_| {
        Answer::json(
            400,
            json!({"error": "invalid_grant", "error_description": "Bad."}),
        )
    });
    // Credentials that are refused: what came back is told, and not what was sent.
    for refused in [&user, &by_file, &by_url, &by_program, &impersonated] {
        let text = refused.to_string().replace(&tokens.url, &refusing.url);
        place.write("credentials.json", &text);
        run(&["plan", "wi.yaml"], &nothing).fails();
    }
    place.write("credentials.json", &user.to_string());

    // A cluster by a kubeconfig: its token, the one of a plugin, a client certificate with its key.
    let mut config: Value = serde_json::from_str(&sandbox.kubeconfig()).expect("JSON");
    let client = rcgen::generate_simple_self_signed(vec!["client".to_owned()]).expect("a key");
    let client_key = client.signing_key.serialize_pem();
    place.write("client-key", &client_key);
    let encoded =
        |pem: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pem);
    let plugin = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": EXECUTED, "expirationTimestamp": "2099-01-01T00:00:00Z"}});
    let of_plugin = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./login",
        "interactiveMode": "Never", "provideClusterInfo": true}});
    let of_certificate = json!({"client-certificate-data": encoded(&client.cert.pem()), "client-key-data": encoded(&client_key)});
    let spec = "by-kubeconfig/wi.yaml";
    let beside = |file: &str| format!("by-kubeconfig/{file}");
    program(&place, &beside("login"), &plugin);
    for (user, works) in [
        (config["users"][0]["user"].clone(), true),
        (json!({"token": KUBE}), false),
        (of_plugin, false),
        (of_certificate, false),
    ] {
        config["users"][0]["user"] = user;
        for file in ["kubeconfig".to_owned(), beside("kubeconfig")] {
            place.write(&file, &config.to_string());
        }
        let ran = run(&["plan", spec], &nothing);
        assert!(
            ran.out.contains("cluster.prod-us"),
            "{}\n{}",
            ran.out,
            ran.err
        );
        assert_eq!(ran.code == Some(0), works, "{}", ran.out);
        run(&["doctor", spec], &nothing);
    }

    run(&["show", "plan.wi", "--json"], &nothing).ok();
    let forge = Fake::new(|_| Answer::json(404, json!({"message": "Not Found"})));
    run(&["comment", "plan.wi"], &|command| {
        command
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_API_URL", &forge.url)
            .env("GITHUB_REPOSITORY", "acme/infra")
            .env("GITHUB_TOKEN", GITHUB)
            .env("GITHUB_REF", "refs/pull/7/merge");
    });
    run(&["comment", "plan.wi"], &|command| {
        command
            .env("GITLAB_CI", "true")
            .env("CI_API_V4_URL", &forge.url)
            .env("CI_PROJECT_ID", "42")
            .env("CI_MERGE_REQUEST_IID", "7")
            .env("CI_COMMIT_SHA", "c0ffee")
            .env("CI_PIPELINE_ID", "50")
            .env("CI_JOB_URL", "https://gitlab.test/acme/shop/-/jobs/9")
            .env("GITLAB_TOKEN", GITLAB);
    });
    assert!(!forge.seen().is_empty());
    run(&["apply", "plan.wi"], &nothing).ok();
    // Refused and broken ones, too.
    run(&["plan", "wi.yaml"], &|command| {
        command
            .env("GOOGLE_OAUTH_ACCESS_TOKEN", format!("{REFRESH}-refused"))
            .env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    })
    .fails();
    runtime.block_on(sandbox.stop());
    assert!(place.path("state.yaml").exists());

    let mut written = Vec::new();
    files(place.dir.path(), &mut written);
    let seen = |name: &str| {
        written
            .iter()
            .any(|(file, bytes)| file.ends_with(name) && !bytes.is_empty())
    };
    assert!(
        seen("login.seen"),
        "programs were run: {:?}",
        written.iter().map(|w| &w.0).collect::<Vec<_>>()
    );
    let line = |pem: &str| pem.lines().nth(1).expect("a line of the key").to_owned();
    let (secret_line, client_line) = (
        KEY.lines().nth(3).expect("a line of the key"),
        line(&client_key),
    );
    let encoded_key = encoded(&client_key);
    for secret in [
        token.as_str(),
        REFRESH,
        SECRET,
        GITHUB,
        GITLAB,
        SUBJECT,
        REQUEST,
        FEDERATED,
        EXECUTED,
        KUBE,
        secret_line,
        &client_line,
        &encoded_key[40..100],
    ] {
        for (what, text) in &printed {
            assert!(!text.contains(secret), "{what} prints {secret}");
        }
        for (file, bytes) in &written {
            assert!(!holds(bytes, secret), "{file} holds {secret}");
        }
    }
    // A plan file is packed; its content is looked through as well.
    let plan = std::fs::read(place.path("plan.wi")).expect("a plan");
    let plan = wi_core::plan::saved::PlanFile::decode(&plan).expect("a plan");
    let text = serde_json::to_string(&plan).expect("JSON");
    assert!(!text.contains(&token) && !text.contains(REFRESH));
}
