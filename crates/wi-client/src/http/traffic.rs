//! Which calls are under way and how many have ended, for whoever shows how far a reading is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The calls of a client, its second tries not counted.
#[derive(Debug, Default)]
pub struct Traffic {
    ended: AtomicU64,
    under_way: Mutex<BTreeMap<String, usize>>,
}

impl Traffic {
    /// How many calls have ended, one way or another.
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// How many calls are under way, by server (host and port).
    pub fn under_way(&self) -> BTreeMap<String, usize> {
        self.servers().clone()
    }

    /// A call begins; it ends with what this answers.
    pub(super) fn begin<'a>(&'a self, server: &'a str) -> impl Drop + 'a {
        *self.servers().entry(server.to_owned()).or_default() += 1;
        Call {
            traffic: self,
            server,
        }
    }

    fn servers(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        // Edited by one call each, so that a poisoned one is still right.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

struct Call<'a> {
    traffic: &'a Traffic,
    server: &'a str,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.traffic.ended.fetch_add(1, Ordering::Relaxed);
        let mut servers = self.traffic.servers();
        if let Some(calls) = servers.get_mut(self.server) {
            *calls -= 1;
            if *calls == 0 {
                servers.remove(self.server);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_under_way_until_they_end_however_they_do() {
        let traffic = Traffic::default();
        let (a, b, c) = (traffic.begin("a"), traffic.begin("a"), traffic.begin("b"));
        drop(b);
        let under_way = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 1)]);
        assert_eq!((traffic.ended(), traffic.under_way()), (1, under_way));
        drop((a, c));
        assert_eq!((traffic.ended(), traffic.under_way()), (3, BTreeMap::new()));
    }
}
