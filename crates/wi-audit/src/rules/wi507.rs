//! One account for several workloads.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI507",
        severity: Severity::Low,
        title: "One account for several unrelated workloads",
        help: "Each of them has what the others need, and logs do not tell them apart. Give each an account, or roles of its own.",
        can_be_accepted: true,
    },
    reads: &[],
    offline: true,
    decides: "Kubernetes service accounts of two or more namespaces (medium), or three or more of one, act as one account in the spec.",
    references: &["Google: best practices for using service accounts (single-purpose accounts)"],
    check,
};

fn check(world: &World, out: &mut Out) {
    let mut users: BTreeMap<&Email, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for (key, ksa) in &world.desired.ksas {
        if let Some(account) = &ksa.account {
            let who = (key.namespace.as_str(), key.name.as_str());
            users.entry(account).or_default().insert(who);
        }
    }
    for (email, users) in users {
        let namespaces: BTreeSet<&str> = users.iter().map(|(ns, _)| *ns).collect();
        if namespaces.len() < 2 && users.len() < 3 {
            continue;
        }
        let names: Vec<String> = users.iter().map(|(ns, name)| format!("{ns}/{name}")).collect();
        let (subject, place) = world.account(email);
        let found = out.found(&subject, format!("{} workloads act as it", users.len()), place);
        found.evidence.push(names.join(", "));
        if namespaces.len() > 1 {
            found.severity = Severity::Medium;
        }
        found.fix = Some("an account for each in the spec, with the grants that it needs".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_for_unrelated_ones_and_not_for_two_of_one_namespace() {
        let with = |more: &str| SPEC.replace("serviceAccounts: { web: { impersonates: web } }", &format!("serviceAccounts: {{ web: {{ impersonates: web }}{more} }}"));
        let two = with(", b: { impersonates: web }");
        by_spec(&super::RULE, &with(", b: { impersonates: web }, c: { impersonates: web }"), &two);
        let other = SPEC.replace("namespaces: {", "namespaces: { tools: { serviceAccounts: { x: { impersonates: web } } },");
        by_spec(&super::RULE, &other, &two);
    }
}
