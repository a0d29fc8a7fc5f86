//! Members that are nearly the right one: what differs, and where.

use crate::names::KsaIdentity;

/// A member that is nearly the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    /// As it is written.
    pub member: String,
    /// What differs: the first character of it in `member`, and how many.
    pub differs: (usize, usize),
    /// In words.
    pub why: String,
}

/// The most that are shown.
const MOST: usize = 3;

/// Among members, those that somebody may have meant for this account.
pub(super) fn near<'m>(
    members: impl Iterator<Item = &'m str>,
    ksa: &KsaIdentity,
    number: Option<u64>,
) -> Vec<NearMiss> {
    let mut found: Vec<NearMiss> = members.filter_map(|m| of(m, ksa, number)).collect();
    found.sort_by(|a, b| a.member.cmp(&b.member));
    found.dedup();
    found.truncate(MOST);
    found
}

/// A part of a member: what it is called, what it is, what it should be.
type Part<'a> = (&'static str, &'a str, String);

fn of(member: &str, ksa: &KsaIdentity, number: Option<u64>) -> Option<NearMiss> {
    if let Some(dead) = member.strip_prefix("deleted:") {
        let is_it = dead.split("?uid=").next() == Some(&ksa.legacy_member());
        return is_it.then(|| NearMiss {
            member: member.to_owned(),
            differs: (0, "deleted:".len()),
            why: "the member is deleted".to_owned(),
        });
    }
    let parts = parts(member, ksa, number)?;
    let wrong: Vec<&Part<'_>> = parts
        .iter()
        .filter(|(_, is, should)| is != should)
        .collect();
    let [(what, is, should)] = wrong.as_slice() else {
        return None;
    };
    let at = is.as_ptr() as usize - member.as_ptr() as usize;
    let start = member[..at].chars().count();
    let tidy = |t: &str| t.trim().to_lowercase();
    let why = if is.trim() == should.as_str() {
        format!("there is a blank in the {what}")
    } else if tidy(is) == tidy(should) {
        format!("the {what} is {should}, in lower case")
    } else if *what == "project number" && !is.bytes().all(|b| b.is_ascii_digit()) {
        format!("the project's number belongs here, {should}")
    } else {
        format!("the {what} is {should}")
    };
    Some(NearMiss {
        member: member.to_owned(),
        differs: (start, is.chars().count().max(1)),
        why,
    })
}

fn parts<'m>(member: &'m str, ksa: &KsaIdentity, number: Option<u64>) -> Option<Vec<Part<'m>>> {
    let (pool, namespace, name) = (ksa.pool.clone(), ksa.namespace.clone(), ksa.name.clone());
    let mut parts = Vec::new();
    let (is_pool, is_namespace, is_name) =
        if let Some(rest) = member.strip_prefix("serviceAccount:") {
            let (is_pool, subject) = rest.strip_suffix(']')?.split_once('[')?;
            let (is_namespace, is_name) = subject.split_once('/')?;
            (is_pool, is_namespace, is_name)
        } else {
            let rest = member.strip_prefix("principal://iam.googleapis.com/projects/")?;
            let (is_number, rest) = rest.split_once("/locations/global/workloadIdentityPools/")?;
            let (is_pool, rest) = rest.split_once("/subject/ns/")?;
            let (is_namespace, is_name) = rest.split_once("/sa/")?;
            let should = number.map_or_else(|| is_number.to_owned(), |n| n.to_string());
            parts.push(("project number", is_number, should));
            (is_pool, is_namespace, is_name)
        };
    parts.push(("pool", is_pool, pool));
    parts.push(("namespace", is_namespace, namespace));
    parts.push(("service account", is_name, name));
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_miss_says_what_differs_and_where() {
        let ksa = KsaIdentity {
            pool: "acme-prod.svc.id.goog".to_owned(),
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
        };
        let principal = |number: &str| {
            format!(
                "principal://iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/subject/ns/shop/sa/web"
            )
        };
        for (member, differs, why) in [
            (
                "serviceAccount:acme-prod.svc.id.goog[shop-dev/web]".to_owned(),
                "shop-dev",
                "the namespace is shop",
            ),
            (
                "serviceAccount:acme-prod.svc.id.goog[shop/web ]".to_owned(),
                "web ",
                "there is a blank in the service account",
            ),
            (
                "serviceAccount:acme-prod.svc.id.goog[Shop/web]".to_owned(),
                "Shop",
                "the namespace is shop, in lower case",
            ),
            (
                "serviceAccount:acme-dev.svc.id.goog[shop/web]".to_owned(),
                "acme-dev.svc.id.goog",
                "the pool is acme-prod.svc.id.goog",
            ),
            (
                principal("acme-prod"),
                "acme-prod",
                "the project's number belongs here, 42",
            ),
            (principal("43"), "43", "the project number is 42"),
            (
                "deleted:serviceAccount:acme-prod.svc.id.goog[shop/web]?uid=1".to_owned(),
                "deleted:",
                "the member is deleted",
            ),
        ] {
            let found = near([member.as_str()].into_iter(), &ksa, Some(42));
            assert_eq!(found.len(), 1, "{member}");
            let (start, length) = found[0].differs;
            let marked: String = member.chars().skip(start).take(length).collect();
            assert_eq!((marked.as_str(), found[0].why.as_str()), (differs, why));
        }
        for other in [
            ksa.legacy_member(),
            principal("42"),
            "serviceAccount:acme-dev.svc.id.goog[other/web]".to_owned(),
            "user:a@b.c".to_owned(),
        ] {
            assert_eq!(
                near([other.as_str()].into_iter(), &ksa, Some(42)),
                [],
                "{other}"
            );
        }
    }
}
