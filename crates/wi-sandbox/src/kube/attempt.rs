//! Writes that are done whole or not at all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::changes::Changes;
use super::clockwork::Clockwork;
use super::objects::Objects;
use super::state::PodState;
use super::status::Status;
use super::store::Store;

impl Store {
    /// Runs a write; of one that is refused half way, and of a dry run, nothing stays.
    ///
    /// # Errors
    /// Those of the write.
    pub fn attempt<T>(
        &mut self,
        dry_run: bool,
        write: impl FnOnce(&mut Self) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let mut attempt = Attempt::begin(self, dry_run);
        let result = write(attempt.store);
        attempt.stays = result.is_ok() && !dry_run;
        result
    }
}

/// What a store was before a write. Of its objects, only those that the write touches are kept: there may be a
/// hundred thousand.
struct Attempt<'a> {
    store: &'a mut Store,
    /// Or else all is undone: by a panic, too.
    stays: bool,
    revision: u64,
    changes: Changes,
    snapshots: VecDeque<(u64, Objects)>,
    daemons: BTreeMap<(String, String), PodState>,
    clockwork: Option<Arc<Clockwork>>,
}

impl<'a> Attempt<'a> {
    fn begin(store: &'a mut Store, dry_run: bool) -> Self {
        store.objects.begin();
        store.dry_run = dry_run;
        Self {
            stays: false,
            revision: store.revision,
            changes: store.changes.clone(),
            snapshots: store.snapshots.clone(),
            daemons: store.daemons.clone(),
            clockwork: store.clockwork.clone(),
            store,
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let store = &mut *self.store;
        store.dry_run = false;
        if self.stays {
            return store.objects.keep();
        }
        store.objects.undo();
        store.revision = self.revision;
        store.changes = std::mem::take(&mut self.changes);
        store.snapshots = std::mem::take(&mut self.snapshots);
        store.daemons = std::mem::take(&mut self.daemons);
        store.clockwork = self.clockwork.take();
    }
}
