//! Shadows: a second Deployment beside one that has a key is made, changed and taken away. Whatever becomes of it, its
//! original serves as before: what does not work is taken away, and a run that goes on after another one goes by what is live.

use serde_json::Value;
use wi_client::kubernetes::Kube;
use wi_core::address::Address;
use wi_core::migrate::rollout::{self, Health};
use wi_core::migrate::shadow::decide::{Act, Why};
use wi_core::migrate::shadow::{LABEL, MARK, Mark, label_of, object};
use wi_core::migrate::templates::meta;
use wi_core::plan::Shadow;
use wi_core::reason::Reason;
use wi_core::spec::migration::Accept;
use wi_core::wire::workloads::WorkloadKind;
use wi_core::words::counted;

use super::proven;
use super::template::kind_of;
use crate::apply::Context;
use crate::apply::recheck::{FreshShadow, StandingShadow};
use crate::apply::wait::{CONFLICTS, Wait};

pub(super) async fn change(
    context: &Context,
    address: &Address,
    edit: &Shadow,
) -> Result<(), Reason> {
    let mut run = Run {
        context,
        address,
        edit,
        kube: context.kube(&edit.key.cluster)?,
        kind: kind_of("Deployment")?,
        sets: kind_of("ReplicaSet")?,
        uid: edit.uid.clone(),
    };
    if edit.goes() == Some(Why::CutOver) {
        run.original_is_through().await?;
    }
    let (http, plan) = (&context.http, &context.plan);
    let fresh = context.recheck.shadow(http, plan, address, context.time());
    let fresh = match fresh.await? {
        FreshShadow::Goes => return run.remove().await,
        FreshShadow::Stands(fresh) => fresh,
    };
    match edit.act {
        Act::Make => {
            let accepts = fresh.migration.accept.contains(&Accept::Unproven);
            proven::identity(context, address, &edit.ksa(), &fresh.desired, accepts).await?;
            run.make(&fresh.wanted).await?;
        }
        Act::Change => run.become_another(&fresh.wanted).await?,
        Act::Prove | Act::Remove(_) => {}
    }
    match run.follow(&fresh).await {
        Ok(()) => Ok(()),
        Err(Stands::Still(why)) => Err(why),
        Err(Stands::Fails(why)) => {
            run.remove().await?;
            Err(format!("{why}; it is taken away again, and its original serves as before").into())
        }
    }
}

struct Run<'a> {
    context: &'a Context,
    address: &'a Address,
    edit: &'a Shadow,
    kube: &'a Kube,
    kind: &'static WorkloadKind,
    sets: &'static WorkloadKind,
    /// That of the shadow; empty: there is none yet.
    uid: String,
}

/// Whether a server that answered so, or not at all, may answer otherwise the next time.
fn passes(code: u16) -> bool {
    code == 0 || code >= 500
}

/// Why a shadow is not as it is to be.
enum Stands {
    /// It stays: nobody knows more of it.
    Still(Reason),
    /// It does not work.
    Fails(String),
}

impl<R: Into<Reason>> From<R> for Stands {
    fn from(why: R) -> Self {
        Self::Still(why.into())
    }
}

impl Run<'_> {
    fn namespace(&self) -> &str {
        self.edit.key.namespace.as_str()
    }

    fn still(&self, what: &str) {
        self.context.observer.still(self.address, what);
    }

    fn wait(&self) -> Wait {
        let limits = &self.context.limits;
        Wait::up_to(limits.ready, limits.poll).or_until(&self.context.stop)
    }

    /// The shadow as it is now; `None`: there is none of that name.
    async fn look(&self) -> Result<Option<Value>, Reason> {
        let (namespace, name) = (self.namespace(), &self.edit.name);
        let read = self.kube.get_workload_whole(self.kind, namespace, name);
        match read.await {
            Ok(object) => Ok(Some(object)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e.reason()),
        }
    }

    /// The shadow that was planned, or made.
    async fn own(&self) -> Result<Value, Reason> {
        let object = self.look().await?.ok_or("it is gone. Plan again")?;
        match object["metadata"]["uid"] == self.uid.as_str() {
            true => Ok(object),
            false => Err("it is another one of that name. Plan again".into()),
        }
    }

    async fn make(&mut self, wanted: &Value) -> Result<(), Reason> {
        let made = self
            .kube
            .create_workload(self.kind, self.namespace(), wanted);
        let object = match made.await {
            Ok(object) => object,
            // By a try whose answer was lost; or it is somebody else's.
            Err(e) if e.is_conflict() => {
                let there = self.look().await?.ok_or("it came and went. Plan again")?;
                let is_it = Mark::of(&meta(&there)).is_some()
                    && there["metadata"]["annotations"][MARK]
                        == wanted["metadata"]["annotations"][MARK];
                match is_it {
                    true => there,
                    false => {
                        return Err("there is another Deployment of that name. Plan again".into());
                    }
                }
            }
            Err(e) => return Err(e.reason()),
        };
        let uid = object["metadata"]["uid"].as_str();
        self.uid = uid.unwrap_or_default().to_owned();
        Ok(())
    }

    async fn become_another(&self, wanted: &Value) -> Result<(), Reason> {
        let mut wait = self.wait();
        for _ in 0..CONFLICTS {
            let live = self.own().await?;
            let operations = object::patch(&live, wanted);
            let patch =
                self.kube
                    .patch_workload(self.kind, self.namespace(), &self.edit.name, &operations);
            let refused = match patch.await {
                Ok(_) => return Ok(()),
                Err(e) => e,
            };
            // A test of its version did not hold: it was written meanwhile. Or nothing is known of the write.
            let version = |o: &Value| o["metadata"]["resourceVersion"].clone();
            let may = match refused.code {
                422 => version(&self.own().await?) != version(&live),
                code => refused.is_conflict() || passes(code),
            };
            if !may || !wait.again().await {
                return Err(refused.reason());
            }
        }
        Err("it is written again and again by others".into())
    }

    /// Until its pod is ready, and is who it is to be.
    async fn follow(&self, fresh: &StandingShadow) -> Result<(), Stands> {
        let mut wait = self.wait();
        loop {
            let what = match self.health(fresh).await? {
                Health::Ready => return Ok(()),
                Health::Fails(why) => return Err(Stands::Fails(why)),
                Health::Waits(what) => what,
            };
            self.still(&what);
            if wait.again().await {
                continue;
            }
            if self.context.stop.is_cancelled() {
                return Err(format!(
                    "interrupted while {what}: its original serves as before, and the next apply goes on"
                )
                .into());
            }
            let minutes = self.context.limits.ready.as_secs() / 60;
            let minutes = usize::try_from(minutes).unwrap_or(usize::MAX);
            return Err(Stands::Fails(format!(
                "{what} for longer than {}",
                counted(minutes, "minute")
            )));
        }
    }

    async fn health(&self, fresh: &StandingShadow) -> Result<Health, Reason> {
        let (namespace, name) = (self.namespace(), &self.edit.name);
        let read = async {
            tokio::try_join!(
                self.kube.get_workload_whole(self.kind, namespace, name),
                self.kube.list_whole(self.sets, namespace),
                self.kube.list_pods_whole(namespace)
            )
        };
        let (object, sets, pods) = match read.await {
            Ok(all) => all,
            Err(e) if e.is_not_found() => return Err("it is gone. Plan again".into()),
            Err(e) if passes(e.code) => {
                return Ok(Health::Waits(format!(
                    "it could not be read: {}",
                    e.reason()
                )));
            }
            Err(e) => return Err(e.reason()),
        };
        if object["metadata"]["uid"] != self.uid.as_str() {
            return Err("it is another one of that name. Plan again".into());
        }
        if let Some(why) = rollout::refused(&object) {
            return Ok(Health::Fails(format!("its pod is not made: {why}")));
        }
        let Some(set) = rollout::current(&object, &sets) else {
            return Ok(Health::Waits("waiting for its pod".to_owned()));
        };
        let health = match rollout::health(&object, set, &pods) {
            Health::Ready => {
                let own = rollout::pods_of(set, &pods);
                let account = self.edit.service_account.as_str();
                proven::of_pods(self.kube, &fresh.seen, account, &own).await
            }
            other => other,
        };
        Ok(match (health, rollout::left(&object)) {
            (Health::Ready, Some(left)) => Health::Waits(left),
            (health, _) => health,
        })
    }

    /// Takes it away, if it is the one that was seen.
    async fn remove(&self) -> Result<(), Reason> {
        let Some(object) = self.look().await? else {
            return Ok(());
        };
        if object["metadata"]["uid"] != self.uid.as_str() || Mark::of(&meta(&object)).is_none() {
            return Err("it is another one of that name. Plan again".into());
        }
        let (namespace, name) = (self.namespace(), &self.edit.name);
        let delete = self
            .kube
            .delete_workload(self.kind, namespace, name, &self.uid);
        match delete.await {
            Ok(()) => {}
            // By a try whose answer was lost.
            Err(e) if e.is_not_found() => {}
            Err(e) => return Err(e.reason()),
        }
        self.pods_are_gone().await
    }

    /// Until none of its pods serves any more: what they live on goes after them.
    async fn pods_are_gone(&self) -> Result<(), Reason> {
        let label = label_of(self.edit.key.name.as_str());
        let own = format!("{}-", self.edit.name);
        let mut wait = self.wait();
        loop {
            let listed = self
                .kube
                .list_pods_labelled(self.namespace(), LABEL, &label);
            let pods = listed.await.map_err(|e| e.reason())?;
            let mut names = pods.iter().filter_map(|p| p["metadata"]["name"].as_str());
            let Some(left) = names.find(|name| name.starts_with(&own)) else {
                return Ok(());
            };
            if !wait.again().await {
                return Err(format!("it is deleted, and its pod {left} still runs").into());
            }
        }
    }

    /// Until the last rollout of its original is seen to be through: it was perhaps just now that its template changed.
    async fn original_is_through(&self) -> Result<(), Reason> {
        let name = self.edit.key.name.as_str();
        let mut wait = self.wait();
        loop {
            let read = self
                .kube
                .get_workload_whole(self.kind, self.namespace(), name);
            let original = read.await.map_err(|e| e.reason())?;
            let Some(left) = rollout::left(&original) else {
                return Ok(());
            };
            if !wait.again().await {
                return Err(format!("it stays beside its original, of which {left}").into());
            }
        }
    }
}
