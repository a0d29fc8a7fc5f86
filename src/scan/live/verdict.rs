//! What can be said of a key: pure, from what was seen and from what was not.

use jiff::{SignedDuration, Timestamp};

pub use wi_core::live::keys::Last;

/// What is known of one key.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The time, by the servers' clock.
    pub now: Timestamp,
    /// Whether IAM says that it is disabled.
    pub is_disabled: bool,
    /// Until when it holds.
    pub expires: Option<Timestamp>,
    /// What Google says of its exposure.
    pub exposure: Option<String>,
    /// By Cloud Monitoring, the end of the last hour with an event.
    pub events: Last,
    /// By the Activity Analyzer, the last day.
    pub activity: Last,
    /// Users that lead to it, old revisions aside.
    pub users: usize,
    /// Why not all users can be known.
    pub unseen: Vec<String>,
}

/// What can be said. There is no "unused": nothing that was seen says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Exposed or compromised, and enabled.
    Exposed(String),
    /// Disabled or expired.
    Dead(&'static str),
    /// Used, and its users were found.
    Used,
    /// Used just now, and nobody was found who would.
    UsedByUnseen,
    /// Users were found, and no use was seen.
    Referenced,
    /// Neither users nor use were seen just now.
    NotSeen,
    /// Why that cannot be said.
    CannotSay(Vec<String>),
}

/// Uses come to Cloud Monitoring after at most three hours; one more for what is on its way.
pub const RECENT: SignedDuration = SignedDuration::from_hours(4);

/// Judges.
pub fn of(facts: &Facts) -> Verdict {
    if facts.is_disabled {
        return Verdict::Dead("disabled");
    }
    if facts.expires.is_some_and(|at| at < facts.now) {
        return Verdict::Dead("expired");
    }
    if let Some(exposure) = &facts.exposure {
        return Verdict::Exposed(exposure.clone());
    }
    let last = match (&facts.events, &facts.activity) {
        (Last::At(a), Last::At(b)) => Some(*a.max(b)),
        (Last::At(at), _) | (_, Last::At(at)) => Some(*at),
        _ => None,
    };
    if facts.users > 0 {
        return match last {
            Some(_) => Verdict::Used,
            None => Verdict::Referenced,
        };
    }
    if !facts.unseen.is_empty() {
        return Verdict::CannotSay(facts.unseen.clone());
    }
    if last.is_some_and(|at| at >= facts.now - RECENT) {
        return Verdict::UsedByUnseen;
    }
    // Without Cloud Monitoring there may be uses of this hour that nothing tells.
    if let Last::Unknown(why) = &facts.events {
        return Verdict::CannotSay(vec![why.clone()]);
    }
    Verdict::NotSeen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().expect("a time");
        let window = Last::NotIn(now - SignedDuration::from_hours(1000), now);
        Facts {
            now,
            is_disabled: false,
            expires: None,
            exposure: None,
            events: window.clone(),
            activity: window,
            users: 0,
            unseen: Vec::new(),
        }
    }

    fn ago(hours: i64) -> Last {
        Last::At(facts().now - SignedDuration::from_hours(hours))
    }

    #[test]
    fn use_without_a_user_is_told_only_where_all_users_would_have_been_seen() {
        let mut of_now = Facts {
            events: ago(0),
            ..facts()
        };
        assert_eq!(of(&of_now), Verdict::UsedByUnseen);
        of_now.unseen.push("Secrets were not opened".to_owned());
        assert!(matches!(of(&of_now), Verdict::CannotSay(_)));
        of_now.users = 1;
        assert_eq!(of(&of_now), Verdict::Used);
    }

    #[test]
    fn nothing_is_concluded_from_a_source_that_was_not_read() {
        let unread = Facts {
            events: Last::Unknown("refused".to_owned()),
            ..facts()
        };
        assert_eq!(of(&unread), Verdict::CannotSay(vec!["refused".to_owned()]));
        // The Analyzer's days are too coarse to stand in, and its silence is no reason for doubt.
        let unread = Facts {
            activity: Last::Unknown("off".to_owned()),
            ..facts()
        };
        assert_eq!(of(&unread), Verdict::NotSeen);
    }

    #[test]
    fn use_of_yesterday_by_nobody_is_not_of_now() {
        let facts_then = Facts {
            events: ago(30),
            ..facts()
        };
        assert_eq!(of(&facts_then), Verdict::NotSeen);
        let border = Facts {
            events: ago(4),
            ..facts()
        };
        assert_eq!(of(&border), Verdict::UsedByUnseen);
    }

    #[test]
    fn exposed_counts_before_all_but_a_dead_key() {
        let mut exposed = Facts {
            exposure: Some("EXPOSED".to_owned()),
            users: 3,
            events: ago(1),
            ..facts()
        };
        assert!(matches!(of(&exposed), Verdict::Exposed(_)));
        exposed.is_disabled = true;
        assert_eq!(of(&exposed), Verdict::Dead("disabled"));
        let expired = Facts {
            expires: Some(facts().now - SignedDuration::from_hours(1)),
            ..facts()
        };
        assert_eq!(of(&expired), Verdict::Dead("expired"));
    }
}
