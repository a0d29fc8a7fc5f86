//! Audit logs: what identities do, held against the spec. Reading and judging is `wi_logs`' business, which
//! knows nothing of specs; here is what it is told of one, and what its findings are called.

pub mod around;
pub mod expected;
pub mod files;
pub mod live;
pub mod report;

use std::sync::Arc;

use wi_logs::collect::{Collector, Seen};
use wi_logs::facts::Facts;
use wi_logs::read::{self, Input, Take};

/// What was read, and what could not be, with why.
#[derive(Debug, Default)]
pub struct Read {
    /// Rows.
    pub facts: Facts,
    /// What could not be read to its end.
    pub broken: Vec<(String, String)>,
}

/// Reads logs into rows.
pub fn facts<'a>(inputs: impl IntoIterator<Item = Input<'a>>) -> Read {
    let seen = Arc::new(Seen::default());
    let outcome = gather(inputs, || Collector::new(Arc::clone(&seen)));
    let mut facts = Facts::default();
    for part in outcome.parts {
        facts.merge(part.finish());
    }
    Read {
        facts,
        broken: outcome.broken,
    }
}

/// Reads logs on as many threads as there are processors.
pub fn gather<'a, T: Take>(
    inputs: impl IntoIterator<Item = Input<'a>>,
    make: impl Fn() -> T,
) -> read::Outcome<T> {
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get());
    read::read(inputs, threads.min(8), make)
}
