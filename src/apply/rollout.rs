//! Wave after wave: a wave's clusters, then its gate, then the next one.
//!
//! The gate rests on what this run saw. All that is kept between runs is when a wave passed its
//! verification and who approved it, in a small file; without it, the gate is passed anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use wi_client::files;
use wi_core::desired::{Desired, WaveSettings, Waves};
use wi_core::live::{Live, Seen};
use wi_core::plan::{self, Options, Plan};
use wi_core::reason::Reason;
use wi_core::words::duration as in_words;

use super::gates::Gates;
use super::{Bounds, Context, Outcome, Status, carry_out, failed_clusters, proof};
use crate::apply::SkipReason;
use crate::verify;
use wi_core::address::Address;

/// How a rollout ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// All waves are done.
    Complete,
    /// At a gate, or because of failures; running again goes on.
    Paused {
        /// After this wave, or before it at a deadline.
        wave: String,
        /// What is waited for, or what is wrong.
        why: String,
        /// What stopped it.
        by: Pause,
    },
}

/// What stops a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// A gate that somebody must approve.
    Gate,
    /// The deadline has passed.
    Deadline,
    /// More failed than may.
    Failures,
}

impl Ended {
    /// Whether it waits for somebody or for time, rather than for something to be fixed.
    pub fn waits(&self) -> bool {
        matches!(self, Self::Paused { by, .. } if *by != Pause::Failures)
    }
}

/// What is known of a wave from before.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Record {
    /// When it passed its verification.
    verified_at: Option<jiff::Timestamp>,
}

/// The largest run file that is read, in bytes: a line a wave.
const LARGEST_RUN_FILE: u64 = 1 << 20;

/// The run file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Run {
    waves: BTreeMap<String, Record>,
}

impl Run {
    /// What cannot be read is as good as lost, which is safe: the gates are passed anew.
    fn load(gates: &Gates) -> Self {
        gates
            .run_file
            .as_ref()
            .and_then(|path| files::read(path, LARGEST_RUN_FILE).ok())
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    fn save(&self, gates: &Gates) {
        let Some(path) = &gates.run_file else { return };
        if let Some(directory) = path.parent() {
            let _ = std::fs::create_dir_all(directory);
        }
        let text = serde_json::to_vec(self).unwrap_or_default();
        // Losing it costs a soak, so that failing to write it is no reason to fail.
        let _ = files::write_private(path, &text);
    }
}

/// `2 clusters failed (a, b), and 1 may`.
pub(super) fn too_many(failed: &BTreeSet<String>, limit: usize) -> String {
    let names: Vec<&str> = failed.iter().take(10).map(String::as_str).collect();
    let more = match failed.len().saturating_sub(names.len()) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!(
        "{} failed ({}{more}), and {limit} may",
        if failed.len() == 1 {
            "1 cluster".to_owned()
        } else {
            format!("{} clusters", failed.len())
        },
        names.join(", ")
    )
}

/// A rollout under way.
struct Rollout<'a> {
    context: &'a Arc<Context>,
    waves: &'a Waves,
    desired: &'a Desired,
    options: &'a Options,
    gates: &'a Gates,
    stop: &'a CancellationToken,
    before: &'a Live,
    since: Instant,
    run: Run,
    outcome: Outcome,
    /// Clusters that count as failed, whatever the outcome of their changes says.
    failed: BTreeSet<String>,
}

/// Carries the context's plan out, wave by wave.
pub async fn roll_out(
    context: &Arc<Context>,
    desired: &Desired,
    live: &Live,
    options: &Options,
    gates: &Gates,
    stop: &CancellationToken,
) -> (Outcome, Ended) {
    let Some(waves) = context.plan.waves.clone() else {
        let outcome = super::apply(Arc::clone(context), stop.clone()).await;
        return (outcome, Ended::Complete);
    };
    // A cluster that could not be read cannot be changed as planned.
    let unread = live
        .kubernetes
        .iter()
        .filter(|(_, seen)| matches!(seen, Seen::Unknown(_)))
        .map(|(cluster, _)| cluster.clone())
        .collect();
    let mut rollout = Rollout {
        context,
        waves: &waves,
        desired,
        options,
        gates,
        stop,
        before: live,
        since: Instant::now(),
        run: Run::load(gates),
        outcome: Outcome::new(),
        failed: unread,
    };
    let ended = rollout.all_waves().await;
    (rollout.outcome, ended)
}

impl Rollout<'_> {
    async fn all_waves(&mut self) -> Ended {
        let count = self.waves.waves.len();
        for index in 0..count {
            // Whoever chooses waves has chosen to pass the gates of the others.
            if self
                .waves
                .only
                .as_ref()
                .is_some_and(|o| !o.contains(&index))
            {
                continue;
            }
            let wave = self.waves.waves[index].clone();
            let addresses: BTreeSet<Address> = self
                .context
                .plan
                .changes
                .iter()
                .filter(|(_, change)| change.wave == index)
                .map(|(address, _)| address.clone())
                .collect();
            let more = self.context.plan.changes.values().any(|c| c.wave > index);
            if let Some(why) = self.deadline().filter(|_| !addresses.is_empty()) {
                return self.pause(index, &wave, why, Pause::Deadline);
            }
            if !addresses.is_empty() {
                self.context.observer.wave(
                    &wave.name,
                    &format!("{} of {count}, {} changes", index + 1, addresses.len()),
                );
                self.change(index, &wave, &addresses).await;
            }
            if self.stop.is_cancelled() {
                self.not_started(index, &SkipReason::Interrupted);
                return Ended::Complete;
            }
            if let Some(why) = self.too_many(index, &wave) {
                return self.pause(index, &wave, why, Pause::Failures);
            }
            if !more {
                // A later run passes this gate without changes, and the soak counts from now.
                if self.waves.only.is_some() && !addresses.is_empty() {
                    self.verified(&wave, true);
                }
                return Ended::Complete;
            }
            if let Some(paused) = self.gate(index, &wave, !addresses.is_empty()).await {
                return paused;
            }
        }
        Ended::Complete
    }

    /// Carries out one wave, and reads it back.
    async fn change(&mut self, index: usize, wave: &WaveSettings, addresses: &BTreeSet<Address>) {
        let bounds = Bounds {
            max_parallel: Some(wave.max_parallel.of(self.waves.size(index))),
            max_failures: (!self.waves.continues).then(|| self.limit(wave)),
            failed: self.failed.clone(),
        };
        self.run.waves.remove(&wave.name);
        self.run.save(self.gates);
        if !self.outcome.is_empty() {
            // The waves before may have taken hours.
            self.context.recheck.forget().await;
        }
        self.context.observer.begin(&self.context.plan, addresses);
        carry_out(
            self.context,
            addresses,
            &mut self.outcome,
            &bounds,
            self.stop,
        )
        .await;
        self.context.observer.end();
        let wanted = wave.verify || self.gates.demands_proof;
        if !wanted || self.stop.is_cancelled() {
            return;
        }
        self.context.observer.wave(&wave.name, "verifying");
        let unverified = super::verify::wave(
            self.context,
            self.desired,
            self.before,
            self.options,
            addresses,
            &self.outcome,
            self.gates.ready,
            self.stop,
        )
        .await;
        self.fail(unverified);
        let unproven = self.prove(index, addresses).await;
        self.fail(unproven);
    }

    /// Tries what identities may do whose chain the wave was about. What could not be tried is told.
    async fn prove(
        &mut self,
        index: usize,
        addresses: &BTreeSet<Address>,
    ) -> BTreeMap<Address, Reason> {
        let done: BTreeSet<&Address> = addresses
            .iter()
            .filter(|a| self.outcome.get(*a) == Some(&Status::Done))
            .collect();
        let mut part = Plan::default();
        for address in &done {
            let change = self.context.plan.changes[*address].clone();
            part.changes.insert((*address).clone(), change);
        }
        let wanted = plan::with_chains(self.desired, &part);
        // Those of later waves get theirs then.
        let is_there = |cluster: &str| {
            let wave = self.waves.wave_of.get(cluster);
            wave.is_none_or(|w| *w <= index)
        };
        let mut subjects = proof::subjects(&wanted.desired, &part, &done, is_there);
        // One whose access rests on what failed or was not come to cannot have it yet, and what failed has been told.
        let open =
            proof::Access::of(
                self.context.plan.changes.iter().filter(|(a, c)| {
                    c.wave <= index && self.outcome.get(*a) != Some(&Status::Done)
                }),
            );
        subjects.retain(|key, _| {
            let own = key.address();
            let is_done = |a| self.outcome.get(a) == Some(&Status::Done);
            let ksa = &wanted.desired.ksas[key];
            (is_done(&own) || !self.context.plan.changes.contains_key(&own))
                && open.first(key, ksa).is_none()
        });
        if subjects.is_empty() {
            return BTreeMap::new();
        }
        let observer = &self.context.observer;
        let told = |text: &str| observer.notice(text);
        let proving = proof::prove(
            &self.context.http,
            &wanted.desired,
            &subjects,
            self.gates,
            &told,
        );
        let proofs = tokio::select! {
            proofs = proving => proofs,
            () = self.stop.cancelled() => return BTreeMap::new(),
        };
        let mut failed = BTreeMap::new();
        let mut untried = Vec::new();
        for proof in &proofs {
            match proof::why(proof) {
                Some((verify::Outcome::Untried, why)) if !self.gates.demands_proof => {
                    untried.push(why);
                }
                Some((_, why)) => {
                    failed.insert(subjects[&proof.key].clone(), why.into());
                }
                None => {}
            }
        }
        if let Some(first) = untried.first() {
            let more = match untried.len() - 1 {
                0 => String::new(),
                n => format!(", and so {n} more"),
            };
            observer.notice(&format!("Not proven, and the gate goes on: {first}{more}"));
        }
        failed
    }

    /// What was done and does not hold has failed.
    fn fail(&mut self, unverified: BTreeMap<Address, Reason>) {
        for (address, why) in unverified {
            if let Some(cluster) = self
                .context
                .plan
                .changes
                .get(&address)
                .and_then(|c| c.cluster())
            {
                self.failed.insert(cluster.to_owned());
            }
            self.context.observer.failed(&address, &why);
            self.outcome.insert(address, Status::Failed(why));
        }
    }

    fn limit(&self, wave: &WaveSettings) -> usize {
        wave.max_failures.unwrap_or(self.waves.max_failures)
    }

    /// Whether more clusters have failed than may.
    fn too_many(&self, index: usize, wave: &WaveSettings) -> Option<String> {
        if self.waves.continues {
            return None;
        }
        let mut failed = failed_clusters(&self.context.plan, &self.outcome);
        failed.extend(self.failed.iter().cloned());
        let here: BTreeSet<String> = failed
            .iter()
            .filter(|c| self.waves.wave_of.get(*c) == Some(&index))
            .cloned()
            .collect();
        let so_far: BTreeSet<String> = failed
            .into_iter()
            .filter(|c| self.waves.wave_of.get(c).is_none_or(|w| *w <= index))
            .collect();
        let limit = self.limit(wave);
        if here.len() > limit {
            return Some(too_many(&here, limit));
        }
        let whole = self.waves.max_failures.max(limit);
        (so_far.len() > whole).then(|| too_many(&so_far, whole))
    }

    fn deadline(&self) -> Option<String> {
        let deadline = self.waves.deadline?;
        (self.since.elapsed() > deadline)
            .then(|| format!("the deadline of {} has passed", in_words(deadline)))
    }

    /// Records when the wave passed its verification: now, unless it did before and nothing changed.
    /// Answers with the time, and with that of the verification.
    fn verified(
        &mut self,
        wave: &WaveSettings,
        changed: bool,
    ) -> (jiff::Timestamp, jiff::Timestamp) {
        let now = jiff::Timestamp::now();
        let record = self.run.waves.entry(wave.name.clone()).or_default();
        let verified_at = match record.verified_at {
            Some(at) if !changed && at <= now => at,
            _ => {
                record.verified_at = Some(now);
                now
            }
        };
        self.run.save(self.gates);
        (now, verified_at)
    }

    /// What it takes to go on: verified just now or before, soaked, approved.
    async fn gate(&mut self, index: usize, wave: &WaveSettings, changed: bool) -> Option<Ended> {
        let (now, verified_at) = self.verified(wave, changed);
        if !wave.soak.is_zero() {
            let passed = Duration::try_from(now.duration_since(verified_at)).unwrap_or_default();
            let left = wave.soak.saturating_sub(passed);
            if !left.is_zero() {
                self.context
                    .observer
                    .wave(&wave.name, &format!("soaking for {}", in_words(left)));
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    () = self.stop.cancelled() => {
                        self.not_started(index + 1, &SkipReason::Interrupted);
                        return Some(Ended::Complete);
                    }
                }
            }
        }
        if wave.manual && !self.gates.approved.contains(&wave.name) {
            let why = "it wants to be approved".to_owned();
            return Some(self.pause(index + 1, wave, why, Pause::Gate));
        }
        self.context.observer.wave(&wave.name, "gate passed");
        None
    }

    /// Nothing of waves from `from` on is started.
    fn pause(&mut self, from: usize, wave: &WaveSettings, why: String, by: Pause) -> Ended {
        let because = SkipReason::Paused(format!("the wave {}: {why}", wave.name));
        self.not_started(from, &because);
        Ended::Paused {
            wave: wave.name.clone(),
            why,
            by,
        }
    }

    fn not_started(&mut self, from: usize, because: &SkipReason) {
        for (address, change) in &self.context.plan.changes {
            if change.wave >= from {
                self.outcome
                    .entry(address.clone())
                    .or_insert_with(|| Status::NotStarted(because.clone()));
            }
        }
    }
}
