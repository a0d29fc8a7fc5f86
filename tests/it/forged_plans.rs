//! Plan files from strangers, whose checksums are right: what was approved by its hash is all that is
//! done, and a file that does not fit together is refused. From outside, and leaf by leaf.

use std::io::Write;

use crate::support::Place;
use crate::support::served::{Process, Served};
use serde_json::{Value, json};
use wi_core::plan::saved::PlanFile;

/// A rollout over two clusters, with something to create, to change and to remove of each kind.
const SPEC: &str = "\
apiVersion: wi/v1
name: shop
project: acme-prod
clusters:
  main: { location: europe-west1, labels: { ring: \"1\" }, access: { kubeconfig: kubeconfig, context: gke_acme-prod_europe-west1_main }, acceptLoss: [tools/*] }
  edge: { location: us-central1-a, labels: { ring: \"2\" }, access: { endpoint: public }, nodePools: [default-pool] }
googleServiceAccounts:
  checkout:
    displayName: Checkout
    grants:
      - roles/cloudsql.client
      - role: roles/storage.objectViewer
        resource: bucket/receipts
        condition: { title: until-2027, expression: 'request.time < timestamp(\"2027-01-01T00:00:00Z\")' }
  billing: { displayName: Billing }
  pay: { id: payments-app, grants: [roles/logging.logWriter] }
namespaces:
  shop:
    serviceAccounts:
      checkout: { impersonates: checkout }
      billing: { impersonates: billing }
      reporter: { grants: [roles/viewer] }
  new:
    serviceAccounts:
      worker: { impersonates: billing }
rollout:
  waves:
    - { name: canary, clusters: { ring: \"1\" }, gate: { manual: true, soak: 1s } }
    - { name: rest, clusters: remaining, maxParallel: 1 }
guard:
  forbidMembers: [allUsers]
  maxRemovals: 20
";

const WORLD: &str = "\
apiVersion: wi.sandbox/v1
timeScale: 2000
projects:
  acme-prod:
    number: 123456789012
    policy: { bindings: [{ role: roles/owner, members: [user:ann@example.com] }, { role: roles/editor, members: [\"serviceAccount:billing@acme-prod.iam.gserviceaccount.com\"] }] }
    serviceAccounts:
      billing: { displayName: Old, description: \"[wi:shop]\" }
      payments-app: { description: \"[wi:shop]\" }
      former-a: { description: \"[wi:shop]\" }
      former-b: { description: \"[wi:shop delete]\" }
buckets: { receipts: { project: acme-prod, uniformBucketLevelAccess: true } }
clusters:
  - project: acme-prod
    location: europe-west1
    name: main
    nodePools: [{ name: default-pool, nodes: 2 }]
    namespaces:
      shop:
        serviceAccounts:
          checkout: {}
          left: { appliedBy: wi, labels: { app.kubernetes.io/managed-by: wi }, annotations: { wi/owner: shop } }
          other: { appliedBy: wi, labels: { app.kubernetes.io/managed-by: wi }, annotations: { wi/owner: shop, wi/adopted: \"true\" } }
          precious: {}
    pods: [{ name: tool-1, namespace: tools }]
  - project: acme-prod
    location: us-central1-a
    name: edge
    nodePools: [{ name: default-pool, nodes: 1 }]
";

/// Marks that a world begins with are not wi's own fields, and stay when an account is released.
fn without_adopted() -> String {
    let lines = WORLD.lines().filter(|l| !l.contains("wi/adopted"));
    lines.collect::<Vec<_>>().join("\n")
}

const CHOICES: [&str; 3] = ["--allow-mass-removal", "--max-surge", "2"];

struct Saved {
    served: Served,
    file: Value,
    /// Of the changes in the file, in their order.
    addresses: Vec<String>,
    hash: String,
}

/// Plans and saves, and has that approved.
fn saved() -> Saved {
    saved_in(WORLD)
}

fn saved_in(world: &str) -> Saved {
    let served = Served::of(Place::new(SPEC, world));
    let mut args = vec!["plan", "wi.yaml", "--out", "p.plan"];
    args.extend(CHOICES);
    served.wi(&args).ok();
    let bytes = std::fs::read(served.place.path("p.plan")).expect("a plan");
    let plan = PlanFile::decode(&bytes).expect("a plan");
    Saved {
        served,
        hash: plan.hash(),
        addresses: plan.plan.changes.keys().map(|a| a.to_string()).collect(),
        file: serde_json::to_value(&plan).expect("JSON"),
    }
}

/// A plan file around this, its checksum right.
fn packed(file: &Value) -> Vec<u8> {
    use sha2::Digest;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    serde_json::to_writer(&mut packer, file).expect("packed");
    let packed = packer.finish().expect("packed");
    let digest: String = sha2::Sha256::digest(&packed)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let mut bytes = format!("wi-plan 3.0 {digest}\n").into_bytes();
    bytes.write_all(&packed).expect("written");
    bytes
}

impl Saved {
    fn at(&mut self, path: &str) -> &mut Value {
        self.file
            .pointer_mut(path)
            .unwrap_or_else(|| panic!("{path} is not there"))
    }

    /// A change's own part of the file; of one under a condition `address` may leave the digest out.
    fn change(&mut self, address: &str) -> &mut Value {
        let is_it = |a: &String| {
            a.strip_prefix(address)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
        };
        let at = self.addresses.iter().position(is_it);
        let at = at.unwrap_or_else(|| panic!("{address} is not in the plan"));
        &mut self.file["plan"]["changes"][at]
    }

    /// Applied under the hash that was approved it does nothing, and says this.
    #[track_caller]
    fn does_nothing(&self, code: i32, says: &str) {
        std::fs::write(self.served.place.path("p.plan"), packed(&self.file)).expect("written");
        let before = self.served.writes().len();
        let calls = self.served.calls().len();
        let ran = self
            .served
            .wi(&["apply", "p.plan", "--expect-plan-hash", &self.hash]);
        assert_eq!(ran.code, Some(code), "{}", ran.err);
        assert!(ran.err.contains(says), "`{says}` is not in:\n{}", ran.err);
        assert_eq!(self.served.writes().len(), before, "something was written");
        assert_eq!(self.served.calls().len(), calls, "something was asked");
    }
}

/// What wi writes it reads: nothing of its own is taken for forged.
#[test]
fn all_plans_of_the_examples_are_read() {
    for example in ["quickstart", "shop", "brownfield", "fleet"] {
        let place = Place::example(example);
        for choices in [
            &["--accept-loss"][..],
            &["--accept-loss", "--strategy", "blue-green"],
            &["--accept-loss", "--max-surge", "3", "--force-conflicts"],
        ] {
            let mut args = vec!["plan", "wi.yaml", "--allow-mass-removal", "--out", "p.plan"];
            args.extend(choices);
            place.wi(&args).ok();
            let shown = place.wi(&["show", "p.plan", "--json"]).ok();
            let shown: Value = serde_json::from_str(&shown.out).expect("JSON");
            args[3] = "--json";
            args.remove(4);
            let planned: Value = serde_json::from_str(&place.wi(&args).ok().out).expect("JSON");
            assert_eq!(shown, planned, "{example} {choices:?}: the hash, too");
        }
    }
}

const NOT_APPROVED: &str = "the plan is not the one that was approved";

#[test]
fn what_was_approved_can_be_applied() {
    let saved = saved_in(&without_adopted());
    let ran = saved
        .served
        .wi(&["apply", "p.plan", "--expect-plan-hash", &saved.hash]);
    assert_eq!(ran.code, Some(3), "it waits at its gate: {}", ran.err);
}

#[test]
fn another_account_is_not_deleted_under_the_address_of_one_that_may_be() {
    let mut saved = saved();
    let deletion = saved.change("ksa.main/shop/left");
    assert_eq!(deletion["edit"]["Ksa"]["after"], "Deleted");
    // Its address goes with it, so that it is not what was approved.
    deletion["edit"]["Ksa"]["key"]["name"] = json!("precious");
    saved.does_nothing(4, NOT_APPROVED);
    // One that does not carry our mark is never deleted.
    let before = &mut saved.change("ksa.main/shop/left")["edit"]["Ksa"]["before"];
    before["annotations"] = json!({});
    saved.does_nothing(1, "does what wi never does");
}

/// Approved by nobody, and with a mark that is a lie: what is there tells.
#[test]
fn an_account_that_is_said_to_be_ours_and_is_not_stays() {
    let mut saved = saved();
    let edit = &mut saved.change("ksa.main/shop/left")["edit"]["Ksa"];
    edit["key"]["name"] = json!("precious");
    std::fs::write(saved.served.place.path("p.plan"), packed(&saved.file)).expect("written");
    let before = saved.served.writes().len();
    let ran = saved.served.wi(&["apply", "p.plan"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains("ksa.main/shop/precious"), "{}", ran.err);
    assert_eq!(saved.served.writes().len(), before);
}

#[test]
fn two_changes_of_one_address_are_refused() {
    let mut saved = saved();
    let changes = saved.at("/plan/changes").as_array_mut().expect("changes");
    changes.push(changes[0].clone());
    saved.does_nothing(1, "is changed twice");
}

#[test]
fn nothing_goes_to_another_cluster_or_server() {
    for (path, value) in [
        ("/desired/clusters/edge/path/name", json!("main")),
        (
            "/desired/clusters/edge/path/location",
            json!("europe-west1"),
        ),
        ("/desired/clusters/edge/path/project", json!("evil-project")),
    ] {
        let mut saved = saved();
        *saved.at(path) = value.clone();
        let (code, says) = match path {
            // The pool that it is to have is another project's then.
            "/desired/clusters/edge/path/project" => (1, "does what wi never does"),
            _ => (4, NOT_APPROVED),
        };
        saved.does_nothing(code, says);
    }
    for access in [
        json!("Offered"),
        json!("ConnectGateway"),
        json!({ "Kubeconfig": { "path": "/tmp/theirs", "context": null } }),
    ] {
        let mut saved = saved();
        *saved.at("/desired/clusters/edge/access") = access;
        saved.does_nothing(4, NOT_APPROVED);
    }
}

#[test]
fn gates_and_choices_are_those_that_were_approved() {
    for (path, value) in [
        ("/plan/waves/waves/0/manual", json!(false)),
        ("/plan/waves/waves/0/verify", json!(false)),
        ("/plan/waves/waves/0/soak/secs", json!(0)),
        ("/plan/waves/waves/1/max_parallel", json!("All")),
        ("/plan/waves/max_failures", json!(9)),
        ("/plan/waves/continues", json!(true)),
        ("/plan/waves/only", json!([1])),
        ("/plan/waves/wave_of/edge", json!(0)),
        ("/options/ignore_exclusions", json!(true)),
        ("/options/force_conflicts", json!(true)),
        ("/options/accept_loss", json!(true)),
        ("/options/upgrade/max_surge", json!(1)),
        ("/options/upgrade/strategy", json!("BLUE_GREEN")),
        ("/desired/guard/max_removals", Value::Null),
        ("/desired/clusters/main/accept_loss", json!([])),
    ] {
        let mut saved = saved();
        *saved.at(path) = value;
        saved.does_nothing(4, NOT_APPROVED);
    }
}

#[test]
fn what_is_done_is_what_is_shown() {
    for (address, path, value, says) in [
        (
            "gsa.checkout",
            "/edit/Account/email",
            json!("evil@acme-prod.iam.gserviceaccount.com"),
            "another object",
        ),
        (
            "gsa.former-a",
            "/edit/Account/name",
            json!("innocent"),
            "another object",
        ),
        (
            "gsa.former-a",
            "/edit/Account/name",
            json!("checkout"),
            "is changed twice",
        ),
        (
            "gsa.checkout",
            "/edit/Account/after/Present/description",
            json!("[wi:other]"),
            "never does",
        ),
        (
            "gsa.checkout",
            "/edit/Account/after",
            json!("Deleted"),
            "never does",
        ),
        (
            "gsa.former-a",
            "/edit/Account/after",
            json!("Deleted"),
            NOT_APPROVED,
        ),
        (
            "gsa.billing",
            "/edit/Account/after/Present/display_name",
            json!("Other"),
            NOT_APPROVED,
        ),
        (
            "nodepool.edge/default-pool",
            "/edit/NodePool/node_pool",
            json!("../x"),
            "another object",
        ),
        (
            "nodepool.edge/default-pool",
            "/edit/NodePool/settings",
            Value::Null,
            NOT_APPROVED,
        ),
        (
            "cluster.edge",
            "/edit/ClusterPool/after",
            json!("evil.svc.id.goog"),
            "never does",
        ),
        (
            "ksa.edge/shop/checkout",
            "/edit/Ksa/key/name",
            json!("../../../secrets/x"),
            "is not a DNS",
        ),
        (
            "ksa.edge/shop/checkout",
            "/edit/Ksa/key/cluster",
            json!("elsewhere"),
            "another object",
        ),
        (
            "ksa.edge/shop/checkout",
            "/edit/Ksa/after/Kept/account",
            json!("evil@acme-prod.iam.gserviceaccount.com"),
            NOT_APPROVED,
        ),
        (
            "ksa.main/shop/checkout",
            "/edit/Ksa/force",
            json!(true),
            "never does",
        ),
        (
            "ksa.main/shop/checkout",
            "/edit/Ksa/before/uid",
            json!(""),
            "never does",
        ),
        (
            "ksa.main/shop/checkout",
            "/edit/Ksa/before",
            Value::Null,
            NOT_APPROVED,
        ),
        (
            "ksa.main/shop/checkout",
            "/edit/Ksa/after",
            json!("Deleted"),
            "never does",
        ),
        (
            "namespace.edge/new",
            "/edit/Namespace/key/namespace",
            json!("kube-system"),
            NOT_APPROVED,
        ),
        (
            "grant.checkout:roles/cloudsql.client@project/acme-prod",
            "/edit/Binding/after",
            json!(["allUsers"]),
            "another object",
        ),
        (
            "grant.checkout:roles/cloudsql.client@project/acme-prod",
            "/edit/Binding/before",
            json!(["serviceAccount:checkout@acme-prod.iam.gserviceaccount.com"]),
            "never does",
        ),
        (
            "grant.checkout:roles/cloudsql.client@project/acme-prod",
            "/edit/Binding/who",
            json!("billing"),
            "another object",
        ),
        (
            "grant.checkout:roles/cloudsql.client@project/acme-prod",
            "/edit/Binding/key/role",
            json!("roles/owner"),
            NOT_APPROVED,
        ),
        (
            "grant.checkout:roles/storage.objectViewer@bucket/receipts?until-2027",
            "/edit/Binding/key/condition/expression",
            json!("true"),
            NOT_APPROVED,
        ),
        (
            "ksa.edge/shop/checkout",
            "/wave",
            json!(7),
            "a wave that there is not",
        ),
    ] {
        let mut saved = saved();
        let change = saved.change(address);
        match change.pointer_mut(path) {
            Some(old) => *old = value,
            None => {
                let (map, key) = path.rsplit_once('/').expect("a path");
                change.pointer_mut(map).expect(map)[key] = value;
            }
        }
        let code = if says == NOT_APPROVED { 4 } else { 1 };
        saved.does_nothing(code, says);
    }
}

#[test]
fn what_it_rests_on_is_told_or_it_is_stale() {
    let mut saved = saved();
    // As the hash does not cover versions, it is the state of today that is looked at.
    *saved.at("/preconditions") = json!([]);
    std::fs::write(saved.served.place.path("p.plan"), packed(&saved.file)).expect("written");
    let before = saved.served.writes().len();
    let ran = saved
        .served
        .wi(&["apply", "p.plan", "--expect-plan-hash", &saved.hash]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(
        ran.err.contains("the policy of project/acme-prod"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("does not say what it was"), "{}", ran.err);
    assert_eq!(saved.served.writes().len(), before);
}

/// Every value of the file, one after the other: it is refused, or another hash, or of the moment.
#[test]
fn whatever_is_changed_is_refused_or_another_plan_or_of_the_moment() {
    let saved = saved();
    let mut paths = Vec::new();
    leaves(&saved.file, String::new(), &mut paths);
    assert!(paths.len() > 500, "only {} values", paths.len());
    let (mut refused, mut other, mut unnoticed) = (0, 0, Vec::new());
    for path in &paths {
        for (at, value) in instead_of(path, saved.file.pointer(path).expect(path)) {
            let mut forged = saved.file.clone();
            *forged.pointer_mut(path).expect(path) = value.clone();
            let text = serde_json::to_vec(&forged).expect("JSON");
            match PlanFile::from_json(&text) {
                Err(_) => refused += 1,
                Ok(file) if file.hash() != saved.hash => other += 1,
                // Left out is not set.
                Ok(file) if serde_json::to_value(&file).expect("JSON") == saved.file => {}
                Ok(_) if is_of_the_moment(&at) => {}
                Ok(_) => unnoticed.push(format!("{at}: {value}")),
            }
        }
    }
    assert!(
        unnoticed.is_empty(),
        "with the hash that was approved:\n{}",
        unnoticed.join("\n")
    );
    assert!(
        refused > 200 && other > 100,
        "{refused} refused, {other} others"
    );
}

fn leaves(value: &Value, path: String, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                leaves(value, format!("{path}/{}", pointer(key)), out);
            }
        }
        Value::Array(items) => {
            for (i, value) in items.iter().enumerate() {
                leaves(value, format!("{path}/{i}"), out);
            }
        }
        _ => {}
    }
    if !path.is_empty() {
        out.push(path);
    }
}

/// Something else of the same kind, or what could be in its place; and the path of what is other.
fn instead_of(path: &str, value: &Value) -> Vec<(String, Value)> {
    let all = |values: Vec<Value>| values.into_iter().map(|v| (path.to_owned(), v)).collect();
    match value {
        Value::Null => all(vec![
            json!("x"),
            json!(1),
            json!(true),
            json!({}),
            json!([]),
        ]),
        Value::Bool(b) => all(vec![json!(!b)]),
        Value::Number(n) => all(vec![json!(n.as_u64().unwrap_or(0) + 1)]),
        Value::String(text) => {
            let longer = json!(format!("{text}x"));
            all(vec![longer, json!("SURGE"), json!("All"), Value::Null])
        }
        Value::Array(items) => match items.split_last() {
            Some((last, others)) => {
                let more: Vec<&Value> = items.iter().chain([last]).collect();
                let at = format!("{path}/{}", others.len());
                vec![(at, json!(others)), (path.to_owned(), json!(more))]
            }
            None => all(vec![json!(["x"]), json!([1])]),
        },
        Value::Object(fields) => {
            let without = |key: &String| {
                let mut fields = fields.clone();
                fields.remove(key);
                (format!("{path}/{}", pointer(key)), Value::Object(fields))
            };
            let mut all: Vec<_> = fields.keys().map(without).collect();
            all.push((path.to_owned(), Value::Null));
            all
        }
    }
}

/// As a part of a JSON pointer.
fn pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Places, versions, and what is only told.
fn is_of_the_moment(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        [
            "preconditions" | "made_at" | "made_on" | "wi_version" | "spec" | "choices"
            | "spec_digests",
            ..,
        ]
        | ["options", "now"]
        | ["desired", "files", ..]
        | [.., "place"]
        | [.., "place", "file" | "line"]
        | ["desired", "clusters", _, "node_pools", "Only", _]
        | [
            "desired",
            "clusters",
            _,
            "node_pools",
            "Only",
            _,
            "file" | "line",
        ]
        | ["desired", "bindings", _, "1", ..]
        | ["desired", "guard", "forbid_members", _, "1", ..]
        | ["desired", "guard", "max_removals", "1", ..]
        | ["plan", "changes", _, "notes", ..]
        | ["plan", "changes", _, "edit", "NodePool", "nodes"]
        | [
            "plan",
            "sharing" | "warnings" | "notes" | "unseen" | "errors" | "restarts" | "owned"
            | "left_out" | "left_out_by",
            ..,
        ] => true,
        // Who loses something is covered; what others have, and what the node's account may do, is told.
        ["plan", "impact", "nodepool.edge~1default-pool"] => true, // nobody loses anything there
        ["plan", "impact", _, what, ..] => *what != "workloads" || !parts.contains(&"0"),
        // What it was is what it rests on: another state is stale.
        [
            "plan",
            "changes",
            _,
            "edit",
            "Account",
            "before",
            "unique_id",
        ]
        | [
            "plan",
            "changes",
            _,
            "edit",
            "Ksa" | "Namespace",
            "before",
            _,
            ..,
        ] => true,
        _ => false,
    }
}

#[test]
fn a_plan_file_writes_nowhere_but_where_it_may() {
    for owner in ["../../x", "/tmp/wi-forged/x", "a/b", "..", "", "A"] {
        let mut saved = saved();
        for path in ["/plan/owner", "/desired/owner"] {
            *saved.at(path) = json!(owner);
        }
        saved.does_nothing(1, "is not a DNS label");
        let place = &saved.served.place;
        let above = place.dir.path().parent().expect("a directory");
        assert!(!above.join("x.json").exists() && !place.path(".wi-rollout").exists());
    }
}

#[cfg(unix)]
#[test]
fn what_a_plan_file_names_as_its_spec_is_read_within_bounds() {
    let mut saved = saved();
    let pipe = saved.served.place.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let huge = saved.served.place.path("huge");
    let file = std::fs::File::create(&huge).expect("a file");
    file.set_len(1 << 40).expect("a hole");
    for (named, says) in [
        ("/dev/zero".to_owned(), "is not a file"),
        (pipe.display().to_string(), "is not a file"),
        (huge.display().to_string(), "is larger than 256 MiB"),
        ("/".to_owned(), "is not a file"),
    ] {
        *saved.at("/spec_digests") = json!({ named: "0" });
        saved.does_nothing(4, says);
    }
}

#[cfg(unix)]
#[test]
fn no_link_is_followed_and_no_looser_mode_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let served = Served::of(Place::new(SPEC, &without_adopted()));
    let place = &served.place;
    place.write("victim", "theirs");
    std::fs::create_dir(place.path(".wi-rollout")).expect("a directory");
    for name in [
        "p.plan.draft",
        "p.plan",
        ".wi-rollout/shop.draft",
        ".wi-rollout/shop.json",
    ] {
        symlink(place.path("victim"), place.path(name)).expect("a link");
    }
    let args = ["--out", "p.plan", "--accept-loss"];
    let plan = |choices: &[&str]| {
        let all: Vec<&str> = ["plan", "wi.yaml"]
            .into_iter()
            .chain(choices.iter().copied())
            .chain(CHOICES)
            .collect();
        served.wi(&all).ok();
    };
    let mode = |name: &str| {
        let metadata = std::fs::symlink_metadata(place.path(name)).expect(name);
        assert!(metadata.is_file(), "{name}");
        metadata.permissions().mode() & 0o777
    };
    // What is behind a link is no plan, and is neither read as one nor replaced.
    let ran = served.wi(&[&["plan", "wi.yaml"], &args[..], &CHOICES[..]].concat());
    ran.fails().says(&["p.plan is there, and no saved plan"]);
    std::fs::remove_file(place.path("p.plan")).expect("the link");
    plan(&args);
    assert_eq!(mode("p.plan"), 0o600);
    let loose = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(place.path("p.plan"), loose).expect("set");
    plan(&args);
    assert_eq!(mode("p.plan"), 0o600);
    assert_eq!(served.wi(&["apply", "p.plan"]).code, Some(3));
    assert_eq!(mode(".wi-rollout/shop.json"), 0o600);
    let victim = std::fs::read_to_string(place.path("victim")).expect("there");
    assert_eq!(victim, "theirs");
    for directory in ["", ".wi-rollout"] {
        let names = std::fs::read_dir(place.path(directory)).expect("read");
        for name in names.flatten().map(|e| e.file_name()) {
            let name = name.to_string_lossy().into_owned();
            assert!(
                !name.starts_with(".p") && !name.starts_with(".shop"),
                "{name}"
            );
        }
    }
}

/// The sandbox's token, too, under a name that no process id tells.
#[cfg(unix)]
#[test]
fn the_sandboxs_token_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Process::of(Place::new(SPEC, &without_adopted()));
    let token = std::fs::metadata(&sandbox.token_file).expect("a token");
    assert_eq!(token.permissions().mode() & 0o777, 0o600);
    let name = sandbox.token_file.rsplit('-').next().expect("a name");
    assert_eq!(name.len(), 16 + ".token".len(), "{name}");
}
