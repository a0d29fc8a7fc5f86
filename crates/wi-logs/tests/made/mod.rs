//! Logs of a small shop, made up: thirty days on which nothing is odd, and what may be planted into them, with
//! the truth beside it. The same seed gives the same bytes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wi_logs::when::{self, DAY, MINUTE, Micros, SECOND};

pub const PROJECT: &str = "acme-prod";
pub const WEB: &str = "web-shop@acme-prod.iam.gserviceaccount.com";
pub const WORKER: &str = "worker@acme-prod.iam.gserviceaccount.com";
pub const BATCH: &str = "batch@acme-prod.iam.gserviceaccount.com";
pub const DEFAULT: &str = "1234-compute@developer.gserviceaccount.com";
pub const ANN: &str = "ann@acme.com";
pub const WI: &str = "wi-ci@acme-prod.iam.gserviceaccount.com";
pub const METADATA: &str = "google-api-go-client/0.5 gke-metadata-server,gzip(gfe)";
/// The VPC of the cluster, as entries have it.
pub const OWN_VPC: &str = "//compute.googleapis.com/projects/acme-prod/global/networks/__unknown__";
/// When all of it begins.
pub const START: &str = "2026-11-01T00:00:00Z";

pub fn ksa(name: &str) -> String {
    format!("acme-prod.svc.id.goog[shop/{name}]")
}

/// Numbers from a seed.
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.below((to - from) as u64) as i64
    }
}

/// Logs, and what is to be found in them.
pub struct Made {
    pub draw: Draw,
    pub entries: Vec<(Micros, Value)>,
    /// Detector and whom it is about.
    pub truth: BTreeSet<(String, String)>,
    start: Micros,
    next: u64,
}

/// A call.
#[derive(Clone)]
pub struct Call<'a> {
    pub who: &'a str,
    pub service: &'a str,
    pub method: &'a str,
    pub ip: &'a str,
    pub agent: &'a str,
    pub project: &'a str,
    pub denied: bool,
}

impl<'a> Call<'a> {
    pub fn new(who: &'a str, service: &'a str, method: &'a str) -> Self {
        Self {
            who,
            service,
            method,
            ip: "10.4.1.9",
            agent: "gl-go/1.23 gccl/1.40",
            project: PROJECT,
            denied: false,
        }
    }
}

impl Made {
    pub fn new(seed: u64) -> Self {
        Self {
            draw: Draw::new(seed),
            entries: Vec::new(),
            truth: BTreeSet::new(),
            start: when::parse(START).expect("a moment"),
            next: 0,
        }
    }

    /// A moment of a day, as a number from 0 on.
    pub fn at(&mut self, day: i64) -> Micros {
        self.start
            + day * DAY
            + self.draw.between(0, DAY / SECOND) * SECOND
            + self.draw.between(0, SECOND)
    }

    pub fn push(&mut self, at: Micros, log: &str, project: &str, payload: Value, resource: Value) {
        self.next += 1;
        let time = jiff::Timestamp::from_microsecond(at).expect("in range");
        // Nanoseconds, as Cloud Logging has them; some entries have fewer digits.
        let time = match self.next % 3 {
            0 => format!(
                "{}{:03}Z",
                time.strftime("%Y-%m-%dT%H:%M:%S.%6f"),
                self.next % 1000
            ),
            _ => time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
        };
        let entry = json!({
            "logName": format!("projects/{project}/logs/cloudaudit.googleapis.com%2F{log}"),
            "timestamp": time,
            "insertId": format!("id{}", self.next),
            "severity": "INFO",
            "resource": resource,
            "protoPayload": payload,
        });
        self.entries.push((at, entry));
    }

    fn authentication(who: &str) -> Value {
        match who.contains("[") || who.starts_with("principal:") {
            true => json!({ "principalSubject": format!("serviceAccount:{who}") }),
            false => {
                json!({ "principalEmail": who, "principalSubject": format!("serviceAccount:{who}") })
            }
        }
    }

    pub fn call(&mut self, at: Micros, call: &Call<'_>, extra: Value) {
        let mut payload = json!({
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": call.service,
            "methodName": call.method,
            "authenticationInfo": Self::authentication(call.who),
            "authorizationInfo": [{ "permission": permission(call.method), "granted": true, "resource": "projects/_/buckets/acme-receipts" }],
            "requestMetadata": { "callerIp": call.ip, "callerSuppliedUserAgent": call.agent, "requestAttributes": {} },
            "status": {},
        });
        if call.denied {
            payload["status"] = json!({ "code": 7, "message": "PERMISSION_DENIED" });
            payload["authorizationInfo"][0]
                .as_object_mut()
                .map(|o| o.remove("granted"));
        }
        merge(&mut payload, extra);
        let resource =
            json!({ "type": "audited_resource", "labels": { "project_id": call.project } });
        self.push(at, "data_access", call.project, payload, resource);
    }

    /// A token of an account.
    pub fn mint(&mut self, at: Micros, minter: &str, account: &str, agent: &str, ip: &str) {
        self.mint_as(
            at,
            Self::authentication(minter),
            account,
            agent,
            ip,
            json!({}),
        );
    }

    fn mint_as(
        &mut self,
        at: Micros,
        who: Value,
        account: &str,
        agent: &str,
        ip: &str,
        extra: Value,
    ) {
        let mut payload = json!({
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": "iamcredentials.googleapis.com",
            "methodName": "GenerateAccessToken",
            "resourceName": format!("projects/-/serviceAccounts/{}", unique_id(account)),
            "authenticationInfo": who,
            "authorizationInfo": [{ "permission": "iam.serviceAccounts.getAccessToken", "granted": true }],
            "requestMetadata": { "callerIp": ip, "callerSuppliedUserAgent": agent },
            // Without any delegation it names the account itself.
            "metadata": { "identityDelegationChain": [format!("projects/-/serviceAccounts/{account}"), account, unique_id(account)] },
        });
        payload["authenticationInfo"]["serviceAccountDelegationInfo"] = json!([{}]);
        merge(&mut payload, extra);
        let resource = json!({ "type": "service_account", "labels": {
            "project_id": PROJECT, "email_id": account, "unique_id": unique_id(account),
        }});
        self.push(at, "data_access", PROJECT, payload, resource);
    }

    pub fn change(
        &mut self,
        at: Micros,
        who: &str,
        agent: &str,
        method: &str,
        account: &str,
        extra: Value,
    ) {
        let mut payload = json!({
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": "iam.googleapis.com",
            "methodName": method,
            "resourceName": format!("projects/-/serviceAccounts/{}", unique_id(account)),
            "authenticationInfo": { "principalEmail": who },
            "requestMetadata": { "callerIp": "private", "callerSuppliedUserAgent": agent },
        });
        merge(&mut payload, extra);
        let resource = json!({ "type": "service_account", "labels": {
            "project_id": PROJECT, "email_id": account, "unique_id": unique_id(account),
        }});
        self.push(at, "activity", PROJECT, payload, resource);
    }

    pub fn in_cluster(&mut self, at: Micros, who: &str, method: &str, name: &str) {
        let payload = json!({
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": "k8s.io",
            "methodName": method,
            "resourceName": name,
            "authenticationInfo": { "principalEmail": who },
            "requestMetadata": { "callerIp": "10.0.0.3", "callerSuppliedUserAgent": "kubectl/v1.35" },
        });
        let resource = json!({ "type": "k8s_cluster", "labels": { "project_id": PROJECT, "cluster_name": "main" }});
        self.push(at, "activity", PROJECT, payload, resource);
    }

    /// The address of the NAT: it changes at noon of a day, for all that go through it.
    fn nat(&self, at: Micros) -> &'static str {
        match at < self.start + 20 * DAY + DAY / 2 {
            true => "203.0.113.7",
            false => "198.51.100.9",
        }
    }

    fn via(ksa: &str) -> Value {
        json!({ "authenticationInfo": { "serviceAccountDelegationInfo": [{ "principalSubject": format!("serviceAccount:{ksa}") }] } })
    }

    /// Days on which nothing is odd.
    pub fn quiet(&mut self, days: std::ops::Range<i64>) {
        let (web, worker, reports) = (ksa("web"), ksa("worker"), ksa("reports"));
        for day in days {
            for hour in 0..24 {
                let at = self.start + day * DAY + hour * 60 * MINUTE + self.draw.between(0, MINUTE);
                self.mint(at, &web, WEB, METADATA, "gce-internal-ip");
                self.mint(at + SECOND, &worker, WORKER, METADATA, "gce-internal-ip");
            }
            for _ in 0..20 + self.draw.below(20) {
                let at = self.at(day);
                let sql = Call::new(WEB, "cloudsql.googleapis.com", "cloudsql.instances.connect");
                self.call(at, &sql, Self::via(&web));
                let at = self.at(day);
                let get = Call::new(WEB, "storage.googleapis.com", "storage.objects.get");
                let mut extra = Self::via(&web);
                extra["requestMetadata"] = json!({ "callerNetwork": OWN_VPC });
                self.call(at, &get, extra);
                let at = self.at(day);
                // By one of the hosts that serve the role.
                let firestore = ["datastore.googleapis.com", "firestore.googleapis.com"]
                    [self.draw.below(2) as usize];
                let read = Call::new(
                    WORKER,
                    firestore,
                    "google.firestore.v1.Firestore.BatchGetDocuments",
                );
                self.call(at, &read, Self::via(&worker));
                let at = self.at(day);
                let query = Call {
                    ip: self.nat(at),
                    ..Call::new(&reports, "bigquery.googleapis.com", "jobservice.query")
                };
                self.call(at, &query, json!({}));
                let at = self.at(day);
                let list = Call {
                    ip: self.nat(at),
                    ..Call::new(BATCH, "storage.googleapis.com", "storage.objects.list")
                };
                self.call(
                    at,
                    &list,
                    json!({ "resourceLocation": { "currentLocations": ["europe-west1"] } }),
                );
            }
            for who in [WEB, WORKER] {
                let at = self.at(day);
                let log = Call::new(
                    who,
                    "logging.googleapis.com",
                    "google.logging.v2.LoggingServiceV2.WriteLogEntries",
                );
                self.call(at, &log, json!({}));
            }
            for _ in 0..self.draw.below(4) {
                let at = self.at(day);
                let denied = Call {
                    denied: true,
                    ..Call::new(WEB, "storage.googleapis.com", "storage.objects.get")
                };
                self.call(at, &denied, json!({}));
            }
            let at = self.at(day);
            let pull = Call {
                agent: "containerd/1.7",
                ..Call::new(
                    DEFAULT,
                    "artifactregistry.googleapis.com",
                    "Docker-GetManifest",
                )
            };
            self.call(at, &pull, json!({}));
            let at = self.at(day);
            self.in_cluster(
                at,
                "system:node:gke-main-1",
                "io.k8s.core.v1.serviceaccounts.token.create",
                "core/v1/namespaces/shop/serviceaccounts/web/token",
            );
            let at = self.at(day);
            self.in_cluster(
                at,
                ANN,
                "io.k8s.core.v1.pods.exec.create",
                "core/v1/namespaces/sandbox/pods/x/exec",
            );
            if day % 10 == 3 {
                let at = self.at(day);
                let delta = json!({ "serviceData": { "policyDelta": { "bindingDeltas": [
                    { "action": "ADD", "role": "roles/iam.workloadIdentityUser", "member": format!("serviceAccount:{web}") },
                ]}}});
                self.change(
                    at,
                    WI,
                    "wi/0.1.0",
                    "google.iam.admin.v1.SetIAMPolicy",
                    WEB,
                    delta,
                );
                // Not of the spec.
                let at = self.at(day);
                self.change(
                    at,
                    ANN,
                    "gcloud",
                    "google.iam.admin.v1.CreateServiceAccountKey",
                    BATCH,
                    json!({}),
                );
            }
        }
    }

    /// Plants what a detector is for, on a day after enough of a past. Answers whom it is about.
    pub fn plant(&mut self, detector: &str, day: i64) {
        let at = self.at(day);
        let (web, worker) = (ksa("web"), ksa("worker"));
        let who = match detector {
            "L1" => {
                self.mint(at, &web, WEB, "python-requests/2.31", "192.0.2.77");
                // Where it came from is new, too.
                self.truth.insert(("L8".to_owned(), web.clone()));
                web
            }
            "L2" => {
                for n in 0..14 {
                    let call = Call::new(
                        WEB,
                        "bigquery.googleapis.com",
                        "google.cloud.bigquery.v2.JobService.InsertJob",
                    );
                    self.call(at + n * MINUTE, &call, Self::via(&web));
                }
                WEB.to_owned()
            }
            "L3" => {
                for n in 0..3 {
                    let call = Call {
                        ip: self.nat(at),
                        ..Call::new(
                            BATCH,
                            "secretmanager.googleapis.com",
                            "google.cloud.secretmanager.v1.SecretManagerService.AccessSecretVersion",
                        )
                    };
                    self.call(at + n, &call, json!({}));
                }
                BATCH.to_owned()
            }
            "L4" => {
                let method = ["storage.objects.create", "storage.setIamPermissions"]
                    [self.draw.below(2) as usize];
                let call = Call {
                    ip: self.nat(at),
                    ..Call::new(BATCH, "storage.googleapis.com", method)
                };
                self.call(at, &call, json!({}));
                BATCH.to_owned()
            }
            "L5" => {
                self.mint(at, &worker, WEB, METADATA, "gce-internal-ip");
                WEB.to_owned()
            }
            "L6" => {
                let call = Call::new(
                    WORKER,
                    "datastore.googleapis.com",
                    "google.firestore.v1.Firestore.BatchGetDocuments",
                );
                let key = format!(
                    "//iam.googleapis.com/projects/{PROJECT}/serviceAccounts/{WORKER}/keys/0123456789abcdef"
                );
                self.call(
                    at,
                    &call,
                    json!({ "authenticationInfo": { "serviceAccountKeyName": key } }),
                );
                WORKER.to_owned()
            }
            "L7" => {
                let at = at - at % MINUTE;
                match self.draw.below(2) {
                    0 => {
                        for n in 0..12 {
                            let call = Call {
                                denied: true,
                                ..Call::new(
                                    WORKER,
                                    "datastore.googleapis.com",
                                    "google.firestore.v1.Firestore.Commit",
                                )
                            };
                            self.call(at + n * 20 * SECOND, &call, json!({}));
                        }
                        WORKER.to_owned()
                    }
                    _ => {
                        for n in 0..12 {
                            let denied = json!({ "status": { "code": 7 } });
                            self.mint_as(
                                at + n * 20 * SECOND,
                                json!({}),
                                WORKER,
                                "curl/8",
                                "192.0.2.77",
                                denied,
                            );
                        }
                        WORKER.to_owned()
                    }
                }
            }
            "L8" => {
                let call = Call {
                    ip: "192.0.2.77",
                    ..Call::new(BATCH, "storage.googleapis.com", "storage.objects.list")
                };
                self.call(at, &call, json!({}));
                BATCH.to_owned()
            }
            "L9" => {
                let call = Call::new(
                    WORKER,
                    "datastore.googleapis.com",
                    "google.firestore.v1.Firestore.BatchGetDocuments",
                );
                let by = json!({ "authenticationInfo": { "serviceAccountDelegationInfo": [{ "firstPartyPrincipal": { "principalEmail": ANN } }] } });
                self.call(at, &call, by);
                WORKER.to_owned()
            }
            "L10" => {
                let method = [
                    "google.iam.admin.v1.CreateServiceAccountKey",
                    "google.iam.admin.v1.SetIAMPolicy",
                ][self.draw.below(2) as usize];
                let delta = json!({ "serviceData": { "policyDelta": { "bindingDeltas": [
                    { "action": "ADD", "role": "roles/iam.serviceAccountTokenCreator", "member": "user:eve@acme.com" },
                ]}}});
                let extra = if method.ends_with("Policy") {
                    delta
                } else {
                    json!({})
                };
                self.change(at, "eve@acme.com", "gcloud", method, WEB, extra);
                WEB.to_owned()
            }
            "L11" => {
                let what = [
                    (
                        "io.k8s.core.v1.pods.exec.create",
                        "core/v1/namespaces/shop/pods/web-1/exec",
                    ),
                    (
                        "io.k8s.core.v1.pods.ephemeralcontainers.patch",
                        "core/v1/namespaces/shop/pods/web-1/ephemeralcontainers",
                    ),
                    (
                        "io.k8s.core.v1.serviceaccounts.token.create",
                        "core/v1/namespaces/shop/serviceaccounts/web/token",
                    ),
                ][self.draw.below(3) as usize];
                self.in_cluster(at, "eve@acme.com", what.0, what.1);
                "eve@acme.com".to_owned()
            }
            "L12" => {
                let call = Call {
                    agent: "curl/8.1",
                    ..Call::new(
                        DEFAULT,
                        "secretmanager.googleapis.com",
                        "google.cloud.secretmanager.v1.SecretManagerService.AccessSecretVersion",
                    )
                };
                self.call(at, &call, json!({}));
                DEFAULT.to_owned()
            }
            "L13" => {
                let from = self.start + (day.min(20)) * DAY;
                let of_reports = |e: &Value| {
                    e["protoPayload"]["authenticationInfo"]["principalSubject"]
                        .as_str()
                        .is_some_and(|s| s.contains("shop/reports"))
                };
                self.entries.retain(|(at, e)| *at < from || !of_reports(e));
                ksa("reports")
            }
            "L14" => {
                let call = Call {
                    project: "evil-corp",
                    ..Call::new(WEB, "storage.googleapis.com", "storage.objects.get")
                };
                self.call(at, &call, Self::via(&web));
                WEB.to_owned()
            }
            "L15" => {
                let call = Call {
                    ip: self.nat(at),
                    ..Call::new(BATCH, "storage.googleapis.com", "storage.objects.list")
                };
                self.call(at, &call, json!({ "requestMetadata": { "requestAttributes": { "host": "storage.us-east4.rep.googleapis.com" } } }));
                BATCH.to_owned()
            }
            "L16" => {
                self.change(
                    at - DAY,
                    WI,
                    "wi/0.1.0",
                    "google.iam.admin.v1.DisableServiceAccount",
                    "old@acme-prod.iam.gserviceaccount.com",
                    json!({}),
                );
                self.mint(
                    at,
                    &ksa("old"),
                    "old@acme-prod.iam.gserviceaccount.com",
                    METADATA,
                    "gce-internal-ip",
                );
                "old@acme-prod.iam.gserviceaccount.com".to_owned()
            }
            other => panic!("nothing to plant for {other}"),
        };
        self.truth.insert((detector.to_owned(), who));
    }

    /// The lines, out of order and some of them twice, as sinks deliver them.
    pub fn lines(&mut self) -> Vec<String> {
        let mut lines: Vec<String> = self.entries.iter().map(|(_, e)| e.to_string()).collect();
        for at in 0..lines.len() {
            let other = self.draw.below(lines.len() as u64) as usize;
            if self.draw.below(10) == 0 {
                lines.swap(at, other);
            }
            if self.draw.below(50) == 0 {
                lines.push(lines[other].clone());
            }
        }
        lines
    }
}

/// The permission that a method needs, as entries name it.
fn permission(method: &str) -> String {
    match method.starts_with("storage.") {
        true => method.to_owned(),
        false => format!("x.{}", method.rsplit('.').next().unwrap_or(method)),
    }
}

pub fn unique_id(account: &str) -> String {
    let sum: u64 = account
        .bytes()
        .fold(7, |n, b| n.wrapping_mul(31).wrapping_add(u64::from(b)));
    format!("1{:020}", sum)
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
