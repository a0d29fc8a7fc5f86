//! A client of the sandbox, and the table of what Google's APIs answer.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use wi_sandbox::{Options, Sandbox, World};

/// A world with a resource of every kind; its cluster is in a fleet, so that one port has all APIs.
pub const WORLD: &str = include_str!("world.yaml");
pub const GATEWAY: &str = "/v1/projects/123456789012/locations/europe-west1/gkeMemberships/main";

pub async fn start(world: &str) -> Sandbox {
    let world = World::parse(world, "the world").expect("a world");
    let options = Options {
        token: Some("t".to_owned()),
        check_answers: true,
        ..Options::default()
    };
    Sandbox::start(world, options).await.expect("it starts")
}

/// One connection, which the server must never close.
pub struct Client {
    stream: BufReader<TcpStream>,
    /// What it is authorized by.
    pub token: String,
}

pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}

impl Client {
    pub fn of(sandbox: &Sandbox) -> Self {
        let endpoint = sandbox.endpoint();
        let address = endpoint.trim_start_matches("http://").trim_end_matches('/');
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        Self {
            stream: BufReader::new(stream),
            token: "t".to_owned(),
        }
    }

    pub fn send(&mut self, verb: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
        let head = format!(
            "{verb} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: {kind}\r\nuser-agent: test/1\r\ncontent-length: {}\r\n\r\n",
            body.len(),
            token = self.token,
        );
        let asked = || format!("{verb} {path} {}", String::from_utf8_lossy(body));
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request).expect("sent");
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).unwrap_or(0);
        assert!(read > 0, "the connection was closed by {}", asked());
        let status = line.split(' ').nth(1).and_then(|s| s.parse().ok());
        let (mut length, mut none) = (0, verb == "HEAD");
        loop {
            let mut header = String::new();
            self.stream.read_line(&mut header).expect("a header");
            let header = header.trim().to_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            assert!(!header.contains("chunked"), "{}", asked());
        }
        none |= status == Some(204);
        let mut answer = vec![0; if none { 0 } else { length }];
        self.stream
            .read_exact(&mut answer)
            .unwrap_or_else(|e| panic!("half an answer to {}: {e}", asked()));
        Answer {
            status: status.unwrap_or_else(|| panic!("no HTTP: {line}")),
            body: String::from_utf8(answer).expect("text"),
        }
    }

    pub fn json(&mut self, verb: &str, path: &str, body: &Value) -> Answer {
        self.send(verb, path, "application/json", body.to_string().as_bytes())
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, "application/json", b"")
    }
}

/// The methods of Google's APIs, and the fields of their messages, as the discovery documents have them.
pub struct Table {
    pub methods: Vec<Method>,
    types: HashMap<String, BTreeMap<String, String>>,
}

#[derive(Clone)]
pub struct Method {
    pub id: String,
    pub verb: String,
    /// With names of the world in it.
    pub path: String,
    pub request: Option<String>,
}

/// What stands in a path after a word of it.
fn name_after(word: &str) -> &'static str {
    match word {
        "projects" => "acme",
        "organizations" => "7",
        "folders" => "5",
        "locations" => "europe-west1",
        "zones" => "europe-west1-b",
        "clusters" => "main",
        "memberships" => "main",
        "nodePools" => "default-pool",
        "operations" => "operation-1",
        "serviceAccounts" => "checkout@acme.iam.gserviceaccount.com",
        "b" => "receipts",
        "managedFolders" => "in",
        "datasets" => "sales",
        "tables" => "orders",
        "roles" => "roles.viewer",
        "instanceGroupManagers" => "no-grp",
        "services" => "iam.googleapis.com",
        "secrets" => "key",
        "topics" => "orders",
        "subscriptions" => "orders-sub",
        "workloadIdentityPools" => "acme.svc.id.goog",
        "activityTypes" => "serviceAccountKeyLastAuthentication",
        _ => "x",
    }
}

impl Table {
    pub fn read() -> Self {
        let whole: Value =
            serde_json::from_str(include_str!("../../../src/wire/schema.json")).expect("JSON");
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let methods = whole["methods"].as_array().expect("methods");
        let methods = methods.iter().map(|m| {
            let pattern = m["path"].as_str().expect("a path");
            let mut last = "";
            let segments = pattern.split('/').map(|segment| {
                let name = segment.replacen('*', name_after(last), 1);
                last = segment;
                name
            });
            let path = format!("/{}", segments.collect::<Vec<_>>().join("/"));
            Method {
                id: text(&m["id"]).expect("an id"),
                verb: text(&m["verb"]).expect("a verb"),
                path,
                request: text(&m["request"]),
            }
        });
        Self {
            methods: methods.collect(),
            types: serde_json::from_value(whole["types"].clone()).expect("types"),
        }
    }

    /// A message with all its fields, so deep.
    pub fn sample(&self, expected: &str, depth: usize) -> Value {
        let inner = || &expected[1..expected.len() - 1];
        match expected.as_bytes()[0] {
            b'#' if depth == 0 => json!({}),
            b'#' => {
                let fields = self.types[&expected[1..]].iter();
                fields
                    .map(|(name, kind)| (name.clone(), self.sample(kind, depth - 1)))
                    .collect()
            }
            b'[' => json!([self.sample(inner(), depth)]),
            b'{' => json!({ "k": self.sample(inner(), depth) }),
            b'A'..=b'Z' => expected.rsplit('|').next().into(),
            _ => match expected {
                "string" => "x".into(),
                "int64" | "uint64" => "3".into(),
                "integer" | "number" => 3.into(),
                "boolean" => true.into(),
                _ => json!({}),
            },
        }
    }
}

/// The values with which each part of a body is replaced in turn.
pub fn odd_values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(""),
        json!(-1),
        json!(1e300),
        json!([null, []]),
        json!({"": {}}),
        json!("é\u{0}[/]:@#?"),
    ]
}

/// Every body that differs from this one in one part.
pub fn mutants(body: &Value) -> Vec<Value> {
    let mut pointers = Vec::new();
    fn walk(value: &Value, at: String, pointers: &mut Vec<String>) {
        pointers.push(at.clone());
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                let key = key.replace('~', "~0").replace('/', "~1");
                walk(value, format!("{at}/{key}"), pointers);
            }),
            Value::Array(list) => list
                .iter()
                .enumerate()
                .for_each(|(i, value)| walk(value, format!("{at}/{i}"), pointers)),
            _ => {}
        }
    }
    walk(body, String::new(), &mut pointers);
    let odd = odd_values();
    let each = pointers.iter().enumerate().flat_map(|(i, pointer)| {
        // Two odd values each, other ones at each place.
        [i % odd.len(), (i * 3 + 1) % odd.len()].map(|o| (pointer, odd[o].clone()))
    });
    each.filter_map(|(pointer, value)| {
        let mut mutant = body.clone();
        *mutant.pointer_mut(pointer)? = value;
        Some(mutant)
    })
    .collect()
}
