//! Clusters that are changed together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::spec::model::{Parallel, Spec};

/// In which order clusters are changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Waves {
    /// One after another.
    pub waves: Vec<WaveSettings>,
    /// The index of each cluster's wave.
    pub wave_of: BTreeMap<String, usize>,
    /// Clusters that may fail, over all waves, before nothing more is started.
    pub max_failures: usize,
    /// Whether to go on all the same.
    pub continues: bool,
    /// How long anything may be started.
    pub deadline: Option<Duration>,
    /// The waves that the user chose; `None`: all.
    pub only: Option<BTreeSet<usize>>,
}

/// One wave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WaveSettings {
    /// What it is called.
    pub name: String,
    /// How many clusters are changed at a time.
    pub max_parallel: Parallel,
    /// Whether what was written is read back, and pods are waited for.
    pub verify: bool,
    /// How long to wait before the next one.
    pub soak: Duration,
    /// Whether somebody must approve the next one.
    pub manual: bool,
    /// Clusters of it that may fail; the rollout's if `None`.
    pub max_failures: Option<usize>,
}

impl Waves {
    pub(super) fn of(spec: &Spec) -> Option<Self> {
        let rollout = spec.rollout.as_ref()?;
        Some(Self {
            waves: rollout
                .waves
                .iter()
                .map(|wave| WaveSettings {
                    name: wave.name.clone(),
                    max_parallel: wave.max_parallel,
                    verify: wave.verify,
                    soak: wave.soak,
                    manual: wave.manual,
                    max_failures: wave.max_failures,
                })
                .collect(),
            wave_of: spec.wave_of.clone(),
            max_failures: rollout.max_failures,
            continues: rollout.continues,
            deadline: rollout.deadline,
            only: None,
        })
    }

    /// How many clusters are in a wave.
    pub fn size(&self, wave: usize) -> usize {
        self.wave_of.values().filter(|w| **w == wave).count()
    }
}
