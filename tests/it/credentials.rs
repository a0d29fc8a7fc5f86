//! All kinds of credentials, by the real binary: fakes of the token endpoints on loopback hand out the
//! sandbox's token, and the plan is made with it.

mod federation;
mod impersonation;
mod network;
mod tokens;

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::support::fake::{Answer, Fake, Seen};
use crate::support::served::Served;
use crate::support::{Place, Ran};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const SECRET: &str = "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";
const REFRESH: &str = "1//a-refresh-token-that-nobody-may-see";
const SUBJECT: &str = "eyJ.a-subject-token-that-nobody-may-see.sig";
const KEY: &str = include_str!("../data/rsa-for-tests.pem");
const ACCOUNT: &str = "planner@acme-prod.iam.gserviceaccount.com";

fn sandbox() -> Served {
    Served::of(Place::example("quickstart"))
}

fn token_of(sandbox: &Served) -> String {
    let text = std::fs::read_to_string(&sandbox.token_file).expect("a token");
    text.trim().to_owned()
}

/// A token endpoint that gives the sandbox's token, in the shape of OAuth.
fn endpoint(sandbox: &Served) -> Fake {
    let token = token_of(sandbox);
    Fake::new(move |_| oauth(&token, 3600))
}

fn oauth(token: &str, seconds: u64) -> Answer {
    Answer::json(
        200,
        json!({"access_token": token, "expires_in": seconds, "token_type": "Bearer"}),
    )
}

/// `wi` with no credentials but those that the test gives it.
fn wi(sandbox: &Served, args: &[&str]) -> Command {
    let mut command = sandbox.place.command(args);
    command
        .env("WI_ENDPOINT", &sandbox.endpoint)
        .env("NO_GCE_CHECK", "true");
    command
}

fn run(command: &mut Command) -> Ran {
    let ran = Ran::of(command);
    for secret in [SECRET, REFRESH, SUBJECT, "BEGIN PRIVATE KEY"] {
        assert!(!ran.out.contains(secret), "{}", ran.out);
        assert!(!ran.err.contains(secret), "{}", ran.err);
    }
    ran
}

fn plan_with(sandbox: &Served, credentials: Value) -> Command {
    sandbox
        .place
        .write("credentials.json", &credentials.to_string());
    let mut command = wi(sandbox, &["plan", "wi.yaml", "-vv"]);
    command.env("GOOGLE_APPLICATION_CREDENTIALS", "credentials.json");
    command
}

#[track_caller]
fn planned(ran: Ran) -> Ran {
    let ran = ran.ok();
    assert!(ran.out.contains("Plan: "), "{}", ran.out);
    ran
}

fn user(token_uri: &str) -> Value {
    json!({"type": "authorized_user", "client_id": "id.apps", "client_secret": SECRET,
        "refresh_token": REFRESH, "token_uri": token_uri})
}

#[test]
fn user_credentials() {
    let sandbox = sandbox();
    let server = endpoint(&sandbox);
    planned(run(&mut plan_with(&sandbox, user(&server.url))));
    let seen = server.seen();
    assert_eq!(seen.len(), 1, "one token for all calls");
    assert_eq!(seen[0].method, "POST");
    assert_eq!(seen[0].field("grant_type"), "refresh_token");
    assert_eq!(seen[0].field("client_id"), "id.apps");
    assert_eq!(seen[0].field("client_secret"), SECRET);
    assert_eq!(seen[0].field("refresh_token"), REFRESH);
}

#[test]
fn the_file_that_gcloud_writes() {
    let sandbox = sandbox();
    let server = endpoint(&sandbox);
    let place = "application_default_credentials.json";
    for directory in [".config/gcloud", "elsewhere"] {
        std::fs::create_dir_all(sandbox.place.path(directory)).expect("made");
        let file = format!("{directory}/{place}");
        sandbox.place.write(&file, &user(&server.url).to_string());
        let mut command = wi(&sandbox, &["plan", "wi.yaml"]);
        if directory == "elsewhere" {
            command.env("CLOUDSDK_CONFIG", sandbox.place.path(directory));
        }
        planned(run(&mut command));
        std::fs::remove_file(sandbox.place.path(&file)).expect("removed");
    }
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn a_login_that_has_ended_is_told_with_the_way_out() {
    let sandbox = sandbox();
    let server = Fake::new(|_| {
        let error = json!({"error": "invalid_grant", "error_description": "Token has been expired or revoked."});
        Answer::json(400, error)
    });
    let ran = run(&mut plan_with(&sandbox, user(&server.url))).fails();
    for part in [
        "user credentials (credentials.json, named by GOOGLE_APPLICATION_CREDENTIALS)",
        "Token has been expired or revoked.",
        "gcloud auth application-default login",
    ] {
        assert!(
            ran.err.contains(part) || ran.out.contains(part),
            "{part}\n{}\n{}",
            ran.err,
            ran.out
        );
    }
    assert_eq!(
        server.seen().len(),
        1,
        "what is refused for good is not asked again"
    );
}

#[test]
fn a_service_account_key_signs_and_is_warned_of() {
    let sandbox = sandbox();
    let server = endpoint(&sandbox);
    let key = json!({"type": "service_account", "client_email": ACCOUNT, "private_key_id": "k1",
        "private_key": KEY, "token_uri": server.url});
    let ran = planned(run(&mut plan_with(&sandbox, key)));
    assert!(
        ran.err
            .contains("Warning: wi runs with a service account key"),
        "{}",
        ran.err
    );
    let seen = server.seen();
    assert_eq!(
        seen[0].field("grant_type"),
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    let assertion = seen[0].field("assertion");
    let parts: Vec<&str> = assertion.split('.').collect();
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64");
    let header: Value = serde_json::from_slice(&decoded(parts[0])).expect("JSON");
    let claims: Value = serde_json::from_slice(&decoded(parts[1])).expect("JSON");
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
    assert_eq!(claims["iss"], ACCOUNT);
    assert_eq!(claims["aud"], server.url);
    assert!(
        claims["scope"]
            .as_str()
            .is_some_and(|s| s.contains("auth/cloud-platform"))
    );
    let (issued, ends) = (claims["iat"].as_u64(), claims["exp"].as_u64());
    assert_eq!(ends.zip(issued).map(|(e, i)| e - i), Some(3600));
    // By another implementation than the one that signs: openssl's public key of the same pair.
    let public = include_bytes!("../data/rsa-for-tests.pub.der");
    ring::signature::UnparsedPublicKey::new(&ring::signature::RSA_PKCS1_2048_8192_SHA256, public)
        .verify(
            format!("{}.{}", parts[0], parts[1]).as_bytes(),
            &decoded(parts[2]),
        )
        .expect("signed by the key");
}

#[test]
fn a_broken_key_is_not_quoted() {
    let sandbox = sandbox();
    for (key, part) in [
        (
            json!({"type": "service_account", "client_email": ACCOUNT, "private_key": SECRET}),
            "the private key of planner@acme-prod.iam.gserviceaccount.com cannot be read",
        ),
        (
            json!({"type": "service_account", "private_key": KEY}),
            "`service_account` without `client_email`",
        ),
        (
            json!({"type": "gdch_service_account"}),
            "gdch_service_account",
        ),
        (json!({"kind": SECRET}), "the file has no `type`"),
    ] {
        let ran = run(&mut plan_with(&sandbox, key)).fails();
        assert!(
            ran.err.contains(part) || ran.out.contains(part),
            "{part}\n{}\n{}",
            ran.err,
            ran.out
        );
    }
    sandbox.place.write("credentials.json", SECRET);
    let mut command = wi(&sandbox, &["plan", "wi.yaml"]);
    command.env("GOOGLE_APPLICATION_CREDENTIALS", "credentials.json");
    let ran = run(&mut command).fails();
    assert!(ran.err.contains("are not JSON"), "{}", ran.err);
}

#[test]
fn the_metadata_server() {
    let sandbox = sandbox();
    let token = token_of(&sandbox);
    let server = Fake::new(move |seen| {
        if seen.header("metadata-flavor") != "Google" {
            return Answer::text(403, "Forbidden");
        }
        let answer = if seen
            .uri
            .starts_with("/computeMetadata/v1/instance/service-accounts/default/token?scopes=")
        {
            oauth(&token, 1800)
        } else {
            Answer::text(200, "computeMetadata/\n")
        };
        answer.header("metadata-flavor", "Google")
    });
    let host = server
        .url
        .trim_start_matches("http://")
        .trim_end_matches('/');
    let mut command = sandbox.place.command(&["plan", "wi.yaml"]);
    command
        .env(
            "WI_ENDPOINT",
            sandbox.endpoint.replace("127.0.0.1", "localhost"),
        )
        .env("GCE_METADATA_HOST", host)
        // Never asked for what is on the machine itself.
        .env("HTTP_PROXY", "http://127.0.0.1:9/")
        .env("NO_PROXY", "localhost");
    planned(run(&mut command));
    let asked: Vec<String> = server.seen().into_iter().map(|s| s.uri).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
}

fn external(sandbox: &Served, server: &Fake, source: Value) -> Value {
    let _ = sandbox;
    json!({"type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/providers/p",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}v1/token", server.url),
        "credential_source": source})
}

/// The token service and the IAM Credentials API; `first` answers what is not theirs.
fn federation(sandbox: &Served, first: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Fake {
    let token = token_of(sandbox);
    Fake::new(move |seen| match seen.uri.as_str() {
        "/v1/token" => oauth("federated", 3600),
        uri if uri.ends_with(":generateAccessToken") => {
            let body = json!({"accessToken": token, "expireTime": "2026-11-24T12:00:00Z"});
            match seen.header("authorization") {
                "Bearer federated" | "Bearer mine" => Answer::json(200, body),
                other => Answer::json(
                    401,
                    json!({"error": {"status": "UNAUTHENTICATED", "message": other}}),
                ),
            }
        }
        _ => first(seen),
    })
}

#[cfg(unix)]
fn script(place: &Place, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    place.write(name, text);
    std::fs::set_permissions(place.path(name), std::fs::Permissions::from_mode(0o755))
        .expect("permissions");
}

#[cfg(unix)]
#[test]
fn gclouds_own_login_as_a_last_resort() {
    let sandbox = sandbox();
    let credential = json!({"credential": {"access_token": token_of(&sandbox), "token_expiry": "2099-01-01T00:00:00Z"}});
    std::fs::create_dir(sandbox.place.path("bin")).expect("made");
    script(
        &sandbox.place,
        "bin/gcloud",
        &format!("#!/bin/sh\necho \"$@\" >> gcloud.args\necho '{credential}'\n"),
    );
    let mut command = wi(&sandbox, &["plan", "wi.yaml"]);
    planned(run(command.env("PATH", sandbox.place.path("bin"))));
    let args = std::fs::read_to_string(sandbox.place.path("gcloud.args")).expect("it was run");
    assert_eq!(
        args,
        "config config-helper --format=json(credential) --quiet\n"
    );

    script(
        &sandbox.place,
        "bin/gcloud",
        "#!/bin/sh\necho 'ERROR: (gcloud.config.config-helper) You do not currently have an active account selected.' >&2\nexit 1\n",
    );
    let mut command = wi(&sandbox, &["plan", "wi.yaml"]);
    let ran = run(command.env("PATH", sandbox.place.path("bin"))).fails();
    let text = format!("{}{}", ran.out, ran.err);
    for part in [
        "gcloud, which has no active account",
        "gcloud auth login",
        "--sandbox needs none",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn no_credentials_at_all() {
    let sandbox = sandbox();
    let ran = run(&mut wi(&sandbox, &["plan", "wi.yaml"])).fails();
    for part in [
        "there are no credentials",
        "GOOGLE_APPLICATION_CREDENTIALS",
        ".config/gcloud/application_default_credentials.json",
        "gcloud auth application-default login",
    ] {
        assert!(ran.err.contains(part), "{part}\n{}", ran.err);
    }
    assert_eq!(ran.out, "");
    let mut command = wi(&sandbox, &["plan", "wi.yaml"]);
    let ran = run(command.env("GOOGLE_APPLICATION_CREDENTIALS", "gone.json")).fails();
    assert!(
        ran.err
            .contains("gone.json, named by GOOGLE_APPLICATION_CREDENTIALS"),
        "{}",
        ran.err
    );
}
