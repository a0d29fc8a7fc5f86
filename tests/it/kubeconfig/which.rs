//! Which cluster: what a context leads to has to be the one that the spec means.

use super::*;

/// A front, whose CA GKE knows nothing of, before the sandbox; and what may not be done there.
fn behind_a_front(denied: &str) -> (Served, Front) {
    let world = WORLD.replace("name: main,", &format!("name: main, denied: [{denied}],"));
    let context = "gke_acme-prod_europe-west1-b_main";
    let place = Place::new(&SPEC.replace("CONTEXT", context), &world);
    let served = Served::of(place);
    served
        .place
        .write("mine", &read(&served, "kubeconfig").to_string());
    let front = in_front(&served, "127.0.0.1", None);
    (served, front)
}

fn annotate(served: &Served, cluster: &str) {
    let namespace = "/kubernetes/acme-prod/europe-west1-b/main/api/v1/namespaces/kube-system";
    let upstream = upstream(served);
    let patch = json!({"metadata": {"annotations": {"wi/cluster": cluster}}}).to_string();
    let path = namespace.split_once("/main").expect("a path").1;
    let sent = upstream
        .client
        .patch(format!("{}{path}", upstream.server))
        .bearer_auth(upstream.token)
        .header("content-type", "application/merge-patch+json")
        .body(patch);
    let runtime = crate::support::inside::runtime();
    let answer = runtime.block_on(sent.send()).expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
}

fn counted(served: &Served, call: &str) -> u64 {
    served
        .calls()
        .get(call)
        .and_then(Value::as_u64)
        .unwrap_or(0)
}

const NODES: &str = "GET /kubernetes/acme-prod/europe-west1-b/main/api/v1/nodes";

#[test]
fn a_context_whose_cluster_cannot_be_told_is_refused() {
    let (served, front) = behind_a_front("list nodes");
    for command in [["plan", "wi.yaml"], ["doctor", "wi.yaml"]] {
        let ran = served.wi(&command).fails();
        let text = flat(&ran.out);
        for part in [
            "may be another cluster's",
            "its nodes cannot be listed",
            "gcloud container clusters get-credentials main --location=europe-west1-b --project=acme-prod",
            "kubectl annotate namespace kube-system wi/cluster=projects/acme-prod/locations/europe-west1-b/clusters/main",
        ] {
            assert!(
                text.contains(part),
                "{command:?}: `{part}` is not in:\n{text}"
            );
        }
    }
    served
        .wi(&["apply", "wi.yaml", "--auto-approve", "--allow-incomplete"])
        .ok();
    let written = front.asked().into_iter().filter(|a| a.method != "GET");
    let written: Vec<_> = written.filter(|a| a.method != "POST").collect(); // access reviews
    assert!(written.is_empty(), "{written:?}");
}

#[test]
fn whoever_runs_a_cluster_says_which_one_it_is() {
    let (served, _front) = behind_a_front("list nodes");
    annotate(
        &served,
        "projects/acme-prod/locations/europe-west1-b/clusters/other",
    );
    let text = flat(&plan(&served, false).fails().out);
    assert!(
        text.contains("is another cluster's: its namespace kube-system"),
        "{text}"
    );
    annotate(
        &served,
        "projects/acme-prod/locations/europe-west1-b/clusters/main",
    );
    plan(&served, false).ok();
}

#[test]
fn names_of_nodes_tell_where_the_certificate_does_not() {
    let (served, _front) = behind_a_front("");
    plan(&served, false).ok();
    assert_eq!(counted(&served, NODES), 1);
}

#[test]
fn the_ca_that_gke_names_is_proof_and_no_node_is_listed() {
    let world = WORLD.replace("name: main,", "name: main, denied: [list nodes],");
    let context = "gke_acme-prod_europe-west1-b_main";
    let served = Served::of(Place::new(&SPEC.replace("CONTEXT", context), &world));
    served
        .place
        .write("mine", &read(&served, "kubeconfig").to_string());
    plan(&served, false).ok();
    assert_eq!(counted(&served, NODES), 0);
    // The other cluster's context has another CA, and is the other cluster.
    let spec = std::fs::read_to_string(served.place.path("wi.yaml")).expect("a spec");
    served
        .place
        .write("wi.yaml", &spec.replace("_main", "_other"));
    let text = flat(&plan(&served, false).fails().out);
    assert!(text.contains("is another cluster's: its nodes"), "{text}");
}

/// A kubeconfig that another program rewrites between the plan and its apply (`gcloud container clusters
/// get-credentials` sets the current context).
#[test]
fn the_context_of_the_plan_is_the_one_of_the_apply() {
    let served = served(|_| {});
    let spec = std::fs::read_to_string(served.place.path("wi.yaml")).expect("a spec");
    let current = spec.replace(", context: gke_acme-prod_europe-west1-b_main", "");
    assert_ne!(current, spec);
    served.place.write("wi.yaml", &current);
    edit(&served, |config| {
        config["current-context"] = json!("gke_acme-prod_europe-west1-b_main")
    });
    let accounts = "/kubernetes/acme-prod/europe-west1-b/main/api/v1/namespaces/shop";
    served.inject(&json!({"match": "PATCH *namespaces/shop?*dryRun=All", "hold": "request"}));
    let mut child =
        crate::support::spawn(&mut served.command(&["apply", "wi.yaml", "--auto-approve"]));
    served.stands_still(&mut child);
    edit(&served, |config| {
        config["current-context"] = json!("gke_acme-prod_europe-west1-b_other")
    });
    served.sandbox.heal();
    let ran: Ran = child.wait_with_output().expect("it ends").into();
    let ran = ran.ok();
    assert!(ran.out.contains("Apply complete!"), "{}", ran.out);
    assert!(counted(&served, &format!("PATCH {accounts}")) > 0);
    let other = accounts.replace("/main/", "/other/");
    assert_eq!(counted(&served, &format!("PATCH {other}")), 0);
}

/// Who may not write is told so as whom the server knows: by RBAC, or by roles of Google's where the context's own
/// credentials are Google's.
#[test]
fn whoever_lacks_a_right_is_named_as_the_server_knows_them() {
    let world = WORLD.replace(
        "name: main,",
        "name: main, denied: [patch serviceaccounts], namespaces: { shop: {} },",
    );
    let context = "gke_acme-prod_europe-west1-b_main";
    let of = |user: Value| {
        let served = Served::of(Place::new(&SPEC.replace("CONTEXT", context), &world));
        let mut config = read(&served, "kubeconfig");
        for key in user.as_object().expect("a user").keys() {
            config["users"][0]["user"][key] = user[key].clone();
        }
        served.place.write("mine", &config.to_string());
        let doctor = served.wi(&["doctor", "wi.yaml"]).fails();
        let apply = served.wi(&["apply", "wi.yaml", "--auto-approve"]).fails();
        let name = config["users"][0]["name"].as_str().expect("a name");
        (flat(&doctor.out), flat(&apply.err), name.to_owned())
    };
    let (doctor, apply, name) = of(json!({}));
    let user = format!("user {name} of mine");
    assert!(
        doctor.contains(&format!("Have {user} allowed to by RBAC")),
        "{doctor}"
    );
    assert!(apply.contains(&format!("RBAC, for {user}")), "{apply}");
    let (doctor, apply, _) = of(json!({ "as": "jane@example.com" }));
    let jane = "jane@example.com (user";
    assert!(doctor.contains(&format!("Have {jane}")), "{doctor}");
    assert!(apply.contains(&format!("RBAC, for {jane}")), "{apply}");
    let (doctor, apply, _) = of(json!({ "token": null, "exec": {
        "apiVersion": "client.authentication.k8s.io/v1beta1", "command": "gke-gcloud-auth-plugin" } }));
    assert!(
        doctor.contains("gcloud projects add-iam-policy-binding acme-prod"),
        "{doctor}"
    );
    assert!(apply.contains("roles/container.developer"), "{apply}");
}
