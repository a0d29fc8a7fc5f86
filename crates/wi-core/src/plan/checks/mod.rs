//! What is looked at once the changes of a plan are known: what stops it, and what its reader is told.

pub(super) mod brakes;
pub(super) mod conditional;
pub(super) mod cut_over;
pub(super) mod keys;
pub(super) mod leftovers;
pub(super) mod own_grants;
pub(super) mod risk;
pub(super) mod self_lockout;
pub(super) mod two_owners;
pub(super) mod unmanaged_clusters;
