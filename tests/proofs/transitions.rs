//! From one spec to another: what a team has applied, and what it applies then. Over generated pairs of
//! specs, of one team or two on the same project, with single writes refused for good and parts unread, no
//! pod loses what it is still to have, nobody else's is touched, and in the end nothing is left to do but
//! what is named.
//!
//! `WI_PROOFS_SEED=N` runs one of them, and says what it does; `WI_PROOFS_SEED=N..M` some.

mod chance;
mod edits;
mod model;
mod oracle;
mod others;
mod scenery;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wi::apply::{self, Outcome, Status};
use wi_core::desired::Desired;
use wi_core::live::Live;
use wi_core::plan::{self, Options, Plan};
use wi_core::read_set::ReadSet;
use wi_sandbox::{Fault, Sandbox, World};

use crate::support::client::Client;
use crate::support::inside::{Inside, runtime};
use crate::support::size;
use chance::Chance;
use model::Spec;

const WORLDS: usize = 1000;
/// How many are under way at a time: most of them wait.
const AT_ONCE: usize = 24;
/// So many applies take it to rest, once nothing is refused.
const ROUNDS: usize = 5;

/// Two specs of each team, the world, and what goes wrong on the way.
#[derive(Debug)]
struct Transition {
    seed: u64,
    before: Vec<Spec>,
    after: Vec<Spec>,
    edits: Vec<Vec<&'static str>>,
    world: Value,
    /// Writes that are refused in the first apply.
    refusals: Vec<Value>,
    /// Reads that are refused for its plan.
    unread: Vec<Value>,
    /// Refused still while it is carried out.
    stays_unread: bool,
    allow_incomplete: bool,
    force_conflicts: bool,
    /// The former spec is at hand.
    base: bool,
    /// The teams' applies run at the same time.
    together: bool,
    /// By the program itself, whose exit code counts.
    by_program: bool,
}

impl Transition {
    fn of(seed: u64) -> Self {
        let chance = &mut Chance::of(seed);
        let clusters = *chance.pick(&[1, 1, 2, 2, 3]).expect("a number");
        let teams = 1 + usize::from(chance.percent(35));
        let whose = edits::address(0, "a0");
        let before: Vec<Spec> = (0..teams)
            .map(|t| {
                let whose = (t > 0).then_some(whose.as_str());
                edits::spec(chance, t, clusters, whose)
            })
            .collect();
        let mut after = before.clone();
        let made = after.iter_mut().enumerate().map(|(t, of)| {
            if t == 0 || chance.percent(50) {
                edits::edit(chance, t, clusters, of)
            } else {
                Vec::new()
            }
        });
        let edits = made.collect();
        let by_program = teams == 1 && chance.percent(10);
        let world = scenery::world(chance, clusters, &before, &after, !by_program);
        let refusals = if chance.percent(55) {
            refusals(chance, &before, &after, by_program)
        } else {
            Vec::new()
        };
        let unread = if chance.percent(35) {
            unread(chance, &after, by_program)
        } else {
            Vec::new()
        };
        Self {
            seed,
            before,
            after,
            edits,
            world,
            refusals,
            unread,
            stays_unread: chance.percent(50),
            allow_incomplete: chance.percent(75),
            force_conflicts: chance.percent(70),
            base: !by_program && chance.percent(40),
            together: teams > 1 && chance.percent(50),
            by_program,
        }
    }

    fn options(&self) -> Options {
        Options {
            allow_mass_removal: true,
            force_conflicts: self.force_conflicts,
            now: jiff::Timestamp::now().into(),
            ..Options::default()
        }
    }
}

/// A write or two that the servers do not take.
fn refusals(chance: &mut Chance, before: &[Spec], after: &[Spec], by_program: bool) -> Vec<Value> {
    let accounts: Vec<&str> = before
        .iter()
        .chain(after)
        .flat_map(|s| s.accounts.values())
        .map(|a| a.email.as_str())
        .collect();
    let account = *chance.pick(&accounts).unwrap_or(&scenery::NODES);
    let project = account
        .split(['@', '.'])
        .nth(1)
        .expect("a project")
        .to_owned();
    let ksas: Vec<(&String, &String)> = before
        .iter()
        .chain(after)
        .flat_map(Spec::ksas)
        .map(|(ns, name, _)| (ns, name))
        .collect();
    let (ns, ksa) = match chance.pick(&ksas) {
        Some((ns, ksa)) => (ns.as_str(), ksa.as_str()),
        None => ("shop", "web"),
    };
    let of_account = format!("/v1/projects/{project}/serviceAccounts/{account}");
    let of_ksa = format!("/api/v1/namespaces/{ns}/serviceaccounts");
    let writes = [
        "PUT /storage/v1/b/receipts/iam".to_owned(),
        "POST /v3/projects/acme-one:setIamPolicy".to_owned(),
        "POST /v1/projects/acme-one/secrets/key:setIamPolicy".to_owned(),
        "P*/bigquery/v2/projects/acme-one/datasets/sales".to_owned(),
        "POST /v1/projects/acme-one/topics/orders:setIamPolicy".to_owned(),
        format!("POST {of_account}:setIamPolicy"),
        format!("POST {of_account}:setIamPolicy"),
        "POST /v1/projects/acme-one/serviceAccounts$".to_owned(),
        format!("PATCH {of_account}"),
        format!("POST {of_account}:disable"),
        format!("POST {of_account}:enable"),
        format!("DELETE {of_account}"),
        format!("PATCH {of_ksa}/{ksa}"),
        format!("PATCH {of_ksa}/{ksa}"),
        format!("POST {of_ksa}"),
        format!("DELETE {of_ksa}/{ksa}"),
        format!("PATCH /api/v1/namespaces/{ns}?"),
        "PUT *nodePools/p".to_owned(),
        "PUT *clusters/c".to_owned(),
    ];
    let count = 1 + usize::from(chance.percent(25));
    (0..count)
        .map(|_| {
            let write = chance.pick(&writes).expect("a write");
            let status = match *chance.pick(&[400, 400, 403, 409]).expect("a status") {
                // The program waits for what a new account answers so.
                400 if by_program => 403,
                status => status,
            };
            let after = *chance.pick(&[0, 0, 0, 1]).expect("a number");
            json!({"match": write, "status": status, "after": after, "message": "Not this one."})
        })
        .collect()
}

/// A part that cannot be read.
fn unread(chance: &mut Chance, after: &[Spec], by_program: bool) -> Vec<Value> {
    let accounts: Vec<&str> = after
        .iter()
        .flat_map(|s| s.accounts.values())
        .map(|a| a.email.as_str())
        .collect();
    let account = *chance.pick(&accounts).unwrap_or(&scenery::NODES);
    let denied = |read: &str| json!({"match": read, "denied": true});
    let of_kubernetes = [
        denied("GET /api/v1/serviceaccounts"),
        denied("GET /api/v1/pods"),
        denied("GET /api/v1/nodes"),
        denied("GET /api/v1/namespaces?"),
        denied("GET /apis/apps/v1/deployments"),
    ];
    let of_google = [
        denied("GET /storage/v1/b/receipts/iam"),
        denied("POST /v3/projects/acme-one:getIamPolicy"),
        denied("GET /v1/projects/acme-one/secrets/key:getIamPolicy"),
        denied("GET /bigquery/v2/projects/acme-one/datasets/sales"),
        denied("GET /v1/projects/acme-one/topics/orders:getIamPolicy"),
        denied(&format!("POST *serviceAccounts/{account}:getIamPolicy")),
        denied(&format!("POST *serviceAccounts/{account}:getIamPolicy")),
    ];
    let of_clusters = [
        denied("GET /v1/projects/acme-one/serviceAccounts?"),
        denied("GET /v1/projects/acme-one/locations/-/clusters"),
        denied("GET /v1/projects/acme-two/locations/-/clusters"),
        denied("GET /v3/projects/acme-one$"),
        denied("GET /v3/projects/acme-two$"),
        json!({"missingZones": ["europe-west1"]}),
        json!({"missingZones": ["us-central1"]}),
        denied("GET /api/v1/"),
    ];
    let kind = if by_program {
        chance.below(2)
    } else {
        chance.below(3)
    };
    let reads = match kind {
        0 => &of_kubernetes[..],
        1 => &of_google,
        _ => &of_clusters,
    };
    let count = 1 + usize::from(chance.percent(20));
    (0..count)
        .map(|_| chance.pick(reads).expect("a read").clone())
        .collect()
}

fn inject(sandbox: &Sandbox, faults: &[Value]) {
    let faults: Vec<Fault> = serde_json::from_value(json!(faults)).expect("faults");
    sandbox.inject(faults);
}

fn read(spec: &Spec) -> Result<wi_core::spec::model::Spec, String> {
    let source = wi_core::spec::Source::new("wi.yaml".to_owned(), spec.to_json());
    wi_core::spec::load_sources(vec![source]).map_err(|e| e.render(200, false))
}

/// One team's half.
struct Side {
    client: Client,
    options: Options,
}

impl Side {
    fn of(transition: &Transition, spec: &Spec, sandbox: &Sandbox) -> Self {
        Self {
            client: Client::of(&spec.to_json(), sandbox),
            options: transition.options(),
        }
    }

    /// The same team with another spec.
    fn then(&mut self, spec: &Spec, base: bool) {
        let mut desired = Desired::of(&read(spec).expect("a valid spec"));
        if base {
            desired.succeed(&self.client.desired);
        }
        self.client.desired = desired;
    }

    async fn plan(&self) -> (Plan, Live) {
        let (http, desired) = (&self.client.http, &self.client.desired);
        let live = wi::engine::read::read(http, &ReadSet::of(desired)).await;
        let plan = plan::plan(desired, &live, &self.options);
        (plan, live)
    }

    async fn apply(&self, plan: &Plan, live: &Live) -> Outcome {
        // What is refused for good is not waited for until a new account could be seen.
        let context = self
            .client
            .context_within(plan, live, Duration::from_secs(2));
        apply::apply(Arc::new(context), CancellationToken::new()).await
    }
}

/// All that a plan says beside its changes.
fn said(plan: &Plan) -> String {
    format!(
        "{:#?}",
        (&plan.warnings, &plan.held_back, &plan.errors, &plan.unseen)
    )
}

fn not_done(outcome: &Outcome) -> BTreeMap<String, &Status> {
    let not = outcome.iter().filter(|(_, s)| **s != Status::Done);
    not.map(|(a, s)| (a.to_string(), s)).collect()
}

/// What came of one of them.
#[derive(Debug, Default)]
struct Came {
    /// Something was written in it.
    moved: bool,
    failed: bool,
    incomplete: bool,
    /// A plan had errors.
    refused: bool,
    held: bool,
}

/// Applies what there was before; whether that can be, with what is in the world.
async fn before(sides: &[Side], sandbox: &Sandbox) -> Result<bool, String> {
    for (team, side) in sides.iter().enumerate() {
        let (plan, live) = side.plan().await;
        if !plan.errors.is_empty() {
            return Ok(false);
        }
        let outcome = side.apply(&plan, &live).await;
        let not = not_done(&outcome);
        if !not.is_empty() {
            return Err(format!("BEFORE: team {team}: {not:#?}"));
        }
    }
    sandbox.settle().await;
    Ok(true)
}

/// The first apply, in which things go wrong.
async fn disturbed(
    of: &Transition,
    sides: &[Side],
    inside: &Inside,
    came: &mut Came,
) -> Result<String, String> {
    let sandbox = &inside.sandbox;
    let mut told = String::new();
    inject(sandbox, &of.unread);
    let so_far = sandbox.writes();
    if of.by_program {
        inject(sandbox, &of.refusals);
        inside.place.write("wi.yaml", &of.after[0].to_json());
        let mut args = vec!["apply", "wi.yaml", "--auto-approve", "--allow-mass-removal"];
        if of.allow_incomplete {
            args.push("--allow-incomplete");
        }
        if of.force_conflicts {
            args.push("--force-conflicts");
        }
        let ran = inside.wi(&args).await;
        let _ = writeln!(told, "exit {:?}\n{}\n{}", ran.code, ran.out, ran.err);
        came.moved |= sandbox.writes() > so_far;
        came.failed |= ran.code == Some(1);
        sandbox.heal();
        let (plan, _) = sides[0].plan().await;
        return match ran.code {
            Some(0) if !plan.is_empty() && of.unread.is_empty() => Err(format!(
                "EXIT 0, and this is left: {:#?}\n{told}",
                plan.changes
            )),
            Some(1) if plan.errors.is_empty() && of.unread.is_empty() && of.refusals.is_empty() => {
                Err(format!("EXIT 1 without a reason:\n{told}"))
            }
            Some(0 | 1) => Ok(told),
            _ => Err(format!("EXIT otherwise:\n{told}")),
        };
    }
    let mut plans = Vec::new();
    for side in sides {
        plans.push(side.plan().await);
    }
    if !of.stays_unread {
        sandbox.heal();
    }
    inject(sandbox, &of.refusals);
    let carried_out = |(plan, _): &(Plan, Live)| {
        plan.errors.is_empty() && (plan.unseen.is_empty() || of.allow_incomplete)
    };
    for (plan, _) in &plans {
        let _ = writeln!(
            told,
            "planned: {:#?}\n{}",
            plan.changes
                .keys()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            said(plan)
        );
        came.refused |= !plan.errors.is_empty();
        came.incomplete |= !plan.unseen.is_empty();
    }
    let applies = sides
        .iter()
        .zip(&plans)
        .filter(|(_, plan)| carried_out(plan))
        .map(|(side, (plan, live))| side.apply(plan, live));
    let outcomes = if of.together {
        futures::future::join_all(applies).await
    } else {
        let mut all = Vec::new();
        for apply in applies {
            all.push(apply.await);
        }
        all
    };
    for outcome in &outcomes {
        let not = not_done(outcome);
        came.moved |= not.len() < outcome.len();
        came.failed |= !not.is_empty();
        let _ = writeln!(told, "not done: {not:#?}");
    }
    sandbox.heal();
    Ok(told)
}

/// Applies until nothing is left to do; what the last plan of each team says, and whether it has errors.
async fn to_rest(sides: &[Side], sandbox: &Sandbox) -> Result<Vec<Plan>, String> {
    let mut last = Vec::new();
    for round in 0.. {
        last.clear();
        let mut any = false;
        for (team, side) in sides.iter().enumerate() {
            let (plan, live) = side.plan().await;
            if !plan.unseen.is_empty() {
                return Err(format!("UNSEEN without a fault: {:#?}", plan.unseen));
            }
            if plan.errors.is_empty() && !plan.is_empty() {
                if round == ROUNDS {
                    return Err(format!(
                        "NOT AT REST: team {team}: {:#?}\n{}",
                        plan.changes,
                        said(&plan)
                    ));
                }
                any = true;
                let outcome = side.apply(&plan, &live).await;
                let not = not_done(&outcome);
                if !not.is_empty() {
                    let needs: BTreeMap<_, _> =
                        plan.changes.iter().map(|(a, c)| (a, &c.needs)).collect();
                    return Err(format!(
                        "FAILED without a fault: team {team}: {not:#?}\n{needs:#?}"
                    ));
                }
            }
            last.push(plan);
        }
        if !any {
            sandbox.settle().await;
            return Ok(last);
        }
    }
    unreachable!("it returns")
}

async fn run(of: &Transition) -> Result<Came, String> {
    for spec in &of.after {
        read(spec).map_err(|e| format!("SPEC {e}"))?;
    }
    let text = of.world.to_string();
    let world = World::parse(&text, "world.yaml").map_err(|e| e.to_string())?;
    let inside = Inside::start("", world).await;
    let sandbox = &inside.sandbox;
    let mut came = Came::default();
    let theirs = others::of_others(of, sandbox);
    let team = |spec| Side::of(of, spec, sandbox);
    let mut sides: Vec<Side> = of.before.iter().map(team).collect();
    if !before(&sides, sandbox).await? {
        inside.sandbox.stop().await;
        return Ok(came);
    }
    others::check(&theirs, &others::of_others(of, sandbox)).map_err(|e| format!("BEFORE: {e}"))?;
    let uses = sandbox.uses();
    let first = sandbox.snapshot();
    sandbox.record_access();
    for (side, after) in sides.iter_mut().zip(&of.after) {
        side.then(after, of.base);
    }
    let told = disturbed(of, &sides, &inside, &mut came).await?;
    let tell = |e: String| format!("{e}\n\nthe first apply: {told}");
    others::check(&theirs, &others::of_others(of, sandbox)).map_err(tell)?;
    oracle::check_samples(of, &sandbox.recorded_access()).map_err(tell)?;
    let plans = to_rest(&sides, sandbox).await.map_err(tell)?;
    oracle::check_samples(of, &sandbox.recorded_access())
        .and_then(|()| others::check(&theirs, &others::of_others(of, sandbox)))
        .and_then(|()| oracle::check_silent(of, &first, &uses, &sandbox.uses()))
        .map_err(|e| format!("{e}\n\nlater, after the first apply: {told}"))?;
    for (team, plan) in plans.iter().enumerate() {
        if !plan.errors.is_empty() {
            came.refused = true;
            continue;
        }
        let nothing = plan.warnings.is_empty() && plan.held_back.is_empty();
        came.held |= !nothing;
        // Beside another team's spec that is not carried out, not all that this one wants may be.
        if plans.iter().all(|p| p.errors.is_empty()) {
            oracle::check_end(of, team, &said(plan), nothing, &sandbox.access()).map_err(tell)?;
            oracle::check_gone(of, team, &said(plan), &sandbox.snapshot()).map_err(tell)?;
        }
    }
    inside.sandbox.stop().await;
    Ok(came)
}

/// What there is to know about one.
fn describe(of: &Transition) -> String {
    let specs: Vec<String> = (0..of.before.len())
        .map(|t| {
            format!(
                "edits: {:?}\nbefore: {}\nafter:  {}",
                of.edits[t],
                of.before[t].to_json(),
                of.after[t].to_json()
            )
        })
        .collect();
    format!(
        "WI_PROOFS_SEED={}\n{}\nrefused: {}\nunread: {} (stays: {})\nallow incomplete: {}, force: {}, base: {}, together: {}, program: {}",
        of.seed,
        specs.join("\n"),
        json!(of.refusals),
        json!(of.unread),
        of.stays_unread,
        of.allow_incomplete,
        of.force_conflicts,
        of.base,
        of.together,
        of.by_program,
    )
}

#[test]
fn no_pod_loses_access_from_one_spec_to_another() {
    let asked = std::env::var("WI_PROOFS_SEED").ok();
    let by_seed = asked.is_some();
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let seeds: Vec<u64> = match asked.as_deref().map(|s| s.split_once("..").ok_or(s)) {
        Some(Err(one)) => {
            let of = Transition::of(number(one));
            eprintln!("{}\nworld: {}", describe(&of), of.world);
            vec![number(one)]
        }
        Some(Ok((from, to))) => (number(from)..number(to)).collect(),
        None => (0..u64::try_from(size(WORLDS)).expect("a number")).collect(),
    };
    let count = seeds.len();
    let runs = futures::stream::iter(seeds).map(|seed| async move {
        let of = Transition::of(seed);
        let came = run(&of).await;
        // At once: whoever waits for the others may see it.
        came.map_err(|e| eprintln!("{}\n{e}\n\n==========\n", describe(&of)))
    });
    let came: Vec<Result<Came, ()>> = runtime().block_on(runs.buffer_unordered(AT_ONCE).collect());
    let all: Vec<Came> = came.into_iter().flatten().collect();
    assert_eq!(all.len(), count, "broken: {}", count - all.len());
    let share = |f: fn(&Came) -> bool| 100 * all.iter().filter(|c| f(c)).count() / count;
    let shares = [
        ("moved", share(|c| c.moved), 50),
        ("failed", share(|c| c.failed), 5),
        ("incomplete", share(|c| c.incomplete), 5),
        ("held", share(|c| c.held), 10),
    ];
    if !by_seed {
        for (what, percent, least) in shares {
            assert!(percent >= least, "only {percent} % {what}");
        }
    }
}
