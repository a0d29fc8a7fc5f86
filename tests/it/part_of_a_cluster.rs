//! A cluster that is others' to manage, and one that is not where the spec says.

use serde_json::json;

use crate::support::served::Served;
use crate::support::{Place, flat};

const TENANT: &str = "\
apiVersion: wi/v1
name: tenant-a
project: tenant-a-prod
clusters: { shared: { project: platform-gke, location: us-west1, manage: false } }
googleServiceAccounts:
  reader:
    grants:
      - { role: roles/secretmanager.secretAccessor, resource: secret/app-env }
namespaces:
  tenant-a:
    create: false
    serviceAccounts:
      reader: { impersonates: reader }
";

/// The caller has no right to the cluster, and one of its node pools has pods on the node's identity.
const PLATFORM: &str = "\
apiVersion: wi.sandbox/v1
timeScale: 2000
callerLacks: [container.clusters.update, container.clusters.get, container.operations.get, container.operations.list]
projects: { tenant-a-prod: { number: 555555555555 }, platform-gke: { number: 666666666666 } }
resources: { //secretmanager.googleapis.com/projects/tenant-a-prod/secrets/app-env: {} }
clusters:
  - project: platform-gke
    location: us-west1
    name: shared
    workloadPool: platform-gke.svc.id.goog
    nodePools: [{ name: p1, nodes: 1, workloadMetadata: GKE_METADATA }, { name: infra, nodes: 1, workloadMetadata: GCE_METADATA }]
    namespaces: { tenant-a: {}, tenant-b: {} }
    pods:
      - { name: agent-1, namespace: tenant-b, serviceAccountName: default, owner: { kind: DaemonSet, name: agent } }
";

/// Nothing of the cluster's own is written, and nothing is left to do.
fn is_applied(place: &Served) {
    let ran = place.wi(&["apply", "--auto-approve"]).ok();
    assert!(!ran.out.contains("nodepool."), "{}", ran.out);
    assert!(!ran.out.contains("~ cluster.shared"), "{}", ran.out);
    let writes = place.writes();
    let of_gke = writes.iter().find(|(what, _)| what.contains("/clusters/"));
    assert_eq!(of_gke, None, "{writes:?}");
    let world = serde_json::to_value(place.sandbox.snapshot()).expect("JSON");
    let members = &world["projects"]["tenant-a-prod"]["serviceAccounts"]["reader"]["policy"]["bindings"]
        [0]["members"];
    assert_eq!(
        *members,
        json!(["serviceAccount:platform-gke.svc.id.goog[tenant-a/reader]"])
    );
    let plan = place.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "{}{}", plan.out, plan.err);
}

#[test]
fn a_cluster_of_others_is_left_alone_and_what_is_in_it_is_managed() {
    let place = Served::of(Place::new(TENANT, PLATFORM));
    is_applied(&place);
    // No policy of the project that the cluster is in was asked for.
    let calls = place.calls();
    let asked = calls
        .keys()
        .find(|c| c.contains("projects/platform-gke:getIamPolicy"));
    assert_eq!(asked, None);
}

#[test]
fn the_example_of_a_tenant_converges_and_leaves_the_rest_of_the_cluster_alone() {
    let place = Place::example("tenant");
    let apply = place.wi(&["apply", "--auto-approve"]).ok();
    assert!(!apply.out.contains("nodepool."), "{}", apply.out);
    let plan = place.wi(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "{}{}", plan.out, plan.err);
    assert!(
        flat(&plan.out).contains("ksa.shared/reports/exporter is not there yet"),
        "{}",
        plan.out
    );
}

#[test]
fn a_refusal_to_change_a_cluster_names_the_way_to_leave_it_alone() {
    let place = Place::new(
        &TENANT.replace("manage: false", "acceptLoss: [tenant-b/*]"),
        PLATFORM,
    );
    let apply = place.wi(&["apply", "--auto-approve"]).fails();
    let said = flat(&(apply.out + &apply.err));
    assert!(
        said.contains("container.clusters.update") && said.contains("`manage: false`"),
        "{said}"
    );
    let doctor = Served::of(Place::new(&TENANT.replace(", manage: false", ""), PLATFORM));
    let doctor = doctor.wi(&["doctor"]).fails();
    assert!(
        doctor.out.contains("container.clusters.update"),
        "{}",
        doctor.out
    );
}

#[test]
fn a_cluster_of_others_that_has_no_workload_pool_is_told() {
    let world = PLATFORM
        .replace("    workloadPool: platform-gke.svc.id.goog\n", "")
        .replace("GKE_METADATA", "GCE_METADATA");
    let spec = TENANT.replace(
        "clusters: {",
        "clusters: { own: { project: platform-gke, location: us-east1 },",
    );
    let world = format!(
        "{world}  - {{ project: platform-gke, location: us-east1, name: own, workloadPool: platform-gke.svc.id.goog, nodePools: [], namespaces: {{ tenant-a: {{}} }} }}\n"
    );
    let place = Place::new(&spec, &world);
    let plan = place.wi(&["plan"]).ok();
    assert!(
        flat(&plan.out).contains("cluster.shared has no workload pool, and is others' to manage"),
        "{}",
        plan.out
    );
    assert!(!plan.out.contains("~ cluster.shared"), "{}", plan.out);
}

#[test]
fn a_tenant_needs_no_right_of_gke_where_a_kubeconfig_leads_in() {
    let spec = TENANT.replace(
        "manage: false",
        "manage: false, access: { kubeconfig: kubeconfig }",
    );
    let world = format!(
        "{PLATFORM}faults: [{{ match: \"GET /v1/projects/platform-gke/locations/-/clusters\", denied: true }}]\n"
    );
    let place = Served::of(Place::new(&spec, &world));
    is_applied(&place);
    let doctor = place.wi(&["doctor"]);
    assert!(
        flat(&doctor.out).contains("Cluster shared ✓ reached by its context"),
        "{}",
        doctor.out
    );
    // Without one it is said what helps.
    let place = Served::of(Place::new(TENANT, &world));
    let plan = place.wi(&["plan"]).fails();
    let said = flat(&(plan.out + &plan.err));
    assert!(
        said.contains("By a kubeconfig it is reached without"),
        "{said}"
    );
}

#[test]
fn a_tenant_with_rights_in_its_namespace_alone_is_served() {
    let world = PLATFORM.replace(
        "    name: shared\n",
        "    name: shared\n    denied: [list namespaces, list serviceaccounts in tenant-b, list serviceaccounts in kube-system]\n",
    );
    let world =
        format!("{world}faults: [{{ match: \"GET /api/v1/serviceaccounts?\", denied: true }}]\n");
    let place = Served::of(Place::new(TENANT, &world));
    is_applied(&place);
    let plan = place.wi(&["plan"]).ok();
    assert!(
        flat(&plan.out).contains("just the namespaces of the spec may be read"),
        "{}",
        plan.out
    );
}

#[test]
fn an_empty_list_of_node_pools_is_none() {
    let spec = TENANT.replace("manage: false", "nodePools: []");
    let place = Place::new(&spec, PLATFORM);
    let plan = place.wi(&["plan"]).ok();
    assert!(!plan.out.contains("nodepool."), "{}", plan.out);
}

#[test]
fn a_cluster_that_is_not_there_has_what_was_meant_proposed() {
    let of = |spec: &str| {
        let place = Place::new(spec, PLATFORM);
        flat(&place.wi(&["plan"]).fails().out)
    };
    for manage in ["manage: false", "manage: true"] {
        let spec = TENANT.replace("manage: false", manage);
        let said = of(&spec.replace("us-west1", "us-west1-a"));
        assert!(
            said.contains("There is one of that name in us-west1: write location: us-west1"),
            "{said}"
        );
        let said = of(&spec.replace("manage:", "name: sharde, manage:"));
        assert!(said.contains("Did you mean shared in us-west1?"), "{said}");
        let said = of(&spec.replace("manage:", "name: xyzzy, manage:"));
        assert!(said.contains("gcloud container clusters list"), "{said}");
    }
    let doctor = Served::of(Place::new(
        &TENANT.replace("us-west1", "us-west1-a"),
        PLATFORM,
    ));
    let doctor = doctor.wi(&["doctor"]).fails();
    assert!(
        flat(&doctor.out).contains("write location: us-west1"),
        "{}",
        doctor.out
    );
}

/// Where most namespaces change, their pods are one list; who may not list all of them asks for each.
#[test]
fn pods_are_listed_at_once_or_by_namespace_and_the_plan_is_the_same() {
    let names = ["a", "b", "c", "d", "e"];
    let each = |of: &dyn Fn(&str) -> String| names.map(of).join(", ");
    let spec = format!(
        "apiVersion: wi/v1\nname: t\nproject: acme-prod\nclusters: {{ main: {{ location: europe-west1 }} }}\ngoogleServiceAccounts: {{ checkout: {{}} }}\nnamespaces: {{ {} }}\n",
        each(&|n| format!("{n}: {{ serviceAccounts: {{ web: {{ impersonates: checkout }} }} }}"))
    );
    let world = format!(
        "apiVersion: wi.sandbox/v1\nprojects: {{ acme-prod: {{ serviceAccounts: {{ checkout: {{}} }} }} }}\nclusters:\n  - project: acme-prod\n    location: europe-west1\n    name: main\n    workloadPool: acme-prod.svc.id.goog\n    nodePools: [{{ name: p, nodes: 1, workloadMetadata: GKE_METADATA }}]\n    namespaces: {{ {} }}\n    pods: [{}]\n",
        each(&|n| format!("{n}: {{ serviceAccounts: {{ web: {{}} }} }}")),
        each(&|n| format!("{{ namespace: {n}, name: web-0, serviceAccountName: web }}"))
    );
    let place = Served::of(Place::new(&spec, &world));
    let lists = |place: &Served| -> Vec<String> {
        let calls = place.calls();
        let lists = calls.keys().filter(|call| call.ends_with("/pods"));
        lists
            .map(|c| c[c.find("/api/v1/").expect("it is Kubernetes'")..].to_owned())
            .collect()
    };
    let all = place.wi(&["plan"]).ok();
    for name in names {
        assert!(all.out.contains(&format!("{name}/web-0")), "{}", all.out);
    }
    assert_eq!(lists(&place), ["/api/v1/pods"]);
    place.inject(&json!({"match": "GET /api/v1/pods", "denied": true}));
    let by_namespace = place.wi(&["plan"]).ok();
    assert_eq!(by_namespace.out, all.out);
    assert_eq!(lists(&place).len(), 1 + names.len());
}
