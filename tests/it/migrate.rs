//! `wi migrate`: where an account stands on its way off static keys, by what is live, and the patches for those
//! who keep templates elsewhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use wi_sandbox::World;

use crate::scan::made::Account;
use crate::support::inside::{Inside, runtime};
use crate::support::{Ran, flat};

pub(crate) const OPEN: [&str; 3] = ["--read-secrets", "referenced", "--auto-approve"];

pub(crate) const DECLARED: &str =
    "namespaces: { shop: { serviceAccounts: { web: { impersonates: ACCOUNT } } } }\n";

pub(crate) fn short(account: &Account) -> &str {
    account.email.split('@').next().expect("an email")
}

/// A spec with the account, and this.
pub(crate) fn spec(account: &Account, more: &str) -> String {
    let head = "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: { main: { location: europe-west1 } }\ngoogleServiceAccounts: { ACCOUNT: {} }\n";
    format!("{head}{more}").replace("ACCOUNT", short(account))
}

pub(crate) fn migrating(account: &Account, more: &str) -> String {
    let text = format!("{DECLARED}migrate: {{ ACCOUNT: {{ until: cutover{more} }} }}\n");
    spec(account, &text)
}

pub(crate) fn secret(account: &Account) -> Value {
    json!({
        "kind": "Secret",
        "metadata": {"name": "key", "namespace": "shop"},
        "data": {"key.json": STANDARD.encode(account.json())},
    })
}

const CANARY: &str = "hunter2-in-a-variable";

pub(crate) fn pod_spec() -> Value {
    json!({
        "serviceAccountName": "web",
        "containers": [{
            "name": "app", "image": "shop/app",
            "env": [{"name": "PASSWORD", "value": CANARY}, {"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": "/k/key.json"}],
            "volumeMounts": [{"name": "k", "mountPath": "/k"}],
        }],
        "volumes": [{"name": "k", "secret": {"secretName": "key"}}],
    })
}

pub(crate) fn deployment(name: &str, pod: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}}, "spec": pod}},
    })
}

pub(crate) fn replica_set(of: &str, pod: &Value) -> Value {
    let owner = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": of, "uid": "1", "controller": true});
    let mut object = deployment(&format!("{of}-1"), pod);
    object["kind"] = json!("ReplicaSet");
    object["metadata"]["ownerReferences"] = json!([owner]);
    object["spec"]["replicas"] = json!(1);
    object
}

/// A running pod of `web-1`.
pub(crate) fn pod(spec: &Value) -> Value {
    json!({
        "name": "web-1-a", "namespace": "shop", "serviceAccountName": "web", "phase": "Running",
        "owner": {"kind": "ReplicaSet", "name": "web-1"},
        "containers": spec["containers"], "volumes": spec.get("volumes").unwrap_or(&json!([])),
    })
}

pub(crate) fn without_key() -> Value {
    json!({"serviceAccountName": "web", "containers": [{"name": "app", "image": "shop/app", "env": [{"name": "PASSWORD", "value": CANARY}]}]})
}

/// A world in which the account's key was used so many hours ago.
pub(crate) fn world(account: &Account, hours: i64, objects: &[Value], pods: &[Value]) -> Value {
    let at = Timestamp::now() - SignedDuration::from_hours(hours);
    let uses = json!([{"at": at.to_string(), "count": 7}]);
    let key = json!({"id": account.id, "uses": uses, "publicKey": account.rsa.public_pem()});
    json!({
        "apiVersion": "wi.sandbox/v1",
        "timeScale": 1.0,
        "evidence": {"metricLagSeconds": 0},
        "projects": {"acme-prod": {"number": 123_456_789_012_u64, "serviceAccounts": {short(account): {"keys": [key]}}}},
        "clusters": [{"project": "acme-prod", "location": "europe-west1", "name": "main", "autopilot": true,
            "namespaces": {"shop": {}}, "objects": objects, "pods": pods}],
    })
}

pub(crate) struct Stage {
    pub inside: Inside,
    runtime: tokio::runtime::Runtime,
}

impl Stage {
    pub fn new(spec: &str, world: &Value) -> Self {
        let runtime = runtime();
        let world = World::parse(&world.to_string(), "world").expect("a valid world");
        let inside = runtime.block_on(Inside::start(spec, world));
        std::fs::remove_file(inside.place.path("world.yaml")).expect("removed");
        Self { inside, runtime }
    }

    pub fn wi(&self, args: &[&str]) -> Ran {
        let ran = self.runtime.block_on(self.inside.wi(args));
        for text in [&ran.out, &ran.err] {
            assert!(!text.contains(CANARY), "{text}");
        }
        ran
    }

    /// Until controllers rest.
    pub fn settle(&self) {
        self.runtime.block_on(self.inside.sandbox.settle());
    }

    /// The same, with another spec from now on.
    pub fn under_now(self, spec: &str) -> Self {
        std::fs::write(self.inside.place.path("wi.yaml"), spec).expect("written");
        self
    }

    pub fn migrate(&self, args: &[&str]) -> Ran {
        self.wi(&[&["migrate"], &OPEN[..], args].concat())
    }

    pub fn apply(&self) {
        self.wi(&["apply", "--auto-approve"]).ok();
    }

    /// The same world with other objects and pods.
    fn with(self, objects: &[Value], pods: &[Value]) -> Self {
        let spec = std::fs::read_to_string(self.inside.place.path("wi.yaml")).expect("a spec");
        let mut world = self.inside.world();
        let cluster = &mut world["clusters"][0];
        // Those that are there are told one by one.
        cluster["objects"] = Value::Array(objects.to_vec());
        cluster["pods"] = Value::Array(pods.to_vec());
        Self::new(&spec, &world)
    }
}

pub(crate) fn code(ran: &Ran) -> i32 {
    ran.code.expect("an exit code")
}

#[test]
fn migration_goes_from_rung_to_rung_by_what_is_live_alone() {
    let account = Account::new(301);
    let all = [
        secret(&account),
        deployment("web", &pod_spec()),
        replica_set("web", &pod_spec()),
    ];
    let world = world(&account, 40, &all, &[pod(&pod_spec())]);

    // Nothing is asked for yet: the lines that would begin it are told.
    let stage = Stage::new(&spec(&account, ""), &world);
    let ran = stage.migrate(&[]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
    let lines = format!(
        "migrate:\n  {0}: {{ until: cutover }}\nnamespaces:\n  shop:\n    serviceAccounts:\n      web: {{ impersonates: {0} }}\n",
        short(&account)
    );
    assert!(ran.err.contains(&lines), "{}", ran.err);

    // Asked for, and not there yet.
    let stage = Stage::new(&migrating(&account, ""), &world);
    let ran = stage.migrate(&[]);
    assert_eq!(code(&ran), 3, "{}{}", ran.out, ran.err);
    let said = flat(&ran.out);
    assert!(
        said.contains("holds: Deployment shop/web in cluster.main, as web"),
        "{said}"
    );
    assert!(
        said.contains("next: wi apply (") && said.contains("ksa.main/shop/web"),
        "{said}"
    );

    // The identity is there, and the key still counts before it.
    stage.apply();
    let ran = stage.migrate(&[]);
    assert_eq!(code(&ran), 3, "{}{}", ran.out, ran.err);
    let said = flat(&ran.out);
    assert!(said.contains("bound: Deployment shop/web"), "{said}");
    assert!(
        said.contains("next: take the key out of its template"),
        "{said}"
    );
    assert!(!said.contains("`until: disabled`"), "{said}");

    // The template is free of it, and a pod of before runs: the rollout is not done.
    let after = [
        secret(&account),
        deployment("web", &without_key()),
        replica_set("web", &without_key()),
    ];
    let stage = stage.with(&after, &[pod(&pod_spec())]);
    let ran = stage.migrate(&[]);
    assert_eq!(code(&ran), 3, "{}{}", ran.out, ran.err);
    assert!(
        flat(&ran.out).contains("these pods are not yet: web-1-a"),
        "{}",
        ran.out
    );

    // Nothing has it.
    let stage = stage.with(&after, &[pod(&without_key())]);
    let ran = stage.migrate(&[]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
    let said = flat(&ran.out);
    assert!(said.contains("cut over: Deployment shop/web"), "{said}");
    assert!(
        said.contains("with `until: disabled` wi apply disables it"),
        "{said}"
    );

    // Somebody rolled back.
    let stage = stage.with(&all, &[pod(&without_key())]);
    let ran = stage.migrate(&[]);
    assert_eq!(code(&ran), 3, "{}{}", ran.out, ran.err);
    assert!(!ran.out.contains("`until: disabled`"), "{}", ran.out);
}

#[test]
fn key_that_was_used_today_is_not_offered_to_be_disabled() {
    let account = Account::new(302);
    let objects = [secret(&account), deployment("web", &without_key())];
    for (hours, offered) in [(1, false), (26, false), (28, true)] {
        let stage = Stage::new(
            &migrating(&account, ""),
            &world(&account, hours, &objects, &[]),
        );
        stage.apply();
        let ran = stage.migrate(&[]);
        assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
        assert_eq!(
            ran.out.contains("`until: disabled`"),
            offered,
            "{hours} h: {}",
            ran.out
        );
    }
}

#[test]
fn without_leave_no_secret_is_opened_and_nothing_is_reached() {
    let account = Account::new(303);
    let objects = [secret(&account), deployment("web", &pod_spec())];
    let stage = Stage::new(
        &migrating(&account, ""),
        &world(&account, 40, &objects, &[]),
    );
    let ran = stage.wi(&["migrate"]).fails();
    assert!(
        flat(&ran.out).contains("Secret shop/key of cluster.main: it was not opened"),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("`until: disabled`"), "{}", ran.out);
    let counts = stage.inside.counts();
    assert!(
        !counts.keys().any(|call| call.contains("/secrets/")),
        "{counts:?}"
    );
    let ran = stage
        .wi(&["migrate", "--read-secrets", "referenced"])
        .fails();
    assert!(
        ran.err.contains("wi will open 1 Secret") && ran.err.contains("pass --auto-approve"),
        "{}",
        ran.err
    );
}

#[test]
fn what_cannot_be_read_is_never_free() {
    let account = Account::new(304);
    let objects = [secret(&account), deployment("web", &without_key())];
    for denied in ["list pods", "list cronjobs", "list deployments"] {
        let mut world = world(&account, 40, &objects, &[]);
        let stage = Stage::new(&migrating(&account, ""), &world);
        stage.apply();
        world = stage.inside.world();
        world["clusters"][0]["denied"] = json!([denied]);
        let stage = Stage::new(&migrating(&account, ""), &world);
        let ran = stage.migrate(&[]);
        assert_eq!(code(&ran), 1, "{denied}: {}{}", ran.out, ran.err);
        assert!(
            !ran.out.contains("`until: disabled`"),
            "{denied}: {}",
            ran.out
        );
        assert!(ran.out.contains("not looked at:"), "{denied}: {}", ran.out);
    }
}

#[test]
fn workload_whose_secret_may_not_be_read_is_never_cut_over() {
    let account = Account::new(315);
    let objects = [secret(&account), deployment("web", &pod_spec())];
    let mut world = world(&account, 40, &objects, &[]);
    world["clusters"][0]["denied"] = json!(["get secrets"]);
    let stage = Stage::new(&migrating(&account, ""), &world);
    stage.apply();
    let ran = stage.migrate(&[]);
    assert_eq!(code(&ran), 1, "{}{}", ran.out, ran.err);
    let said = flat(&ran.out);
    for told in [
        "? cannot say: Deployment shop/web in cluster.main",
        "not opened: Secret key",
        "0 of 1 workload without a key",
    ] {
        assert!(said.contains(told), "{told}: {}", ran.out);
    }
    let ran = stage.migrate(&["--json"]);
    assert!(ran.out.contains("\"cannot_say\""), "{}", ran.out);
}

#[test]
fn cluster_that_the_spec_does_not_mention_keeps_the_key() {
    let account = Account::new(305);
    let objects = [secret(&account), deployment("web", &without_key())];
    let mut world = world(&account, 40, &objects, &[]);
    let mut edge = world["clusters"][0].clone();
    edge["name"] = json!("edge");
    edge["objects"] = json!([]);
    world["clusters"].as_array_mut().expect("a list").push(edge);
    let stage = Stage::new(&migrating(&account, ""), &world);
    stage.apply();
    let ran = stage.migrate(&[]);
    let said = flat(&ran.out);
    assert!(
        said.contains("not to be disabled yet: the spec does not mention"),
        "{said}"
    );
    assert!(
        said.contains("edge") && !said.contains("`until: disabled`"),
        "{said}"
    );
}

#[test]
fn custom_resource_that_has_the_key_is_waited_for_with_its_way_to_do_without() {
    let account = Account::new(306);
    let store = json!({
        "apiVersion": "external-secrets.io/v1", "kind": "SecretStore",
        "metadata": {"name": "gsm", "namespace": "shop"},
        "spec": {"provider": {"gcpsm": {"auth": {"secretRef": {"secretAccessKeySecretRef": {"name": "key", "key": "key.json"}}}}}},
    });
    let objects = [secret(&account), deployment("web", &without_key())];
    let mut world = world(&account, 40, &objects, &[]);
    world["clusters"][0]["customObjects"] = json!([store]);
    let stage = Stage::new(&migrating(&account, ""), &world);
    stage.apply();
    let ran = stage.migrate(&[]);
    assert_eq!(code(&ran), 3, "{}{}", ran.out, ran.err);
    let said = flat(&ran.out);
    assert!(
        said.contains("has a key: SecretStore shop/gsm in cluster.main")
            && said.contains("workloadIdentity"),
        "{said}"
    );
    assert!(!said.contains("`until: disabled`"), "{said}");
}

#[test]
fn what_stands_against_it_holds_it_until_it_is_accepted_in_the_spec() {
    let account = Account::new(307);
    let mut template = pod_spec();
    template["containers"][0]["args"] = json!(["--sa", "/k/key.json"]);
    let objects = [secret(&account), deployment("web", &template)];
    let world = world(&account, 40, &objects, &[]);
    let stage = Stage::new(&migrating(&account, ""), &world);
    stage.apply();
    let ran = stage.migrate(&["--emit", "patches"]);
    assert_eq!(code(&ran), 1, "{}{}", ran.out, ran.err);
    let said = flat(&ran.out);
    assert!(said.contains("held: container app mentions /k/key.json, which would be gone, in args[1] (accept: [mentions])"), "{said}");
    assert!(!stage.inside.place.path("patches").exists());
    let spec = migrating(&account, ", accept: [mentions]");
    let stage = Stage::new(&spec, &stage.inside.world());
    assert_eq!(code(&stage.migrate(&[])), 3);
    let spec = migrating(&account, ", exclude: [shop/Deployment/web]");
    let stage = Stage::new(&spec, &stage.inside.world());
    let ran = stage.migrate(&[]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("(excluded)") && !ran.out.contains("`until: disabled`"),
        "{}",
        ran.out
    );
}

#[test]
fn patches_take_the_key_out_and_tell_nothing_of_the_template_but_names() {
    let account = Account::new(308);
    let mut argo = deployment(
        "proxy",
        &json!({
            "serviceAccountName": "web",
            "containers": [{"name": "proxy", "image": "cloud-sql-proxy:2", "args": ["--credentials-file=/k/key.json", CANARY], "volumeMounts": [{"name": "k", "mountPath": "/k"}]}],
            "volumes": [{"name": "k", "secret": {"secretName": "key"}}],
        }),
    );
    argo["metadata"]["annotations"] =
        json!({"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/proxy"});
    let mut lone = argo.clone();
    lone["metadata"] = json!({"name": "lone", "namespace": "shop"});
    let mut of_rollout = deployment("rollout-1", &pod_spec());
    of_rollout["kind"] = json!("ReplicaSet");
    of_rollout["metadata"]["ownerReferences"] = json!([{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "rollout", "uid": "1", "controller": true}]);
    let objects = [
        secret(&account),
        deployment("web", &pod_spec()),
        argo,
        lone,
        of_rollout,
    ];
    let stage = Stage::new(
        &migrating(&account, ""),
        &world(&account, 40, &objects, &[]),
    );
    // Without an identity in its place the key is not taken away.
    let ran = stage.migrate(&["--emit", "patches"]);
    assert!(ran.err.contains("no patch was written"), "{}", ran.err);
    stage.apply();
    let ran = stage.migrate(&["--emit", "patches"]);
    assert_eq!(code(&ran), 3, "{}{}", ran.out, ran.err);
    assert!(
        flat(&ran.out).contains("it is kept by Argo CD (shop:apps/Deployment:shop/proxy)"),
        "{}",
        ran.out
    );
    // Its template is the Rollout's.
    assert!(
        flat(&ran.out)
            .contains("next: take the key out of its template; it is kept by Rollout rollout"),
        "{}",
        ran.out
    );
    let directory = stage.inside.place.path("patches/main/shop");
    assert!(
        directory.join("deployment-lone").exists()
            && !directory.join("replicaset-rollout-1").exists()
    );
    let read = |file: &str| {
        let text = std::fs::read_to_string(stage.inside.place.path("patches/main/shop").join(file))
            .expect(file);
        assert!(
            !text.contains(CANARY) && text.starts_with("# Written by wi migrate\n"),
            "{text}"
        );
        serde_saphyr::from_str::<Value>(&text).expect("YAML")
    };
    assert_eq!(
        read("deployment-web/patch.yaml"),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"template": {"spec": {
                "containers": [{"name": "app",
                    "env": [{"name": "GOOGLE_APPLICATION_CREDENTIALS", "$patch": "delete"}],
                    "volumeMounts": [{"mountPath": "/k", "$patch": "delete"}]}],
                "volumes": [{"name": "k", "$patch": "delete"}],
            }}},
        })
    );
    let component = read("deployment-proxy/kustomization.yaml");
    assert_eq!(component["kind"], "Component");
    let paths: Vec<&Value> = component["patches"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|p| &p["path"])
        .collect();
    assert_eq!(paths, ["arguments.yaml", "patch.yaml"]);
    let arguments = read("deployment-proxy/arguments.yaml");
    assert_eq!(
        arguments[2],
        json!({"op": "remove", "path": "/spec/template/spec/containers/0/args/0"})
    );
    // Flag and file belong together, and Argo CD would undo it: a command is told for one alone.
    assert_eq!(ran.err.matches("kubectl patch").count(), 1, "{}", ran.err);
    // Again: the same. Not over a file of others.
    stage.migrate(&["--emit", "patches"]);
    let foreign = stage
        .inside
        .place
        .path("patches/main/shop/deployment-web/patch.yaml");
    std::fs::write(&foreign, "mine\n").expect("written");
    let ran = stage.migrate(&["--emit", "patches"]).fails();
    assert!(ran.err.contains("is there and not of wi"), "{}", ran.err);
    assert_eq!(std::fs::read_to_string(&foreign).expect("there"), "mine\n");
}

#[test]
fn nothing_is_written_anywhere_and_no_key_is_used() {
    let account = Account::new(309);
    let objects = [secret(&account), deployment("web", &pod_spec())];
    let stage = Stage::new(
        &migrating(&account, ""),
        &world(&account, 40, &objects, &[]),
    );
    let before = stage.inside.sandbox.writes();
    let ran = stage.migrate(&["--emit", "patches"]);
    assert_eq!(stage.inside.sandbox.writes(), before);
    for canary in account.canaries() {
        assert!(!ran.out.contains(&canary) && !ran.err.contains(&canary));
    }
    let counts = stage.inside.counts();
    let writes = counts
        .keys()
        .filter(|call| !call.starts_with("GET ") && !call.contains("getIamPolicy"));
    let writes: Vec<&String> = writes
        .filter(|call| !call.contains("searchAll") && !call.contains(":query"))
        .collect();
    assert_eq!(writes, [""; 0], "{counts:?}");
}

#[test]
fn plan_tells_of_keys_that_an_account_is_not_to_have_and_touches_none() {
    let account = Account::new(310);
    let with = |keys: &str, guard: &str| {
        let text = spec(&account, guard);
        let keys = format!("{}: {{ {keys} }}", short(&account));
        text.replace(&format!("{}: {{}}", short(&account)), &keys)
    };
    let world = world(&account, 40, &[], &[]);
    let stage = Stage::new(&with("keys: none", ""), &world);
    stage.apply();
    let ran = stage.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
    let key = format!("key.{}/{}", short(&account), account.id);
    let said = flat(&ran.out);
    assert!(said.contains(&format!("{key} is there")), "{said}");
    assert!(said.contains("No apply touches it."), "{said}");
    let stage = Stage::new(&with("", "guard: { forbidKeys: true }\n"), &world);
    let ran = stage.wi(&["apply", "--auto-approve"]).fails();
    let said = flat(&format!("{}{}", ran.out, ran.err));
    assert!(
        said.contains(&key) && said.contains("the guard forbids keys"),
        "{said}"
    );
    let calls = stage.inside.counts();
    let keys = calls.keys().filter(|call| call.contains("/keys"));
    assert!(
        keys.clone().count() == 1 && keys.clone().all(|k| k.starts_with("GET ")),
        "{calls:?}"
    );
    // Nothing is said of keys: none is read.
    let stage = Stage::new(&with("", ""), &world);
    stage.apply();
    assert!(
        !stage
            .inside
            .counts()
            .keys()
            .any(|call| call.contains("/keys"))
    );
}
