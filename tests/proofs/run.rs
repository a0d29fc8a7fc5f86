//! The real binary on a generated fleet.

use wi_sandbox::World;

use crate::generate::Fleet;
use crate::support::inside::Inside;

pub const APPLY: [&str; 4] = ["apply", "wi.yaml", "--auto-approve", "--allow-mass-removal"];

/// A sandbox with the world of a fleet, as `edit` leaves it.
pub async fn open(fleet: &Fleet, edit: impl FnOnce(&mut World)) -> Inside {
    let mut world = World::parse(&fleet.world(), "world.yaml").expect("a valid world");
    edit(&mut world);
    Inside::start(&fleet.spec(), world).await
}

/// Applies until nothing is left to do; each apply has to end well.
pub async fn to_the_end(inside: &Inside) {
    for round in 0.. {
        let apply = inside.wi(&APPLY).await.ok();
        if format!("{}{}", apply.out, apply.err).contains("No changes") {
            return;
        }
        assert!(round < 3, "not at rest: {apply:?}");
    }
}
