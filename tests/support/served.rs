//! A sandbox, and the binary that talks to it by endpoint and token file.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use wi_sandbox::{Misfits, Sandbox};

use super::inside::{Inside, runtime};
use super::{Place, Ran, spawn};

/// Holds all answers of a sandbox against what the APIs document, when it is dropped.
pub struct Documented(Option<Misfits>);

impl Documented {
    /// The world has what the APIs do not document yet.
    pub fn give_up(&mut self) {
        self.0 = None;
    }
}

impl Drop for Documented {
    fn drop(&mut self) {
        if let Some(misfits) = self.0.take().filter(|_| !std::thread::panicking()) {
            assert!(misfits.list().is_empty(), "{:#?}", misfits.list());
        }
    }
}

/// A sandbox of this process, for tests that wait for one thing at a time.
pub struct Served {
    pub place: Place,
    pub sandbox: Sandbox,
    pub endpoint: String,
    pub token_file: String,
    pub documented: Documented,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Served {
    /// Serves the world of a directory, in which it leaves `kubeconfig` and `token`.
    pub fn of(place: Place) -> Self {
        let runtime = runtime();
        let inside = runtime.block_on(Inside::of(place));
        let Inside { place, sandbox } = inside;
        let documented = Documented(sandbox.misfits());
        place.write("kubeconfig", &sandbox.kubeconfig());
        place.write("token", &sandbox.token());
        Self {
            endpoint: sandbox.endpoint(),
            token_file: place.path("token").display().to_string(),
            place,
            sandbox,
            documented,
            runtime: Some(runtime),
        }
    }

    /// `wi`, with endpoint overrides and a token file, and no sandbox flag.
    pub fn command(&self, args: &[&str]) -> Command {
        at(&self.place, &self.endpoint, &self.token_file, args)
    }

    pub fn wi(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.command(args))
    }

    /// Waits until a fault with `hold` has hit, or fails when `child` has ended before.
    pub fn stands_still(&self, child: &mut Child) {
        let runtime = self.runtime.as_ref().expect("it runs until it is dropped");
        let mut stands = std::pin::pin!(self.sandbox.stands_still());
        let a_while = std::time::Duration::from_millis(100);
        while runtime
            .block_on(async { tokio::time::timeout(a_while, stands.as_mut()).await })
            .is_err()
        {
            let ended = child.try_wait().expect("its state");
            assert!(ended.is_none(), "it ended before: {ended:?}");
        }
    }

    /// Runs `wi` while an operation does not go on, `TYPE targetLink` as faults name it, until it has asked
    /// for it once.
    pub fn wi_while_stuck(&self, operation: &str, args: &[&str]) -> Ran {
        let asks = "GET /v1/projects/*/operations/operation-";
        self.inject(&json!({"operation": operation, "stuck": true}));
        self.sandbox.go_on();
        self.inject(&json!({"match": asks, "hold": "request"}));
        let mut child = spawn(&mut self.command(args));
        self.stands_still(&mut child);
        self.sandbox.heal();
        child.wait_with_output().expect("it ends").into()
    }

    /// Waits until no operation runs.
    pub fn settle(&self) {
        let runtime = self.runtime.as_ref().expect("it runs until it is dropped");
        runtime.block_on(self.sandbox.settle());
    }

    /// Adds faults, as the world file has them: one, or a list.
    pub fn inject(&self, faults: &Value) {
        self.request("POST", "/sandbox/v1/faults", &faults.to_string());
    }

    /// One request to the sandbox, as another client would send it.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Value {
        let address = self.endpoint.trim_start_matches("http://");
        let address = address.trim_end_matches('/');
        let token = std::fs::read_to_string(&self.token_file).expect("token");
        let mut stream = std::net::TcpStream::connect(address).expect("connected");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            token.trim(),
            body.len()
        )
        .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (from, to) = (
            answer.find('{').expect("JSON"),
            answer.rfind('}').expect("JSON"),
        );
        serde_json::from_str(&answer[from..=to]).expect("JSON")
    }

    /// How often each `METHOD /path` was called, as the server counted.
    pub fn calls(&self) -> serde_json::Map<String, Value> {
        let calls = self.sandbox.calls();
        calls["counts"].as_object().expect("counts").clone()
    }

    /// Bodies of the requests that changed something at Google's APIs, each after `METHOD /path`.
    pub fn writes(&self) -> Vec<(String, Value)> {
        let calls = self.sandbox.calls();
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        calls["calls"]
            .as_array()
            .expect("calls")
            .iter()
            .filter(|c| {
                let path = text(&c["path"]);
                let asks = [
                    ":getIamPolicy",
                    ":testIamPermissions",
                    ":getAncestry",
                    "/tokeninfo",
                ];
                let kubernetes = path.starts_with("/kubernetes/");
                c["method"] != "GET" && !kubernetes && !asks.iter().any(|a| path.ends_with(a))
            })
            .map(|c| {
                let what = format!("{} {}", text(&c["method"]), text(&c["path"]));
                (what, c["body"].clone())
            })
            .collect()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Without waiting for who is still connected.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn at(place: &Place, endpoint: &str, token_file: &str, args: &[&str]) -> Command {
    let mut command = place.command(args);
    command
        .env("WI_ENDPOINT", endpoint)
        .env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", token_file);
    command
}

/// `wi sandbox`, a process of its own, until it is dropped.
pub struct Process {
    pub place: Place,
    child: Child,
    pub endpoint: String,
    pub token_file: String,
    /// What it prints for other programs to be set to.
    pub settings: Vec<(String, String)>,
}

impl Process {
    pub fn of(place: Place) -> Self {
        let args = ["--port", "0", "--kubeconfig", "kubeconfig"];
        let mut child = place
            .command(&[&["sandbox", "world.yaml"], &args[..]].concat())
            .env("TMPDIR", place.dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("wi sandbox starts");
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let mut settings: Vec<(String, String)> = Vec::new();
        for line in stdout.lines() {
            let line = line.expect("a line");
            let set = line.strip_prefix("export ").and_then(|s| s.split_once('='));
            settings.extend(set.map(|(name, value)| (name.to_owned(), value.to_owned())));
            if set.is_some_and(|(name, _)| name == "KUBECONFIG") {
                break;
            }
        }
        let printed = |wanted: &str| {
            let mut settings = settings.iter();
            let found = settings.find(|(name, _)| name == wanted);
            found
                .unwrap_or_else(|| panic!("{wanted} is printed"))
                .1
                .clone()
        };
        Self {
            place,
            child,
            endpoint: printed("WI_ENDPOINT"),
            token_file: printed("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"),
            settings,
        }
    }

    pub fn wi(&self, args: &[&str]) -> Ran {
        Ran::of(&mut at(&self.place, &self.endpoint, &self.token_file, args))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
