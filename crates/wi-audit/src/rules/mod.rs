//! The rules, a file each: a row, what decides, and a world where it finds something, one where it just does not,
//! and one where it cannot be told.

use crate::rule::Audited;

mod common;
mod escalation;
mod prelude;

macro_rules! rules {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*
        /// All of them, by their ids.
        pub static ALL: &[&Audited] = &[$(&$name::RULE),*];
    };
}

rules! {
    wi101, wi102, wi103, wi104, wi105, wi106, wi107, wi109, wi110, wi111,
    wi201, wi203, wi206, wi207, wi208, wi209,
    wi301, wi302, wi303, wi304, wi305, wi306, wi308, wi309, wi310, wi313,
    wi401, wi402, wi404, wi405, wi406, wi410, wi411, wi412,
    wi501, wi502, wi507,
    wi601, wi602, wi603, wi604,
    wi701,
    wi901, wi904, wi905,
}

/// The rule of this id.
pub fn of(id: &str) -> Option<&'static Audited> {
    ALL.iter()
        .find(|r| r.id().eq_ignore_ascii_case(id))
        .copied()
}

/// The rules whose ids fit a pattern, in which `*` stands for anything: `WI1*`.
pub fn matching(pattern: &str) -> Vec<&'static Audited> {
    let pattern = pattern.trim().to_ascii_uppercase();
    let fits = |r: &&&Audited| wi_core::spec::glob(&pattern, r.id());
    ALL.iter().filter(fits).copied().collect()
}

/// The rows as findings have them.
pub fn rows() -> &'static [&'static wi_core::findings::Rule] {
    static ROWS: std::sync::LazyLock<Vec<&'static wi_core::findings::Rule>> =
        std::sync::LazyLock::new(|| ALL.iter().map(|r| &r.rule).collect());
    &ROWS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fixture;

    #[test]
    fn rows_are_whole_and_the_worst_cannot_be_accepted() {
        let ids: BTreeSet<&str> = ALL.iter().map(|r| r.id()).collect();
        assert_eq!(ids.len(), ALL.len());
        for rule in ALL {
            let id = rule.id();
            let digits = id.strip_prefix("WI").unwrap_or_default();
            assert!(
                digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit()),
                "{id}"
            );
            let is_critical = rule.rule.severity == wi_core::findings::Severity::Critical;
            assert_eq!(rule.rule.can_be_accepted, !is_critical, "{id}");
            assert!(
                rule.rule.help.ends_with('.') && !rule.rule.title.ends_with('.'),
                "{id}"
            );
            assert!(rule.decides.ends_with('.'), "{id}");
            assert!(rule.offline || !rule.reads.is_empty(), "{id} reads nothing");
        }
    }

    #[test]
    fn in_a_clean_world_every_rule_looks_and_finds_nothing() {
        let audit = crate::audit(&fixture::world(), ALL);
        assert!(audit.findings.is_empty(), "{:#?}", audit.findings);
        assert!(audit.not_seen.is_empty(), "{:#?}", audit.not_seen);
        assert_eq!(audit.checked, ALL.len());
    }

    /// With all reads refused nothing is found that was not there with them, and nothing passes that reads.
    #[test]
    fn where_nothing_is_seen_nothing_passes_but_the_spec() {
        let audit = crate::audit(&fixture::unseen(), ALL);
        let passed = |r: &&&Audited| !audit.unchecked.contains(r.id());
        for rule in ALL.iter().filter(passed) {
            assert!(rule.reads.is_empty(), "{} passed unseen", rule.id());
        }
        assert!(audit.findings.is_empty(), "{:#?}", audit.findings);
    }

    /// One read that is refused: no rule that needs it passes, and none finds what it did not find before.
    #[test]
    fn what_hides_more_policies_lets_no_rule_about_them_pass() {
        let of_policies = |r: &&&Audited| r.reads.contains(&crate::Read::Policies);
        let refusals: [fn(&mut crate::World); 2] = [
            |w| {
                let project = fixture::project();
                w.there().iam.ancestors.insert(project, fixture::refused());
            },
            |w| {
                let unlisted = (
                    "the accounts of project/acme-prod".to_owned(),
                    "403".to_owned(),
                );
                w.there().unlisted.push(unlisted);
            },
        ];
        for (at, refuse) in refusals.iter().enumerate() {
            let mut world = fixture::world();
            refuse(&mut world);
            let audit = crate::audit(&world, ALL);
            assert!(audit.findings.is_empty(), "{:#?}", audit.findings);
            for rule in ALL.iter().filter(of_policies) {
                // Where nothing asks for one, no policy is looked at; audit logs are the projects' own.
                let lazy =
                    ["WI106", "WI203"].contains(&rule.id()) || (at == 1 && rule.id() == "WI701");
                let is_unchecked = audit.unchecked.contains(rule.id());
                // Logs that are on stay on, whatever is above.
                let on = rule.id() == "WI701";
                assert!(is_unchecked || lazy || on, "{} passed unseen", rule.id());
            }
        }
    }

    /// Roles on what the spec does not name are seen by a search alone.
    #[test]
    fn where_the_search_is_refused_no_rule_passes_that_follows_roles_wherever_they_are() {
        let mut world = fixture::world();
        let place = fixture::resource("project/acme-prod");
        let refused = "the caller may not search".to_owned();
        world.there().searched.clear();
        world.there().unsearched.insert(place, refused);
        let audit = crate::audit(&world, ALL);
        assert!(audit.findings.is_empty(), "{:#?}", audit.findings);
        let ids = "WI107 WI201 WI209 WI306 WI401 WI402 WI404 WI405 WI412 WI601 WI602 WI603 WI604";
        let wanted: Vec<&str> = ids.split(' ').collect();
        let unchecked: Vec<&str> = audit.unchecked.iter().copied().collect();
        assert_eq!(unchecked, wanted);
        let told = &audit.not_seen[0];
        assert_eq!(
            told.what,
            "roles on resources of project/acme-prod that the spec does not name"
        );
        let takes = crate::Read::Search.permission();
        assert!(told.why.contains(takes), "{}", told.why);
        // What they find they find all the same.
        world.bind("project/acme-prod", "roles/editor", fixture::WEB_ACCOUNT);
        let found = crate::audit(&world, &matching("WI401")).findings;
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn of_a_spec_alone_those_are_asked_that_say_something_of_one() {
        let mut world = fixture::world();
        world.live = None;
        let audit = crate::audit(&world, ALL);
        assert!(audit.not_seen.is_empty() && audit.findings.is_empty());
        assert_eq!(audit.left_out.len() + audit.checked, ALL.len());
        assert!(audit.left_out.contains(&"WI102") && !audit.left_out.contains(&"WI401"));
    }

    #[test]
    fn the_documented_rules_are_those_of_the_code() {
        let text = include_str!("../../../../docs/audit.md");
        let rows: Vec<&str> = text.lines().filter(|l| l.starts_with("| WI")).collect();
        let wanted = ALL.iter().map(|r| {
            let offline = if r.offline { "yes" } else { "" };
            let severity = r.rule.severity.word();
            let references = r.references.join("; ");
            format!(
                "| {} | {severity} | {} | {offline} | {references} |",
                r.id(),
                r.rule.title
            )
        });
        assert_eq!(rows, wanted.collect::<Vec<_>>());
    }

    #[test]
    fn rules_are_chosen_by_pattern() {
        assert_eq!(matching("wi10*").len(), 8);
        assert_eq!(matching("WI301").len(), 1);
        assert!(matching("WI999").is_empty());
        assert!(of("wi301").is_some() && of("WI3").is_none());
    }
}
