//! The ten invariants of the design, each over generated fleets by a test that tries to break it, and every
//! fault at every call. In one program, so that they run side by side: most of them wait for servers most
//! of their time. `cargo test` runs a tenth of the cases, `WI_PROOFS=full cargo test --test proofs` all of them.

#[path = "../support/mod.rs"]
mod support;

mod check;
mod generate;
mod run;
mod third;

mod access;
mod brakes;
mod calls;
mod exactly;
mod faults;
#[cfg(unix)]
mod killed;
mod lines;
mod on_the_way;
mod operations;
mod ownership;
mod transitions;
mod two_at_once;
mod two_teams;
mod unseen;
mod verify;
mod victims;
mod writers;
