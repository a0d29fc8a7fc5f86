//! All kinds of credentials, by the real binary: fakes of the token endpoints on loopback hand out the
//! sandbox's token, and the plan is made with it.

mod support;

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use support::fake::{Answer, Fake, Seen};
use support::served::Served;
use support::{Place, Ran};

const SECRET: &str = "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";
const REFRESH: &str = "1//a-refresh-token-that-nobody-may-see";
const SUBJECT: &str = "eyJ.a-subject-token-that-nobody-may-see.sig";
const KEY: &str = include_str!("data/rsa-for-tests.pem");
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
    let ran = Ran::of(command.output().expect("wi runs"));
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
    let public = include_bytes!("data/rsa-for-tests.pub.der");
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

#[test]
fn github_actions_by_url_and_impersonation() {
    let sandbox = sandbox();
    let server = federation(&sandbox, |seen| {
        assert_eq!(seen.uri, "/idtoken?api-version=2.0");
        assert_eq!(seen.header("authorization"), format!("Bearer {SECRET}"));
        Answer::json(200, json!({"value": SUBJECT}))
    });
    let mut file = external(
        &sandbox,
        &server,
        json!({"url": format!("{}idtoken?api-version=2.0", server.url),
            "headers": {"Authorization": format!("Bearer {SECRET}")},
            "format": {"type": "json", "subject_token_field_name": "value"}}),
    );
    file["service_account_impersonation_url"] = json!(format!(
        "{}v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken",
        server.url
    ));
    planned(run(&mut plan_with(&sandbox, file)));
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    let exchange = &seen[1];
    assert_eq!(
        exchange.field("grant_type"),
        "urn:ietf:params:oauth:grant-type:token-exchange"
    );
    assert_eq!(exchange.field("subject_token"), SUBJECT);
    assert_eq!(
        exchange.field("requested_token_type"),
        "urn:ietf:params:oauth:token-type:access_token"
    );
    assert!(
        exchange
            .field("audience")
            .starts_with("//iam.googleapis.com/")
    );
    let body: Value = serde_json::from_str(&seen[2].body).expect("JSON");
    assert_eq!(body["lifetime"], "3600s");
    assert_eq!(
        body["scope"][0],
        "https://www.googleapis.com/auth/cloud-platform"
    );
}

#[test]
fn gitlab_by_file_and_the_federated_token_itself() {
    let sandbox = sandbox();
    let token = token_of(&sandbox);
    let server = Fake::new(move |_| oauth(&token, 3600));
    sandbox.place.write("oidc.jwt", &format!("{SUBJECT}\n"));
    let file = external(&sandbox, &server, json!({"file": "oidc.jwt"}));
    planned(run(&mut plan_with(&sandbox, file)));
    assert_eq!(server.seen()[0].field("subject_token"), SUBJECT);
}

#[test]
fn a_provider_that_refuses_the_job() {
    let sandbox = sandbox();
    let server = Fake::new(|seen| {
        // One that quotes what it was sent.
        let description = format!(
            "The given credential is rejected by the attribute condition: {}",
            seen.field("subject_token")
        );
        Answer::json(
            403,
            json!({"error": "unauthorized_client", "error_description": description}),
        )
    });
    sandbox.place.write("oidc.jwt", SUBJECT);
    let file = external(&sandbox, &server, json!({"file": "oidc.jwt"}));
    let ran = run(&mut plan_with(&sandbox, file)).fails();
    let text = format!("{}{}", ran.out, ran.err);
    assert!(
        text.contains("rejected by the attribute condition: [redacted]"),
        "{text}"
    );
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
fn an_executable_only_where_it_is_allowed() {
    let sandbox = sandbox();
    let token = token_of(&sandbox);
    let server = Fake::new(move |_| oauth(&token, 3600));
    let answer = json!({"version": 1, "success": true, "token_type": "urn:ietf:params:oauth:token-type:jwt",
        "id_token": SUBJECT, "expiration_time": 4_000_000_000_u64});
    script(
        &sandbox.place,
        "tool",
        &format!(
            "#!/bin/sh\necho \"$GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE $GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE $1\" > asked\necho '{answer}'\n"
        ),
    );
    let command = format!("{} 'two words'", sandbox.place.path("tool").display());
    let file = external(
        &sandbox,
        &server,
        json!({"executable": {"command": command, "timeout_millis": 5000}}),
    );
    let ran = run(&mut plan_with(&sandbox, file.clone())).fails();
    let text = format!("{}{}", ran.out, ran.err);
    assert!(
        text.contains("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1"),
        "{text}"
    );
    assert!(!sandbox.place.path("asked").exists(), "it was run");

    let mut allowed = plan_with(&sandbox, file);
    allowed.env("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1");
    planned(run(&mut allowed));
    let asked = std::fs::read_to_string(sandbox.place.path("asked")).expect("it was run");
    assert!(
        asked.starts_with("//iam.googleapis.com/") && asked.ends_with(" 0 two words\n"),
        "{asked}"
    );
    assert_eq!(server.seen()[0].field("subject_token"), SUBJECT);
}

#[test]
fn a_workforce_login() {
    let sandbox = sandbox();
    let server = endpoint(&sandbox);
    let file = json!({"type": "external_account_authorized_user",
        "audience": "//iam.googleapis.com/locations/global/workforcePools/p/providers/q",
        "client_id": "id", "client_secret": SECRET, "refresh_token": REFRESH,
        "token_url": server.url});
    planned(run(&mut plan_with(&sandbox, file)));
    let seen = server.seen();
    let basic = STANDARD.encode(format!("id:{SECRET}"));
    assert_eq!(seen[0].header("authorization"), format!("Basic {basic}"));
    assert_eq!(seen[0].field("refresh_token"), REFRESH);
}

#[test]
fn an_impersonated_account_of_a_file() {
    let sandbox = sandbox();
    let server = federation(&sandbox, |_| oauth("mine", 3600));
    let file = json!({"type": "impersonated_service_account", "source_credentials": user(&server.url),
        "service_account_impersonation_url": format!("{}v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken", server.url),
        "delegates": ["projects/-/serviceAccounts/mid@acme-prod.iam.gserviceaccount.com"]});
    planned(run(&mut plan_with(&sandbox, file)));
    let body: Value = serde_json::from_str(&server.seen()[1].body).expect("JSON");
    assert_eq!(
        body["delegates"],
        json!(["projects/-/serviceAccounts/mid@acme-prod.iam.gserviceaccount.com"])
    );
}

#[test]
fn impersonation_by_flag_and_by_variable() {
    let sandbox = sandbox();
    let server = federation(&sandbox, |_| Answer::text(404, ""));
    let chain = format!("mid@acme-prod.iam.gserviceaccount.com,{ACCOUNT}");
    for variable in [
        "",
        "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT",
        "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT",
    ] {
        let mut args = vec!["plan", "wi.yaml"];
        if variable.is_empty() {
            args.extend(["--impersonate-service-account", &chain]);
        }
        let mut command = wi(&sandbox, &args);
        command
            .env("GOOGLE_OAUTH_ACCESS_TOKEN", "mine")
            .env("WI_ENDPOINT_IAMCREDENTIALS", &server.url);
        if !variable.is_empty() {
            command.env(variable, &chain);
        }
        planned(run(&mut command));
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    for one in &seen {
        assert_eq!(
            one.uri,
            format!("/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken")
        );
        let body: Value = serde_json::from_str(&one.body).expect("JSON");
        assert_eq!(
            body["delegates"],
            json!(["projects/-/serviceAccounts/mid@acme-prod.iam.gserviceaccount.com"])
        );
    }
    let mut command = wi(
        &sandbox,
        &["plan", "wi.yaml", "--impersonate-service-account", "me"],
    );
    let ran = run(command.env("GOOGLE_OAUTH_ACCESS_TOKEN", "mine")).fails();
    assert!(
        ran.err.contains("--impersonate-service-account"),
        "{}",
        ran.err
    );
}

#[test]
fn impersonation_that_is_refused_names_the_role() {
    let sandbox = sandbox();
    let server = Fake::new(|_| {
        let error = json!({"error": {"code": 403, "status": "PERMISSION_DENIED",
            "message": "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."}});
        Answer::json(403, error)
    });
    let mut command = wi(
        &sandbox,
        &["plan", "wi.yaml", "--impersonate-service-account", ACCOUNT],
    );
    command
        .env("GOOGLE_OAUTH_ACCESS_TOKEN", "mine")
        .env("WI_ENDPOINT_IAMCREDENTIALS", &server.url);
    let ran = run(&mut command).fails();
    let text = format!("{}{}", ran.out, ran.err);
    assert!(
        text.contains("roles/iam.serviceAccountTokenCreator"),
        "{text}"
    );
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
    assert!(text.contains("gcloud auth login"), "{text}");
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

/// An API on which nothing is, for those who bring one of these tokens.
fn api(accepts: &'static str) -> Fake {
    Fake::new(move |seen| {
        if seen.header("authorization") != format!("Bearer {accepts}") {
            let error = json!({"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "Request had invalid authentication credentials."}});
            return Answer::json(401, error);
        }
        Answer::json(200, json!({}))
    })
}

fn plan_on(place: &Place, api: &Fake) -> Command {
    let mut command = place.command(&["plan", "wi.yaml"]);
    command
        .env("WI_ENDPOINT", &api.url)
        .env("NO_GCE_CHECK", "true")
        .env("GOOGLE_APPLICATION_CREDENTIALS", "credentials.json");
    command
}

#[test]
fn a_token_that_a_server_refuses_is_renewed_once_for_all_tasks() {
    let place = Place::example("quickstart");
    let api = api("second");
    let server = Fake::new(|seen| oauth(if seen.n == 0 { "first" } else { "second" }, 3600));
    place.write("credentials.json", &user(&server.url).to_string());
    run(&mut plan_on(&place, &api));
    assert_eq!(server.seen().len(), 2, "one token, and one in its place");
    let calls = api.seen();
    let refused = calls
        .iter()
        .filter(|c| c.header("authorization") == "Bearer first")
        .count();
    assert!(
        (3..=32).contains(&refused) && calls.len() >= 2 * refused,
        "{refused} of {}",
        calls.len()
    );
}

#[test]
fn a_token_that_stays_refused_is_an_error_and_no_loop() {
    let place = Place::example("quickstart");
    let api = api("none");
    let server = Fake::new(|seen| oauth(&format!("token-{}", seen.n), 3600));
    place.write("credentials.json", &user(&server.url).to_string());
    let ran = run(&mut plan_on(&place, &api)).fails();
    assert!(
        ran.out.contains("invalid authentication credentials"),
        "{}",
        ran.out
    );
    assert!(api.seen().len() <= 12, "{}", api.seen().len());
}

#[test]
fn a_token_is_renewed_before_it_ends() {
    let sandbox = sandbox();
    let token = token_of(&sandbox);
    let server = Fake::new(move |_| oauth(&token, 2));
    sandbox
        .place
        .write("credentials.json", &user(&server.url).to_string());
    let mut command = wi(&sandbox, &["apply", "wi.yaml", "--auto-approve"]);
    command.env("GOOGLE_APPLICATION_CREDENTIALS", "credentials.json");
    let ran = run(&mut command).ok();
    assert!(ran.out.contains("Apply complete!"), "{}", ran.out);
    let fetched = server.seen().len();
    assert!((2..30).contains(&fetched), "{fetched} tokens");
}

#[test]
fn the_quota_project_goes_with_every_call() {
    let place = Place::example("quickstart");
    let api = api("mine");
    let server = Fake::new(|_| oauth("mine", 3600));
    let mut file = user(&server.url);
    file["quota_project_id"] = json!("acme-billing");
    place.write("credentials.json", &file.to_string());
    run(&mut plan_on(&place, &api));
    let before = api.seen().len();
    run(plan_on(&place, &api).env("GOOGLE_CLOUD_QUOTA_PROJECT", "acme-other"));
    let projects: Vec<String> = api
        .seen()
        .iter()
        .map(|s| s.header("x-goog-user-project").to_owned())
        .collect();
    assert!(
        projects[..before].iter().all(|p| p == "acme-billing"),
        "{projects:?}"
    );
    assert!(
        projects[before..].iter().all(|p| p == "acme-other"),
        "{projects:?}"
    );
}

#[test]
fn secrets_are_not_sent_where_a_redirect_points() {
    let sandbox = sandbox();
    let elsewhere = Arc::new(Fake::new(|_| oauth("caught", 3600)));
    let to = elsewhere.url.clone();
    let server = Fake::new(move |_| Answer::text(307, "").header("location", &to));
    let ran = run(&mut plan_with(&sandbox, user(&server.url))).fails();
    let text = format!("{}{}", ran.out, ran.err);
    assert!(text.contains("sends us elsewhere"), "{text}");
    assert!(
        elsewhere.seen().is_empty(),
        "the refresh token went elsewhere"
    );
    // Nor in the clear.
    let ran = run(&mut plan_with(&sandbox, user("http://tokens.example/"))).fails();
    let text = format!("{}{}", ran.out, ran.err);
    assert!(text.contains("use https"), "{text}");
}

#[test]
fn a_token_endpoint_that_fails_for_a_while() {
    let sandbox = sandbox();
    let token = token_of(&sandbox);
    let server = Fake::new(move |seen| match seen.n {
        0 => Answer::text(503, "<html>overloaded</html>"),
        1 => Answer::json(429, json!({"error": "rate_limited"})),
        _ => oauth(&token, 3600),
    });
    planned(run(&mut plan_with(&sandbox, user(&server.url))));
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn what_is_no_token_endpoint_is_not_quoted() {
    let sandbox = sandbox();
    for body in [
        format!("<html>{SECRET}</html>"),
        json!({"token": SECRET}).to_string(),
        json!({"access_token": 7, "x": SECRET}).to_string(),
        String::new(),
    ] {
        let server = Fake::new(move |_| Answer::text(200, &body));
        let ran = run(&mut plan_with(&sandbox, user(&server.url))).fails();
        let text = format!("{}{}", ran.out, ran.err);
        assert!(text.contains("does not answer as documented"), "{text}");
    }
}

/// A token never goes in the clear to anything but this machine, a proxy included.
#[test]
fn nothing_of_this_machine_goes_through_a_proxy() {
    let place = Place::example("quickstart");
    let api = api("mine");
    let proxy = Fake::new(|_| Answer::json(200, json!({})));
    let mut command = plan_on(&place, &api);
    command
        .env_remove("GOOGLE_APPLICATION_CREDENTIALS")
        .env("GOOGLE_OAUTH_ACCESS_TOKEN", "mine")
        .env("HTTP_PROXY", &proxy.url)
        .env("ALL_PROXY", &proxy.url);
    run(&mut command);
    assert!(!api.seen().is_empty());
    assert!(proxy.seen().is_empty(), "{:?}", proxy.seen());
    // Nor where it is one API of many, nor a token endpoint.
    let server = Fake::new(|_| oauth("mine", 3600));
    place.write("credentials.json", &user(&server.url).to_string());
    let before = api.seen().len();
    place.write("wi.yaml", "kind: Other\n");
    let mut command = place.command(&["doctor"]);
    command
        .env("WI_ENDPOINT_OAUTH2", &api.url)
        .env("NO_GCE_CHECK", "true")
        .env("GOOGLE_APPLICATION_CREDENTIALS", "credentials.json")
        .env("HTTP_PROXY", &proxy.url);
    run(&mut command);
    assert_eq!((server.seen().len(), api.seen().len()), (1, before + 1));
    assert!(proxy.seen().is_empty(), "{:?}", proxy.seen());
}

/// What a proxy is asked for in a plan that this environment makes; it opens no tunnel.
fn proxied(place: &Place, edit: &dyn Fn(&mut Command)) -> Vec<Seen> {
    let proxy = Fake::new(|_| Answer::text(502, ""));
    let mut command = place.command(&["plan", "wi.yaml"]);
    command
        .env("HTTPS_PROXY", &proxy.url)
        .env("GOOGLE_OAUTH_ACCESS_TOKEN", "mine");
    edit(&mut command);
    let mut child = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("wi starts");
    for _ in 0..100 {
        if proxy.seen().len() >= 3 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
    let seen = proxy.seen();
    assert!(seen.len() >= 3, "{seen:?}");
    for one in &seen {
        assert_eq!(one.method, "CONNECT");
        assert!(
            !format!("{one:?}").contains("mine"),
            "the proxy has the token"
        );
    }
    seen
}

#[test]
fn proxies_by_the_usual_variables() {
    let place = Place::example("quickstart");
    for one in proxied(&place, &|_| {}) {
        assert!(one.uri.ends_with(".googleapis.com:443"), "{}", one.uri);
    }
}

#[test]
fn another_universe_has_other_servers() {
    let place = Place::example("quickstart");
    let seen = proxied(&place, &|command| {
        command.env("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "cloud.example");
    });
    for one in seen {
        assert!(one.uri.ends_with(".cloud.example:443"), "{}", one.uri);
    }
}

/// A token endpoint over TLS, which only `ca` vouches for.
fn tls_endpoint(directory: &Path, token: String) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let certificate = params.self_signed(&key).expect("a certificate");
    std::fs::write(directory.join("ca.pem"), certificate.pem()).expect("written");
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("a configuration");
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).expect("TLS");
            let mut tls = rustls::StreamOwned::new(connection, stream);
            let mut request = [0; 4096];
            if tls.read(&mut request).is_ok() {
                let body = json!({"access_token": token, "expires_in": 3600}).to_string();
                let _ = write!(
                    tls,
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        }
    });
    format!("https://localhost:{port}/token")
}

#[test]
fn a_bundle_of_ones_own_authorities() {
    let sandbox = sandbox();
    let url = tls_endpoint(sandbox.place.dir.path(), token_of(&sandbox));
    let ran = run(&mut plan_with(&sandbox, user(&url))).fails();
    let text = format!("{}{}", ran.out, ran.err);
    assert!(text.contains("certificate"), "{text}");
    for variable in ["SSL_CERT_FILE", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE"] {
        let mut command = plan_with(&sandbox, user(&url));
        planned(run(command.env(variable, sandbox.place.path("ca.pem"))));
        for (file, why) in [("gone.pem", "No such file"), ("wi.yaml", "no certificate")] {
            let mut command = plan_with(&sandbox, user(&url));
            let ran = run(command.env(variable, file)).fails();
            let start = format!("the authorities in {file}, named by {variable}: {why}");
            assert!(ran.err.contains(&start), "{start}\n{}", ran.err);
        }
    }
}

/// A machine that slept: the token of the one who impersonates has ended, and nobody has noticed.
#[test]
fn an_impersonator_whose_token_has_ended_gets_another() {
    let sandbox = sandbox();
    let token = token_of(&sandbox);
    let server = Fake::new(move |seen| {
        if !seen.uri.ends_with(":generateAccessToken") {
            return oauth(if seen.n == 0 { "ended" } else { "good" }, 3600);
        }
        assert_eq!(seen.header("x-goog-user-project"), "acme-billing");
        match seen.header("authorization") {
            "Bearer good" => Answer::json(200, json!({"accessToken": token})),
            _ => Answer::json(
                401,
                json!({"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "expired"}}),
            ),
        }
    });
    let mut command = plan_with(&sandbox, user(&server.url));
    command
        .env("GOOGLE_CLOUD_QUOTA_PROJECT", "acme-billing")
        .env("GOOGLE_IMPERSONATE_SERVICE_ACCOUNT", ACCOUNT)
        .env("WI_ENDPOINT_IAMCREDENTIALS", &server.url);
    planned(run(&mut command));
    let asked: Vec<String> = server.seen().into_iter().map(|s| s.uri).collect();
    assert_eq!(asked.len(), 4, "{asked:?}");
}

#[test]
fn a_file_that_impersonates_counts_on_its_own_quota_project() {
    let sandbox = sandbox();
    let server = federation(&sandbox, |_| oauth("mine", 3600));
    let mut source = user(&server.url);
    source["quota_project_id"] = json!("acme-billing");
    let file = json!({"type": "impersonated_service_account", "source_credentials": source,
        "service_account_impersonation_url": format!("{}v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken", server.url)});
    planned(run(&mut plan_with(&sandbox, file)));
    assert_eq!(
        server.seen()[1].header("x-goog-user-project"),
        "acme-billing"
    );
}

#[test]
fn a_token_that_never_ends_is_no_panic() {
    let sandbox = sandbox();
    let token = token_of(&sandbox);
    let server = Fake::new(move |_| oauth(&token, u64::MAX));
    planned(run(&mut plan_with(&sandbox, user(&server.url))));
}

#[test]
fn secrets_in_urls_are_not_logged() {
    let sandbox = sandbox();
    let server = federation(&sandbox, |seen| match seen.n {
        0 => Answer::text(503, "overloaded"),
        _ => Answer::text(500, &seen.uri),
    });
    let source = json!({"url": format!("{}idtoken?secret={SECRET}", server.url)});
    let mut command = plan_with(&sandbox, external(&sandbox, &server, source));
    let ran = run(command.env("WI_LOG", "trace")).fails();
    assert!(ran.err.contains("answered 500"), "{}", ran.err);
    // Nor taken where they would be.
    let mut command = wi(&sandbox, &["plan", "wi.yaml"]);
    command.env("GOOGLE_OAUTH_ACCESS_TOKEN", "mine");
    command.env("WI_ENDPOINT", format!("https://me:{SECRET}@proxy.example/"));
    let ran = run(&mut command).fails();
    assert!(ran.err.contains("must not have a user"), "{}", ran.err);
}
