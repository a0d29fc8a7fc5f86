//! Static keys: disabled, enabled again, deleted.

use wi_client::google::keys;
use wi_core::address::Address;
use wi_core::plan::{Key, KeyAfter};
use wi_core::reason::Reason;
use wi_core::wire::iam::ServiceAccountKey;

use crate::apply::Context;

pub(super) async fn change(context: &Context, address: &Address, edit: &Key) -> Result<(), Reason> {
    let (http, project) = (&context.http, &edit.project);
    let (email, id) = (&edit.email, &edit.id);
    // A run that was killed, or another one, may have done it.
    match (read(context, edit).await?, edit.after) {
        (None, KeyAfter::Deleted) => return Ok(()),
        (None, _) => return Err("it is gone. Plan again".into()),
        (Some(key), KeyAfter::Disabled) if key.disabled => return Ok(()),
        (Some(key), KeyAfter::Enabled) if !key.disabled => return Ok(()),
        (Some(key), KeyAfter::Deleted) if !key.disabled => {
            return Err(
                "it was enabled since it was planned, and is not deleted. Plan again".into(),
            );
        }
        (Some(_), _) => {}
    }
    let change = &context.plan.changes[address];
    context
        .recheck
        .keys(http, &change.edit, &edit.email, context.time())
        .await?;
    let written = match edit.after {
        KeyAfter::Disabled => keys::disable(http, project, email, id).await,
        KeyAfter::Enabled => keys::enable(http, project, email, id).await,
        KeyAfter::Deleted => match keys::delete(http, project, email, id).await {
            // By a try whose answer was lost.
            Err(e) if e.is_not_found() => Ok(()),
            deleted => deleted,
        },
    };
    written.map_err(|e| e.reason())?;
    // IAM takes its time, and who reads its list next is to see it.
    let mut wait = context.propagation_wait();
    loop {
        let now = read(context, edit).await?;
        let is_done = match (&now, edit.after) {
            (None, after) => after == KeyAfter::Deleted,
            (Some(key), KeyAfter::Disabled) => key.disabled,
            (Some(key), KeyAfter::Enabled) => !key.disabled,
            (Some(_), KeyAfter::Deleted) => false,
        };
        if is_done {
            context.recheck.forget_keys().await;
            return Ok(());
        }
        context
            .observer
            .still(address, "waiting until IAM tells it so");
        if !wait.again().await {
            if context.stop.is_cancelled() {
                return Err("IAM took it, and wi was interrupted before IAM told it so".into());
            }
            return Err("IAM took it, and still tells otherwise".into());
        }
    }
}

/// `None`: there is no such key.
async fn read(context: &Context, edit: &Key) -> Result<Option<ServiceAccountKey>, Reason> {
    let read = keys::get(&context.http, &edit.project, &edit.email, &edit.id).await;
    match read {
        Ok(key) => Ok(Some(key)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e.reason()),
    }
}
