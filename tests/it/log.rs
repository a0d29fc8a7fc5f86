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

/// Whatever the command, a call of a cluster's API says whose it is: endpoints alone tell nobody.
#[test]
fn each_call_of_a_cluster_says_which_one_whatever_the_command() {
    let place = Place::example("quickstart");
    place.wi(&["apply", "--auto-approve"]).ok();
    for args in [
        &["plan", "-v"][..],
        &["doctor", "--sandbox", "-v"],
        &["explain", "shop/checkout", "--sandbox", "-v"],
        &["verify", "--sandbox", "-v"],
    ] {
        let ran = place.wi(args);
        let calls: Vec<&str> = ran
            .err
            .lines()
            .filter(|l| l.contains(" call method="))
            .collect();
        let kubernetes: Vec<&&str> = calls
            .iter()
            .filter(|l| l.contains("/api/v1/") || l.contains("/apis/"))
            .collect();
        assert!(!kubernetes.is_empty(), "{args:?}: {}", ran.err);
        for call in kubernetes {
            assert!(call.contains("cluster{name=\"main\"}"), "{args:?}: {call}");
        }
    }
}
