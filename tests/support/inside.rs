//! A sandbox inside the test's own process, and the real binary that talks to it: many of them can run at
//! once, since a `wi` that waits for a server needs no processor.

use std::collections::BTreeSet;
use std::process::Stdio;

use serde_json::Value;
use wi_sandbox::{Fault, Options, Sandbox, World};

use super::{HANGS, Place, Ran};

/// A sandbox and a directory with a spec.
pub struct Inside {
    pub place: Place,
    pub sandbox: Sandbox,
}

impl Inside {
    pub async fn start(spec: &str, world: World) -> Self {
        Self::serving(Place::new(spec, ""), world, false).await
    }

    /// With the world that lies in the directory; whoever asks finds which answers the APIs' documents do not have.
    pub async fn of(place: Place) -> Self {
        let world = std::fs::read_to_string(place.path("world.yaml")).expect("a world");
        let world = World::parse(&world, "world.yaml").expect("a valid world");
        Self::serving(place, world, true).await
    }

    async fn serving(place: Place, world: World, check_answers: bool) -> Self {
        let options = Options {
            check_answers,
            ..Options::default()
        };
        let sandbox = Sandbox::start(world, options).await;
        let sandbox = sandbox.expect("the sandbox starts");
        Self { place, sandbox }
    }

    /// `wi`, with endpoint overrides and a token, and no sandbox flag.
    pub fn command(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::from(self.place.command(args));
        command
            .env("WI_ENDPOINT", self.sandbox.endpoint())
            .env("GOOGLE_OAUTH_ACCESS_TOKEN", self.sandbox.token())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    pub async fn wi(&self, args: &[&str]) -> Ran {
        let ran = tokio::time::timeout(HANGS, self.command(args).output());
        ran.await.expect("it hangs").expect("wi runs").into()
    }

    /// Adds one fault, as the world file has it.
    pub fn inject(&self, fault: &Value) {
        let fault: Fault = serde_json::from_value(fault.clone()).expect("a fault");
        self.sandbox.inject([fault]);
    }

    /// How often each `METHOD /path` was called; those of a cluster's Kubernetes API begin with
    /// `/kubernetes/PROJECT/LOCATION/NAME`.
    pub fn counts(&self) -> serde_json::Map<String, Value> {
        let calls = self.sandbox.calls();
        calls["counts"].as_object().expect("counts").clone()
    }

    /// The world as it is 80 minutes later, by what says when objects of Kubernetes have changed.
    pub fn later(&self) -> World {
        fn back(value: &mut Value, in_managed_fields: bool) {
            match value {
                Value::Array(all) => all.iter_mut().for_each(|v| back(v, in_managed_fields)),
                Value::Object(fields) => {
                    for (key, value) in fields {
                        match value.as_str().map(str::parse::<jiff::Timestamp>) {
                            Some(Ok(at)) if in_managed_fields && key == "time" => {
                                let at = at - jiff::SignedDuration::from_mins(80);
                                *value = at.to_string().into();
                            }
                            _ => back(value, in_managed_fields || key == "managedFields"),
                        }
                    }
                }
                _ => {}
            }
        }
        let mut world = self.world();
        back(&mut world, false);
        World::parse(&world.to_string(), "world.yaml").expect("a world")
    }

    pub fn world(&self) -> Value {
        serde_json::to_value(self.sandbox.snapshot()).expect("JSON")
    }
}

/// The calls that a sandbox answered, each as a fault's `match`: of just that query, or of any.
pub fn calls_as_matches(sandbox: &Sandbox, query: bool) -> BTreeSet<String> {
    let calls = sandbox.calls();
    let text = |call: &Value, field: &str| call[field].as_str().expect("a text").to_owned();
    let pattern = |call: &Value| {
        let path = text(call, "path");
        let path = match path.strip_prefix("/kubernetes/") {
            Some(rest) => format!("/{}", rest.splitn(4, '/').nth(3).expect("a path")),
            None => path,
        };
        let query = match text(call, "query") {
            _ if !query => String::new(),
            query if query.is_empty() => "$".to_owned(),
            query => format!("?{query}$"),
        };
        format!("{} {path}{query}", text(call, "method"))
    };
    let calls = calls["calls"].as_array().expect("calls");
    calls.iter().map(pattern).collect()
}

/// A runtime for many of them.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}
