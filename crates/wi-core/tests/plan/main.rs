//! Plans as values: a spec and a live state in, what is to change out. No server, no file, no clock.

#[path = "../migrate/applied.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod applied;
mod objects;
mod support;
mod world;

mod accounts;
mod again;
mod alone;
mod bindings;
mod brakes;
mod clusters;
mod edits;
mod forged;
mod held_back;
mod identities;
mod impact;
mod import;
mod import_generated;
mod keys;
mod kubernetes;
mod left_behind;
mod node_pools;
mod off_keys;
mod order;
mod parts;
mod placement;
mod readiness;
mod reliance;
mod restarts;
mod rights;
mod saved;
mod shadow;
mod stale;
mod template_kinds;
mod templates;
mod waves;
mod whose;
