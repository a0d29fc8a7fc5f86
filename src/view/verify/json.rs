//! Proofs as JSON.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Report;
use crate::verify::{Outcome, Proof, Step};
use crate::view::explain::fix_lines;

/// The version of the format: a minor one adds fields, a major one changes them.
const FORMAT: &str = "1.0";

/// What `wi verify --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Proofs of wi", extend("$id" = "wi-verify.v1.schema.json"))]
#[serde(rename_all = "camelCase")]
struct Root {
    /// `MAJOR.MINOR`: a minor version adds fields, a major one changes them.
    format_version: &'static str,
    /// The `wi` that made it.
    wi_version: &'static str,
    /// What is in parentheses in the user agent of the run's calls.
    run: String,
    /// From where it was tried: `simulate`, from where `wi` runs; `job`: from pods, too.
    mode: &'static str,
    /// How many steps came out how.
    counts: Counts,
    /// One for each service account of each cluster.
    proofs: Vec<ProofJson>,
    /// Where clusters could not be looked for: nothing of those was tried. They count as untried.
    not_seen: Vec<NotSeenJson>,
}

/// What could not be looked at.
#[derive(Debug, Serialize, JsonSchema)]
struct NotSeenJson {
    what: String,
    why: String,
}

/// Steps by how they came out.
#[derive(Debug, Serialize, JsonSchema)]
struct Counts {
    holds: usize,
    broken: usize,
    untried: usize,
    skipped: usize,
}

/// What was tried for one Kubernetes service account of one cluster.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ProofJson {
    /// The spec's name of the cluster.
    cluster: String,
    namespace: String,
    service_account: String,
    /// The Google service account that its pods call as; absent: they call as themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    google_service_account: Option<String>,
    /// As its worst step.
    outcome: OutcomeJson,
    /// In their order. What comes after a step without which there is no token is left out.
    steps: Vec<StepJson>,
    /// The first broken link, as `wi explain` finds it, of those that were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_broken_link: Option<LinkJson>,
    source: SourceJson,
}

/// How a step came out.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OutcomeJson {
    Holds,
    Broken,
    Untried,
    Skipped,
}

/// One step.
#[derive(Debug, Serialize, JsonSchema)]
struct StepJson {
    /// The link of the chain, as in `wi explain --json`: `14-binding`.
    link: &'static str,
    outcome: OutcomeJson,
    /// What was tried, in words.
    title: String,
    /// Why it came out so, in words; empty where it just holds.
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    permission: Option<String>,
    /// `bucket/acme-receipts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    /// The command that says more, of what does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<SourceJson>,
}

/// A link of the chain.
#[derive(Debug, Serialize, JsonSchema)]
struct LinkJson {
    id: &'static str,
    title: String,
    /// Lines that mend it: a command, lines of the spec, or words.
    fix: Vec<String>,
}

/// A line of the spec.
#[derive(Debug, Serialize, JsonSchema)]
struct SourceJson {
    file: String,
    line: usize,
}

/// The schema of the format.
pub fn schema() -> Value {
    schemars::schema_for!(Root).to_value()
}

/// One JSON document with a line break at its end.
pub fn proofs(report: &Report) -> String {
    let root = Root {
        format_version: FORMAT,
        wi_version: env!("CARGO_PKG_VERSION"),
        run: report.run.clone(),
        mode: if report.jobs.is_some() {
            "job"
        } else {
            "simulate"
        },
        counts: Counts {
            holds: report.count(Outcome::Holds),
            broken: report.count(Outcome::Broken),
            untried: report.count(Outcome::Untried),
            skipped: report.count(Outcome::Skipped),
        },
        proofs: report.proofs.iter().map(|p| proof(report, p)).collect(),
        not_seen: report
            .not_seen
            .iter()
            .map(|(what, why)| NotSeenJson {
                what: what.clone(),
                why: why.clone(),
            })
            .collect(),
    };
    crate::view::json::document(&root)
}

fn proof(report: &Report, proof: &Proof) -> ProofJson {
    let link = report.because.get(&proof.key).map(|link| LinkJson {
        id: link.rung.id(),
        title: link.title.clone(),
        fix: link
            .fix
            .iter()
            .flat_map(|fix| fix_lines(fix, &report.hints))
            .collect(),
    });
    ProofJson {
        cluster: proof.key.cluster.clone(),
        namespace: proof.key.namespace.to_string(),
        service_account: proof.key.name.to_string(),
        google_service_account: proof.account.as_ref().map(ToString::to_string),
        outcome: outcome(proof.outcome()),
        steps: proof.steps.iter().map(|s| step(report, proof, s)).collect(),
        first_broken_link: link,
        source: source(&proof.source),
    }
}

fn step(report: &Report, proof: &Proof, step: &Step) -> StepJson {
    let broken = step.outcome == Outcome::Broken;
    StepJson {
        link: step.link.id(),
        outcome: outcome(step.outcome),
        title: step.title.clone(),
        why: step.why.clone(),
        permission: step
            .asked
            .as_ref()
            .map(|(permission, _)| permission.clone()),
        resource: step
            .asked
            .as_ref()
            .map(|(_, resource)| resource.to_string()),
        explain: broken.then(|| report.explain(proof, step)),
        source: step.source.as_ref().map(source),
    }
}

fn source(source: &wi_core::spec::model::SourceLine) -> SourceJson {
    SourceJson {
        file: source.file.to_string(),
        line: source.line,
    }
}

fn outcome(outcome: Outcome) -> OutcomeJson {
    match outcome {
        Outcome::Holds => OutcomeJson::Holds,
        Outcome::Broken => OutcomeJson::Broken,
        Outcome::Untried => OutcomeJson::Untried,
        Outcome::Skipped => OutcomeJson::Skipped,
    }
}
