//! What the pods of a shadow prove: that they run without the key, and since when.

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use crate::live::shadows::ShadowSeen;
use crate::migrate::rollout::{self, Health};
use crate::spec::migration::Soak;
use crate::words::duration;

/// How it stands with a shadow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// What is waited for.
    Waits(String),
    /// What is wrong, and does not mend itself.
    Fails(String),
    /// All of its pods are ready since then, and none was started again.
    Since(Timestamp),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waits(what) => write!(f, "its shadow is not ready: {what}"),
            Self::Fails(why) => write!(f, "its shadow does not work without the key: {why}"),
            Self::Since(since) => write!(
                f,
                "its shadow is ready since {}",
                since.strftime("%Y-%m-%d %H:%M:%S UTC")
            ),
        }
    }
}

/// That of a live one.
pub fn of(shadow: &ShadowSeen) -> Standing {
    let object = &shadow.object.0;
    if let Some(why) = rollout::refused(object) {
        return Standing::Fails(format!("its pod is not made: {why}"));
    }
    if let Some(left) = rollout::left(object) {
        return Standing::Waits(left);
    }
    let pods = match &shadow.pods {
        Ok(pods) => pods.iter().map(|p| &p.0),
        Err(why) => return Standing::Waits(format!("its pods could not be read: {why}")),
    };
    let mut since: Option<Timestamp> = None;
    for pod in pods.filter(|p| p["metadata"]["deletionTimestamp"].is_null()) {
        match rollout::health_of(pod) {
            Health::Ready => {}
            Health::Waits(what) => return Standing::Waits(what),
            Health::Fails(why) => return Standing::Fails(why),
        }
        match ready_since(pod) {
            Some(at) => since = since.max(Some(at)),
            None => return Standing::Waits("since when its pod is ready is not told".to_owned()),
        }
    }
    since.map_or_else(
        || Standing::Waits("it has no pod".to_owned()),
        Standing::Since,
    )
}

fn ready_since(pod: &Value) -> Option<Timestamp> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let ready = conditions.iter().find(|c| c["type"] == "Ready")?;
    ready["lastTransitionTime"].as_str()?.parse().ok()
}

/// Whether it has been ready for long enough for the next rung; or why not, and whether that passes by itself.
///
/// # Errors
/// As said.
pub fn soaked(shadow: &ShadowSeen, soak: &Soak) -> Result<(), (String, bool)> {
    let standing = of(shadow);
    let since = match standing {
        Standing::Waits(_) => return Err((standing.to_string(), true)),
        Standing::Fails(_) => return Err((standing.to_string(), false)),
        Standing::Since(since) => since,
    };
    let ends = jiff::SignedDuration::try_from(soak.canary)
        .ok()
        .and_then(|canary| since.checked_add(canary).ok());
    match ends {
        Some(ends) if ends <= shadow.now => Ok(()),
        _ => Err((
            format!(
                "{standing}, and soaks for {} (soak.canary)",
                duration(soak.canary)
            ),
            true,
        )),
    }
}
