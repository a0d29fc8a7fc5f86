//! `until: disabled`, `deleted` and `pruned`: keys end by ordinary changes of `wi plan` and `wi apply`, come back as long
//! as they are there, and nothing ends that something may still use.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::migrate::{
    Stage, code, deployment, migrating, pod, pod_spec, secret, short, spec, without_key, world,
};
use crate::scan::made::Account;
use crate::support::inside::calls_as_matches;
use crate::support::{Ran, flat};

const SCHEMA: &str = include_str!("../../schemas/wi-migrate.v1.schema.json");

const OPEN: [&str; 2] = ["--read-secrets", "referenced"];
const ALL: [&str; 2] = ["--read-secrets", "all"];

/// How far the account is to go.
fn until(account: &Account, until: &str, more: &str) -> String {
    let declared = "namespaces: { shop: { serviceAccounts: { web: { impersonates: ACCOUNT } } } }";
    let text = format!("{declared}\nmigrate: {{ ACCOUNT: {{ until: {until}{more} }} }}\n");
    spec(account, &text)
}

/// A stage on which the identity is there, and the key was used so many hours ago.
fn stage(account: &Account, hours: i64, objects: &[Value], pods: &[Value]) -> Stage {
    let stage = Stage::new(
        &migrating(account, ""),
        &world(account, hours, objects, pods),
    );
    stage.apply();
    stage
}

impl Stage {
    /// The same world under another spec.
    fn under(self, spec: &str) -> Self {
        Self::new(spec, &self.inside.world())
    }

    /// The same world, after so many hours, as far as logs tell of time.
    fn later(self, hours: i64) -> Self {
        let spec = std::fs::read_to_string(self.inside.place.path("wi.yaml")).expect("a spec");
        let mut world = self.inside.world();
        for entry in world["logEntries"].as_array_mut().into_iter().flatten() {
            let at: Timestamp = entry["timestamp"]
                .as_str()
                .and_then(|t| t.parse().ok())
                .expect("a time");
            entry["timestamp"] = json!((at - SignedDuration::from_hours(hours)).to_string());
        }
        Self::new(&spec, &world)
    }

    fn plan(&self, more: &[&str]) -> Ran {
        self.wi(&[&["plan"], more].concat())
    }

    fn carry_out(&self, more: &[&str]) -> Ran {
        self.wi(&[&["apply", "--auto-approve"], more].concat())
    }

    /// `enabled`, `disabled` or `deleted`.
    fn key(&self, account: &Account) -> &'static str {
        let world = self.inside.world();
        let key = &world["projects"]["acme-prod"]["serviceAccounts"][short(account)]["keys"][0];
        match (key["deleted"] == true, key["disabled"] == true) {
            (true, _) => "deleted",
            (false, true) => "disabled",
            (false, false) => "enabled",
        }
    }

    fn has_secret(&self) -> bool {
        let world = self.inside.world();
        let objects = world["clusters"][0]["objects"].as_array().cloned();
        let mut objects = objects.unwrap_or_default().into_iter();
        objects.any(|o| o["kind"] == "Secret")
    }
}

/// The key, in addresses.
fn address(account: &Account) -> String {
    format!("key.{}/{}", short(account), account.id)
}

#[test]
fn account_goes_down_the_ladder_and_back_up_until_the_key_is_gone() {
    let account = Account::new(401);
    let free = [secret(&account), deployment("web", &without_key())];
    let stage = stage(&account, 200, &free, &[pod(&without_key())]);

    // Disabled.
    let stage = stage.under(&until(&account, "disabled", ""));
    let ran = stage.plan(&OPEN).ok();
    let said = flat(&ran.out);
    assert!(
        said.contains(&format!("{} will be disabled", address(&account))),
        "{said}"
    );
    assert!(
        said.contains(&format!("- loses key {}:", account.id)),
        "{said}"
    );
    stage.carry_out(&OPEN).ok();
    assert_eq!(stage.key(&account), "disabled");
    // Nothing is left to do, and for that no cluster is looked through again, but for marks of changes of templates.
    let before = stage
        .inside
        .counts()
        .keys()
        .filter(|c| c.contains("/cronjobs"))
        .count();
    assert!(before > 0);
    let again = stage.under(&until(&account, "disabled", ""));
    let ran = again.plan(&["--detailed-exitcode"]).ok();
    assert!(ran.out.contains("No changes."), "{}", ran.out);
    let counts = again.inside.counts();
    assert!(
        !counts
            .keys()
            .any(|c| c.contains("/cronjobs") || c.contains("/pods") || c.contains("/secrets")),
        "{counts:?}"
    );

    // Back, and down again.
    let stage = again.under(&until(&account, "cutover", ""));
    let ran = stage.plan(&[]).ok();
    assert!(
        flat(&ran.out).contains("will be enabled again"),
        "{}",
        ran.out
    );
    stage.carry_out(&[]).ok();
    assert_eq!(stage.key(&account), "enabled");
    let stage = stage.under(&until(&account, "deleted", ""));
    stage.carry_out(&OPEN).ok();
    assert_eq!(stage.key(&account), "disabled", "one step at a time");

    // It soaks, and is deleted only then.
    let ran = stage.carry_out(&OPEN).ok();
    assert!(flat(&ran.out).contains("soaks until"), "{}", ran.out);
    assert_eq!(code(&stage.migrate(&[])), 3);
    assert_eq!(stage.key(&account), "disabled");
    let comment = stage
        .plan(&["--read-secrets", "referenced", "--markdown"])
        .ok();
    let row = comment.out.lines().find(|l| l.contains(&address(&account)));
    assert!(
        row.is_some_and(|r| r.contains("soaks until")),
        "{}",
        comment.out
    );
    let stage = stage.later(169);
    let ran = stage.plan(&OPEN).ok();
    assert!(
        ran.out.contains("will be deleted: THERE IS NO WAY BACK"),
        "{}",
        ran.out
    );
    let json = stage.plan(&["--read-secrets", "referenced", "--json"]).ok();
    let json: Value = serde_json::from_str(&json.out).expect("JSON");
    let change = &json["resource_changes"][0];
    assert_eq!(change["address"], json!(address(&account)));
    assert_eq!(change["type"], "google_service_account_key");
    assert_eq!(change["change"]["actions"], json!(["delete"]));
    stage.carry_out(&OPEN).ok();
    assert_eq!(stage.key(&account), "deleted");
    assert!(stage.has_secret());
    let ran = stage.plan(&["--detailed-exitcode"]).ok();
    assert!(ran.out.contains("No changes."), "{}", ran.out);

    // Nothing names the Secret any more: only who looks at all of them finds it.
    let stage = stage.under(&until(&account, "pruned", ""));
    let ran = stage.plan(&OPEN).ok();
    assert!(
        flat(&ran.out).contains("--read-secrets all looks at all of them"),
        "{}",
        ran.out
    );
    let ran = stage.carry_out(&ALL).ok();
    assert!(
        flat(&ran.out).contains("secret.main/shop/key will be destroyed"),
        "{}",
        ran.out
    );
    assert!(!stage.has_secret());
    let ran = stage
        .plan(&["--read-secrets", "all", "--detailed-exitcode"])
        .ok();
    assert!(ran.out.contains("No changes."), "{}", ran.out);
}

/// Whatever is planned and done with these arguments, the key stays as it is, and this is told.
fn stays(stage: &Stage, account: &Account, args: &[&str], told: &str) {
    let was = stage.key(account);
    let ran = stage.carry_out(args);
    let said = format!("{}{}", flat(&ran.out), flat(&ran.err));
    assert!(
        said.to_lowercase().contains(&told.to_lowercase()),
        "{told}: {said}"
    );
    assert_eq!(stage.key(account), was, "{told}: {said}");
    // What is held back is no error, and is not done either.
    let ran = stage.plan(&[args, &["--detailed-exitcode"]].concat());
    // Only workloads that could not be listed make the plan itself incomplete.
    let unlisted = ran.out.contains("which Deployments of cluster.main");
    let is_told = if unlisted { 1 } else { 2 };
    assert_eq!(code(&ran), is_told, "{told}: {}{}", ran.out, ran.err);
    assert!(ran.out.contains("is held back"), "{told}: {}", ran.out);
}

#[test]
fn whoever_has_a_key_or_may_have_it_keeps_it() {
    let account = Account::new(402);
    let free = vec![secret(&account), deployment("web", &without_key())];
    let with = |object: Value| [&free[..], &[object]].concat();
    let spec = until(&account, "disabled", "");
    let other = deployment("other", &pod_spec());
    let mut scaled_down = deployment("idle", &pod_spec());
    scaled_down["spec"]["replicas"] = json!(0);
    let running = [pod(&pod_spec())];
    for (objects, pods, told) in [
        (
            with(other),
            &[][..],
            "Deployment shop/other in cluster.main",
        ),
        (
            with(scaled_down),
            &[][..],
            "Deployment shop/idle in cluster.main",
        ),
        (
            free.clone(),
            &running[..],
            "pod shop/web-1-a in cluster.main",
        ),
    ] {
        let stage = stage(&account, 200, &objects, pods).under(&spec);
        stays(&stage, &account, &OPEN, told);
        // What is in Secrets is not known, and nobody said that they may be opened.
        stays(
            &stage,
            &account,
            &[],
            "Secret shop/key of cluster.main was not opened",
        );
    }
    let used = stage(&account, 100, &free, &[]).under(&spec);
    stays(&used, &account, &OPEN, "and has to be silent for 168 h");
}

#[test]
fn what_cannot_be_looked_at_may_have_the_key() {
    let account = Account::new(403);
    let free = [secret(&account), deployment("web", &without_key())];
    let spec = until(&account, "disabled", "");
    let base = stage(&account, 200, &free, &[]).inside.world();
    for denied in [
        "list pods",
        "list cronjobs",
        "list deployments",
        "list replicasets",
    ] {
        let mut world = base.clone();
        world["clusters"][0]["denied"] = json!([denied]);
        let stage = Stage::new(&spec, &world);
        let what = denied.trim_start_matches("list ");
        stays(&stage, &account, &OPEN, &format!("{what} of cluster.main"));
    }
    // A cluster of the project that the spec does not mention; it needs no workload pool.
    let mut world = base.clone();
    let mut edge = world["clusters"][0].clone();
    edge["name"] = json!("edge");
    edge["objects"] = json!([]);
    edge["pods"] = json!([]);
    world["clusters"].as_array_mut().expect("a list").push(edge);
    let stage = Stage::new(&spec, &world);
    stays(
        &stage,
        &account,
        &OPEN,
        "the spec does not mention acme-prod/europe-west1/edge",
    );
    let stage = Stage::new(&spec, &base);
    stage
        .inside
        .inject(&json!({"match": "GET *timeSeries", "status": 403}));
    stays(&stage, &account, &OPEN, "whether it is used is not known");
}

#[test]
fn key_is_looked_at_again_directly_before_it_ends() {
    let account = Account::new(404);
    let free = [secret(&account), deployment("web", &without_key())];
    for call in [
        "GET *timeSeries",
        "GET *api/v1/pods",
        "GET *apps/v1/deployments",
    ] {
        let stage = stage(&account, 200, &free, &[]).under(&until(&account, "disabled", ""));
        // Read for the plan, as often as that takes, and refused from then on.
        let path = call.trim_start_matches("GET *");
        let asked = |counts: serde_json::Map<String, Value>| -> u64 {
            let of = counts.iter().filter(|(call, _)| call.ends_with(path));
            of.filter_map(|(_, count)| count.as_u64()).sum()
        };
        let before = asked(stage.inside.counts());
        stage.wi(&[&["plan"], &OPEN[..]].concat());
        let for_a_plan = asked(stage.inside.counts()) - before;
        assert!(for_a_plan > 0, "{call}");
        stage
            .inside
            .inject(&json!({"match": call, "after": for_a_plan, "status": 403}));
        let ran = stage.carry_out(&OPEN);
        assert_eq!(code(&ran), 1, "{call}: {}{}", ran.out, ran.err);
        let said = flat(&ran.out);
        assert!(
            said.contains("by what was looked at again just now"),
            "{call}: {said}"
        );
        assert_eq!(stage.key(&account), "enabled", "{call}");
    }
}

#[test]
fn saved_plan_ends_a_key_only_if_it_is_still_free_and_secrets_may_be_opened_again() {
    let account = Account::new(405);
    let free = [secret(&account), deployment("web", &without_key())];
    let stage = stage(&account, 200, &free, &[]).under(&until(&account, "disabled", ""));
    stage
        .plan(&["--read-secrets", "referenced", "--out", "p"])
        .ok();
    let bytes = std::fs::read(stage.inside.place.path("p")).expect("a plan");
    stage.carry_out(&["p"]).ok();
    assert_eq!(stage.key(&account), "disabled");

    // Somebody has begun to use it since.
    let spec = until(&account, "cutover", "");
    let stage = stage.under(&spec);
    stage.carry_out(&[]).ok();
    let mut world = stage.inside.world();
    let objects = world["clusters"][0]["objects"]
        .as_array_mut()
        .expect("objects");
    objects.push(deployment("late", &pod_spec()));
    let stage = Stage::new(&until(&account, "disabled", ""), &world);
    std::fs::write(stage.inside.place.path("p"), &bytes).expect("written");
    // Not even who has it can be told while its Secret stays closed.
    for (args, told) in [
        (&["p"][..], "was not opened"),
        (
            &["p", "--read-secrets", "referenced"][..],
            "Deployment shop/late in cluster.main",
        ),
    ] {
        let ran = stage.carry_out(args);
        assert_ne!(code(&ran), 0, "{}{}", ran.out, ran.err);
        let said = flat(&ran.err);
        assert!(said.contains(told), "{said}");
        assert_eq!(stage.key(&account), "enabled");
    }
}

#[test]
fn key_that_others_disabled_does_not_come_back() {
    let account = Account::new(406);
    let free = [secret(&account), deployment("web", &without_key())];
    let stage = stage(&account, 200, &free, &[]).under(&until(&account, "disabled", ""));
    stage.carry_out(&OPEN).ok();
    let mut world = stage.inside.world();
    for entry in world["logEntries"].as_array_mut().expect("entries") {
        let about = &mut entry["protoPayload"]["requestMetadata"];
        assert!(
            about["callerSuppliedUserAgent"]
                .as_str()
                .expect("an agent")
                .starts_with("wi/")
        );
        about["callerSuppliedUserAgent"] = json!("google-cloud-sdk gcloud/540.0.0");
    }
    let stage = Stage::new(&until(&account, "cutover", ""), &world);
    let ran = stage.carry_out(&[]).ok();
    assert!(ran.out.contains("No changes."), "{}", ran.out);
    assert_eq!(stage.key(&account), "disabled");
    // Who did it is not known: it stays, and that is told.
    world["logEntries"] = json!([]);
    let stage = Stage::new(&until(&account, "cutover", ""), &world);
    let ran = stage.carry_out(&[]);
    assert!(
        flat(&ran.out).contains("Who did is not known"),
        "{}",
        ran.out
    );
    assert_eq!(stage.key(&account), "disabled");
    // Neither is it deleted: since when it is disabled is not known.
    let stage = stage.under(&until(&account, "deleted", ", soak: { disabled: 75m }"));
    stays(
        &stage,
        &account,
        &OPEN,
        "since when it is disabled is not known",
    );
}

#[test]
fn secret_that_is_written_to_or_made_again_stays() {
    let account = Account::new(407);
    let mut made = secret(&account);
    made["metadata"]["ownerReferences"] = json!([{"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": "key", "uid": "1"}]);
    let mut more = secret(&account);
    more["data"]["password"] = json!("c2VjcmV0");
    for (object, told) in [
        (made, "ExternalSecret key would make it again"),
        (more, "it has more in it than keys: password"),
    ] {
        let objects = [object, deployment("web", &without_key())];
        let stage = stage(&account, 200, &objects, &[]);
        let mut world = stage.inside.world();
        world["projects"]["acme-prod"]["serviceAccounts"][short(&account)]["keys"][0]["deleted"] =
            json!(true);
        let stage = Stage::new(&until(&account, "pruned", ""), &world);
        stays(&stage, &account, &ALL, told);
        assert!(stage.has_secret());
    }
}

#[test]
fn status_says_what_comes_next_of_each_key() {
    let account = Account::new(408);
    let free = [secret(&account), deployment("web", &without_key())];
    let stage =
        stage(&account, 200, &free, &[pod(&without_key())]).under(&until(&account, "disabled", ""));
    let ran = stage.migrate(&[]);
    assert_eq!(code(&ran), 3, "{}{}", ran.out, ran.err);
    let told = format!(
        "{} will be disabled by the next wi apply",
        address(&account)
    );
    assert!(flat(&ran.out).contains(&told), "{}", ran.out);
    let said = stage.migrate(&["--json"]).json(SCHEMA);
    let of = &said["accounts"][0];
    assert_eq!(
        (&of["until"], &of["standing"]),
        (&json!("disabled"), &json!("waits"))
    );
    assert_eq!(of["ends"][0]["address"], json!(address(&account)));
    assert_eq!(of["ends"][0]["next"], "will be disabled");
    assert_eq!(of["workloads"][0]["rung"], "cut_over");
    stage.carry_out(&OPEN).ok();
    let ran = stage.migrate(&[]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
}

#[test]
fn committed_schema_of_migrations_is_the_one_that_wi_prints() {
    let account = Account::new(409);
    let stage = Stage::new(&spec(&account, ""), &world(&account, 200, &[], &[]));
    let ran = stage.wi(&["schema", "migrate"]).ok();
    assert_eq!(
        ran.out, SCHEMA,
        "run: cargo run -q -- schema migrate > schemas/wi-migrate.v1.schema.json"
    );
}

/// Reads without which a key may end all the same.
const OPTIONAL: [&str; 3] = [
    // What it tells counts; its days are no proof of silence.
    "/activityTypes/serviceAccountKeyLastAuthentication/",
    // Grants that the spec no longer names.
    ":searchAllIamPolicies",
    // Whether a role exists.
    "/v1/roles/",
];

#[test]
fn with_any_read_refused_from_the_start_or_from_the_second_time_on_nothing_ends() {
    let account = Account::new(410);
    let free = [secret(&account), deployment("web", &without_key())];
    let wanted = until(&account, "disabled", "");
    let world = stage(&account, 200, &free, &[pod(&without_key())])
        .inside
        .world();
    let stage = Stage::new(&wanted, &world);
    stage.carry_out(&OPEN).ok();
    assert_eq!(stage.key(&account), "disabled");
    let calls = calls_as_matches(&stage.inside.sandbox, false);
    let reads: Vec<String> = calls
        .into_iter()
        .filter(|call| call.starts_with("GET ") && !OPTIONAL.iter().any(|o| call.contains(o)))
        .collect();
    let of_clusters = reads
        .iter()
        .filter(|c| c.contains("/apis/") || c.contains("/api/v1/"));
    assert!(of_clusters.count() > 8, "{reads:?}");
    let all = stage.inside.sandbox.calls();
    let times = |call: &str| {
        let path = call.trim_start_matches("GET ");
        let all = all["calls"].as_array().expect("calls").iter();
        let own = all.filter(|c| c["method"] == "GET");
        let own = own.filter(|c| c["path"].as_str().is_some_and(|p| p.ends_with(path)));
        own.count()
    };
    let mut ended = Vec::new();
    for call in &reads {
        // What is read once is of the plan alone; the key itself is read again after the write.
        let is_again = times(call) > 1 && !call.ends_with(&account.id);
        for after in if is_again { &[0, 1][..] } else { &[0][..] } {
            let stage = Stage::new(&wanted, &world);
            let fault = json!({"match": call, "after": after, "status": 403});
            stage.inside.inject(&fault);
            let ran = stage.carry_out(&OPEN);
            if stage.key(&account) == "disabled" {
                let said = format!("{}{}", flat(&ran.out), flat(&ran.err));
                ended.push(format!("{call} after {after}: {said}"));
            }
        }
    }
    let again = reads.iter().filter(|call| times(call) > 1).count();
    assert!(again > 8, "{reads:?}");
    assert!(
        ended.is_empty(),
        "{} of {}:\n{}",
        ended.len(),
        reads.len(),
        ended.join("\n")
    );
}

#[test]
fn key_that_lies_beside_the_spec_is_held_by_its_file() {
    let account = Account::new(411);
    let free = [secret(&account), deployment("web", &without_key())];
    let stage = stage(&account, 200, &free, &[]).under(&until(&account, "disabled", ""));
    std::fs::write(stage.inside.place.path("old.json"), account.json()).expect("written");
    stays(&stage, &account, &OPEN, "old.json:");
    let accepted = until(&account, "disabled", ", accept: [in-files]");
    std::fs::write(stage.inside.place.path("wi.yaml"), accepted).expect("written");
    stage.carry_out(&OPEN).ok();
    assert_eq!(stage.key(&account), "disabled");
}
