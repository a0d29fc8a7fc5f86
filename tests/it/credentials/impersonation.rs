//! Acting as another service account, by a file, a flag or a variable.

use super::*;

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
