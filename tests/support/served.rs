//! `wi sandbox` as a server of its own, and the binary that talks to it by endpoint and token file.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use super::{Place, Ran};

/// `wi sandbox`, serving until it is dropped.
pub struct Served {
    pub place: Place,
    child: Child,
    pub endpoint: String,
    pub token_file: String,
}

impl Served {
    pub fn of(place: Place) -> Self {
        let args = [
            "sandbox",
            "world.yaml",
            "--port",
            "0",
            "--kubeconfig",
            "kubeconfig",
        ];
        let mut child = place
            .command(&args)
            .env("TMPDIR", place.dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("wi sandbox starts");
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let (mut endpoint, mut token_file) = (None, None);
        for line in stdout.lines() {
            let line = line.expect("a line");
            if let Some(url) = line.strip_prefix("export WI_ENDPOINT=") {
                endpoint = Some(url.to_owned());
            }
            if let Some(file) = line.strip_prefix("export CLOUDSDK_AUTH_ACCESS_TOKEN_FILE=") {
                token_file = Some(file.to_owned());
                break;
            }
        }
        Self {
            place,
            child,
            endpoint: endpoint.expect("an endpoint is printed"),
            token_file: token_file.expect("a token file is printed"),
        }
    }

    /// `wi`, with endpoint overrides and a token file, and no sandbox flag.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.command(args);
        command
            .env("WI_ENDPOINT", &self.endpoint)
            .env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", &self.token_file);
        command
    }

    pub fn wi(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().expect("wi runs"))
    }

    /// One request to the sandbox, as another client would send it.
    pub fn request(&self, method: &str, path: &str, body: &str) -> serde_json::Value {
        let address = self
            .endpoint
            .trim_start_matches("http://")
            .trim_end_matches('/');
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
    pub fn calls(&self) -> serde_json::Map<String, serde_json::Value> {
        let calls = self.request("GET", "/sandbox/v1/calls", "");
        calls["counts"].as_object().expect("counts").clone()
    }

    /// Bodies of the requests that changed something at Google's APIs, each after `METHOD /path`.
    pub fn writes(&self) -> Vec<(String, serde_json::Value)> {
        let calls = self.request("GET", "/sandbox/v1/calls", "");
        let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
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
                    "/faults",
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
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
