//! Two teams whose specs share an account, a namespace, a Kubernetes service account and a project, in every way
//! that we know: whatever the order of their applies, none takes anything from the other. Either both come to
//! rest, or one is told, by the other's name, what it cannot have.
//!
//! The oracle is of its own: the bindings that a team declares are written down by the generator, and are all
//! there; and what the pods of a team can do, the sandbox says.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;
use wi::apply::Status;
use wi_sandbox::world::Policy;
use wi_sandbox::{Granted, Sandbox, World};

use crate::support::client::Client;
use crate::support::inside::runtime;
use crate::support::size;

const ROLES: [&str; 3] = [
    "roles/cloudsql.client",
    "roles/pubsub.publisher",
    "roles/logging.logWriter",
];
const SHARED: &str = "shared1@acme-one.iam.gserviceaccount.com";

/// A binding as the generator has it: where, which role, whose.
type Declared = (String, String, String);

/// How the service account `web` of the namespace `shop` is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Web {
    /// It is alpha's alone.
    Alpha,
    /// Both say that they make it, in the same cluster.
    Both,
    /// Alpha has it in one cluster, beta in the other: one identity.
    Apart,
    /// Beta refers to it.
    Referred,
}

/// What a service account does for its roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Acts {
    /// As the account that both know.
    Shared,
    /// As its team's own account.
    Own,
    /// By itself, with some of [`ROLES`] on the project.
    Itself(usize),
}

#[derive(Debug, Clone)]
struct Teams {
    /// Some of [`ROLES`], by number, of the shared account and of each team's own.
    roles: [usize; 3],
    /// Whether beta says that it makes the shared account, too, instead of referring to it.
    both_own_the_account: bool,
    /// Whether beta grants to the account that it refers to.
    beta_grants: bool,
    /// Whether alpha names beta's service account among the account's users.
    declared: bool,
    beta_acts: Acts,
    web: Web,
    /// What alpha, and beta, have it do.
    web_acts: [Acts; 2],
    /// Which team applies, `true`: alpha.
    order: Vec<bool>,
}

fn teams() -> impl Strategy<Value = Teams> {
    let acts = || {
        prop_oneof![
            2 => Just(Acts::Shared),
            1 => Just(Acts::Own),
            2 => (0..8_usize).prop_map(Acts::Itself),
        ]
    };
    let web = prop_oneof![
        Just(Web::Alpha),
        Just(Web::Both),
        Just(Web::Apart),
        Just(Web::Referred)
    ];
    (
        [0..8_usize, 0..8_usize, 0..8_usize],
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.3),
        any::<bool>(),
        acts(),
        web,
        [acts(), acts()],
        prop::collection::vec(any::<bool>(), 1..5),
    )
        .prop_map(
            |(
                roles,
                both_own_the_account,
                beta_grants,
                declared,
                beta_acts,
                web,
                web_acts,
                order,
            )| Teams {
                roles,
                both_own_the_account,
                beta_grants,
                declared,
                beta_acts,
                web,
                web_acts,
                order,
            },
        )
}

fn some(mask: usize) -> impl Iterator<Item = &'static str> {
    let chosen = ROLES.into_iter().enumerate();
    chosen
        .filter(move |(i, _)| mask & (1 << i) != 0)
        .map(|(_, role)| role)
}

fn list(mask: usize) -> String {
    let each: Vec<String> = some(mask)
        .map(|role| format!("{{ role: {role}, resource: project/acme-one }}"))
        .collect();
    format!("[{}]", each.join(", "))
}

/// One team's spec, and what it declares.
struct Team {
    name: &'static str,
    spec: String,
    bindings: BTreeSet<Declared>,
    /// Service accounts of the namespace `shop` that are its to name.
    ksas: BTreeSet<&'static str>,
    /// Those of them that it only refers to: once another team makes one its own, that decides about its roles.
    referred: BTreeSet<String>,
}

impl Team {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            spec: format!("apiVersion: wi/v1\nname: {name}\nproject: acme-one\nclusters:\n"),
            bindings: BTreeSet::new(),
            ksas: BTreeSet::new(),
            referred: BTreeSet::new(),
        }
    }

    fn clusters(&mut self, names: &[&str]) {
        for name in names {
            self.spec += &format!("  {name}: {{ location: europe-west1 }}\n");
        }
        self.spec += "googleServiceAccounts:\n";
    }

    fn own(&mut self, mask: usize) {
        let id = format!("{}-own", self.name);
        self.spec += &format!("  {id}: {{ grants: {} }}\n", list(mask));
        self.granted(&format!("{id}@acme-one.iam.gserviceaccount.com"), mask);
    }

    fn granted(&mut self, who: &str, mask: usize) {
        for role in some(mask) {
            let binding = ("acme-one".to_owned(), role.to_owned(), who.to_owned());
            self.bindings.insert(binding);
        }
    }

    /// One service account of the namespace `shop`, and how its line goes on.
    fn ksa(&mut self, ksa: &'static str, acts: Acts, more: &str) {
        self.ksas.insert(ksa);
        let identity = format!("shop/{ksa}");
        let own = format!("{}-own", self.name);
        let account = match acts {
            Acts::Shared => "shared1".to_owned(),
            Acts::Own => own,
            Acts::Itself(mask) => {
                self.spec += &format!("      {ksa}: {{ grants: {}{more} }}\n", list(mask));
                return self.granted(&identity, mask);
            }
        };
        self.spec += &format!("      {ksa}: {{ impersonates: {account}{more} }}\n");
        let email = format!("{account}@acme-one.iam.gserviceaccount.com");
        let role = "roles/iam.workloadIdentityUser".to_owned();
        self.bindings.insert((email, role, identity));
    }
}

impl Teams {
    fn alpha(&self) -> Team {
        let mut alpha = Team::new("alpha");
        alpha.clusters(&["c0"]);
        let users = match self.declared {
            true => ", users: [shop/beta]",
            false => "",
        };
        alpha.spec += &format!("  shared1: {{ grants: {}{users} }}\n", list(self.roles[0]));
        alpha.granted(SHARED, self.roles[0]);
        alpha.own(self.roles[1]);
        alpha.spec += "namespaces:\n  shop:\n    serviceAccounts:\n";
        alpha.ksa("alpha", Acts::Shared, "");
        alpha.ksa("web", self.web_acts[0], "");
        alpha
    }

    fn beta(&self) -> Team {
        let mut beta = Team::new("beta");
        beta.clusters(match self.web {
            Web::Apart => &["c1"],
            _ => &["c0"],
        });
        beta.own(self.roles[2]);
        if self.both_own_the_account {
            beta.spec += "  shared1: {}\n";
        } else if self.beta_grants {
            beta.spec += &format!("  shared1: {{ email: {SHARED}, grants: {} }}\n", list(1));
            beta.granted(SHARED, 1);
        } else {
            beta.spec += &format!("  shared1: {{ email: {SHARED} }}\n");
        }
        beta.spec += "namespaces:\n  shop:\n    serviceAccounts:\n";
        beta.ksa("beta", self.beta_acts, "");
        match self.web {
            Web::Alpha => {}
            Web::Both | Web::Apart => beta.ksa("web", self.web_acts[1], ""),
            Web::Referred => {
                beta.ksa("web", self.web_acts[1], ", existing: true");
                beta.referred.insert("shop/web".to_owned());
                if self.web_acts[1] == Acts::Shared && self.web_acts[0] != Acts::Shared {
                    // It does not act as alpha's account, and so beta's right to is not made.
                    beta.bindings
                        .retain(|(on, _, who)| on != SHARED || who != "shop/web");
                }
            }
        }
        beta
    }
}

/// Pods of each service account run in both clusters.
fn world() -> World {
    let mut yaml = "apiVersion: wi.sandbox/v1
timeScale: 4000
projects: { acme-one: { number: 111111111111, workloadPoolSince: 2026-01-01T00:00:00Z } }
clusters:
"
    .to_owned();
    for cluster in ["c0", "c1"] {
        yaml += &format!(
            "  - project: acme-one\n    location: europe-west1\n    name: {cluster}\n    autopilot: true\n    namespaces: {{ shop: {{ serviceAccounts: {{ alpha: {{}}, beta: {{}}, web: {{}} }} }} }}\n    pods:\n"
        );
        for ksa in ["alpha", "beta", "web"] {
            yaml += &format!(
                "      - {{ name: {ksa}-1, namespace: shop, serviceAccountName: {ksa}, owner: {{ kind: ReplicaSet, name: {ksa}-66d9c }} }}\n"
            );
        }
    }
    World::parse(&yaml, "world.yaml").expect("a valid world")
}

/// All bindings that there are, as the generator writes them.
fn bindings(sandbox: &Sandbox) -> BTreeSet<Declared> {
    let world = sandbox.snapshot();
    let mut all = BTreeSet::new();
    let mut policy = |on: &str, policy: &Policy| {
        for binding in &policy.bindings {
            for member in &binding.members {
                all.insert((on.to_owned(), binding.role.clone(), in_short(member)));
            }
        }
    };
    for (project, held) in &world.projects {
        policy(project, &held.policy);
        for (id, account) in &held.service_accounts {
            let email = format!("{id}@{project}.iam.gserviceaccount.com");
            policy(&email, &account.policy);
        }
    }
    all
}

/// `NS/KSA` of either spelling, or an email.
fn in_short(member: &str) -> String {
    if let Some((_, subject)) = member.split_once(".svc.id.goog[") {
        return subject.trim_end_matches(']').to_owned();
    }
    match member.split_once("/subject/ns/") {
        Some((_, subject)) => subject.replace("/sa/", "/"),
        None => member.trim_start_matches("serviceAccount:").to_owned(),
    }
}

/// What the pods of service accounts can do, by cluster and service account.
fn access(
    sandbox: &Sandbox,
    ksas: &BTreeSet<&str>,
) -> BTreeMap<(String, String), BTreeSet<Granted>> {
    let pods = sandbox.access().into_iter();
    pods.filter(|p| ksas.contains(p.service_account.as_str()))
        .map(|p| ((p.cluster, p.service_account), p.roles))
        .collect()
}

/// What became of one team's apply.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// There was nothing to do.
    Quiet,
    Applied,
    /// The other team has what it asks for.
    Refused,
    /// Something is not made yet.
    Early,
}

async fn apply(team: &Team, other: &Team, sandbox: &Sandbox) -> Result<Ended, TestCaseError> {
    let client = Client::of(&team.spec, sandbox);
    let (plan, live) = client.plan().await;
    prop_assert!(plan.unseen.is_empty(), "{:?}", plan.unseen);
    if let Some(error) = plan.errors.first() {
        let all_name_it = plan.errors.iter().all(|e| {
            e.message.contains(&format!("`{}`", other.name)) || e.message.contains("does not exist")
        });
        prop_assert!(all_name_it, "{:#?}", plan.errors);
        let early = error.message.contains("does not exist");
        return Ok(if early { Ended::Early } else { Ended::Refused });
    }
    if plan.is_empty() {
        return Ok(Ended::Quiet);
    }
    // What is the other's before is the other's afterwards.
    let mut theirs: BTreeSet<Declared> = &other.bindings & &bindings(sandbox);
    theirs.retain(|(_, _, who)| !other.referred.contains(who));
    let only_theirs: BTreeSet<&str> = &other.ksas - &team.ksas;
    let could = access(sandbox, &only_theirs);
    let outcome = client.apply(&plan, &live, CancellationToken::new()).await;
    // IAM takes no member that is not made yet: an account that beta refers to and alpha is to make.
    let early = |end: &Status| matches!(end, Status::Failed(why) if why.contains("shared1@acme-one.iam.gserviceaccount.com does not exist"));
    let is_early = outcome.values().any(early);
    for (address, end) in &outcome {
        let waits = is_early && team.name == "beta" && matches!(end, Status::NotStarted(_));
        let done = *end == Status::Done || early(end) || waits;
        prop_assert!(done, "{}: {:?}", address, end);
    }
    let lost: Vec<Declared> = theirs.difference(&bindings(sandbox)).cloned().collect();
    prop_assert!(
        lost.is_empty(),
        "{} took from {}: {:#?}\n{:#?}",
        team.name,
        other.name,
        lost,
        plan.changes
    );
    let can = access(sandbox, &only_theirs);
    for (pod, before) in could {
        let after = &can[&pod];
        prop_assert!(
            before.is_subset(after),
            "{} took from {:?}: {:?}, {:?}",
            team.name,
            pod,
            before,
            after
        );
    }
    Ok(if is_early {
        Ended::Early
    } else {
        Ended::Applied
    })
}

async fn side_by_side(teams: &Teams) -> Result<(), TestCaseError> {
    let sandbox = Sandbox::start(world(), wi_sandbox::Options::default())
        .await
        .expect("the sandbox starts");
    let (alpha, beta) = (teams.alpha(), teams.beta());
    for first in &teams.order {
        let (team, other) = if *first {
            (&alpha, &beta)
        } else {
            (&beta, &alpha)
        };
        apply(team, other, &sandbox).await?;
    }
    for round in 0.. {
        let ends = [
            apply(&alpha, &beta, &sandbox).await?,
            apply(&beta, &alpha, &sandbox).await?,
        ];
        if !ends.contains(&Ended::Applied) {
            // What is not made yet stays so where its maker is refused.
            let waits = ends.contains(&Ended::Early);
            prop_assert!(!waits || ends.contains(&Ended::Refused), "{:?}", ends);
            let there = bindings(&sandbox);
            for (team, end) in [&alpha, &beta].into_iter().zip(&ends) {
                if *end == Ended::Quiet {
                    let missing: Vec<_> = team.bindings.difference(&there).collect();
                    prop_assert!(missing.is_empty(), "{}: {:#?}", team.name, missing);
                }
            }
            prop_assert!(waits || ends.contains(&Ended::Quiet), "{:?}", ends);
            break;
        }
        prop_assert!(round < 4, "not at rest: {:?}", ends);
    }
    sandbox.stop().await;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: size(160) as u32, max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_teams_take_nothing_from_each_other(teams in teams()) {
        runtime().block_on(side_by_side(&teams))?;
    }
}
