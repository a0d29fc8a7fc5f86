//! An accepted finding has come to its end.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI904",
        severity: Severity::Medium,
        title: "An accepted finding has come to its end",
        help: "What it accepted counts again. Mend it, or accept it anew with a reason and an end.",
        can_be_accepted: true,
    },
    reads: &[],
    offline: true,
    decides: "An entry of the file of accepted findings fits a finding, and its last day is over.",
    references: &["wi: accepted findings"],
    check,
};

fn check(world: &World, out: &mut Out) {
    stale(world, out, true);
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;
    use crate::world::Stale;

    #[test]
    fn fires_for_its_kind_of_entry_alone() {
        for ended in [true, false] {
            let mut world = world();
            world.stale.push(Stale {
                file: "wi-audit.yaml".to_owned(),
                line: 3,
                names: ["WI501", "gsa.web", "**"].map(str::to_owned),
                ended,
                told: "it is over".to_owned(),
            });
            let (found, unchecked) = ask(&super::RULE, &world);
            assert_eq!((!found.is_empty(), unchecked), (ended, 0));
        }
    }
}
