//! Errors that have one cause are told once.

use std::collections::BTreeMap;

/// What has the same cause, together: in the order of each cause's first.
pub(super) fn together<T>(
    items: impl IntoIterator<Item = T>,
    cause: impl Fn(&T) -> &str,
) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut of_cause: BTreeMap<String, usize> = BTreeMap::new();
    for item in items {
        let group = *of_cause.entry(cause(&item).to_owned()).or_insert_with(|| {
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
    fn what_has_one_cause_is_together_in_the_order_of_the_first() {
        let met = [("pods", "401"), ("account", "disabled"), ("nodes", "401")];
        let groups = together(met, |(_, cause)| cause);
        assert_eq!(groups, [vec![met[0], met[2]], vec![met[1]]]);
    }
}
