//! Pod templates: a static key is taken out, or comes back, with one new pod first. What fails is undone, and a run that
//! goes on after another one goes by what is live.

mod follow;
pub(in crate::apply) mod rehearsal;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use wi_client::http::ApiError;
use wi_client::kubernetes::Kube;
use wi_core::address::Address;
use wi_core::live::templates::TemplateSeen;
use wi_core::migrate::mark::Mark;
use wi_core::migrate::templates::{Strategy, template};
use wi_core::migrate::{pieces, rollout};
use wi_core::plan::Template;
use wi_core::reason::Reason;
use wi_core::spec::migration::{Accept, Migration};
use wi_core::wire::workloads::{WORKLOAD_KINDS, WorkloadKind, history_of};

use crate::apply::Context;
use crate::apply::edit::proven;
use crate::apply::recheck::FreshTemplate;
use crate::apply::wait::{CONFLICTS, Wait};

pub(super) async fn change(
    context: &Context,
    address: &Address,
    edit: &Template,
) -> Result<(), Reason> {
    let fresh = context
        .recheck
        .template(&context.http, &context.plan, address, context.time());
    let fresh = fresh.await?;
    let run = Run {
        context,
        address,
        edit,
        kube: context.kube(&edit.key.cluster)?,
        kind: kind_of(&edit.key.kind)?,
        history: history_of(&edit.key.kind),
        seen: &fresh.seen,
        migration: &fresh.migration,
    };
    match run.all(&fresh).await {
        Ok(()) => Ok(()),
        Err(why) => Err(run.as_it_stands(why).await),
    }
}

pub(super) fn kind_of(name: &str) -> Result<&'static WorkloadKind, Reason> {
    let kind = WORKLOAD_KINDS.iter().find(|k| k.kind == name);
    kind.ok_or_else(|| format!("{name} is no kind that makes pods").into())
}

struct Run<'a> {
    context: &'a Context,
    address: &'a Address,
    edit: &'a Template,
    kube: &'a Kube,
    kind: &'static WorkloadKind,
    /// What keeps the templates that it had.
    history: Option<&'static WorkloadKind>,
    seen: &'a TemplateSeen,
    migration: &'a Migration,
}

/// What could not be read.
struct Unread {
    why: Reason,
    /// Whether it may be read the next time.
    passes: bool,
}

impl From<ApiError> for Unread {
    fn from(e: ApiError) -> Self {
        Self {
            passes: !e.is_denied() && !e.is_not_found(),
            why: e.reason(),
        }
    }
}

impl From<Unread> for Reason {
    fn from(unread: Unread) -> Self {
        unread.why
    }
}

impl Run<'_> {
    async fn all(&self, fresh: &FreshTemplate) -> Result<(), Reason> {
        if !self.edit.goes_on {
            if self.edit.takes_out() {
                let accepts = self.migration.accept.contains(&Accept::Unproven);
                let ksa = self.edit.ksa();
                proven::identity(self.context, self.address, &ksa, &fresh.desired, accepts).await?;
            }
            self.begin(fresh).await?;
            if is_one_write(self.edit.strategy) {
                return Ok(());
            }
        }
        self.follow().await
    }

    /// What went wrong, with how the workload stands now, where a change of it goes on.
    async fn as_it_stands(&self, why: Reason) -> Reason {
        match self.object().await {
            Ok(object) => match rollout::stands(&object) {
                Some(stands) => why.with(&format!(". {stands}")),
                None => why,
            },
            Err(unread) if unread.passes => why.with(
                ". How it stands now could not be read: `wi plan --read-secrets referenced` tells",
            ),
            Err(_) => why,
        }
    }

    fn namespace(&self) -> &str {
        self.edit.key.namespace.as_str()
    }

    fn still(&self, what: &str) {
        self.context.observer.still(self.address, what);
    }

    async fn object(&self) -> Result<Value, Unread> {
        let is_not = |why: &str| Unread {
            why: why.into(),
            passes: false,
        };
        let name = self.edit.key.name.as_str();
        let read = self
            .kube
            .get_workload_whole(self.kind, self.namespace(), name);
        let object = match read.await {
            Ok(object) => object,
            Err(e) if e.is_not_found() => return Err(is_not("it is gone. Plan again")),
            Err(e) => return Err(e.into()),
        };
        match object["metadata"]["uid"] == self.edit.uid.as_str() {
            true => Ok(object),
            false => Err(is_not("it is another one of that name. Plan again")),
        }
    }

    /// The templates that workloads of its kind had, in its namespace.
    async fn history(&self) -> Result<Vec<Value>, ApiError> {
        match self.history {
            Some(kind) => self.kube.list_whole(kind, self.namespace()).await,
            None => Ok(Vec::new()),
        }
    }

    fn wait(&self, limit: Duration) -> Wait {
        Wait::up_to(limit, self.context.limits.poll).or_until(&self.context.stop)
    }

    async fn patch(&self, operations: &[Value]) -> Result<Value, ApiError> {
        let name = self.edit.key.name.as_str();
        let patch = self
            .kube
            .patch_workload(self.kind, self.namespace(), name, operations);
        patch.await
    }

    /// The first write.
    async fn begin(&self, fresh: &FreshTemplate) -> Result<(), Reason> {
        let planned = template(&self.edit.key.kind, &fresh.object);
        let mut wait = self.wait(self.context.limits.ready);
        let mut tried: Option<String> = None;
        let strategy = self.edit.strategy;
        for _ in 0..CONFLICTS {
            let (object, history) = tokio::join!(self.object(), self.history());
            let (object, history) = (object?, history.map_err(|e| e.reason())?);
            // The answer of an own write was lost, perhaps.
            if tried.is_some_and(|before| self.is_begun(&object, fresh, &before)) {
                return Ok(());
            }
            if template(&self.edit.key.kind, &object) != planned {
                return Err("its template was changed just now. Plan again".into());
            }
            let is_idle = strategy != Strategy::NextRun && rollout::is_idle(&object);
            if (strategy == Strategy::AtOnce) != is_idle {
                return Err("pods of it came or went just now. Plan again".into());
            }
            if let Some(left) = rollout::left(&object).filter(|_| !is_one_write(strategy)) {
                return Err(format!("a rollout of it goes on ({left}). Plan again").into());
            }
            let revision = match self.history {
                None => String::new(),
                Some(kind) => {
                    let current = rollout::current(&object, &history);
                    let revision = current.and(rollout::revision(&object, &history));
                    let kind = kind.kind;
                    revision.ok_or_else(|| {
                        format!(
                            "no {kind} has the template that it has: there would be no way back"
                        )
                    })?
                }
            };
            let now = self.context.time();
            let Some(operations) = first(self.edit, &object, &fresh.template, &revision, now)
            else {
                return Err("what is to be kept for the way back may be a secret".into());
            };
            match self.patch(&operations).await {
                Ok(_) => return Ok(()),
                Err(e) => self.may_try_again(&object, e).await?,
            }
            tried = Some(revision);
            if !wait.again().await {
                break;
            }
        }
        Err("it is written again and again by others".into())
    }

    /// Whether it is as the first write makes it.
    fn is_begun(&self, object: &Value, fresh: &FreshTemplate, revision: &str) -> bool {
        let (edit, at_once) = (self.edit, is_one_write(self.edit.strategy));
        let is_marked = match (rollout::mark(object), at_once) {
            (Some(mark), false) => {
                mark.way() == Some(edit.way)
                    && mark.account == edit.email
                    && mark.revision == revision
            }
            (mark, true) => mark.is_some() == edit.takes_out(),
            (None, false) => false,
        };
        is_marked && *template(&edit.key.kind, object) == fresh.template
    }

    /// Whether a write may be tried again, after another look: it was refused since the object is another one by now, or
    /// since others wrote at the same time, or nothing is known of it.
    async fn may_try_again(&self, tried: &Value, e: ApiError) -> Result<(), Reason> {
        if e.is_conflict() || e.code == 0 || e.code >= 500 {
            return Ok(());
        }
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        if e.code == 422 && version(&self.object().await?) != version(tried) {
            return Ok(());
        }
        Err(e.reason())
    }
}

/// Whether nothing comes after the first write.
fn is_one_write(strategy: Strategy) -> bool {
    match strategy {
        Strategy::AtOnce | Strategy::NextRun => true,
        Strategy::Rolling | Strategy::Ordered | Strategy::OnNodes => false,
    }
}

/// The first write: the template of `edit`, from which the way back leads to `revision`, or to the pieces that go.
/// `None`: one of these may be a secret.
fn first(
    edit: &Template,
    object: &Value,
    to: &Value,
    revision: &str,
    now: Timestamp,
) -> Option<Vec<Value>> {
    let mut mark = Mark {
        account: edit.email.clone(),
        revision: revision.to_owned(),
        pieces: None,
        at: None,
        under_way: None,
    };
    match edit.strategy {
        Strategy::NextRun if edit.takes_out() => {
            let before = template(&edit.key.kind, object);
            mark.pieces = Some(pieces::taken(before, &edit.steps)?);
            mark.at = Some(now);
        }
        Strategy::NextRun | Strategy::AtOnce => {}
        Strategy::Rolling | Strategy::Ordered | Strategy::OnNodes => {
            return Some(rollout::begin(object, to, edit.way, &edit.email, revision));
        }
    }
    let mark = edit.takes_out().then_some(&mark);
    Some(rollout::at_once(object, to, mark))
}
