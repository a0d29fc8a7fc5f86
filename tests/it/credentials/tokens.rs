//! What becomes of tokens: renewed once for all, refused, sent to nobody else, shown nowhere.

use super::*;

/// An API on which nothing is, for those who bring one of these tokens.
pub(super) fn api(accepts: &'static str) -> Fake {
    Fake::new(move |seen| {
        if seen.header("authorization") != format!("Bearer {accepts}") {
            let error = json!({"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "Request had invalid authentication credentials."}});
            return Answer::json(401, error);
        }
        Answer::json(200, json!({}))
    })
}

pub(super) fn plan_on(place: &Place, api: &Fake) -> Command {
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
    // Operations that take longer than a token is good for.
    let place = Place::example("quickstart");
    let world = std::fs::read_to_string(place.path("world.yaml")).expect("a world");
    place.write(
        "world.yaml",
        &world.replace("timeScale: 2000", "timeScale: 100"),
    );
    let sandbox = Served::of(place);
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
    let calls: u64 = sandbox.calls().values().filter_map(Value::as_u64).sum();
    assert!(fetched >= 2, "{fetched} tokens");
    assert!(
        (fetched as u64) < calls,
        "{fetched} tokens for {calls} calls"
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
