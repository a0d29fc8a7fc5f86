//! `wi comment` against small fakes of GitHub and GitLab, over HTTP, as a CI job runs it.

mod forges;

use crate::support::{Place, Ran};
use forges::{Fake, comment};
use serde_json::json;

const HEAD: &str = "aaaabbbbccccddddeeeeffff0000111122223333";
const TOKEN: &str = "ghs_a-token-that-nobody-may-see";

/// A pull request whose plan adds three things.
fn place() -> Place {
    let place = Place::new(
        "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\ngoogleServiceAccounts: { checkout: { grants: [roles/viewer] } }\n",
        "apiVersion: wi.sandbox/v1\nprojects: { acme-prod: {} }\nclusters: [{ project: acme-prod, location: europe-west1, name: main, autopilot: true }]\n",
    );
    place.wi(&["plan", "--out", "p.plan"]).ok();
    place.write(
        "event.json",
        &json!({ "pull_request": { "number": 7, "head": { "sha": HEAD } } }).to_string(),
    );
    place
}

fn github(place: &Place, fake: &Fake, run: &str, args: &[&str]) -> Ran {
    let mut command = place.command(&["comment"]);
    command
        .args(args)
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_API_URL", &fake.url)
        .env("GITHUB_SERVER_URL", "https://github.test")
        .env("GITHUB_REPOSITORY", "acme/shop")
        .env("GITHUB_EVENT_PATH", place.path("event.json"))
        .env("GITHUB_RUN_ID", run)
        .env("GITHUB_STEP_SUMMARY", place.path("summary.md"))
        .env("GITHUB_SHA", "the merge, which is not the head")
        .env("GITHUB_TOKEN", TOKEN);
    let ran = Ran::of(&mut command);
    assert!(
        !ran.out.contains(TOKEN) && !ran.err.contains(TOKEN),
        "{ran:?}"
    );
    ran
}

fn gitlab(place: &Place, fake: &Fake, args: &[&str]) -> Ran {
    let mut command = place.command(&["comment", "p.plan", "--root", "wi"]);
    command
        .args(args)
        .env("GITLAB_CI", "true")
        .env("CI_API_V4_URL", &fake.url)
        .env("CI_PROJECT_ID", "42")
        .env("CI_MERGE_REQUEST_IID", "7")
        .env("CI_COMMIT_SHA", HEAD)
        .env("CI_PIPELINE_ID", "50")
        .env("CI_JOB_URL", "https://gitlab.test/acme/shop/-/jobs/9")
        .env("GITLAB_TOKEN", TOKEN);
    let ran = Ran::of(&mut command);
    assert!(
        !ran.out.contains(TOKEN) && !ran.err.contains(TOKEN),
        "{ran:?}"
    );
    ran
}

const PLAN: [&str; 3] = ["p.plan", "--root", "wi"];

#[test]
fn the_first_run_posts_and_the_next_ones_update() {
    let (place, fake) = (place(), Fake::new("ci-user"));
    let ran = github(&place, &fake, "50", &PLAN).ok();
    assert!(
        ran.out.starts_with("Posted https://github.test/"),
        "{}",
        ran.out
    );
    let bodies = fake.bodies();
    assert_eq!(bodies.len(), 1);
    let mut lines = bodies[0].lines();
    let marker = lines.next().expect("a marker");
    assert!(
        marker.starts_with(&format!("<!-- wi:plan:v1 root=wi sha={HEAD} plan=")),
        "{marker}"
    );
    assert!(marker.ends_with(" run=50 -->"), "{marker}");
    assert_eq!(
        lines.next(),
        Some("### wi plan · `wi` · 2 to add, 0 to change, 0 to destroy (commit `aaaabbb`)")
    );
    assert!(
        bodies[0].contains("<a href=\"https://github.test/acme/shop/actions/runs/50\">the run</a>")
    );
    assert!(fake.edit(|f| f.tokens.iter().all(|t| *t == format!("Bearer {TOKEN}"))));

    let ran = github(&place, &fake, "50", &PLAN).ok();
    assert!(ran.out.starts_with("Unchanged: "), "{}", ran.out);
    let ran = github(&place, &fake, "51", &PLAN).ok();
    assert!(ran.out.starts_with("Updated "), "{}", ran.out);
    assert_eq!(fake.bodies().len(), 1);
    assert!(fake.bodies()[0].contains(" run=51 -->"));
    let summary = std::fs::read_to_string(place.path("summary.md")).expect("a summary");
    assert_eq!(
        summary.matches("### wi plan").count(),
        3,
        "each run has its own"
    );
}

#[test]
fn a_failure_takes_the_place_of_the_plan() {
    let (place, fake) = (place(), Fake::new("ci-user"));
    github(&place, &fake, "50", &PLAN).ok();
    place.write(
        "wi.log",
        "\u{1b}[31mError:\u{1b}[0m it is ``` broken\n</details> @acme\n",
    );
    github(&place, &fake, "51", &["--failed", "wi.log", "--root", "wi"]).ok();
    let bodies = fake.bodies();
    assert_eq!(bodies.len(), 1);
    let text: String = bodies[0]
        .lines()
        .skip(1)
        .map(|l| format!("{l}\n"))
        .collect();
    insta::assert_snapshot!("comment_failure", text);
    assert_eq!(fake.edit(|f| f.labels.clone()), ["wi/error"]);
}

#[test]
fn ours_is_found_on_a_later_page_and_extra_ones_are_minimised() {
    let (place, fake) = (place(), Fake::new("ci-user"));
    let mark = |root: &str, run: u64| {
        format!("<!-- wi:plan:v1 root={root} sha=1 plan=2 run={run} -->\nold {root} {run}")
    };
    fake.comment(1, "ann", "looks good");
    fake.comment(2, "ci-user", &mark("wi", 10));
    fake.comment(3, "mallory", &mark("wi", 9999));
    fake.comment(4, "ci-user", &mark("other", 12));
    fake.comment(5, "ci-user", &mark("wi", 11));
    fake.comment(6, "ci-user", &format!("quoting:\n{}", mark("wi", 12)));
    let ran = github(&place, &fake, "50", &PLAN).ok();
    assert!(
        ran.out.contains("issuecomment-5"),
        "the newest: {}",
        ran.out
    );
    let bodies = fake.bodies();
    assert_eq!(bodies.len(), 6);
    assert!(bodies[1].contains("old wi 10"));
    assert_eq!(fake.edit(|f| f.minimised.clone()), ["IC_2"]);
    assert!(
        bodies[2].contains("old wi 9999"),
        "another author's is not ours"
    );
    assert!(
        bodies[3].contains("old other 12"),
        "another root's is its own"
    );
    assert!(bodies[4].contains("run=50"));
    assert!(
        bodies[5].contains("quoting"),
        "the marker is the first line or none"
    );
}

#[test]
fn an_older_run_and_an_older_head_leave_the_comment_alone() {
    let (place, fake) = (place(), Fake::new("ci-user"));
    github(&place, &fake, "60", &PLAN).ok();
    let before = fake.bodies();
    let ran = github(&place, &fake, "59", &PLAN).ok();
    assert!(ran.err.contains("a newer run has commented"), "{}", ran.err);
    assert_eq!(fake.bodies(), before);
    fake.edit(|f| f.head = "9999".to_owned());
    let ran = github(&place, &fake, "61", &PLAN).ok();
    assert!(ran.err.contains("is 9999"), "{}", ran.err);
    assert_eq!(fake.bodies(), before);
}

#[test]
fn rate_limits_are_waited_for() {
    let (place, fake) = (place(), Fake::new("ci-user"));
    let retry = vec![("retry-after", "1".to_owned())];
    let message = json!({ "message": "You have exceeded a secondary rate limit" });
    fake.instead_with("POST", "/comments", 403, retry.clone(), message, false);
    fake.instead_with("GET", "/pulls/7", 429, retry, json!({}), false);
    fake.instead("GET", "/comments", 502);
    let since = std::time::Instant::now();
    github(&place, &fake, "50", &PLAN).ok();
    assert!(since.elapsed().as_secs() >= 2);
    assert_eq!(fake.bodies().len(), 1);
}

#[test]
fn a_comment_whose_answer_was_lost_is_not_posted_twice() {
    let (place, fake) = (place(), Fake::new("ci-user"));
    fake.instead_with("POST", "/comments", 502, Vec::new(), json!({}), true);
    github(&place, &fake, "50", &PLAN).ok();
    assert_eq!(fake.bodies().len(), 1);
    // Lost on its way there, it is sent again.
    let fake = Fake::new("ci-user");
    fake.instead("POST", "/comments", 502);
    github(&place, &fake, "50", &PLAN).ok();
    assert_eq!(fake.bodies().len(), 1);
}

#[test]
fn a_comment_that_was_deleted_meanwhile_is_made_anew() {
    let (place, fake) = (place(), Fake::new("ci-user"));
    github(&place, &fake, "50", &PLAN).ok();
    fake.instead("PATCH", "/comments/1000", 404);
    let ran = github(&place, &fake, "51", &PLAN).ok();
    assert!(ran.out.starts_with("Posted"), "{}", ran.out);
}

#[test]
fn a_text_that_is_too_long_is_shortened_and_at_last_left_to_the_summary() {
    let (place, fake) = (place(), Fake::new("ci-user"));
    fake.edit(|f| f.longest = 600);
    let grants: String = (0..200)
        .map(|i| format!("      - {{ role: roles/viewer, resource: bucket/bucket-{i:03} }}\n"))
        .collect();
    place.write("wi.yaml", &format!("apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: {{ main: {{ location: europe-west1 }} }}\ngoogleServiceAccounts:\n  checkout:\n    grants:\n{grants}"));
    place.wi(&["plan", "--out", "p.plan", "--allow-incomplete"]);
    let ran = github(&place, &fake, "50", &PLAN).ok();
    assert!(ran.err.contains("It is in the summary"), "{}", ran.err);
    assert!(fake.bodies().is_empty());
    let summary = std::fs::read_to_string(place.path("summary.md")).expect("a summary");
    assert!(summary.contains("### wi plan"));

    fake.edit(|f| f.longest = 5000);
    github(&place, &fake, "51", &PLAN).ok();
    assert_eq!(fake.bodies().len(), 1);
    assert!(fake.bodies()[0].len() <= 5000);
}

#[test]
fn a_read_only_token_is_no_failure() {
    let (place, fake) = (place(), Fake::new("github-actions[bot]"));
    let message = json!({ "message": "Resource not accessible by integration" });
    fake.instead_with("POST", "/comments", 403, Vec::new(), message, false);
    let ran = github(&place, &fake, "50", &PLAN).ok();
    assert!(ran.err.contains("pull-requests: write"), "{}", ran.err);
    assert!(ran.err.contains("summary"), "{}", ran.err);
    assert!(fake.bodies().is_empty());
    assert!(fake.edit(|f| f.labels.is_empty()));
    assert!(
        std::fs::read_to_string(place.path("summary.md"))
            .expect("a summary")
            .contains("wi plan")
    );
}

#[test]
fn an_actions_job_knows_its_own_comments_without_asking_who_it_is() {
    let (place, fake) = (place(), Fake::new("github-actions[bot]"));
    github(&place, &fake, "50", &PLAN).ok();
    github(&place, &fake, "51", &PLAN).ok();
    assert_eq!(fake.bodies().len(), 1);
}

#[test]
fn a_refused_token_says_so() {
    let (place, fake) = (place(), Fake::new("ci-user"));
    let message = json!({ "message": "Bad credentials" });
    fake.instead_with("GET", "/user", 401, Vec::new(), message, false);
    let ran = github(&place, &fake, "50", &PLAN).fails();
    assert!(
        ran.err.contains("Bad credentials") && ran.err.contains("GITHUB_TOKEN"),
        "{}",
        ran.err
    );
}

#[test]
fn labels_say_what_the_plan_means_and_others_stay() {
    let (place, fake) = (place(), Fake::new("ci-user"));
    fake.edit(|f| {
        f.labels = ["bug", "wi/destroy", "wi/error"]
            .map(str::to_owned)
            .to_vec();
        f.known_labels
            .insert("wi/update".to_owned(), "123456".to_owned());
    });
    github(&place, &fake, "50", &PLAN).ok();
    assert_eq!(fake.edit(|f| f.labels.clone()), ["bug", "wi/update"]);
    assert_eq!(
        fake.edit(|f| f.known_labels["wi/update"].clone()),
        "123456",
        "its colour is theirs"
    );

    let spec = std::fs::read_to_string(place.path("wi.yaml")).expect("spec");
    place.write(
        "wi.yaml",
        &spec.replace("roles/viewer", "roles/storage.admin"),
    );
    place.wi(&["plan", "--out", "p.plan"]).ok();
    github(&place, &fake, "51", &PLAN).ok();
    assert_eq!(
        fake.edit(|f| f.labels.clone()),
        ["bug", "wi/update", "wi/privilege-increase"]
    );
    assert!(fake.edit(|f| f.known_labels.contains_key("wi/privilege-increase")));

    place.wi(&["apply", "--auto-approve"]).ok();
    place.wi(&["plan", "--out", "p.plan"]).ok();
    github(&place, &fake, "52", &PLAN).ok();
    assert_eq!(fake.edit(|f| f.labels.clone()), ["bug", "wi/no-changes"]);
    github(
        &place,
        &fake,
        "53",
        &["p.plan", "--root", "wi", "--no-labels"],
    )
    .ok();

    fake.edit(|f| f.labels.clear());
    fake.instead("GET", "/issues/7/labels", 403);
    let ran = github(&place, &fake, "54", &PLAN).ok();
    assert!(
        ran.err.contains("Warning: the labels could not be set"),
        "{}",
        ran.err
    );
}

#[test]
fn the_token_goes_to_no_other_host() {
    let (place, fake) = (place(), Fake::new("ci-user"));
    let other = Fake::new("thief");
    let to = vec![("location", format!("{}/user", other.url))];
    fake.instead_with("GET", "/user", 302, to, json!({}), false);
    let ran = github(&place, &fake, "50", &PLAN).fails();
    assert!(ran.err.contains("HTTP 302"), "{}", ran.err);
    assert!(other.edit(|f| f.tokens.is_empty() && f.calls.is_empty()));

    // Nor, for ever, by links to next pages of its own.
    for n in 0..1100 {
        let next = format!(
            "<{}/repos/acme/shop/issues/7/comments?page={n}>; rel=\"next\"",
            fake.url
        );
        fake.instead_with(
            "GET",
            "/comments",
            200,
            vec![("link", next)],
            json!([]),
            false,
        );
    }
    let ran = github(&place, &fake, "50", &PLAN).fails();
    assert!(ran.err.contains("does not end"), "{}", ran.err);
    fake.edit(|f| f.instead.clear());

    // Nor by the link to a next page.
    let next = vec![("link", format!("<{}/more>; rel=\"next\"", other.url))];
    fake.instead_with("GET", "/comments", 200, next, json!([]), false);
    github(&place, &fake, "50", &PLAN).ok();
    assert!(other.edit(|f| f.tokens.is_empty() && f.calls.is_empty()));
}

/// Job logs take lines that begin with `::` for commands.
#[test]
fn what_the_forge_says_is_shown_and_not_obeyed() {
    let (place, fake) = (place(), Fake::new("ci-user"));
    let hostile = "https://x/\n::add-mask::y\u{1b}[2J\u{202e}";
    let mut posted = comment(1, "ci-user", "");
    posted["html_url"] = json!(hostile);
    fake.instead_with("POST", "/comments", 201, Vec::new(), posted, false);
    let ran = github(&place, &fake, "50", &PLAN).ok();
    let refused = Fake::new("ci-user");
    refused.instead_with(
        "POST",
        "/comments",
        403,
        Vec::new(),
        json!({"message": hostile}),
        false,
    );
    let other = github(&place, &refused, "50", &PLAN);
    for text in [&ran.out, &ran.err, &other.out, &other.err] {
        assert!(!text.contains("\n::add-mask::"), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }
    assert!(ran.out.contains("\\u{a}::add-mask::"), "{}", ran.out);
    assert!(
        other.err.contains("\\u{a}::add-mask::") || other.out.contains("\\u{a}::add-mask::"),
        "{other:?}"
    );
}

#[test]
fn outside_of_ci_it_says_what_it_needs() {
    let place = place();
    let ran = Ran::of(&mut place.command(&["comment", "p.plan"])).fails();
    assert!(ran.err.contains("--forge"), "{}", ran.err);
    let dry = Ran::of(&mut place.command(&["comment", "p.plan", "--dry-run"])).ok();
    assert!(
        dry.out.starts_with("<!-- wi:plan:v1 root=. "),
        "{}",
        dry.out
    );

    let fake = Fake::new("ann");
    let mut command = place.command(&[
        "comment",
        "p.plan",
        "--forge",
        "github",
        "--repository",
        "acme/shop",
        "--number",
        "7",
        "--sha",
        HEAD,
    ]);
    command
        .env("GITHUB_API_URL", &fake.url)
        .env("GITHUB_TOKEN", TOKEN);
    Ran::of(&mut command).ok();
    assert_eq!(fake.bodies().len(), 1);
}

#[test]
fn gitlab_has_one_note_too() {
    let (place, fake) = (place(), Fake::new("project_42_bot"));
    let old = |run: u64| format!("<!-- wi:plan:v1 root=wi sha=1 plan=2 run={run} -->\nold {run}");
    fake.comment(1, "ann", "hello");
    fake.comment(2, "project_42_bot", &old(10));
    fake.comment(3, "mallory", &old(9999));
    fake.comment(4, "project_42_bot", &old(11));
    fake.edit(|f| f.labels = vec!["bug".to_owned(), "wi/error".to_owned()]);
    let ran = gitlab(&place, &fake, &[]).ok();
    assert!(ran.out.contains("merge_requests/7#note_4"), "{}", ran.out);
    let bodies = fake.bodies();
    assert_eq!(bodies.len(), 4);
    assert!(bodies[1].contains("in a newer comment"), "{}", bodies[1]);
    assert!(bodies[2].contains("old 9999"));
    assert!(bodies[3].contains("run=50"));
    assert_eq!(fake.edit(|f| f.labels.clone()), ["bug", "wi/update"]);
    assert!(fake.edit(|f| f.tokens.iter().all(|t| t == TOKEN)));

    gitlab(&place, &fake, &[]).ok();
    assert_eq!(fake.calls("POST").len(), 0);
    fake.edit(|f| f.head = "9999".to_owned());
    let ran = gitlab(&place, &fake, &[]).ok();
    assert!(ran.err.contains("not the newest"), "{}", ran.err);
}

#[test]
fn gitlab_refuses_and_limits_and_loses_like_the_other() {
    let (place, fake) = (place(), Fake::new("bot"));
    fake.instead("POST", "/notes", 403);
    let ran = gitlab(&place, &fake, &[]).ok();
    assert!(ran.err.contains("scope `api`"), "{}", ran.err);
    let limit = vec![("retry-after", "1".to_owned())];
    fake.instead_with("POST", "/notes", 429, limit, json!({}), false);
    fake.instead_with("POST", "/notes", 502, Vec::new(), json!({}), true);
    gitlab(&place, &fake, &[]).ok();
    assert_eq!(fake.bodies().len(), 1);

    let mut command = place.command(&["comment", "p.plan"]);
    command
        .env("GITLAB_CI", "true")
        .env("CI_API_V4_URL", &fake.url)
        .env("CI_PROJECT_ID", "42")
        .env("CI_MERGE_REQUEST_IID", "7")
        .env("CI_COMMIT_SHA", HEAD)
        .env("CI_JOB_TOKEN", TOKEN);
    let ran = Ran::of(&mut command).fails();
    assert!(ran.err.contains("GITLAB_TOKEN"), "{}", ran.err);
}
