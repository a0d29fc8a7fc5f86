//! Filters of Cloud Logging: what of a project's logs is about the identities of a spec.

use crate::expected::Expected;
use crate::name;

/// Both logs that matter.
const LOGS: &str = r#"log_id("cloudaudit.googleapis.com/data_access") OR log_id("cloudaudit.googleapis.com/activity")"#;

/// The longest filter that the API takes, in characters; some are left for the time.
const LONGEST: usize = 19_000;

/// A filter with what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// In words.
    pub what: String,
    /// The filter.
    pub filter: String,
}

/// All that detectors look at: of the spec's identities, or of everybody where there are too many (or none).
pub fn all(expected: &Expected) -> String {
    let about = about(expected);
    let filter = format!("({LOGS}) AND ({})", about.join(" OR "));
    match about.is_empty() || filter.len() > LONGEST {
        true => format!("({LOGS})"),
        false => filter,
    }
}

/// As above, one after another, for people and for sinks.
pub fn each(expected: &Expected) -> Vec<Named> {
    let named = |what: &str, filter: String| Named {
        what: what.to_owned(),
        filter,
    };
    let data = r#"log_id("cloudaudit.googleapis.com/data_access")"#;
    let activity = r#"log_id("cloudaudit.googleapis.com/activity")"#;
    let mut all = vec![
        named("all that detectors look at", self::all(expected)),
        named(
            "tokens that are made",
            format!(
                r#"{data} AND protoPayload.serviceName="iamcredentials.googleapis.com" AND protoPayload.methodName=("GenerateAccessToken" OR "GenerateIdToken" OR "SignBlob" OR "SignJwt")"#
            ),
        ),
        named(
            "uses of keys",
            format!("({LOGS}) AND protoPayload.authenticationInfo.serviceAccountKeyName:*"),
        ),
        named(
            "keys that are made or uploaded",
            format!(
                r#"{activity} AND protoPayload.methodName=("google.iam.admin.v1.CreateServiceAccountKey" OR "google.iam.admin.v1.UploadServiceAccountKey")"#
            ),
        ),
        named(
            "changes of policies",
            format!(
                r#"{activity} AND protoPayload.methodName=("google.iam.admin.v1.SetIAMPolicy" OR "SetIamPolicy")"#
            ),
        ),
        named(
            "pods that are entered, and tokens made by hand",
            format!(
                r#"{activity} AND protoPayload.methodName:("io.k8s.core.v1.pods.exec" OR "io.k8s.core.v1.pods.ephemeralcontainers" OR "io.k8s.core.v1.serviceaccounts.token.create")"#
            ),
        ),
    ];
    for (who, identity) in &expected.identities {
        let what = format!("what {who} did ({})", identity.key);
        all.push(named(
            &what,
            format!("({LOGS}) AND ({})", of(who).join(" OR ")),
        ));
    }
    all
}

/// What names somebody, in each spelling.
fn of(who: &str) -> Vec<String> {
    let subject = "protoPayload.authenticationInfo.principalSubject";
    let delegated = "protoPayload.authenticationInfo.serviceAccountDelegationInfo.principalSubject";
    match name::pool_of(who) {
        None => vec![
            format!(r#"protoPayload.authenticationInfo.principalEmail="{who}""#),
            format!(r#"resource.labels.email_id="{who}""#),
        ],
        Some(pool) => {
            let inner = who[pool.len() + 1..].trim_end_matches(']');
            let (namespace, ksa) = inner.split_once('/').unwrap_or((inner, ""));
            vec![
                format!(r#"{subject}="serviceAccount:{who}""#),
                format!(
                    r#"{subject}:"/workloadIdentityPools/{pool}/subject/ns/{namespace}/sa/{ksa}""#
                ),
                format!(r#"{delegated}="serviceAccount:{who}""#),
            ]
        }
    }
}

/// What the spec's identities do, and what is done to what they rest on.
fn about(expected: &Expected) -> Vec<String> {
    if expected.identities.is_empty() {
        return Vec::new();
    }
    let mut all: Vec<String> = expected.identities.keys().flat_map(|who| of(who)).collect();
    all.push(
        r#"protoPayload.methodName:("SetIamPolicy" OR "ServiceAccount" OR "UpdateRole" OR "DeleteRole" OR "WorkloadIdentityPool" OR "hmacKeys.create" OR "google.iam.v2.Policies" OR "PrincipalAccessBoundary" OR "io.k8s.core.v1.pods.exec" OR "io.k8s.core.v1.pods.ephemeralcontainers" OR "io.k8s.core.v1.serviceaccounts.token.create")"#
            .to_owned(),
    );
    all
}
