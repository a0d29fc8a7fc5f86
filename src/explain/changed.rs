//! Who changed last what is broken, by the Admin Activity log, which is always on and kept for 400 days.
//!
//! Forms of the entries: <https://cloud.google.com/iam/docs/audit-logging/examples-service-accounts>,
//! <https://cloud.google.com/kubernetes-engine/docs/how-to/audit-logging>.

use futures::future::join_all;
use jiff::{Timestamp, ToSpan};
use wi_client::google::logging::{Entries, First};
use wi_client::http::{Http, Retry};
use wi_core::access::Principal;
use wi_core::access::ladder::{self, Rung, Situation};
use wi_core::names::{Member, ProjectId};
use wi_logs::entry::Entry;
use wi_logs::when;

/// How far back is looked: a filter without a time reads all that there is.
const DAYS: i64 = 90;

/// Of pages, of a thousand entries each.
const MOST_PAGES: usize = 3;

/// A change, by whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// When, as people read it.
    pub at: String,
    /// Who, as the log has it.
    pub by: String,
    /// `google.iam.admin.v1.SetIAMPolicy`.
    pub method: String,
    /// What was taken from whom: `roles/x from MEMBER`.
    pub took: Option<String>,
}

/// What the log says of a broken link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Last {
    /// Who changed it last.
    Changed(Changed),
    /// The log has no such change.
    Nobody,
    /// The log could not be read; why.
    Unseen(String),
}

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    project: ProjectId,
    filter: String,
    /// Only what took something from one of these; none: any change.
    from: Vec<Member>,
}

/// Where the change of a situation's broken link would be; `None`: there is no log of such changes.
pub(super) fn look(rung: Rung, s: &Situation<'_>) -> Option<Look> {
    let cluster = &s.read.path;
    let of_cluster = format!(
        "resource.labels.cluster_name={} AND resource.labels.location={}",
        quoted(&cluster.name),
        quoted(&cluster.location)
    );
    let ksa = ladder::ksa(s).identity;
    let any = |project: &ProjectId, filter: String| Look {
        project: project.clone(),
        filter,
        from: Vec::new(),
    };
    match rung {
        Rung::ServiceAccount | Rung::Annotation => Some(any(
            &cluster.project,
            format!(
                "protoPayload.serviceName=\"k8s.io\" AND {of_cluster} AND protoPayload.resourceName={}",
                quoted(&format!(
                    "core/v1/namespaces/{}/serviceaccounts/{}",
                    ksa.namespace, ksa.name
                ))
            ),
        )),
        Rung::NodePool | Rung::ClusterPool => {
            let what = match rung {
                Rung::NodePool => "NodePool",
                _ => "UpdateCluster",
            };
            Some(any(
                &cluster.project,
                format!(
                    "protoPayload.serviceName=\"container.googleapis.com\" AND {of_cluster} AND protoPayload.methodName:{}",
                    quoted(what)
                ),
            ))
        }
        Rung::Account => {
            let email = ladder::acts_as(s)?;
            let ends = ["Disable", "Delete"]
                .map(|how| quoted(&format!("google.iam.admin.v1.{how}ServiceAccount")));
            Some(any(
                &email.project()?,
                format!(
                    "protoPayload.methodName=({}) AND resource.labels.email_id={}",
                    ends.join(" OR "),
                    quoted(email.as_str())
                ),
            ))
        }
        Rung::Binding => {
            let email = ladder::acts_as(s)?;
            Some(Look {
                project: email.project()?,
                filter: format!(
                    "protoPayload.methodName:\"SetIAMPolicy\" AND resource.labels.email_id={}",
                    quoted(email.as_str())
                ),
                from: vec![Member::Ksa(ksa)],
            })
        }
        Rung::Grant | Rung::Role | Rung::Condition => {
            let asked = s.asked.and_then(|a| a.resource.project());
            let project = asked.or_else(|| ladder::acts_as(s)?.project());
            let (mut from, mut parts) = (Vec::new(), Vec::new());
            for principal in ladder::principals(s) {
                match principal {
                    Principal::Account(email) => {
                        parts.push(quoted(&format!("serviceAccount:{email}")));
                        from.push(Member::ServiceAccount(email));
                    }
                    Principal::Ksa(ksa) => {
                        let ksa = ksa.identity;
                        parts.push(quoted(&ksa.legacy_member()));
                        parts.push(quoted(&format!(
                            "{}/subject/ns/{}/sa/{}",
                            ksa.pool, ksa.namespace, ksa.name
                        )));
                        from.push(Member::Ksa(ksa));
                    }
                }
            }
            if from.is_empty() {
                return None;
            }
            Some(Look {
                project: project.unwrap_or_else(|| cluster.project.clone()),
                filter: format!(
                    "protoPayload.serviceData.policyDelta.bindingDeltas.member:({})",
                    parts.join(" OR ")
                ),
                from,
            })
        }
        _ => None,
    }
}

/// A text of the filter's language.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Reads each log once, side by side; answers in the order of what was asked.
pub(super) async fn read(http: &Http, looks: Vec<Option<Look>>) -> Vec<Option<Last>> {
    let mut distinct: Vec<&Look> = Vec::new();
    for look in looks.iter().flatten() {
        if !distinct.contains(&look) {
            distinct.push(look);
        }
    }
    let read = join_all(distinct.iter().map(|look| of(http, look))).await;
    let answer = |look: &Look| {
        let at = distinct.iter().position(|d| *d == look);
        at.map(|at| read[at].clone())
    };
    looks.iter().map(|look| answer(look.as_ref()?)).collect()
}

async fn of(http: &Http, look: &Look) -> Last {
    let since = Timestamp::now().checked_sub((DAYS * 24).hours());
    let since = since.map(|at| format!(" AND timestamp>=\"{at:.0}\""));
    let filter = format!(
        "log_id(\"cloudaudit.googleapis.com/activity\") AND {}{}",
        look.filter,
        since.unwrap_or_default()
    );
    let mut entries = Entries::new(&look.project, filter, First::Newest, MOST_PAGES);
    loop {
        match entries.next(http, Retry::UnlessQuota).await {
            Ok(None) => return Last::Nobody,
            Ok(Some(page)) => {
                let texts = page.iter().map(ToString::to_string);
                if let Some(changed) = texts.into_iter().find_map(|t| changed(look, &t)) {
                    return Last::Changed(changed);
                }
            }
            Err(e) => {
                return Last::Unseen(format!(
                    "audit logs of project {}: {}",
                    look.project,
                    e.reason()
                ));
            }
        }
    }
}

/// What an entry says of what is looked for.
fn changed(look: &Look, entry: &str) -> Option<Changed> {
    let entry = Entry::parse(entry.as_bytes())?;
    // What failed changed nothing.
    if !matches!(entry.payload.status.code.as_str(), "" | "0") {
        return None;
    }
    let deltas = &entry.payload.service_data.delta.bindings.0;
    let taken = deltas.iter().find(|delta| {
        let member = Member::parse(delta.member.as_str());
        delta.action.as_str() == "REMOVE" && look.from.contains(&member)
    });
    if taken.is_none() && !look.from.is_empty() {
        return None;
    }
    Some(Changed {
        at: when::shown(entry.at()?),
        by: entry.who().to_owned(),
        method: entry.payload.method.as_str().to_owned(),
        took: taken.map(|d| format!("{} from {}", d.role.as_str(), d.member.as_str())),
    })
}
