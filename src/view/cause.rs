//! Errors that have one cause are told once.

use std::collections::BTreeMap;

/// What an error comes from, without the call that met it: `METHOD URL: ` and what is before it are left
/// out.
pub(super) fn cause(why: &str) -> &str {
    let url = why.find("http://").or_else(|| why.find("https://"));
    let end = url.and_then(|at| Some(at + why[at..].find(": ")? + 2));
    end.map_or(why, |end| &why[end..])
}

/// What has the same cause, together: in the order of each cause's first.
pub(super) fn together<T>(
    items: impl IntoIterator<Item = T>,
    why: impl Fn(&T) -> &str,
) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut of_cause: BTreeMap<String, usize> = BTreeMap::new();
    for item in items {
        let group = *of_cause
            .entry(cause(why(&item)).to_owned())
            .or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
        groups[group].push(item);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_answer_to_two_calls_is_one_cause() {
        let calls = [
            "by the public endpoint 10.0.0.1: GET https://10.0.0.1/api/v1/pods: Unauthorized (HTTP 401)",
            "the account is disabled",
            "GET https://10.0.0.2/api/v1/nodes: Unauthorized (HTTP 401)",
        ];
        let groups = together(calls, |why| why);
        assert_eq!(groups, [vec![calls[0], calls[2]], vec![calls[1]]]);
    }
}
