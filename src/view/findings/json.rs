//! Findings as JSON. The same input gives the same bytes; nothing in it is about the moment.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use wi_core::findings::{Finding, Findings, Severity};

use crate::scan::Report;

/// The version of the format: a minor one adds fields, a major one changes them.
pub const FORMAT: &str = "1.0";

/// What a command found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Findings of wi", extend("$id" = "wi-findings.v1.schema.json"))]
struct Root {
    /// `MAJOR.MINOR`: a minor version adds fields, a major one changes them.
    format_version: &'static str,
    /// The `wi` that made it.
    wi_version: &'static str,
    /// The command: `scan`.
    command: String,
    /// Whether everything was looked at that was to be.
    complete: bool,
    /// What is wrong, the worst first.
    findings: Vec<FindingJson>,
    /// How many findings there are of each severity that nobody accepted.
    counts: Counts,
    /// The keys, each with all of its places.
    keys: Vec<KeyJson>,
    /// What was looked at, in words.
    looked_at: Vec<String>,
    /// What could not be looked at: nothing may be concluded about it.
    not_seen: Vec<NotSeenJson>,
    /// What is never looked at by this command, in words.
    out_of_reach: Vec<String>,
    /// Remarks, in words.
    warnings: Vec<String>,
}

/// One thing that is wrong at one place.
#[derive(Debug, Serialize, JsonSchema)]
struct FindingJson {
    /// The rule's name, which never changes: `key-in-files`.
    rule: &'static str,
    /// `critical`, `high`, `medium` or `low`.
    severity: &'static str,
    /// What it is about. Of several findings about one thing it is the same.
    subject: String,
    /// What is wrong, in one sentence.
    message: String,
    /// By what it is known.
    evidence: Vec<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
    /// Where it is.
    place: PlaceJson,
    /// 16 hex digits that stay the same while rule, subject and place do.
    fingerprint: String,
    /// Why it is accepted, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<AcceptedJson>,
}

/// A file, or a live object.
#[derive(Debug, Serialize, JsonSchema)]
struct PlaceJson {
    /// A relative path; of a live object one that stands for it.
    path: String,
    /// From 1 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    /// The live object: `cluster.main/Secret/shop/key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
}

/// An entry of the file of accepted findings.
#[derive(Debug, Serialize, JsonSchema)]
struct AcceptedJson {
    /// In the words of the file.
    reason: String,
    /// The last day, `2027-03-31`; not there where it has no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

/// Open findings by severity.
#[derive(Debug, Serialize, JsonSchema)]
struct Counts {
    critical: usize,
    high: usize,
    medium: usize,
    low: usize,
    accepted: usize,
}

/// A credential. No part of its material is here.
#[derive(Debug, Serialize, JsonSchema)]
struct KeyJson {
    /// As findings name it.
    name: String,
    /// `service_account_key`, `private_key`, `pkcs12`, `user_credentials`, `distributed_cloud_key`,
    /// `hmac_key`, `api_key` or `client_secret`.
    kind: &'static str,
    /// The account, as what stands beside the key says.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// The key's id, as what stands beside it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// `sha256:` of the SubjectPublicKeyInfo.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// The project, as what stands beside the key says.
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    /// Where it lies.
    places: Vec<KeyPlaceJson>,
    /// Who has it, in words, where clusters were looked at.
    users: Vec<String>,
    /// What is known of it, where it is a live key of an account that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<LiveJson>,
}

/// A live key.
#[derive(Debug, Serialize, JsonSchema)]
struct LiveJson {
    /// The day on which it was made.
    made: String,
    /// What each source tells of its use, with its window.
    last_use: Vec<String>,
    /// What can be said of it, in words.
    verdict: String,
}

/// Where a key lies.
#[derive(Debug, Serialize, JsonSchema)]
struct KeyPlaceJson {
    #[serde(flatten)]
    place: PlaceJson,
    /// The spellings that were undone, the outermost first: `base64, gzip`.
    spelling: String,
    /// What else is known of it there.
    remarks: Vec<String>,
}

/// Something that could not be looked at.
#[derive(Debug, Serialize, JsonSchema)]
struct NotSeenJson {
    what: String,
    why: String,
}

/// The schema of the format.
pub fn schema() -> Value {
    schemars::schema_for!(Root).to_value()
}

/// A scan, as one JSON document with a line break at its end.
pub fn report(report: &Report) -> String {
    let findings = &report.findings;
    let root = Root {
        format_version: FORMAT,
        wi_version: env!("CARGO_PKG_VERSION"),
        command: findings.command.to_owned(),
        complete: findings.is_complete(),
        findings: findings.all.iter().map(finding).collect(),
        counts: counts(findings),
        keys: report.keys.iter().map(key).collect(),
        looked_at: report.looked_at.clone(),
        not_seen: findings
            .not_seen
            .iter()
            .map(|n| NotSeenJson {
                what: n.what.clone(),
                why: n.why.clone(),
            })
            .collect(),
        out_of_reach: findings.out_of_reach.clone(),
        warnings: findings.warnings.clone(),
    };
    crate::view::json::document(&root)
}

fn finding(finding: &Finding) -> FindingJson {
    FindingJson {
        rule: finding.rule.id,
        severity: finding.severity.word(),
        subject: finding.subject.clone(),
        message: finding.what.clone(),
        evidence: finding.evidence.clone(),
        fix: finding.fix.clone(),
        place: place(&finding.place),
        fingerprint: finding.fingerprint(),
        accepted: finding.accepted.as_ref().map(|a| AcceptedJson {
            reason: a.reason.clone(),
            until: a.until.map(|u| u.to_string()),
        }),
    }
}

fn place(place: &wi_core::findings::Place) -> PlaceJson {
    PlaceJson {
        path: place.path.clone(),
        line: place.line,
        object: place.object.clone(),
    }
}

fn counts(findings: &Findings) -> Counts {
    Counts {
        critical: findings.count(Severity::Critical),
        high: findings.count(Severity::High),
        medium: findings.count(Severity::Medium),
        low: findings.count(Severity::Low),
        accepted: findings.all.len() - findings.open().count(),
    }
}

fn key(report: &crate::scan::KeyReport) -> KeyJson {
    use wi_keys::Kind;
    let key = &report.key;
    KeyJson {
        name: key.name(),
        kind: match key.kind {
            Kind::ServiceAccountKey => "service_account_key",
            Kind::PrivateKey => "private_key",
            Kind::Pkcs12 => "pkcs12",
            Kind::UserCredentials => "user_credentials",
            Kind::DistributedCloudKey => "distributed_cloud_key",
            Kind::HmacKey => "hmac_key",
            Kind::ApiKey => "api_key",
            Kind::ClientSecret => "client_secret",
        },
        email: key.email.clone(),
        id: key.id.clone(),
        public_key: key.public_key.clone(),
        project: key.project.clone(),
        places: report
            .places
            .iter()
            .map(|p| KeyPlaceJson {
                place: place(&p.place),
                spelling: p.spelling.clone(),
                remarks: p.remarks.clone(),
            })
            .collect(),
        users: report.users.clone(),
        live: report.live.as_ref().map(|live| LiveJson {
            made: live.made.clone(),
            last_use: live.last_use.clone(),
            verdict: live.verdict.clone(),
        }),
    }
}
