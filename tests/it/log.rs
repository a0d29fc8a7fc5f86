//! What `-v` says: each call of an API, and what it is for.

use crate::support::Place;

#[test]
fn each_call_says_which_command_cluster_and_change_it_is_for() {
    let place = Place::example("quickstart");
    let apply = place.wi(&["apply", "-v", "--auto-approve"]).ok();
    let calls: Vec<&str> = apply
        .err
        .lines()
        .filter(|l| l.contains(" call method="))
        .collect();
    assert!(calls.len() > 10, "{}", apply.err);
    let of =
        |part: &str| -> Vec<&str> { calls.iter().copied().filter(|l| l.contains(part)).collect() };
    for call in &calls {
        assert!(call.contains("command{name=\"apply\"}"), "{call}");
    }
    for (part, told) in [
        ("/serviceaccounts?limit=", "cluster{name=\"main\"}"),
        (":setIamPolicy", "policy{of=\""),
        (
            "/nodePools/default-pool",
            "change{address=\"nodepool.main/default-pool\"}",
        ),
        ("fieldManager=wi", "change{address=\""),
    ] {
        let some = of(part);
        assert!(!some.is_empty(), "no {part}");
        for call in some {
            assert!(call.contains(told), "{call}");
        }
    }
    let quiet = place.wi(&["plan"]).ok();
    assert!(!quiet.err.contains(" call method="), "{}", quiet.err);
}
