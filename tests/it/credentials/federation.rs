//! Federation: GitHub and GitLab by URL and file, programs, workforce logins.

use super::*;

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
        json!({"executable": {"command": command, "timeout_millis": 120_000}}),
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
