//! Where accounts stand on their way off static keys, as JSON.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use wi_core::migrate::state::{Next, Rung, Standing};
use wi_core::spec::migration::Until;

use crate::migrate::{Account, End, KeyReport, WorkloadReport};

/// The version of the format: a minor one adds fields, a major one changes them.
const FORMAT: &str = "1.1";

/// What `wi migrate --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Migrations of wi", extend("$id" = "wi-migrate.v1.schema.json"))]
#[serde(rename_all = "camelCase")]
struct Root<'a> {
    /// `MAJOR.MINOR`: a minor version adds fields, a major one changes them.
    format_version: &'static str,
    /// The `wi` that made it.
    wi_version: &'static str,
    /// Accounts that the spec migrates, and those that have keys.
    accounts: Vec<AccountJson<'a>>,
}

/// An account.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AccountJson<'a> {
    /// The spec's name of it.
    name: &'a str,
    email: &'a str,
    /// How far the spec has it go; absent: it says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<&'static str>,
    /// `reached`, `waits`, `held` or `cannot_say`.
    standing: &'static str,
    /// Its user-managed keys.
    keys: Vec<KeyJson<'a>>,
    /// Keys and Secrets of which the spec wants something else than there is.
    ends: Vec<EndJson<'a>>,
    workloads: Vec<WorkloadJson<'a>>,
    /// Whatever else has a key.
    others: &'a [String],
    /// Revisions to which an undo would lead back to a key.
    revisions: &'a [String],
    /// Clusters of the same projects that the spec does not mention.
    outside: &'a [String],
    /// What could not be looked at.
    unseen: &'a [String],
}

/// A key.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct KeyJson<'a> {
    id: &'a str,
    disabled: bool,
    /// What can be said of it.
    verdict: &'a str,
    /// What each source tells of its use.
    evidence: &'a [String],
}

/// A key or a Secret that is to end, or a key that comes back.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct EndJson<'a> {
    /// As in a plan: `key.checkout/1f0c…`.
    address: &'a str,
    /// What the next `wi apply` does; absent: nothing yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'static str>,
    /// What holds it back.
    held_back: &'a [String],
    /// Whether all of that passes with time.
    passes: bool,
}

/// A workload.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct WorkloadJson<'a> {
    /// The spec's name of the cluster.
    cluster: &'a str,
    namespace: &'a str,
    kind: &'a str,
    name: &'a str,
    service_account: &'a str,
    /// `holds`, `bound`, `shadow`, `canary`, `cut_over`, or `cannot_say` where a Secret that it is given was not opened.
    rung: &'static str,
    /// Whether the spec leaves it out.
    excluded: bool,
    /// What leads to the key in its template.
    uses: &'a [String],
    /// Pods of it that have the key still.
    pods: Vec<&'a str>,
    /// What the pod shows that stands beside it without the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<&'a str>,
    /// Who keeps it elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    /// `nothing`, `declare`, `apply`, `wait`, `settle`, `change`, `replace` or `look`.
    next: &'static str,
    /// Of what: addresses, obstacles, pods, or why it is not known.
    about: Vec<String>,
}

/// The JSON Schema of [`accounts`]' text.
pub fn schema() -> Value {
    schemars::schema_for!(Root<'_>).to_value()
}

/// One JSON document with a line break at its end.
pub fn accounts(accounts: &[Account]) -> String {
    crate::view::json::line(&Root {
        format_version: FORMAT,
        wi_version: env!("CARGO_PKG_VERSION"),
        accounts: accounts.iter().map(account).collect(),
    })
}

fn account(account: &Account) -> AccountJson<'_> {
    let until = account.migration.as_ref().map(|m| m.until);
    let wanted = until.unwrap_or(Until::Cutover);
    AccountJson {
        name: &account.name,
        email: account.email.as_str(),
        until: until.map(Until::name),
        standing: match account.standing {
            Standing::Reached => "reached",
            Standing::Waits => "waits",
            Standing::Held => "held",
            Standing::CannotSay => "cannot_say",
        },
        keys: account.keys.iter().map(key).collect(),
        ends: account.ends.iter().map(end).collect(),
        workloads: account
            .workloads
            .iter()
            .map(|report| workload(report, wanted))
            .collect(),
        others: &account.others,
        revisions: &account.revisions,
        outside: &account.outside,
        unseen: &account.unseen,
    }
}

fn key(key: &KeyReport) -> KeyJson<'_> {
    KeyJson {
        id: &key.id,
        disabled: key.is_disabled,
        verdict: &key.verdict,
        evidence: &key.last_use,
    }
}

fn end(end: &End) -> EndJson<'_> {
    EndJson {
        address: &end.address,
        next: end.next.as_ref().ok().copied(),
        held_back: end.next.as_ref().err().map_or(&[], Vec::as_slice),
        passes: end.passes,
    }
}

fn workload(report: &WorkloadReport, until: Until) -> WorkloadJson<'_> {
    let workload = &report.workload;
    let text = |all: &mut dyn Iterator<Item = String>| all.collect::<Vec<String>>();
    let (next, about) = match report.state.next(until) {
        Next::Nothing => ("nothing", Vec::new()),
        Next::Declare => ("declare", Vec::new()),
        Next::Apply(changes) => ("apply", text(&mut changes.iter().map(|a| a.to_string()))),
        Next::Wait(why, _) => ("wait", why),
        Next::Settle(traps) => ("settle", text(&mut traps.iter().map(ToString::to_string))),
        Next::Change => ("change", Vec::new()),
        Next::Replace(pods) => ("replace", text(&mut pods.into_iter())),
        Next::Look(why) => ("look", vec![why]),
    };
    WorkloadJson {
        cluster: &workload.cluster,
        namespace: &workload.namespace,
        kind: workload.kind,
        name: &workload.name,
        service_account: &workload.service_account,
        rung: match report.state.rung() {
            Rung::CannotSay => "cannot_say",
            Rung::Holds => "holds",
            Rung::Bound => "bound",
            Rung::Shadow => "shadow",
            Rung::Canary => "canary",
            Rung::CutOver => "cut_over",
        },
        excluded: report.state.is_excluded,
        uses: &report.state.uses,
        pods: report.state.pods.iter().map(String::as_str).collect(),
        shadow: report.state.shadow.shows.as_deref(),
        owner: report.owner.as_deref(),
        next,
        about,
    }
}
