//! `until: shadow` and `canary`: a second Deployment without the key stands beside one that has it, until its original does
//! without, too. Every request is counted by the sandbox's request oracle, from the first write to the last.

use serde_json::{Value, json};

use crate::cutover::{begin, has_key, service, serving, until, web};
use crate::migrate::{Stage, code, pod_spec, spec};
use crate::scan::made::Account;
use crate::support::{Ran, flat};

const ADDRESS: &str = "shadow.main/shop/deployment/web";

impl Stage {
    /// Whether a Deployment of this name is there.
    fn has(&self, name: &str) -> bool {
        let world = self.inside.world();
        let objects = world["clusters"][0]["objects"].as_array().cloned();
        let mut objects = objects.unwrap_or_default().into_iter();
        objects.any(|o| o["kind"] == "Deployment" && o["metadata"]["name"] == name)
    }

    /// Applies, and has nothing to do afterwards.
    fn reaches(&self) -> Ran {
        let ran = self.go(&["apply", "--auto-approve"]);
        assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
        self.settle();
        let again = self.go(&["plan", "--detailed-exitcode"]).ok();
        assert!(again.out.contains("No changes."), "{}", again.out);
        assert_eq!(self.lost(), [""; 0]);
        ran
    }

    fn writes(&self, verb: &str) -> usize {
        let counts = self.inside.counts();
        let of = counts.iter();
        let of = of.filter(|(call, _)| call.contains(verb) && call.contains("deployments"));
        of.count()
    }

    fn told(&self) -> String {
        flat(&self.migrate(&[]).out)
    }
}

fn rung(stage: Stage, account: &Account, to: &str) -> Stage {
    stage.under_now(&until(account, to, ""))
}

#[test]
fn shadow_shows_in_the_dark_then_takes_a_share_and_goes_when_its_original_does_without_the_key() {
    let account = Account::new(601);
    let world = serving(&account, &[web(&pod_spec(), 3)]);
    let stage = begin(&until(&account, "shadow", ""), &world);
    let before = stage.object("Deployment", "web");

    let ran = stage.go(&["plan"]).ok();
    let said = flat(&ran.out);
    for told in [
        "shadow.main/shop/deployment/web will be created, in the dark",
        "to which nothing is sent",
        "+ deployment = web-wi",
        "- app.env.GOOGLE_APPLICATION_CREDENTIALS = (set)",
        "- labels.app = web",
    ] {
        assert!(said.contains(told), "{told}: {}", ran.out);
    }
    stage.reaches();
    let shadow = stage.object("Deployment", "web-wi");
    assert!(!has_key(&shadow), "{shadow}");
    assert_eq!(shadow["metadata"]["annotations"]["wi/owner"], "shop");
    assert_eq!(stage.object("Deployment", "web")["spec"], before["spec"]);
    // Its pod is there, and was asked nothing.
    assert!(
        !stage.served_by().contains("Metadata"),
        "{}",
        stage.served_by()
    );
    assert_eq!(code(&stage.migrate(&[])), 0);
    assert!(
        stage
            .told()
            .contains("shadow: Deployment shop/web in cluster.main")
    );

    let stage = rung(stage, &account, "canary");
    let ran = stage.go(&["plan"]).ok();
    let said = flat(&ran.out);
    assert!(
        said.contains("a share of those of Service web"),
        "{}",
        ran.out
    );
    assert!(said.contains("1 of 4 pods"), "{}", ran.out);
    stage.reaches();
    let by = stage.served_by();
    assert!(by.contains("Metadata") && by.contains("Key"), "{by}");
    assert!(
        stage
            .told()
            .contains("canary: Deployment shop/web in cluster.main")
    );
    assert_eq!(stage.object("Deployment", "web")["spec"], before["spec"]);

    // And back into the dark, and forward again.
    let stage = rung(stage, &account, "shadow");
    stage.reaches();
    assert!(
        !stage.served_by().contains("Metadata"),
        "{}",
        stage.served_by()
    );
    let stage = rung(stage, &account, "canary");
    stage.reaches();

    let stage = rung(stage, &account, "cutover");
    let ran = stage.reaches();
    assert!(flat(&ran.out).contains(ADDRESS), "{}", ran.out);
    assert!(!stage.has("web-wi"));
    assert!(!has_key(&stage.object("Deployment", "web")));
    assert!(!stage.served_by().contains("Key"), "{}", stage.served_by());

    // Lowered from there, the key comes back first, and then the shadow.
    let stage = rung(stage, &account, "canary");
    for _ in 0..3 {
        let ran = stage.go(&["apply", "--auto-approve"]);
        assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
        stage.settle();
    }
    assert!(has_key(&stage.object("Deployment", "web")) && stage.has("web-wi"));
    let stage = rung(stage, &account, "bound");
    // No Secret has to be opened for it.
    let ran = stage.wi(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
    stage.settle();
    assert!(!stage.has("web-wi"));
    assert_eq!(stage.object("Deployment", "web")["spec"], before["spec"]);
    assert_eq!(stage.lost(), [""; 0]);
}

#[test]
fn shadow_that_does_not_work_is_taken_away_and_no_request_is_lost() {
    let account = Account::new(602);
    let mut world = serving(&account, &[web(&pod_spec(), 2)]);
    // It reads the file by itself, whatever its variables say.
    world["apps"][0]["file"] = json!("/k/key.json");
    let stage = begin(&until(&account, "shadow", ""), &world);
    let before = stage.object("Deployment", "web");
    let ran = stage.go(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 1, "{}{}", ran.out, ran.err);
    let said = flat(&format!("{}{}", ran.out, ran.err));
    assert!(
        said.contains("it is taken away again, and its original serves as before"),
        "{said}"
    );
    stage.settle();
    assert!(!stage.has("web-wi"));
    assert_eq!(stage.object("Deployment", "web")["spec"], before["spec"]);
    assert_eq!(stage.lost(), [""; 0]);
}

#[test]
fn no_shadow_is_made_while_google_does_not_give_the_account() {
    let account = Account::new(603);
    let world = serving(&account, &[web(&pod_spec(), 1)]);
    let stage = begin(&until(&account, "shadow", ""), &world);
    stage
        .inside
        .inject(&json!({"match": "POST *:generateAccessToken", "denied": true}));
    let ran = stage.go(&["apply", "--auto-approve", "--wait-propagation", "1s"]);
    assert_eq!(code(&ran), 1, "{}{}", ran.out, ran.err);
    let said = flat(&format!("{}{}", ran.out, ran.err));
    assert!(said.contains("nothing was changed"), "{said}");
    assert!(!stage.has("web-wi"));
    assert_eq!(stage.lost(), [""; 0]);
}

#[test]
fn apply_that_ends_at_any_write_of_a_shadow_is_gone_on_with_and_undone() {
    let account = Account::new(604);
    let world = serving(&account, &[web(&pod_spec(), 2)]);
    let mut stage = begin(&until(&account, "bound", ""), &world);
    stage.reaches();
    let spec = stage.object("Deployment", "web")["spec"].clone();
    // Before a write, or after it: the answer is lost.
    for (to, write, how) in [
        ("shadow", "POST *shop/deployments?*", "denied"),
        ("canary", "PATCH *deployments/web-wi?*", "lost"),
        ("bound", "DELETE *deployments/web-wi", "denied"),
        ("shadow", "POST *shop/deployments?*", "lost"),
        ("canary", "PATCH *deployments/web-wi?*", "denied"),
        ("bound", "DELETE *deployments/web-wi", "lost"),
    ] {
        stage = rung(stage, &account, to);
        let mut fault = json!({"match": write, "times": 1});
        fault[how] = json!(true);
        stage.inside.inject(&fault);
        stage.go(&["apply", "--auto-approve"]);
        stage.reaches();
        let by = stage.served_by();
        assert_eq!(by.contains("Metadata"), to == "canary", "{to} {how}: {by}");
        assert_eq!(stage.has("web-wi"), to != "bound", "{to} {how}");
        assert_eq!(
            stage.object("Deployment", "web")["spec"],
            spec,
            "{to} {how}"
        );
    }
}

/// A foreign Service by one of its labels, an autoscaler, and an owner that would undo what is changed live.
#[test]
fn shadow_is_behind_no_foreign_service_and_shrinks_nothing_and_none_is_made_of_what_others_keep() {
    let account = Account::new(605);
    let mut object = web(&pod_spec(), 2);
    object["spec"]["template"]["metadata"]["labels"]["tier"] = json!("front");
    let mut front = service();
    front["metadata"]["name"] = json!("front");
    front["spec"]["selector"] = json!({"tier": "front"});
    let scaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "cpu", "namespace": "shop"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 2, "maxReplicas": 4,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}],
        },
    });
    let mut world = serving(&account, &[object.clone(), front, scaler]);
    // An autoscaler looks each 15 seconds.
    world["timeScale"] = json!(50.0);
    let stage = begin(&until(&account, "canary", ""), &world);
    let ran = stage.go(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
    stage.settle();
    let shadow = stage.object("Deployment", "web-wi");
    let labels = &shadow["spec"]["template"]["metadata"]["labels"];
    assert_eq!(*labels, json!({"wi/shadow": "web"}));
    let ran = stage.go(&["plan", "--detailed-exitcode"]).ok();
    let said = flat(&ran.out);
    assert!(said.contains("No changes."), "{}", ran.out);
    assert!(said.contains("HorizontalPodAutoscaler cpu"), "{}", ran.out);
    assert!(
        !stage.served_by().contains("Metadata"),
        "{}",
        stage.served_by()
    );
    assert_eq!(stage.lost(), [""; 0]);

    object["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm"});
    let stage = begin(
        &until(&account, "shadow", ""),
        &serving(&account, &[object]),
    );
    let ran = stage.go(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
    assert!(flat(&ran.out).contains("it is kept by Helm"), "{}", ran.out);
    assert_eq!(stage.writes("POST"), 0);
    assert_eq!(code(&stage.migrate(&[])), 3);
}

#[test]
fn shadow_that_no_spec_asks_for_any_more_is_found_and_taken_away_and_others_copies_are_not() {
    let account = Account::new(606);
    let world = serving(&account, &[web(&pod_spec(), 1)]);
    let stage = begin(&until(&account, "shadow", ""), &world);
    stage.reaches();
    // Somebody's copy of it has its text, and is somebody's.
    let mut copy: Value = stage.object("Deployment", "web-wi");
    copy["metadata"] = json!({
        "name": "copy", "namespace": "shop", "labels": copy["metadata"]["labels"],
        "annotations": copy["metadata"]["annotations"],
    });
    copy["spec"]["selector"] = json!({"matchLabels": {"app": "copy"}});
    copy["spec"]["template"]["metadata"]["labels"] = json!({"app": "copy"});
    let mut world = stage.inside.world();
    let objects = world["clusters"][0]["objects"].as_array_mut();
    objects.expect("objects").push(copy);
    let stage = begin(&until(&account, "bound", ""), &world);
    let ran = stage.wi(&["apply", "--auto-approve"]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
    assert!(
        flat(&ran.out).contains("the spec does not ask for it"),
        "{}",
        ran.out
    );
    assert!(!stage.has("web-wi") && stage.has("copy"));
}

/// The pull requests of a migration are reverted while its canary serves: `migrate:` and `impersonates` go at once.
#[test]
fn identity_that_a_canary_lives_on_goes_after_it_and_no_request_is_lost() {
    let account = Account::new(607);
    let world = serving(&account, &[web(&pod_spec(), 2)]);
    let mut stage = begin(&until(&account, "shadow", ""), &world);
    stage.reaches();
    stage = rung(stage, &account, "canary");
    stage.reaches();
    assert!(stage.served_by().contains("Metadata"));

    let reverted = "namespaces: { shop: { serviceAccounts: { web: {} } } }\n";
    stage = stage.under_now(&spec(&account, reverted));
    let delete = "DELETE *deployments/web-wi";
    let fault = json!({"match": delete, "times": 1, "lost": true});
    stage.inside.inject(&fault);
    let ran = stage.wi(&["apply", "--auto-approve", "--allow-mass-removal"]);
    assert_eq!(code(&ran), 0, "{}{}", ran.out, ran.err);
    assert!(!stage.has("web-wi"));
    let annotation = &stage.inside.world()["clusters"][0]["namespaces"]["shop"]["serviceAccounts"]
        ["web"]["annotations"]["iam.gke.io/gcp-service-account"];
    assert!(annotation.is_null(), "{annotation}");
    assert!(!stage.served_by().contains("Metadata"));
    assert_eq!(stage.lost(), [""; 0]);
}
