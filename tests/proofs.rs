//! The ten invariants of the design, each over generated fleets by a test that tries to break it, and every
//! fault at every call. In one program, so that they run side by side: most of them wait for servers most
//! of their time.

mod support;

#[path = "proofs/check.rs"]
mod check;
#[path = "proofs/generate.rs"]
mod generate;
#[path = "proofs/run.rs"]
mod run;
#[path = "proofs/third.rs"]
mod third;

#[path = "proofs/brakes.rs"]
mod brakes;
#[path = "proofs/calls.rs"]
mod calls;
#[path = "proofs/exactly.rs"]
mod exactly;
#[path = "proofs/faults.rs"]
mod faults;
#[cfg(unix)]
#[path = "proofs/killed.rs"]
mod killed;
#[path = "proofs/on_the_way.rs"]
mod on_the_way;
#[path = "proofs/operations.rs"]
mod operations;
#[path = "proofs/ownership.rs"]
mod ownership;
#[path = "proofs/two_at_once.rs"]
mod two_at_once;
#[path = "proofs/unseen.rs"]
mod unseen;
#[path = "proofs/writers.rs"]
mod writers;
