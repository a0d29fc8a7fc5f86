//! What is there differs from the spec.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI901",
        severity: Severity::Medium,
        title: "What is there differs from the spec",
        help: "Somebody changed it by hand, the spec was not applied, or a change is held back. wi plan says what would be done.",
        can_be_accepted: true,
    },
    reads: &[Read::Plan],
    offline: false,
    decides: "A plan of the spec has a change, or holds one back.",
    references: &["wi: wi plan --detailed-exitcode"],
    check,
};

fn check(world: &World, out: &mut Out) {
    let Some(live) = world.live() else { return };
    let Some(drift) = &live.drift else {
        out.unchecked("what a plan would change", "it was not planned", Read::Plan);
        return;
    };
    let Some(drift) = out.seen("what a plan would change", drift, Read::Plan) else {
        return;
    };
    for (what, why) in &live.unplanned {
        out.unchecked(what.clone(), why.clone(), Read::Plan);
    }
    for change in drift {
        let address = change.address.to_string();
        let place = world.place(change.place.as_ref(), &["plan", &address]);
        let what = match change.held_back.as_str() {
            "" => format!("a plan would {} it", change.action),
            why => format!("its change is held back: {why}"),
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "./_-".contains(c);
        let fix = match address.chars().all(is_plain) {
            true => format!("wi apply --target {address}"),
            false => format!("wi apply --target '{address}'"),
        };
        out.found(&address, what, place).fix = Some(fix);
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;
    use crate::world::Drift;
    use wi_core::address::Address;
    use wi_core::live::Seen;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let drift = Drift {
            address: Address::cluster_pool("main"),
            action: "update",
            held_back: String::new(),
            place: None,
        };
        three(
            &super::RULE,
            |w| w.there().drift = Some(Seen::Found(vec![drift.clone()])),
            |w| w.there().drift = Some(Seen::Found(Vec::new())),
            |w| w.there().drift = None,
        );
        three(
            &super::RULE,
            |w| w.there().drift = Some(Seen::Found(vec![drift.clone()])),
            |_| {},
            |w| {
                let unread = ("bucket/acme-b".to_owned(), "403".to_owned());
                w.there().unplanned.push(unread);
            },
        );
    }
}
