//! Google service accounts: created, changed, disabled.

use std::time::Duration;

use wi_client::google::iam;
use wi_client::http::ApiError;
use wi_core::address::Address;
use wi_core::plan::ownership::{
    AccountMark, marked_description, owner_in_description, split_description,
};
use wi_core::plan::{Account, AccountAfter, AccountState};
use wi_core::reason::Reason;
use wi_core::wire::iam::ServiceAccount;
use wi_core::words::safe;

use crate::apply::Context;
use crate::apply::wait::Wait;

/// How long to go on with the creation of an account that the server fails at: as long as with other
/// calls.
const CREATION: Duration = Duration::from_secs(45);

pub(super) async fn change(
    context: &Context,
    address: &Address,
    edit: &Account,
) -> Result<(), Reason> {
    match (&edit.before, &edit.after) {
        (_, AccountAfter::Disabled { .. } | AccountAfter::Deleted) => end(context, edit).await,
        (
            None,
            AccountAfter::Present {
                display_name,
                description,
                disabled: _,
                undelete,
            },
        ) => match undelete {
            Some(unique_id) => {
                undelete_it(context, address, edit, unique_id, display_name, description).await
            }
            None => {
                create(context, edit, display_name, description).await?;
                wait_until_visible(context, address, edit).await
            }
        },
        (
            Some(before),
            AccountAfter::Present {
                display_name,
                description,
                disabled,
                undelete: _,
            },
        ) => {
            let after = AccountState {
                display_name: display_name.clone(),
                description: description.clone(),
                disabled: *disabled,
                ..before.clone()
            };
            update(context, edit, before, &after).await
        }
    }
}

async fn update(
    context: &Context,
    edit: &Account,
    before: &AccountState,
    after: &AccountState,
) -> Result<(), Reason> {
    let (project, email) = (&edit.project, &edit.email);
    let now = get(context, edit).await?;
    let owner = owner_in_description(&now.description);
    let planned = owner_in_description(&before.description);
    if owner.is_some_and(|o| o != context.plan.owner && Some(o) != planned) {
        return Err(format!(
            "{email} was taken by another owner since it was planned: {}. Plan again",
            now.description
        )
        .into());
    }
    let changed = |before: &str, after: &str| (before != after).then(|| after.to_owned());
    let display_name = changed(&before.display_name, &after.display_name);
    let description = changed(&before.description, &after.description);
    // Of the description only the mark is ours to change.
    if let Some(after) = &description
        && split_description(&now.description).0 != split_description(after).0
    {
        return Err(format!(
            "the description of {email} has changed since it was planned. Plan again"
        )
        .into());
    }
    if display_name.is_some() || description.is_some() {
        iam::patch_service_account(
            &context.http,
            project,
            email,
            display_name.as_deref(),
            description.as_deref(),
        )
        .await
        .map_err(|e| e.reason())?;
    }
    if before.disabled && !after.disabled {
        iam::enable_service_account(&context.http, project, email)
            .await
            .map_err(|e| e.reason())?;
    }
    Ok(())
}

async fn undelete_it(
    context: &Context,
    address: &Address,
    edit: &Account,
    unique_id: &str,
    display_name: &str,
    description: &str,
) -> Result<(), Reason> {
    let (project, email) = (&edit.project, &edit.email);
    match iam::undelete_service_account(&context.http, project, unique_id).await {
        Ok(back) if back.email.eq_ignore_ascii_case(email.as_str()) => {}
        Ok(back) => return Err(put_back(context, edit, unique_id, &back.email).await),
        // Its 30 days are over; or it is back, by a try whose answer was lost.
        Err(e) if matches!(e.code, 400 | 404 | 409) => {
            let other = iam::get_by_unique_id(&context.http, project, unique_id).await;
            if let Ok(back) = other
                && !back.email.eq_ignore_ascii_case(email.as_str())
            {
                return Err(put_back(context, edit, unique_id, &back.email).await);
            }
            let back = iam::get_service_account(&context.http, project, email).await;
            if back.is_err() {
                create(context, edit, display_name, description).await?;
            }
        }
        Err(e) => return Err(e.reason()),
    }
    wait_until_visible(context, address, edit).await?;
    let now = get(context, edit).await?;
    let (text, mark) = split_description(&now.description);
    let owner = owner_in_description(&now.description);
    if let Some(owner) = owner.filter(|o| *o != context.plan.owner) {
        return Err(format!(
            "{email} is back, and belongs to the spec named `{owner}`. Plan again"
        )
        .into());
    }
    // One that nobody had marked was there before: it is released one day, and not disabled.
    let adopted = mark.is_none_or(|m| m.adopted || m.owner != context.plan.owner);
    let (_, wanted) = split_description(description);
    let after = wanted.map(|wanted| marked_description(text, AccountMark { adopted, ..wanted }));
    let display_name = Some(display_name).filter(|d| !d.is_empty());
    iam::patch_service_account(
        &context.http,
        project,
        email,
        display_name,
        after.as_deref(),
    )
    .await
    .map_err(|e| e.reason())?;
    if now.disabled {
        iam::enable_service_account(&context.http, project, email)
            .await
            .map_err(|e| e.reason())?;
    }
    Ok(())
}

/// The id in a policy was another account's: that one is deleted again, as it was. Answers with what is to be
/// told.
async fn put_back(context: &Context, edit: &Account, unique_id: &str, back: &str) -> Reason {
    let email = &edit.email;
    let told = format!(
        "the unique id {unique_id}, under which a policy names {email} as deleted, is that of {}",
        safe(back)
    );
    match iam::delete_by_unique_id(&context.http, &edit.project, unique_id).await {
        Ok(()) => format!(
            "{told}: it came back, and was deleted again. Take `deleted:serviceAccount:{email}?uid={unique_id}` out of the policy that has it, and plan again"
        )
        .into(),
        Err(e) => e.reason().within(&format!(
            "{told}: it is back, and could not be deleted again: "
        )),
    }
}

/// Disables or deletes it.
async fn end(context: &Context, edit: &Account) -> Result<(), Reason> {
    let (project, email) = (&edit.project, &edit.email);
    let deletes = edit.after == AccountAfter::Deleted;
    let now = match iam::get_service_account(&context.http, project, email).await {
        Err(e) if e.is_not_found() && deletes => return Ok(()),
        now => now.map_err(|e| e.reason())?,
    };
    if owner_in_description(&now.description) != Some(context.plan.owner.as_str()) {
        return Err(format!("{email} does not carry our mark any more. Plan again").into());
    }
    if let AccountAfter::Disabled { description } = &edit.after
        && split_description(&now.description).0.trim_end()
            != split_description(description).0.trim_end()
    {
        return Err(format!(
            "the description of {email} has changed since it was planned. Plan again"
        )
        .into());
    }
    let ended = if deletes {
        match iam::delete_service_account(&context.http, project, email).await {
            // By a try whose answer was lost.
            Err(e) if e.is_not_found() => Ok(()),
            ended => ended,
        }
    } else {
        iam::disable_service_account(&context.http, project, email).await
    };
    ended.map_err(|e| e.reason())?;
    // Last: before that the next plan takes up what is left to do.
    match &edit.after {
        AccountAfter::Disabled { description } if *description != now.description => {
            iam::patch_service_account(&context.http, project, email, None, Some(description))
                .await
                .map_err(|e| e.reason())
        }
        _ => Ok(()),
    }
}

async fn get(context: &Context, edit: &Account) -> Result<ServiceAccount, Reason> {
    iam::get_service_account(&context.http, &edit.project, &edit.email)
        .await
        .map_err(|e| e.reason())
}

/// IAM hides what it does not know behind a 403. A proxy's is none of those.
fn may_be_unknown(e: &ApiError) -> bool {
    e.is_not_found() || e.status == "PERMISSION_DENIED"
}

async fn create(
    context: &Context,
    edit: &Account,
    display_name: &str,
    description: &str,
) -> Result<(), Reason> {
    let (project, email) = (&edit.project, &edit.email);
    let mut wait = Wait::up_to(CREATION.min(context.limits.propagation), CREATION / 30);
    loop {
        let created = iam::create_service_account(
            &context.http,
            project,
            email.account_id(),
            display_name,
            description,
        )
        .await;
        let error = match created {
            Ok(_) => return Ok(()),
            Err(e) => e,
        };
        // A try whose answer was lost, or a run that was killed, may have made it: look before
        // trying again.
        let lost = error.code == 0 || error.code >= 500;
        if error.code != 409 && !lost {
            return Err(error.reason());
        }
        match iam::get_service_account(&context.http, project, email).await {
            Ok(now) if now.description == description => return Ok(()),
            Ok(_) => {
                return Err(format!(
                    "{email} was created by somebody else since it was planned. Plan again"
                )
                .into());
            }
            Err(e) if lost && may_be_unknown(&e) => {
                if !wait.again().await {
                    return Err(error.reason());
                }
            }
            Err(_) => return Err(error.reason()),
        }
    }
}

/// IAM is eventually consistent: a new account may not be found for a minute or more.
async fn wait_until_visible(
    context: &Context,
    address: &Address,
    edit: &Account,
) -> Result<(), Reason> {
    let (project, email) = (&edit.project, &edit.email);
    let mut wait = context.propagation_wait();
    loop {
        match iam::get_service_account(&context.http, project, email).await {
            Ok(_) => return Ok(()),
            Err(e) if may_be_unknown(&e) => {
                context
                    .observer
                    .still(address, "waiting until IAM knows it");
                if !wait.again().await {
                    let what = match context.stop.is_cancelled() {
                        true => format!(
                            "{email} was created, and wi was interrupted before IAM found it: "
                        ),
                        false => format!("{email} was created, but IAM still does not find it: "),
                    };
                    return Err(e.reason().within(&what));
                }
            }
            Err(e) => return Err(e.reason()),
        }
    }
}
