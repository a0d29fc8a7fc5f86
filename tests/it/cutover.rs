//! `until: cutover`: `wi apply` takes keys out of the templates that nobody else keeps. Every request is counted by the
//! sandbox's request oracle, from the first write to the last.

mod kinds;
mod worlds;

use serde_json::{Value, json};

use crate::migrate::{Stage, code, deployment, pod_spec, secret, spec, without_key, world};
use crate::scan::made::Account;
use crate::support::{Ran, flat};

/// The writes of a template, dry runs left out.
const WRITES: &str = "PATCH *deployments/web*Strict$";

const OPEN: [&str; 2] = ["--read-secrets", "referenced"];

/// How far the account is to go.
pub(crate) fn until(account: &Account, until: &str, more: &str) -> String {
    let declared = "namespaces: { shop: { serviceAccounts: { web: { impersonates: ACCOUNT } } } }";
    let soak = "soak: { canary: 0s }";
    let text = format!("{declared}\nmigrate: {{ ACCOUNT: {{ until: {until}, {soak}{more} }} }}\n");
    spec(account, &text)
}

/// A Deployment of some pods, and what its Service is called by.
pub(crate) fn web(pod: &Value, replicas: u32) -> Value {
    let mut web = deployment("web", pod);
    web["spec"]["replicas"] = json!(replicas);
    web["spec"]["template"]["spec"]["containers"][0]["image"] = json!("shop/app:1");
    web
}

pub(crate) fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    })
}

/// A world in which pods run and serve: by their key, as long as they have one.
pub(crate) fn serving(account: &Account, objects: &[Value]) -> Value {
    let objects = [&[secret(account), service()], objects].concat();
    let mut world = world(account, 1, &objects, &[]);
    world["timeScale"] = json!(2000.0);
    world["clusters"][0]["controllers"] = json!({});
    world["clusters"][0]["namespaces"] = json!({"shop": {"serviceAccounts": {"web": {}}}});
    world["buckets"] = json!({"receipts": {"project": "acme-prod", "policy": {"bindings": [
        {"role": "roles/storage.objectViewer", "members": [format!("serviceAccount:{}", account.email)]},
    ]}}});
    world["apps"] = json!([
        {"image": "shop/*", "calls": [{"permission": "storage.objects.get", "resource": "bucket/receipts"}]},
    ]);
    world
}

pub(crate) fn begin(spec: &str, world: &Value) -> Stage {
    let stage = Stage::new(spec, world);
    stage.settle();
    stage.inside.sandbox.record_requests();
    stage
}

impl Stage {
    pub(crate) fn go(&self, args: &[&str]) -> Ran {
        self.wi(&[args, &OPEN[..]].concat())
    }

    /// A workload of the world as it is now.
    pub(crate) fn object(&self, kind: &str, name: &str) -> Value {
        let world = self.inside.world();
        let objects = world["clusters"][0]["objects"].as_array().cloned();
        let mut objects = objects.unwrap_or_default().into_iter();
        objects
            .find(|o| o["kind"] == kind && o["metadata"]["name"] == name)
            .unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    fn mark(&self) -> Option<Value> {
        let web = self.object("Deployment", "web");
        let mark = web["metadata"]["annotations"]["wi/off-key"].as_str()?;
        Some(serde_json::from_str(mark).expect("JSON"))
    }

    /// Why requests failed since the beginning.
    pub(crate) fn lost(&self) -> Vec<String> {
        let samples = self.inside.sandbox.recorded_requests();
        let served = samples.iter().flat_map(|s| s.requests.keys());
        assert!(served.count() > 0, "nobody has asked anything");
        let all = samples.iter().flat_map(|s| {
            let failed = s.requests.keys().filter_map(|r| r.failed.clone());
            failed.map(|why| format!("{} after {}: {why}", s.at, s.after))
        });
        all.collect()
    }

    /// By which identities requests are served now.
    pub(crate) fn served_by(&self) -> String {
        self.settle();
        let samples = self.inside.sandbox.recorded_requests();
        let last = samples.last().expect("a sample");
        let by = last.requests.keys().map(|r| format!("{:?}", r.by));
        by.collect::<Vec<_>>().join(" ")
    }
}

pub(crate) fn has_key(object: &Value) -> bool {
    object["spec"]["template"]
        .to_string()
        .contains("/k/key.json")
}

#[test]
fn deployment_does_without_its_key_and_gets_it_back_and_no_request_is_lost() {
    let account = Account::new(501);
    let mut object = web(&pod_spec(), 3);
    object["spec"]["strategy"] =
        json!({"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
    object["spec"]["minReadySeconds"] = json!(5);
    let stage = begin(
        &until(&account, "cutover", ""),
        &serving(&account, &[object]),
    );
    let before = stage.object("Deployment", "web");

    let ran = stage.go(&["plan"]).ok();
    let said = flat(&ran.out);
    for told in [
        "template.main/shop/deployment/web will do without the key",
        "one new pod comes first",
        "- app.env.GOOGLE_APPLICATION_CREDENTIALS = (set)",
        "- app.volumeMounts./k = k",
        "- volumes.k = (the key)",
    ] {
        assert!(said.contains(told), "{told}: {}", ran.out);
    }
    // One apply: the identity first, and the template when Google gives it.
    let ran = stage.go(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
    assert!(
        stage.served_by().contains("Metadata"),
        "{}",
        stage.served_by()
    );
    assert!(!stage.served_by().contains("Key"), "{}", stage.served_by());
    assert_eq!(stage.lost(), [""; 0]);
    let after = stage.object("Deployment", "web");
    assert!(!has_key(&after), "{after}");
    for field in [
        "strategy",
        "minReadySeconds",
        "progressDeadlineSeconds",
        "replicas",
    ] {
        assert_eq!(after["spec"][field], before["spec"][field], "{field}");
    }
    let mark = stage.mark().expect("a mark");
    assert_eq!(mark["underWay"], Value::Null, "{mark}");
    let ran = stage.go(&["plan", "--detailed-exitcode"]).ok();
    assert!(ran.out.contains("No changes."), "{}", ran.out);
    assert_eq!(code(&stage.migrate(&[])), 0);

    // And back.
    let stage = stage.under_now(&until(&account, "bound", ""));
    let ran = stage.go(&["plan"]).ok();
    let said = flat(&ran.out);
    assert!(
        said.contains("template.main/shop/deployment/web will get its key back"),
        "{}",
        ran.out
    );
    assert!(
        said.contains("+ app.env.GOOGLE_APPLICATION_CREDENTIALS = (set)"),
        "{}",
        ran.out
    );
    let ran = stage.go(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
    assert_eq!(stage.object("Deployment", "web")["spec"], before["spec"]);
    assert_eq!(stage.mark(), None);
    assert!(
        !stage.served_by().contains("Metadata"),
        "{}",
        stage.served_by()
    );
    assert_eq!(stage.lost(), [""; 0]);
    let ran = stage.go(&["plan", "--detailed-exitcode"]).ok();
    assert!(ran.out.contains("No changes."), "{}", ran.out);
}

#[test]
fn what_others_keep_is_not_written_and_waited_for() {
    let account = Account::new(502);
    for (marked, told) in [
        (
            json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}}),
            "it is kept by Helm",
        ),
        (
            json!({"annotations": {"argocd.argoproj.io/tracking-id": "shop"}}),
            "it is kept by Argo CD (shop)",
        ),
        (
            json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Rollout", "name": "web", "uid": "7"}]}),
            "it is kept by Rollout web",
        ),
    ] {
        let mut object = web(&pod_spec(), 1);
        for (field, value) in marked.as_object().expect("a map") {
            object["metadata"][field] = value.clone();
        }
        let stage = begin(
            &until(&account, "cutover", ""),
            &serving(&account, &[object]),
        );
        let ran = stage.go(&["apply", "--auto-approve"]);
        assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
        assert!(flat(&ran.out).contains(told), "{told}: {}", ran.out);
        assert!(has_key(&stage.object("Deployment", "web")), "{told}");
        let patched = stage.inside.counts();
        let patched = patched
            .keys()
            .filter(|c| c.contains("PATCH") && c.contains("deployments"));
        assert_eq!(patched.count(), 0, "{told}");
        assert_eq!(code(&stage.migrate(&[])), 3, "{told}");
    }
}

#[test]
fn pod_that_does_not_work_without_the_key_is_undone_and_no_request_is_lost() {
    let account = Account::new(503);
    let mut world = serving(&account, &[web(&pod_spec(), 2)]);
    // It reads the file by itself, whatever its variables say.
    world["apps"][0]["file"] = json!("/k/key.json");
    let stage = begin(&until(&account, "cutover", ""), &world);
    let before = stage.object("Deployment", "web");
    let ran = stage.go(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 1, "{}{}", ran.out, ran.err);
    let said = flat(&format!("{}{}", ran.out, ran.err));
    assert!(said.contains("it has its former template again"), "{said}");
    stage.settle();
    let after = stage.object("Deployment", "web");
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(stage.mark(), None);
    assert_eq!(stage.lost(), [""; 0]);
}

#[test]
fn template_keeps_its_key_while_google_does_not_give_the_account() {
    let account = Account::new(504);
    let stage = begin(
        &until(&account, "cutover", ""),
        &serving(&account, &[web(&pod_spec(), 1)]),
    );
    stage
        .inside
        .inject(&json!({"match": "POST *:generateAccessToken", "denied": true}));
    let ran = stage.go(&["apply", "--auto-approve", "--wait-propagation", "1s"]);
    assert_eq!(code(&ran), 1, "{}{}", ran.out, ran.err);
    let said = flat(&format!("{}{}", ran.out, ran.err));
    assert!(said.contains("nothing was changed"), "{said}");
    assert!(has_key(&stage.object("Deployment", "web")));
    assert_eq!(stage.lost(), [""; 0]);
}

#[test]
fn template_keeps_its_key_while_that_cannot_be_tried_but_for_those_who_say_so() {
    let account = Account::new(506);
    let stage = begin(
        &until(&account, "cutover", ""),
        &serving(&account, &[web(&pod_spec(), 1)]),
    );
    stage
        .inside
        .inject(&json!({"match": "POST *serviceaccounts/web/token", "status": 403}));
    let ran = stage.go(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 1, "{}{}", ran.out, ran.err);
    let said = flat(&format!("{}{}", ran.out, ran.err));
    assert!(said.contains("accept: [unproven]"), "{said}");
    assert!(has_key(&stage.object("Deployment", "web")));
    let stage = stage.under_now(&until(&account, "cutover", ", accept: [unproven]"));
    let ran = stage.go(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
    assert!(!has_key(&stage.object("Deployment", "web")));
    assert_eq!(stage.lost(), [""; 0]);
}

#[test]
fn template_of_which_no_pod_runs_is_changed_at_once() {
    let account = Account::new(505);
    let idle = begin(
        &until(&account, "cutover", ""),
        &serving(&account, &[web(&pod_spec(), 0)]),
    );
    let ran = idle.go(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
    assert!(flat(&ran.out).contains("in one write"), "{}", ran.out);
    assert!(!has_key(&idle.object("Deployment", "web")));
    let free = begin(
        &until(&account, "cutover", ""),
        &serving(&account, &[web(&without_key(), 1)]),
    );
    let ran = free.go(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
    assert!(!ran.out.contains("template."), "{}", ran.out);
}

#[test]
fn apply_that_ends_at_any_write_is_gone_on_with_and_no_request_is_lost() {
    // Before a write, or after it: the answer is lost.
    for (count, (after, how)) in [
        (0, json!({"denied": true})),
        (0, json!({"lost": true})),
        (1, json!({"denied": true})),
        (1, json!({"lost": true})),
        (2, json!({"denied": true})),
        (2, json!({"lost": true})),
    ]
    .into_iter()
    .enumerate()
    {
        let account = Account::new(510);
        let world = serving(&account, &[web(&pod_spec(), 2)]);
        let stage = begin(&until(&account, "cutover", ""), &world);
        let spec = stage.object("Deployment", "web")["spec"].clone();
        let mut fault = json!({"match": WRITES, "after": after, "times": 1});
        for (field, value) in how.as_object().expect("a map") {
            fault[field] = value.clone();
        }
        stage.inside.inject(&fault);
        stage.go(&["apply", "--auto-approve"]);
        let ran = stage.go(&["apply", "--auto-approve"]);
        assert_eq!(code(&ran), 0, "{count}: {}{}", ran.out, ran.err);
        assert!(!stage.served_by().contains("Key"), "{count}");
        assert_eq!(stage.lost(), [""; 0], "{count}");
        let web = stage.object("Deployment", "web");
        assert!(!has_key(&web), "{count}");
        assert_eq!(web["spec"]["strategy"], spec["strategy"], "{count}");
        assert_eq!(
            web["spec"]["minReadySeconds"], spec["minReadySeconds"],
            "{count}"
        );
        let ran = stage.go(&["plan", "--detailed-exitcode"]).ok();
        assert!(ran.out.contains("No changes."), "{count}: {}", ran.out);
    }
}

/// A write that met another one, or of which no answer came; pods that could not be read for once.
#[test]
fn change_of_a_template_bears_what_passes_by_itself() {
    for (count, fault) in [
        json!({"match": WRITES, "status": 409}),
        json!({"match": WRITES, "after": 1, "status": 409}),
        json!({"match": WRITES, "lost": true}),
        json!({"match": WRITES, "after": 1, "lost": true}),
        json!({"match": "GET *namespaces/shop/pods", "status": 409}),
    ]
    .into_iter()
    .enumerate()
    {
        let account = Account::new(514);
        let stage = begin(
            &until(&account, "cutover", ""),
            &serving(&account, &[web(&pod_spec(), 2)]),
        );
        let mut fault = fault;
        fault["times"] = json!(1);
        stage.inside.inject(&fault);
        let ran = stage.go(&["apply", "--auto-approve"]);
        assert_eq!(code(&ran), 0, "{count}: {}{}", ran.out, ran.err);
        assert!(!has_key(&stage.object("Deployment", "web")), "{count}");
        assert!(
            stage.mark().is_some_and(|m| m["underWay"].is_null()),
            "{count}"
        );
        assert_eq!(stage.lost(), [""; 0], "{count}");
    }
}

#[test]
fn change_of_a_template_that_cannot_go_on_says_how_the_workload_stands() {
    let account = Account::new(515);
    let world = serving(&account, &[web(&pod_spec(), 2)]);
    let stage = begin(&until(&account, "cutover", ""), &world);
    let denied = json!({"match": WRITES, "after": 1, "denied": true});
    stage.inside.inject(&denied);
    let ran = stage.go(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 1, "{}{}", ran.out, ran.err);
    let said = flat(&format!("{}{}", ran.out, ran.err));
    assert!(
        said.contains("at most one new pod beside all of before")
            && said.contains("goes on with it"),
        "{said}"
    );
    assert_eq!(stage.lost(), [""; 0]);
}

/// Whoever cannot be watched is not proven, and goes back.
#[test]
fn new_pod_that_may_not_be_looked_at_is_taken_back() {
    let account = Account::new(516);
    let world = serving(&account, &[web(&pod_spec(), 2)]);
    let stage = begin(&until(&account, "cutover", ""), &world);
    let before = stage.object("Deployment", "web")["spec"].clone();
    stage
        .inside
        .inject(&json!({"match": "GET *namespaces/shop/pods", "denied": true}));
    let ran = stage.go(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 1, "{}{}", ran.out, ran.err);
    let said = flat(&format!("{}{}", ran.out, ran.err));
    assert!(
        said.contains("its pods could not be read") && said.contains("its former template again"),
        "{said}"
    );
    stage.settle();
    assert_eq!(stage.object("Deployment", "web")["spec"], before);
    assert_eq!(stage.mark(), None);
    assert_eq!(stage.lost(), [""; 0]);
}

#[test]
fn change_of_a_template_that_a_server_would_refuse_stops_the_apply_before_anything_is_written() {
    let account = Account::new(517);
    let mut world = serving(&account, &[web(&pod_spec(), 2)]);
    world["clusters"][0]["webhooks"] = json!([{
        "name": "policy.example.com", "resources": ["deployments"], "operations": ["UPDATE"], "deny": "no changes on Mondays",
    }]);
    let stage = begin(&until(&account, "cutover", ""), &world);
    let ran = stage.go(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 1, "{}{}", ran.out, ran.err);
    let said = flat(&format!("{}{}", ran.out, ran.err));
    assert!(
        said.contains("nothing was written") && said.contains("no changes on Mondays"),
        "{said}"
    );
    let world = stage.inside.world();
    let web = &world["clusters"][0]["namespaces"]["shop"]["serviceAccounts"]["web"];
    assert!(!web.to_string().contains("iam.gke.io"), "{web}");
}

#[test]
fn saved_plan_of_a_template_says_how_it_is_carried_out() {
    let account = Account::new(518);
    let world = serving(&account, &[web(&pod_spec(), 1)]);
    let stage = begin(&until(&account, "cutover", ""), &world);
    let ran = stage.go(&["plan", "--out", "p.plan"]).ok();
    assert!(
        ran.err
            .contains("wi apply p.plan --read-secrets referenced"),
        "{}",
        ran.err
    );
    let ran = stage.wi(&["apply", "p.plan"]).fails();
    assert!(
        flat(&ran.err).contains("`wi apply p.plan --read-secrets referenced"),
        "{}",
        ran.err
    );
    let ran = stage.go(&["apply", "p.plan"]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
    assert!(!has_key(&stage.object("Deployment", "web")));
}

#[test]
fn whoever_puts_the_key_back_has_it_with_his_own_settings_and_is_told_of() {
    let account = Account::new(511);
    let mut world = serving(&account, &[web(&pod_spec(), 2)]);
    let owner = json!({"object": "shop/Deployment/web", "manager": "robot", "afterSeconds": 1});
    world["clusters"][0]["controllers"] = json!({"owners": [owner]});
    let stage = begin(&until(&account, "cutover", ""), &world);
    let spec = stage.object("Deployment", "web")["spec"].clone();
    for _ in 0..2 {
        stage.go(&["apply", "--auto-approve"]);
        stage.settle();
    }
    assert_eq!(stage.object("Deployment", "web")["spec"], spec);
    assert_eq!(stage.lost(), [""; 0]);
    let ran = stage.go(&["plan", "--detailed-exitcode"]);
    assert_eq!(code(&ran), 2, "{}{}", ran.out, ran.err);
    assert!(
        flat(&ran.out).contains("somebody has put it back"),
        "{}",
        ran.out
    );
}

/// Lowered while its one new pod stands there, it goes back and not forward; and it is told whatever the next run is asked.
#[test]
fn interrupted_change_is_told_by_every_plan_and_goes_back_where_the_spec_was_lowered() {
    let account = Account::new(512);
    let world = serving(&account, &[web(&pod_spec(), 3)]);
    let stage = begin(&until(&account, "cutover", ""), &world);
    let spec = stage.object("Deployment", "web")["spec"].clone();
    stage
        .inside
        .inject(&json!({"match": WRITES, "after": 1, "times": 1, "denied": true}));
    stage.go(&["apply", "--auto-approve"]);
    assert!(stage.mark().is_some_and(|m| m["underWay"].is_object()));

    let blind = stage.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(code(&blind), 2, "{}{}", blind.out, blind.err);
    let said = flat(&blind.out);
    assert!(
        said.contains("the template of Deployment shop/web did not come to its end")
            && said.contains("--read-secrets referenced goes on"),
        "{}",
        blind.out
    );
    let destroy = stage.wi(&["destroy", "--auto-approve", "--allow-mass-removal"]);
    assert_eq!(code(&destroy), 1, "{}{}", destroy.out, destroy.err);
    assert!(
        flat(&destroy.out).contains("brings it to its end first"),
        "{}",
        destroy.out
    );

    let stage = stage.under_now(&until(&account, "bound", ""));
    let ran = stage.go(&["plan"]).ok();
    assert!(
        flat(&ran.out).contains("will have its key again"),
        "{}",
        ran.out
    );
    let ran = stage.go(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
    assert_eq!(stage.object("Deployment", "web")["spec"], spec);
    assert_eq!(stage.mark(), None);
    assert_eq!(stage.lost(), [""; 0]);
    let ran = stage.go(&["plan", "--detailed-exitcode"]).ok();
    assert!(ran.out.contains("No changes."), "{}", ran.out);
}

/// Whoever finds a rollout that stands brings a newer image: the way back does not take it away.
#[test]
fn way_back_from_half_way_does_not_take_away_what_others_brought_since() {
    let account = Account::new(520);
    let world = serving(&account, &[web(&pod_spec(), 3)]);
    let stage = begin(&until(&account, "cutover", ""), &world);
    stage
        .inside
        .inject(&json!({"match": WRITES, "after": 1, "times": 1, "denied": true}));
    stage.go(&["apply", "--auto-approve"]);
    assert!(stage.mark().is_some_and(|m| m["underWay"].is_object()));

    let mut world = stage.inside.world();
    let objects = world["clusters"][0]["objects"].as_array_mut();
    let web = objects.and_then(|all| all.iter_mut().find(|o| o["kind"] == "Deployment"));
    web.expect("the Deployment")["spec"]["template"]["spec"]["containers"][0]["image"] =
        json!("shop/app:2");
    world["faults"] = json!([]);
    let stage = Stage::new(&until(&account, "bound", ""), &world);
    let ran = stage.go(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 1, "{}{}", ran.out, ran.err);
    let said = flat(&format!("{}{}", ran.out, ran.err));
    assert!(said.contains("the way back would take that away"), "{said}");
    let web = stage.object("Deployment", "web");
    let image = &web["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, "shop/app:2");
}

#[test]
fn template_keeps_its_key_where_a_network_policy_keeps_its_pods_from_the_metadata_server() {
    let account = Account::new(513);
    let deny = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "deny", "namespace": "shop"},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": 443, "protocol": "TCP"}]}]},
    });
    let mut world = serving(&account, &[web(&pod_spec(), 2), deny]);
    world["clusters"][0]["extra"] =
        json!({"networkPolicy": {"enabled": true, "provider": "CALICO"}});
    let stage = begin(&until(&account, "cutover", ""), &world);
    let ran = stage.go(&["apply", "--auto-approve"]);
    let said = flat(&ran.out);
    assert!(
        said.contains("NetworkPolicy deny") && said.contains("169.254.169.252/32"),
        "{}",
        ran.out
    );
    assert!(has_key(&stage.object("Deployment", "web")));
    let said = flat(&stage.migrate(&[]).out);
    assert!(said.contains("NetworkPolicy deny"), "{said}");
}
