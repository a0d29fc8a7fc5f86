//! Tokens and keys in play are looked for in all that `wi` prints, logs at its highest level, and
//! writes: plan files, the record of a rollout, the sandbox's state.

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::json;
use support::fake::{Answer, Fake};
use support::{Place, Ran};
use wi::sandbox::{self, Sandbox, World};

const REFRESH: &str = "1//refresh-token-that-nobody-may-see";
const SECRET: &str = "client-secret-that-nobody-may-see";
const KEY: &str = include_str!("data/rsa-for-tests.pem");
const FORGE: &str = "ghs_forge-token-that-nobody-may-see";

/// All files below a directory, but for those that the test itself put secrets into.
fn files(directory: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if !path.ends_with("credentials.json") {
            let bytes = std::fs::read(&path).expect("a file");
            found.push((path.display().to_string(), bytes));
        }
    }
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|w| w == secret.as_bytes())
}

#[test]
fn secrets_are_nowhere() {
    let place = Place::example("shop");
    let world = std::fs::read_to_string(place.path("world.yaml")).expect("a world");
    let world = World::parse(&format!("{world}timeScale: 2000\n"), "world.yaml").expect("valid");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sandbox = runtime
        .block_on(Sandbox::start(
            world,
            sandbox::Options {
                state_file: Some(place.path("state.yaml")),
                ..sandbox::Options::default()
            },
        ))
        .expect("the sandbox starts");
    let token = sandbox.token();
    let handed_out = token.clone();
    let tokens = Fake::new(move |_| {
        Answer::json(200, json!({"access_token": handed_out, "expires_in": 3600}))
    });
    let forge = Fake::new(|_| Answer::json(404, json!({"message": "Not Found"})));
    let user = json!({"type": "authorized_user", "client_id": "id", "client_secret": SECRET,
        "refresh_token": REFRESH, "token_uri": tokens.url});
    let key = json!({"type": "service_account", "client_email": "ci@acme-prod.iam.gserviceaccount.com",
        "private_key": KEY, "token_uri": tokens.url});
    let mut printed = Vec::new();
    let mut run = |args: &[&str], edit: &dyn Fn(&mut Command)| {
        let mut command = place.command(args);
        command
            .env("WI_ENDPOINT", sandbox.endpoint())
            .env("GOOGLE_APPLICATION_CREDENTIALS", "credentials.json")
            .env(
                "WI_LOG",
                "trace,hyper=trace,h2=trace,rustls=trace,reqwest=trace",
            );
        edit(&mut command);
        let ran = Ran::of(command.output().expect("wi runs"));
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        printed.push((args.join(" "), format!("{}{}", ran.out, ran.err)));
        ran
    };
    let nothing = |_: &mut Command| {};
    for credentials in [&user, &key] {
        place.write("credentials.json", &credentials.to_string());
        let ran = run(&["plan", "wi.yaml", "--out", "plan.wi"], &nothing).ok();
        assert!(
            ran.err.len() > 20_000,
            "the log is on: {} bytes",
            ran.err.len()
        );
        run(&["plan", "wi.yaml", "-vv"], &nothing).ok();
        run(&["doctor", "wi.yaml"], &nothing).ok();
    }
    run(&["show", "plan.wi", "--json"], &nothing).ok();
    run(&["comment", "plan.wi"], &|command| {
        command
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_API_URL", &forge.url)
            .env("GITHUB_REPOSITORY", "acme/infra")
            .env("GITHUB_TOKEN", FORGE)
            .env("GITHUB_REF", "refs/pull/7/merge");
    });
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
    let secret_line = KEY.lines().nth(3).expect("a line of the key");
    for secret in [token.as_str(), REFRESH, SECRET, FORGE, secret_line] {
        for (what, text) in &printed {
            assert!(!text.contains(secret), "{what} prints {secret}");
        }
        for (file, bytes) in &written {
            assert!(!holds(bytes, secret), "{file} holds {secret}");
        }
    }
    // A plan file is packed; its content is looked through as well.
    let plan = std::fs::read(place.path("plan.wi")).expect("a plan");
    let plan = wi::plan::file::PlanFile::decode(&plan).expect("a plan");
    let text = serde_json::to_string(&plan).expect("JSON");
    assert!(!text.contains(&token) && !text.contains(REFRESH));
}
