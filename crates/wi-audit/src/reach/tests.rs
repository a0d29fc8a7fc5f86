//! The closure against a twin that asks the engine about every pair, on worlds that are drawn at random.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;
use wi_core::access::{Answer, Question, Unseen, ask};
use wi_core::live::Seen;
use wi_core::names::{ClusterPath, Email, ProjectId};
use wi_core::resource::Resource;

use super::{Graph, How, Node, of};
use crate::fixture::{self, POOL, email, policy, resource, wire};
use crate::world::{Cluster, World};

const OTHER: &str = "job@acme-two.iam.gserviceaccount.com";
const ON: [&str; 7] = [
    "project/acme-prod",
    "project/acme-two",
    "folder/7",
    "bucket/acme-b",
    "serviceaccount/webapp@acme-prod.iam.gserviceaccount.com",
    "serviceaccount/other@acme-prod.iam.gserviceaccount.com",
    "serviceaccount/job@acme-two.iam.gserviceaccount.com",
];
const ROLES: [&str; 10] = [
    "roles/iam.workloadIdentityUser",
    "roles/iam.serviceAccountTokenCreator",
    "roles/iam.serviceAccountUser",
    "roles/iam.serviceAccountKeyAdmin",
    "roles/resourcemanager.projectIamAdmin",
    "roles/run.developer",
    "roles/container.developer",
    "roles/storage.objectViewer",
    "projects/acme-prod/roles/unread",
    "roles/folderAdmin",
];
const CONDITIONS: [Option<&str>; 4] = [
    None,
    Some("request.time < timestamp(\"2027-01-01T00:00:00Z\")"),
    Some("request.time < timestamp(\"2026-01-01T00:00:00Z\")"),
    Some("resource.matchTag('a/b', 'c')"),
];
const URL: &str =
    "https://container.googleapis.com/v1/projects/acme-prod/locations/europe-west1/clusters";

fn members() -> Vec<String> {
    let accounts = ["webapp", "other", "nodes"].map(|a| format!("serviceAccount:{}", email(a)));
    let mut all = vec![
        "serviceAccount:acme-prod.svc.id.goog[shop/web]".to_owned(),
        format!("principal://{POOL}/subject/ns/shop/sa/default"),
        "serviceAccount:acme-prod.svc.id.goog[gone/gone]".to_owned(),
        format!("principalSet://{POOL}/namespace/shop"),
        format!("principalSet://{POOL}/kubernetes.cluster/{URL}/two"),
        format!("principalSet://{POOL}/kubernetes.serviceaccount.uid/uid-web"),
        format!("principalSet://{POOL}/*"),
        format!("serviceAccount:{OTHER}"),
        "user:ann@example.com".to_owned(),
        "group:devs@example.com".to_owned(),
        "projectEditor:acme-prod".to_owned(),
    ];
    all.extend(accounts);
    all
}

type Drawn = (usize, usize, usize, usize);

fn world(bindings: &[Drawn]) -> World {
    let mut world = fixture::world();
    let two: ProjectId = ProjectId::parse("acme-two").expect("a project");
    world.role(
        "roles/folderAdmin",
        &["resourcemanager.folders.setIamPolicy"],
    );
    let path = ClusterPath {
        project: fixture::project(),
        location: "europe-west1".to_owned(),
        name: "two".to_owned(),
    };
    let ksa = |name: &str, uid: &str| {
        let meta = wire(json!({ "namespace": "shop", "name": name, "uid": uid }));
        (("shop".to_owned(), name.to_owned()), meta)
    };
    let cluster = Cluster {
        path,
        declared: false,
        gke: Seen::Found(wire(json!({ "name": "two", "nodePools": [{ "name": "p",
            "config": { "serviceAccount": fixture::NODES } }] }))),
        ksas: Seen::Found(BTreeMap::from([ksa("web", "uid-2"), ksa("api", "uid-3")])),
        all_namespaces: true,
        pods: Seen::Found(vec![wire(
            json!({ "metadata": { "namespace": "shop", "name": "p" },
            "spec": { "serviceAccountName": "api", "nodeName": "n" } }),
        )]),
        nodes: Seen::Found(vec![wire(json!({ "name": "n",
            "labels": { "cloud.google.com/gke-nodepool": "p" } }))]),
        config_maps: BTreeMap::new(),
    };
    let live = world.there();
    live.clusters.insert("two".to_owned(), cluster);
    let job = Email::parse(OTHER).expect("an email");
    let iam = &mut live.iam;
    for on in [
        "project/acme-two".to_owned(),
        format!("serviceaccount/{OTHER}"),
    ] {
        iam.policies.insert(resource(&on), policy(json!([])));
    }
    let above = vec![resource("folder/7"), resource("organization/9")];
    iam.ancestors.insert(two.clone(), Seen::Found(above));
    iam.numbers.insert(two, Seen::Found(43));
    let denies = Seen::Found(Vec::new());
    iam.denies.insert(resource("project/acme-two"), denies);
    let set = resource("project/acme-two").full_name();
    iam.boundaries.insert(set, Seen::Found(Vec::new()));
    iam.accounts
        .insert(job.clone(), Seen::Found(wire(json!({ "email": job }))));
    let members = members();
    for (on, role, member, condition) in bindings {
        world.bind_if(
            ON[*on],
            ROLES[*role],
            &members[*member],
            CONDITIONS[*condition],
        );
    }
    world
}

/// 2: yes, 1: it cannot be told, 0: no. Whom nobody lists is nobody.
fn says(world: &World, graph: &Graph<'_>, who: &Node, permission: &str, on: &Resource) -> u8 {
    let Some(principal) = graph.principal(who) else {
        return 0;
    };
    let live = world.live().expect("live");
    let question = Question {
        principal: &principal,
        permission,
        resource: on,
        at: world.now,
    };
    match ask(&live.iam, &question) {
        Answer::Allowed { .. } => 2,
        Answer::Denied { .. } => 0,
        Answer::Unknown { because } => {
            let told = |u: &Unseen| match u {
                Unseen::Members(_) => false,
                Unseen::Policy(unread, _) => unread != on || on.kind().short != "folder",
                _ => true,
            };
            u8::from(because.iter().any(told))
        }
    }
}

/// All whom one becomes at once, with whether that is certain: every account is asked about, by every permission.
fn steps(world: &World, graph: &Graph<'_>, who: &Node) -> BTreeMap<Node, u8> {
    let live = world.live().expect("live");
    let mut all: BTreeMap<Node, u8> = BTreeMap::new();
    let mut add = |node: Node, sure: u8| {
        if sure > 0 && node != *who {
            let known = all.entry(node).or_default();
            *known = (*known).max(sure);
        }
    };
    let best = |permissions: &[&str], on: &[Resource]| {
        let asked = on.iter().flat_map(|r| {
            permissions
                .iter()
                .map(move |p| says(world, graph, who, p, r))
        });
        asked.max().unwrap_or(0)
    };
    let projects = [resource("project/acme-prod"), resource("project/acme-two")];
    let runs = best(
        &["run.services.create", "compute.instances.create"],
        &projects,
    );
    let emails: BTreeSet<Email> = live.iam.accounts.keys().cloned().collect();
    for account in emails {
        let own = [Resource::ServiceAccount(account.clone())];
        let becomes = best(
            &[
                "iam.serviceAccounts.getAccessToken",
                "iam.serviceAccounts.signBlob",
                "iam.serviceAccountKeys.create",
                "iam.serviceAccounts.setIamPolicy",
            ],
            &own,
        );
        let acts = best(&["iam.serviceAccounts.actAs"], &own);
        let chain = live.iam.chain(&own[0]).resources;
        let sets = chain
            .iter()
            .map(|on| match on.kind().short {
                "project" => says(
                    world,
                    graph,
                    who,
                    "resourcemanager.projects.setIamPolicy",
                    on,
                ),
                "folder" => says(
                    world,
                    graph,
                    who,
                    "resourcemanager.folders.setIamPolicy",
                    on,
                ),
                _ => 0,
            })
            .max()
            .unwrap_or(0);
        add(
            Node::Account(account),
            becomes.max(acts.min(runs)).max(sets),
        );
    }
    for (name, cluster) in &live.clusters {
        let project = [Resource::Project(cluster.path.project.clone())];
        let pods = best(
            &[
                "container.serviceAccounts.createToken",
                "container.pods.create",
            ],
            &project,
        );
        add(Node::Cluster(name.clone()), pods);
        let ksa = |namespace: &str, called: &str| Node::Ksa {
            cluster: name.clone(),
            namespace: namespace.to_owned(),
            name: called.to_owned(),
        };
        if *who == Node::Cluster(name.clone()) {
            for (namespace, called) in cluster.ksas.found().expect("seen").keys() {
                add(ksa(namespace, called), 2);
            }
            for binding in live
                .iam
                .policies
                .values()
                .filter_map(Seen::found)
                .flat_map(|p| &p.bindings)
            {
                for member in &binding.members {
                    if let wi_core::names::Member::Ksa(k) = wi_core::names::Member::parse(member) {
                        add(ksa(&k.namespace, &k.name), 2);
                    }
                }
            }
            for pool in &cluster.gke.found().expect("seen").node_pools {
                let pool = pool.name.clone();
                add(
                    Node::NodePool {
                        cluster: name.clone(),
                        pool,
                    },
                    2,
                );
            }
        }
    }
    let nodes = Node::Account(Email::parse(fixture::NODES).expect("an email"));
    match who {
        Node::NodePool { cluster, .. } => {
            add(nodes, 2);
            let name = if cluster == "two" { "api" } else { "web" };
            let pod = Node::Ksa {
                cluster: cluster.clone(),
                namespace: "shop".to_owned(),
                name: name.to_owned(),
            };
            add(pod, 2);
        }
        // The pool of `two` has no metadata server of GKE's.
        Node::Ksa { cluster, name, .. } if cluster == "two" && name == "api" => add(nodes, 2),
        _ => {}
    }
    all
}

/// The steps of each that was asked for.
type Known = BTreeMap<Node, BTreeMap<Node, u8>>;

/// The naive closure: over all pairs, until nothing changes.
fn twin(
    world: &World,
    graph: &Graph<'_>,
    from: &Node,
    known_steps: &mut Known,
) -> BTreeMap<Node, u8> {
    let mut reached = BTreeMap::from([(from.clone(), 2)]);
    loop {
        let mut more = reached.clone();
        for (node, sure) in &reached {
            let own = known_steps.entry(node.clone());
            let own = own.or_insert_with(|| steps(world, graph, node));
            for (to, step) in own {
                let known = more.entry(to.clone()).or_default();
                *known = (*known).max((*step).min(*sure));
            }
        }
        if more == reached {
            return reached;
        }
        reached = more;
    }
}

fn subjects() -> Vec<Node> {
    let ksa = |cluster: &str, name: &str| Node::Ksa {
        cluster: cluster.to_owned(),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
    };
    vec![
        ksa("main", "web"),
        ksa("main", "default"),
        ksa("two", "web"),
        ksa("two", "api"),
        Node::Account(email("webapp")),
        Node::Account(Email::parse(OTHER).expect("an email")),
        Node::NodePool {
            cluster: "main".to_owned(),
            pool: "general".to_owned(),
        },
        Node::Cluster("two".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn closure_is_that_of_a_twin_that_asks_about_every_pair(
        bindings in prop::collection::vec((0..ON.len(), 0..ROLES.len(), 0..14_usize, 0..CONDITIONS.len()), 0..9)
    ) {
        let world = world(&bindings);
        let live = world.live().expect("live");
        let graph = Graph::of(&world, live, world.now);
        let mut known = Known::new();
        for from in subjects() {
            let found: BTreeMap<Node, u8> = of(&graph, &from, usize::MAX)
                .into_iter()
                .map(|(node, path)| (node, if path.is_sure() { 2 } else { 1 }))
                .collect();
            prop_assert_eq!(found, twin(&world, &graph, &from, &mut known), "from {}", from);
        }
    }

    #[test]
    fn who_can_is_whoever_becomes_somebody_who_can(
        bindings in prop::collection::vec((0..ON.len(), 0..ROLES.len(), 0..14_usize, 0..CONDITIONS.len()), 0..9)
    ) {
        let world = world(&bindings);
        let live = world.live().expect("live");
        let graph = Graph::of(&world, live, world.now);
        let bucket = resource("bucket/acme-b");
        let who = graph.who_can(Some("storage.objects.get"), &bucket, usize::MAX);
        let mut known = Known::new();
        for from in subjects() {
            let best = twin(&world, &graph, &from, &mut known)
                .into_iter()
                .map(|(node, sure)| sure.min(says(&world, &graph, &node, "storage.objects.get", &bucket)))
                .max()
                .unwrap_or(0);
            let found = who.nodes.get(&from).map_or(0, |h| if h.because.is_empty() { 2 } else { 1 });
            prop_assert_eq!(found, best, "{}", from);
        }
    }
}

#[test]
fn a_cluster_set_does_not_reach_another_clusters_service_account() {
    let mut world = world(&[]);
    let two = format!("principalSet://{POOL}/kubernetes.cluster/{URL}/two");
    world.bind(ON[5], "roles/iam.workloadIdentityUser", &two);
    let live = world.live().expect("live");
    let graph = Graph::of(&world, live, world.now);
    let other = Node::Account(email("other"));
    let all = subjects();
    assert!(!of(&graph, &all[0], 9).contains_key(&other));
    assert!(of(&graph, &all[2], 9).contains_key(&other));
}

#[test]
fn a_deny_policy_cuts_the_path_and_one_that_was_not_read_is_told() {
    let mut world = world(&[]);
    world.bind(
        "folder/7",
        "roles/iam.serviceAccountTokenCreator",
        fixture::WEB,
    );
    let reached = |world: &World| {
        let graph = Graph::of(world, world.live().expect("live"), world.now);
        let all = of(&graph, &subjects()[0], 9);
        all.get(&Node::Account(email("other"))).cloned()
    };
    let path = reached(&world).expect("it makes tokens");
    assert!(path.is_sure() && path.steps.len() == 1 && path.steps[0].1.how == How::Token);
    let deny = json!({ "name": "policies/p/denypolicies/no", "rules": [{ "denyRule": {
        "deniedPrincipals": ["principalSet://goog/public:all"],
        "deniedPermissions": ["iam.googleapis.com/serviceAccounts.getAccessToken",
            "iam.googleapis.com/serviceAccounts.signBlob"] } }] });
    let iam = &mut world.there().iam;
    iam.denies
        .insert(resource("folder/7"), Seen::Found(vec![wire(deny)]));
    assert_eq!(reached(&world), None);
    let iam = &mut world.there().iam;
    iam.denies.insert(resource("folder/7"), fixture::refused());
    let path = reached(&world).expect("it makes tokens");
    assert!(!super::doubts(&path).is_empty());
}

/// Neither what an annotation says nor that there is a binding is a pass where the account's policy is not seen.
#[test]
fn an_annotation_whose_right_is_not_seen_may_be_a_step() {
    let web = &subjects()[0];
    let account = Node::Account(email("webapp"));
    let reached = |world: &World| {
        let graph = Graph::of(world, world.live().expect("live"), world.now);
        of(&graph, web, 9).get(&account).map(super::Path::is_sure)
    };
    let mut seen = world(&[]);
    assert_eq!(reached(&seen), Some(true));
    // Nobody listed the accounts, and what was read is the same.
    seen.there()
        .accounts
        .insert(fixture::project(), fixture::refused());
    assert_eq!(reached(&seen), Some(true));
    let on = format!("serviceaccount/{}", email("webapp"));
    seen.refuse(&on);
    assert_eq!(reached(&seen), Some(false));
    seen.there().iam.policies.remove(&resource(&on));
    assert_eq!(reached(&seen), Some(false));
    // A policy that was read, and does not give it, is a no.
    seen.there()
        .iam
        .policies
        .insert(resource(&on), policy(json!([])));
    assert_eq!(reached(&seen), None);
}

#[test]
fn who_can_has_accounts_of_projects_that_nobody_listed() {
    let mut world = world(&[]);
    let far = "far@elsewhere-1.iam.gserviceaccount.com";
    world.bind(
        "bucket/acme-b",
        "roles/storage.objectViewer",
        &format!("serviceAccount:{far}"),
    );
    let graph = Graph::of(&world, world.live().expect("live"), world.now);
    let who = graph.who_can(Some("storage.objects.get"), &resource("bucket/acme-b"), 4);
    let far = Email::parse(far).expect("an email");
    assert!(who.nodes[&Node::Account(far.clone())].because.is_empty());
    // Who may act as it is in a policy that was not read.
    let told = |u: &Unseen| matches!(u, Unseen::Policy(on, _) if *on == Resource::ServiceAccount(far.clone()));
    assert!(who.unseen.iter().any(told), "{:?}", who.unseen);
}

/// Were each asked about each, this would take minutes.
#[test]
fn thousands_of_service_accounts_are_asked_by_what_names_them() {
    let mut world = world(&[]);
    for n in 0..3_000 {
        world.ksa_there(&format!("ns{}", n % 500), &format!("app{n}"), None);
    }
    world.bind(
        "bucket/acme-b",
        "roles/storage.objectViewer",
        &format!("principalSet://{POOL}/namespace/ns7"),
    );
    let live = world.live().expect("live");
    let graph = Graph::of(&world, live, world.now);
    let who = graph.who_can(Some("storage.objects.get"), &resource("bucket/acme-b"), 4);
    let direct = who
        .nodes
        .iter()
        .filter(|(n, h)| matches!(n, Node::Ksa { .. }) && h.steps.is_empty());
    assert_eq!(direct.count(), 6);
}
