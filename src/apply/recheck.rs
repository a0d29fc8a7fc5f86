//! Before something is taken away, it is looked at again who relies on it by now; before a node pool is moved, who is
//! on it and what they have; and before a key ends, who has it and uses it: hours may have passed since the plan was
//! made, and others are at work.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::Value;
use tokio::sync::Mutex;
use wi_client::google::keys;
use wi_client::http::{Http, seen};
use wi_core::address::{Address, WorkloadKey};
use wi_core::desired::Desired;
use wi_core::live::Live;
use wi_core::live::keys::KeysOf;
use wi_core::live::templates::TemplateSeen;
use wi_core::migrate::shadow::decide;
use wi_core::migrate::templates;
use wi_core::names::Email;
use wi_core::plan::{self, Change, Edit, HoldReason, Options, Part, Plan, Shadow, Template};
use wi_core::spec::migration::Migration;

use crate::engine::read;
use crate::scan::live::{ReadSecrets, off_keys};

/// Several keys end by what was looked at once, if that was just now.
const JUST_NOW: Duration = Duration::from_secs(60);

/// What it takes to look again.
#[derive(Debug)]
pub(super) struct Recheck {
    /// Of the spec what is on the clusters whose node pools move.
    desired: Desired,
    options: Options,
    /// Of the spec the clusters that may have keys that end, and their accounts.
    of_keys: Desired,
    secrets: ReadSecrets,
    looked: Mutex<Option<(Instant, Live)>>,
    /// Of the spec what those changes rest on that take something away.
    of_takings: Desired,
    /// What of it must stay, by what was seen when.
    relied_on: Mutex<Option<(Instant, BTreeMap<Address, String>)>>,
    /// Of the spec the clusters and identities of templates that change.
    of_templates: Desired,
    /// What was looked at of templates, by cluster.
    templates: Mutex<BTreeMap<String, (Instant, Part, Live)>>,
}

/// A workload whose template changes, as it is now.
#[derive(Debug)]
pub(super) struct FreshTemplate {
    /// The object, with all that it has.
    pub object: Value,
    /// The template that it is to have.
    pub template: Value,
    /// What is known beside.
    pub seen: TemplateSeen,
    /// What the spec asks for.
    pub migration: Migration,
    /// Of the spec what its pods live on.
    pub desired: Desired,
}

/// A shadow, as it is now.
#[derive(Debug)]
pub(super) enum FreshShadow {
    /// It may be taken away.
    Goes,
    /// It is made, or is to be another one.
    Stands(Box<StandingShadow>),
}

/// A shadow that is made, or is to be another one.
#[derive(Debug)]
pub(super) struct StandingShadow {
    /// What it is to be.
    pub wanted: Value,
    /// What is known of its original.
    pub seen: TemplateSeen,
    /// What the spec asks for.
    pub migration: Migration,
    /// Of the spec what its pod lives on.
    pub desired: Desired,
}

impl Recheck {
    pub(super) fn of(
        plan: &Plan,
        desired: &Desired,
        options: &Options,
        secrets: ReadSecrets,
    ) -> Self {
        let moves = |change: &Change| matches!(change.edit, Edit::NodePool(_));
        let takings = only(plan, |_, change| change.edit.takes());
        let of_takings = match takings.is_empty() {
            true => desired.empty(),
            false => plan::rests_on(desired, &takings).desired,
        };
        let of_keys = |change: &Change| matches!(change.edit, Edit::Key(_) | Edit::Secret(_));
        Self {
            of_keys: plan::touched(desired, &only(plan, |_, change| of_keys(change))).desired,
            secrets,
            looked: Mutex::default(),
            of_templates: plan::touched(desired, &only(plan, |_, c| is_template(c))).desired,
            templates: Mutex::default(),
            of_takings,
            relied_on: Mutex::new(Some((Instant::now(), BTreeMap::new()))),
            desired: plan::touched(desired, &only(plan, |_, change| moves(change))).desired,
            options: options.clone(),
        }
    }

    /// Whether a key or a Secret may still end, or come back, by all that can be seen now; what was seen of the account.
    ///
    /// # Errors
    /// What stands against it now.
    pub(super) async fn keys(
        &self,
        http: &Http,
        edit: &Edit,
        email: &Email,
        now: jiff::Timestamp,
    ) -> Result<KeysOf, String> {
        let desired = &self.of_keys;
        let name = desired.account_name(email);
        let name = name.ok_or("its account is not in the spec")?;
        let mut looked = self.looked.lock().await;
        let live = match looked.take() {
            Some((at, live)) if at.elapsed() < JUST_NOW => looked.insert((at, live)),
            _ => {
                let began = Instant::now();
                looked.insert((began, self.look_at_keys(http).await?))
            }
        };
        let live = &live.1;
        let seen = live.off_keys.get(name).cloned();
        let seen = seen.ok_or("it is not as it was. Plan again")?;
        let options = self.options_at(now);
        match plan::stands_against(desired, live, &options, edit) {
            Ok(()) => Ok(seen),
            Err(why) => Err(format!(
                "it stays as it is, by what was looked at again just now: {why}. Plan again"
            )),
        }
    }

    /// Whether a template may still change as planned, by all that can be seen now: the workload, and all that its pods
    /// are to live on, which is there by now.
    ///
    /// # Errors
    /// What stands against it now.
    pub(super) async fn template(
        &self,
        http: &Http,
        plan: &Plan,
        address: &Address,
        now: jiff::Timestamp,
    ) -> Result<FreshTemplate, String> {
        let Some(Edit::Template(edit)) = plan.changes.get(address).map(|c| &c.edit) else {
            return Err("it is no template".to_owned());
        };
        let found = |part: &Part, live: &Live, fresh: &Plan| {
            fresh_template(edit, address, part, live, fresh)
        };
        self.of_cluster(http, plan, &edit.key.cluster, now, found)
            .await
    }

    /// As [`Self::template`], of a shadow. One that goes since its original does without the key is looked at anew: the
    /// original has perhaps come to do so just now.
    ///
    /// # Errors
    /// What stands against it now.
    pub(super) async fn shadow(
        &self,
        http: &Http,
        plan: &Plan,
        address: &Address,
        now: jiff::Timestamp,
    ) -> Result<FreshShadow, String> {
        let Some(Edit::Shadow(edit)) = plan.changes.get(address).map(|c| &c.edit) else {
            return Err("it is no shadow".to_owned());
        };
        if edit.goes().is_some() {
            self.templates.lock().await.remove(&edit.key.cluster);
        }
        let found =
            |part: &Part, live: &Live, fresh: &Plan| fresh_shadow(edit, address, part, live, fresh);
        self.of_cluster(http, plan, &edit.key.cluster, now, found)
            .await
    }

    /// Looks at a cluster again, if that was not done just now, and at what would be planned there by now.
    async fn of_cluster<T>(
        &self,
        http: &Http,
        plan: &Plan,
        cluster: &str,
        now: jiff::Timestamp,
        find: impl Fn(&Part, &Live, &Plan) -> Result<T, String>,
    ) -> Result<T, String> {
        let mut looked = self.templates.lock().await;
        if looked
            .get(cluster)
            .is_none_or(|(at, ..)| at.elapsed() >= JUST_NOW)
        {
            let began = Instant::now();
            let is_here = |c: &Change| is_template(c) && c.cluster() == Some(cluster);
            let part = plan::touched(&self.of_templates, &only(plan, |_, c| is_here(c)));
            let mut live = read::read(http, &part.reads).await;
            let consent = |_: &[_]| Ok::<(), String>(());
            let (desired, secrets) = (&part.desired, self.secrets);
            off_keys::add(http, desired, &mut live, secrets, Vec::new, consent).await?;
            looked.insert(cluster.to_owned(), (began, part, live));
        }
        let Some((_, part, live)) = looked.get(cluster) else {
            return Err("it was not looked at again".to_owned());
        };
        let options = self.options_at(now);
        let fresh = plan::plan(&part.desired, live, &options);
        let found = find(part, live, &fresh);
        // What others need may not be there yet.
        if found.is_err() {
            looked.remove(cluster);
        }
        found.map_err(|why| {
            format!("it stays as it is, by what was looked at again just now: {why}. Plan again")
        })
    }

    async fn look_at_keys(&self, http: &Http) -> Result<Live, String> {
        let desired = &self.of_keys;
        let accounts = desired.accounts.iter();
        let accounts = accounts.filter(|(name, _)| desired.migrations.contains_key(*name));
        let read = accounts.map(async |(_, account)| {
            let read = keys::user_managed(http, &account.project, &account.email);
            (account.email.clone(), seen(read.await))
        });
        let mut live = Live {
            keys: join_all(read).await.into_iter().collect(),
            ..Live::default()
        };
        // Whoever began the run has said so.
        let consent = |_: &[_]| Ok::<(), String>(());
        off_keys::add(http, desired, &mut live, self.secrets, Vec::new, consent).await?;
        Ok(live)
    }

    /// What was looked at is not so any more.
    pub(super) async fn forget_keys(&self) {
        *self.looked.lock().await = None;
    }

    /// How it is planned anew.
    fn options_at(&self, now: jiff::Timestamp) -> Options {
        Options {
            now: Some(now),
            ..self.options.clone()
        }
    }

    /// Time has passed: nobody knows any more who relies on what is taken away.
    pub(super) async fn forget(&self) {
        *self.relied_on.lock().await = None;
    }

    /// Whether a change that takes something away may be carried out still. One look is for all of its wave.
    ///
    /// # Errors
    /// Who relies on it by now, or why that is not known.
    pub(super) async fn taking(
        &self,
        http: &Http,
        plan: &Plan,
        address: &Address,
        now: jiff::Timestamp,
    ) -> Result<(), String> {
        let mut relied_on = self.relied_on.lock().await;
        let relied_on = match relied_on.take() {
            Some((at, seen)) if at.elapsed() < JUST_NOW => relied_on.insert((at, seen)),
            _ => {
                let began = Instant::now();
                let wave = plan.changes[address].wave;
                let takings = only(plan, |_, c| c.edit.takes() && c.wave == wave);
                let part = plan::rests_on(&self.of_takings, &takings);
                let mut live = read::read(http, &part.reads).await;
                let nothing = read::leftovers::Searched::default();
                read::leftovers::read(http, &part.desired, nothing, &mut live).await;
                let options = self.options_at(now);
                let seen = plan::relied_on(&takings, &part.desired, &live, &options);
                relied_on.insert((began, seen))
            }
        };
        match relied_on.1.get(address) {
            None => Ok(()),
            Some(why) => Err(format!(
                "it stays as it is, by what was looked at again just now: {why}. Plan again"
            )),
        }
    }

    /// # Errors
    /// Who would silently lose the node's identity now, or why that is not known.
    pub(super) async fn node_pool(
        &self,
        http: &Http,
        plan: &Plan,
        address: &Address,
        now: jiff::Timestamp,
    ) -> Result<(), String> {
        if self.options.accept_loss {
            return Ok(());
        }
        let part = plan::touched(&self.desired, &only(plan, |a, _| a == address));
        let live = read::read(http, &part.reads).await;
        let options = self.options_at(now);
        let fresh = plan::plan(&part.desired, &live, &options);
        let mut held = fresh.held_back.iter().filter(|h| h.address == *address);
        match held.next().map(|h| &h.why) {
            Some(HoldReason::Loss) => {
                let impact = fresh.impact.get(address);
                let losers = impact.iter().flat_map(|i| i.losers());
                let names: Vec<String> = losers.map(ToString::to_string).collect();
                Err(format!(
                    "it is not moved: since it was planned, there are workloads on it that would silently lose the node's identity: {}. Plan again",
                    names.join(", ")
                ))
            }
            Some(HoldReason::Unread | HoldReason::RestsOn(_)) => {
                let unseen = fresh.unseen.iter();
                let unseen: Vec<String> =
                    unseen.map(|u| format!("{}: {}", u.what, u.why)).collect();
                Err(format!(
                    "it is not moved: whether workloads on it would lose the node's identity now could not be read again ({})",
                    unseen.join("; ")
                ))
            }
            // What GKE takes, and when, is seen as it is written.
            _ => Ok(()),
        }
    }
}

fn is_template(change: &Change) -> bool {
    matches!(change.edit, Edit::Template(_) | Edit::Shadow(_))
}

/// The change of this address that would be planned by now.
fn fresh_change<'a>(address: &Address, fresh: &'a Plan) -> Result<&'a Change, String> {
    if let Some(held) = fresh.held_back.iter().find(|h| h.address == *address) {
        return Err(match &held.why {
            HoldReason::Keys { why, .. } => why.join("; "),
            _ => "it is held back".to_owned(),
        });
    }
    let change = fresh.changes.get(address).ok_or("it is not as it was")?;
    match change.needs.iter().find(|n| fresh.changes.contains_key(*n)) {
        Some(need) => Err(format!("{need}, which it needs, is not as it is to be")),
        None => Ok(change),
    }
}

/// What was seen of a workload on its way off the keys of an account, and how that is to go.
fn of_workload<'a>(
    email: &Email,
    key: &WorkloadKey,
    part: &'a Part,
    live: &'a Live,
) -> Result<(&'a TemplateSeen, &'a Migration), String> {
    let name = part.desired.account_name(email);
    let name = name.ok_or("its account is not in the spec")?;
    let (migration, of) = (part.desired.migrations.get(name), live.off_keys.get(name));
    let migration = migration.ok_or("its account is not on its way off keys")?;
    let mut all = of.into_iter().flat_map(|of| of.templates.iter().flatten());
    let is_it = |t: &&TemplateSeen| {
        (t.kind, t.namespace.as_str(), t.name.as_str())
            == (&*key.kind, key.namespace.as_str(), key.name.as_str())
    };
    let seen = all.find(is_it).ok_or("it was not found")?;
    Ok((seen, migration))
}

fn fresh_shadow(
    edit: &Shadow,
    address: &Address,
    part: &Part,
    live: &Live,
    fresh: &Plan,
) -> Result<FreshShadow, String> {
    let change = fresh_change(address, fresh)?;
    if !matches!(&change.edit, Edit::Shadow(now) if now.is_same(edit)) {
        return Err("it is not as it was".to_owned());
    }
    if edit.goes().is_some() {
        return Ok(FreshShadow::Goes);
    }
    let (seen, migration) = of_workload(&edit.email, &edit.key, part, live)?;
    let all = live.shadows.get(&edit.key.cluster);
    let mut all = all.into_iter().flatten().flatten();
    let shadow = all.find(|s| s.object.0["metadata"]["uid"] == edit.uid.as_str());
    let owner = &part.desired.owner;
    let decision = decide::next(migration, owner, &edit.email, seen, shadow, false);
    let wanted = decision.next.and_then(|next| next.object);
    Ok(FreshShadow::Stands(Box::new(StandingShadow {
        wanted: wanted.ok_or("it is not as it was")?,
        seen: seen.clone(),
        migration: migration.clone(),
        desired: part.desired.clone(),
    })))
}

fn fresh_template(
    edit: &Template,
    address: &Address,
    part: &Part,
    live: &Live,
    fresh: &Plan,
) -> Result<FreshTemplate, String> {
    let change = fresh_change(address, fresh)?;
    if !matches!(&change.edit, Edit::Template(now) if now.is_same(edit)) {
        return Err("it is not as it was".to_owned());
    }
    let (seen, migration) = of_workload(&edit.email, &edit.key, part, live)?;
    let object = seen.object.as_ref().map_err(Clone::clone)?.0.clone();
    let next = templates::next(migration, edit.email.as_str(), seen);
    let template = match next {
        Some(Ok(next)) => next.template,
        _ => return Err("it is not as it was".to_owned()),
    };
    Ok(FreshTemplate {
        template: template.unwrap_or_default(),
        object,
        seen: seen.clone(),
        migration: migration.clone(),
        desired: part.desired.clone(),
    })
}

/// A plan of these changes alone.
fn only(plan: &Plan, keep: impl Fn(&Address, &Change) -> bool) -> Plan {
    let changes = plan.changes.iter().filter(|(a, c)| keep(a, c));
    Plan {
        changes: changes.map(|(a, c)| (a.clone(), c.clone())).collect(),
        ..Plan::default()
    }
}
