//! Two `wi apply` of the same fleet and a third writer of all that they write, at once: nothing of the
//! third is lost, nothing is begun twice, no pod loses access, and afterwards all is as declared.

use futures::stream::{self, StreamExt};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::check::{check_begun_once, check_end, check_of_others, check_samples, of_others};
use crate::generate::{Fleet, fleet};
use crate::run::{APPLY, open, to_the_end};
use crate::support::inside::runtime;
use crate::support::size;
use crate::third::Third;

const FLEETS: usize = 12;
/// Fleets at a time.
const AT_ONCE: usize = 4;

async fn race(fleet: Fleet) {
    let inside = open(&fleet, |_| {}).await;
    let sandbox = &inside.sandbox;
    sandbox.record_access();
    let mut others = of_others(sandbox);
    // The third writer changes those.
    others.retain(|line| !line.contains(": p0 "));
    let apply = async || {
        let apply = inside.wi(&APPLY).await;
        assert!(!apply.err.contains("panicked"), "{}", apply.err);
        apply.code
    };
    let third = Third::of(sandbox);
    let both = async {
        let ended = tokio::join!(apply(), apply());
        third.end();
        ended
    };
    let (codes, written) = tokio::join!(both, third.write_all(&fleet));
    // One of them may find that the other has done it, or is in its way, and say so.
    assert!(matches!(codes, (Some(0 | 1), Some(0 | 1))), "{codes:?}");
    to_the_end(&inside).await;
    sandbox.settle().await;
    assert!(written.len() > 20, "the third writer wrote: {written:?}");
    others.extend(written);
    check_of_others(&others, sandbox);
    check_begun_once(sandbox);
    check_samples(&fleet, &sandbox.recorded_access(), &sandbox.access()).expect("access is kept");
    check_end(&fleet, &sandbox.access()).expect("all is as declared");
    inside.sandbox.stop().await;
}

#[test]
fn what_belongs_to_others_is_never_lost() {
    let mut runner = TestRunner::deterministic();
    let runtime = runtime();
    let fleets: Vec<Fleet> = (0..size(FLEETS))
        .map(|_| fleet().new_tree(&mut runner).expect("a fleet").current())
        .collect();
    let races = stream::iter(fleets).map(race).buffer_unordered(AT_ONCE);
    runtime.block_on(races.collect::<Vec<()>>());
}
