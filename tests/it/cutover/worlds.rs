//! Generated worlds in which a workload is to do without its key: whatever it is like, whichever call is refused or lost,
//! wherever a run ends, and whoever else writes, no request fails, and it ends in one of two states: free of the key, or
//! as it was.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::kinds::on_nodes;
use super::{begin, has_key, serving, until, web};
use crate::migrate::pod_spec;
use crate::scan::made::Account;
use crate::support::size;

const WORLDS: usize = 8;
/// At a time: most of an apply is waiting.
const AT_ONCE: usize = 4;

#[derive(Debug, Clone)]
struct Drawn {
    kind: &'static str,
    replicas: u32,
    strategy: usize,
    min_ready: u32,
    /// The key is the text of a variable, in place of a file.
    by_text: bool,
    program: Program,
    start_seconds: u32,
    fault: Fault,
    /// Somebody puts the template back, after so many simulated seconds.
    robot: Option<u32>,
    /// An autoscaler looks after it.
    scaled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    /// It takes what the client libraries find.
    Usual,
    /// As above, and it is ready only while its calls work.
    Honest,
    /// It reads the file by itself, and ends where there is none.
    OfFile,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// One call of a kind is refused, or done and not answered.
    Of {
        call: usize,
        after: usize,
        is_done: bool,
    },
    /// After so many calls the run is as good as killed: nothing that it asks is done any more.
    Dead { after: usize },
}

const STRATEGIES: [fn() -> Value; 4] = [
    || Value::Null,
    || json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
    || json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}),
    || json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}),
];

const CALLS: [&str; 7] = [
    "PATCH */web?*Strict$",
    "PATCH */web?*Strict$",
    "GET */web",
    "GET *s?",
    "GET *namespaces/shop/pods",
    "POST *serviceaccounts/web/token",
    "POST *:generateAccessToken",
];

fn drawn() -> impl Strategy<Value = Drawn> {
    let programs = vec![
        Program::Usual,
        Program::Usual,
        Program::Honest,
        Program::OfFile,
    ];
    let kinds = vec!["Deployment", "Deployment", "StatefulSet", "DaemonSet"];
    let robots = vec![None, None, None, Some(1), Some(60), Some(600)];
    let faults = proptest::prop_oneof![
        (0..CALLS.len(), 0..4_usize, proptest::bool::ANY).prop_map(|(call, after, is_done)| {
            Fault::Of {
                call,
                after,
                is_done,
            }
        }),
        (10..90_usize).prop_map(|after| Fault::Dead { after }),
    ];
    let shape = (
        proptest::sample::select(kinds),
        2..5_u32,
        0..STRATEGIES.len(),
        0..2_u32,
        proptest::bool::ANY,
    );
    let around = (
        proptest::sample::select(programs),
        1..20_u32,
        faults,
        proptest::sample::select(robots),
        proptest::bool::weighted(0.2),
    );
    (shape, around).prop_map(|((kind, replicas, strategy, ready, by_text), around)| {
        let (program, start_seconds, fault, robot, scaled) = around;
        Drawn {
            kind,
            replicas,
            strategy,
            min_ready: ready * 10,
            by_text: by_text && program != Program::OfFile,
            program,
            start_seconds,
            fault,
            robot,
            scaled: scaled && kind == "Deployment",
        }
    })
}

fn world(account: &Account, drawn: &Drawn) -> Value {
    let mut pod = pod_spec();
    if drawn.by_text {
        let from = json!({"secretKeyRef": {"name": "key", "key": "key.json"}});
        pod["containers"][0]["env"][1] =
            json!({"name": "GOOGLE_APPLICATION_CREDENTIALS", "valueFrom": from});
        let pod = pod.as_object_mut().expect("a map");
        pod.remove("volumes");
        let container = pod["containers"][0].as_object_mut();
        container.expect("a map").remove("volumeMounts");
    }
    let mut object = web(&pod, drawn.replicas);
    object["kind"] = json!(drawn.kind);
    object["spec"]["minReadySeconds"] = json!(drawn.min_ready);
    let strategy = STRATEGIES[drawn.strategy]();
    let spec = object["spec"].as_object_mut().expect("a map");
    match drawn.kind {
        "Deployment" if !strategy.is_null() => _ = spec.insert("strategy".to_owned(), strategy),
        "StatefulSet" => _ = spec.insert("serviceName".to_owned(), json!("web")),
        "DaemonSet" => {
            spec.remove("replicas");
            if !strategy.is_null() {
                spec.insert("updateStrategy".to_owned(), strategy);
            }
        }
        _ => {}
    }
    let mut objects = vec![object];
    if drawn.scaled {
        objects.push(json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "minReplicas": 1, "maxReplicas": 5,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}],
            },
        }));
    }
    let mut world = on_nodes(serving(account, &objects));
    let app = &mut world["apps"][0];
    app["startSeconds"] = json!(drawn.start_seconds);
    match drawn.program {
        Program::Usual => {}
        Program::Honest => app["readyByCalls"] = json!(true),
        Program::OfFile => app["file"] = json!("/k/key.json"),
    }
    if let Some(after) = drawn.robot {
        let object = format!("shop/{}/web", drawn.kind);
        let owner = json!({"object": object, "manager": "robot", "afterSeconds": after});
        world["clusters"][0]["controllers"] = json!({"owners": [owner]});
    }
    world
}

fn holds(n: usize, drawn: &Drawn) {
    let account = Account::new(600 + u64::try_from(n).expect("small"));
    let accept = match drawn.kind {
        "DaemonSet" => ", accept: [gap]",
        _ => "",
    };
    let stage = begin(&until(&account, "cutover", accept), &world(&account, drawn));
    let before = stage.object(drawn.kind, "web");
    let fault = match drawn.fault {
        Fault::Of {
            call,
            after,
            is_done,
        } => {
            let how = if is_done { "lost" } else { "denied" };
            json!({"match": CALLS[call], "after": after, "times": 1, how: true})
        }
        Fault::Dead { after } => json!({"after": after, "denied": true}),
    };
    stage.inside.inject(&fault);
    let mut said = String::new();
    for _ in 0..3 {
        let ran = stage.go(&["apply", "--auto-approve", "--ready-timeout", "1"]);
        said.push_str(&format!("{}{}", ran.out, ran.err));
        stage.inside.sandbox.heal();
        // A new pod may stand beside the others for a month: there is no rest to wait for.
        stage.inside.sandbox.pass(Duration::from_secs(900));
    }
    assert_eq!(stage.lost(), [""; 0], "{drawn:?}: {said}");
    let end = stage.object(drawn.kind, "web");
    let settings = [
        "strategy",
        "updateStrategy",
        "minReadySeconds",
        "progressDeadlineSeconds",
    ];
    for field in settings {
        assert_eq!(
            end["spec"][field], before["spec"][field],
            "{field}, {drawn:?}: {said}"
        );
    }
    let is_as_before = end["spec"]["template"] == before["spec"]["template"];
    let is_free = !end["spec"]["template"]
        .to_string()
        .contains("GOOGLE_APPLICATION_CREDENTIALS");
    match (drawn.robot, drawn.program) {
        (Some(_), _) => assert!(is_as_before || is_free, "{drawn:?}: {said}"),
        (None, Program::OfFile) => assert!(is_as_before && has_key(&end), "{drawn:?}: {said}"),
        (None, _) => assert!(is_free, "{drawn:?}: {said}"),
    }
}

#[test]
fn no_request_is_lost_in_whatever_world_and_nothing_is_left_half() {
    let mut runner = TestRunner::default();
    let draw = |runner: &mut TestRunner| drawn().new_tree(runner).expect("a world").current();
    let worlds: Vec<Drawn> = (0..size(WORLDS)).map(|_| draw(&mut runner)).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((n, drawn)) = {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    worlds.get(n).map(|drawn| (n, drawn))
                } {
                    holds(n, drawn);
                }
            });
        }
    });
}
