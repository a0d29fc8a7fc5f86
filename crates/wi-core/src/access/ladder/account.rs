//! The Google service account and the right to be it: links 12 to 14, and the chain of an account alone.

use super::grants::{Scene, Who, grant_links, restricted};
use super::near::near;
use super::{
    ActsAs, Asked, Caller, Fix, Ladder, Link, Rung, Situation, State, not_evaluated, verdict,
};
use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::access::answer::{Answer, Question, Reason};
use crate::access::facts::{Facts, Look, look};
use crate::access::question::ask;
use crate::access::{KsaPrincipal, Principal};
use crate::address::Address;
use crate::desired::Desired;
use crate::live::Seen;
use crate::names::{Email, ProjectId};
use crate::resource::Resource;
use crate::spec::model::SourceLine;
use crate::words::shell_word;

/// The permission to make tokens of a Google service account.
pub const GET_TOKEN: &str = "iam.serviceAccounts.getAccessToken";

/// The chain of a Google service account, whoever acts as it.
pub fn account(
    facts: &Facts,
    desired: Option<&Desired>,
    email: &Email,
    asked: Option<Asked>,
    at: Option<Timestamp>,
) -> Ladder {
    let mut links = account_links(facts, desired, email);
    let scene = Scene {
        facts,
        desired,
        uniform: &BTreeMap::new(),
        asked: asked.as_ref(),
        at,
    };
    let (more, answer) = grant_links(&scene, &Who::account(email));
    links.extend(more);
    links.sort_by_key(|l| l.rung);
    let caller = match look(&facts.accounts, email) {
        Look::Found(account) if account.disabled => Caller::Nobody,
        Look::Found(_) => Caller::Account(email.clone()),
        Look::Absent => Caller::Nobody,
        Look::Unseen(_) => Caller::Unknown,
    };
    Ladder {
        verdict: verdict(&links, answer.as_ref(), &caller),
        caller,
        answer,
        links,
        not_evaluated: not_evaluated(),
    }
}

/// 12: the APIs that it takes to get a token.
pub(super) fn apis_link(s: &Situation<'_>, wanted: &ActsAs) -> Option<Link> {
    let needs: &[(&str, bool)] = &[
        ("sts.googleapis.com", true),
        ("iamcredentials.googleapis.com", false),
    ];
    let impersonates = matches!(wanted, ActsAs::Account(_));
    let mut off: Vec<(&ProjectId, &str)> = Vec::new();
    let mut seen = false;
    for (project, apis) in &s.around.apis_off {
        match apis {
            Seen::Found(apis) => {
                seen = true;
                let needed = |api: &&str| {
                    needs
                        .iter()
                        .any(|(n, always)| n == api && (*always || impersonates))
                };
                off.extend(
                    apis.iter()
                        .map(String::as_str)
                        .filter(needed)
                        .map(|api| (project, api)),
                );
            }
            Seen::Absent => {}
            Seen::Unknown(why) => {
                let what = format!("which APIs are on in {project}");
                return Some(Link::unseen(Rung::Apis, &what, why));
            }
        }
    }
    if let Some((project, api)) = off.first() {
        let list: Vec<String> = off.iter().map(|(p, api)| format!("{api} in {p}")).collect();
        let title = format!("an API that it takes is off: {}", list.join(", "));
        let command = format!("gcloud services enable {api} --project={project}");
        return Some(Link::new(Rung::Apis, State::Broken, title).fix(Fix::Run(command)));
    }
    seen.then(|| Link::new(Rung::Apis, State::Holds, "the APIs that it takes are on"))
}

/// 13.
pub(super) fn account_links(facts: &Facts, desired: Option<&Desired>, email: &Email) -> Vec<Link> {
    let managed = desired.filter(|d| d.manages(email));
    let apply = managed.map(|d| Fix::Apply(vec![d.account_address(email)]));
    let place = managed
        .and_then(|d| d.account_name(email))
        .and_then(|name| Some(&managed?.accounts.get(name)?.place));
    let project = email
        .project()
        .map_or_else(String::new, |p| format!(" --project={p}"));
    let link = match look(&facts.accounts, email) {
        Look::Found(account) if account.disabled => {
            let command = format!("gcloud iam service-accounts enable {email}{project}");
            Link::new(Rung::Account, State::Broken, format!("{email} is disabled"))
                .fix(apply.or(Some(Fix::Run(command))))
        }
        Look::Found(account) => Link::new(
            Rung::Account,
            State::Holds,
            format!("{email} exists and is enabled (id {})", account.unique_id),
        ),
        Look::Absent => {
            let mut link = Link::new(
                Rung::Account,
                State::Broken,
                format!("{email} does not exist"),
            );
            if let Some(uid) = dead(facts, email) {
                link.detail.push(format!(
                    "it was deleted: policies still have it under the id {uid}; gcloud iam service-accounts undelete {uid}"
                ));
            }
            link.fix(apply)
        }
        Look::Unseen(why) => Link::unseen(Rung::Account, email.as_str(), &why),
    };
    vec![link.source(place)]
}

/// The unique id of an account that was deleted, as policies have it.
fn dead(facts: &Facts, email: &Email) -> Option<String> {
    let policies = facts.policies.values().filter_map(Seen::found);
    let members = policies.flat_map(|p| &p.bindings).flat_map(|b| &b.members);
    let start = format!("deleted:serviceAccount:{email}?uid=");
    members
        .filter_map(|m| m.strip_prefix(start.as_str()))
        .next()
        .map(str::to_owned)
}

/// 14, and 21 and 22 where they take the right to be the account: the links, and whether it may.
pub(super) fn binding_links(
    s: &Situation<'_>,
    ksa: &KsaPrincipal,
    email: &Email,
    declared: Option<(Address, SourceLine)>,
) -> (Vec<Link>, Option<bool>) {
    let resource = Resource::ServiceAccount(email.clone());
    let principal = Principal::Ksa(ksa.clone());
    let question = Question {
        principal: &principal,
        permission: GET_TOKEN,
        resource: &resource,
        at: s.at,
    };
    // Who does not exist gives nobody a right.
    if matches!(look(&s.facts.policies, &resource), Look::Absent) {
        let title = format!("nobody can be {email}, which does not exist");
        let link = Link::new(Rung::Binding, State::Irrelevant, title);
        return (vec![link], Some(false));
    }
    let who = format!("{}/{}", s.read.namespace, s.read.name);
    let (address, place) = declared.unzip();
    let fix = match address {
        Some(address) => Fix::Apply(vec![address]),
        None => Fix::Run(format!(
            "gcloud iam service-accounts add-iam-policy-binding {email} --role=roles/iam.workloadIdentityUser --member={}",
            shell_word(&ksa.identity.legacy_member())
        )),
    };
    let answer = ask(s.facts, &question);
    let mut links = Vec::new();
    let allowed = answer.is_allowed();
    match answer {
        Answer::Allowed { by, unless } => {
            let title = format!("{who} may be {email}: {} to {}", by[0], by[0].member);
            let mut link = Link::new(Rung::Binding, State::Holds, title);
            if by[0].on != resource {
                link.detail.push(format!(
                    "it is inherited: {who} may be every account below {}",
                    by[0].on
                ));
            }
            links.push(link);
            for unseen in unless {
                links.push(restricted(&unseen));
            }
        }
        Answer::Unknown { because } => {
            let mut link = Link::new(
                Rung::Binding,
                State::Unseen,
                format!("whether {who} may be {email} could not be seen"),
            );
            link.detail = because.iter().map(ToString::to_string).collect();
            links.push(link);
        }
        Answer::Denied { first, also } => {
            for reason in std::iter::once(first).chain(also) {
                links.push(denied(s, &reason, &who, email, ksa, &fix));
            }
        }
    }
    for link in &mut links {
        link.source = place.clone();
    }
    (links, allowed)
}

fn denied(
    s: &Situation<'_>,
    reason: &Reason,
    who: &str,
    email: &Email,
    ksa: &KsaPrincipal,
    fix: &Fix,
) -> Link {
    let broken = |title: String| Link::new(Rung::Binding, State::Broken, title);
    match reason {
        Reason::Deny { .. } | Reason::Boundary { .. } => {
            super::grants::denied_link(reason, &format!("{GET_TOKEN} on {email}"))
        }
        Reason::RoleLacks(grants) => {
            let list: Vec<String> = grants.iter().map(ToString::to_string).collect();
            let mut link = broken(format!(
                "{who} may not be {email}: no role of it has {GET_TOKEN}"
            ));
            link.detail.push(format!("it has {}", list.join(", ")));
            link.fix(fix.clone())
        }
        Reason::Condition(grants) => {
            let mut link = broken(format!(
                "{who} may be {email} only under a condition that does not hold"
            ));
            link.detail
                .extend(grants.iter().map(|g| g.with_condition()));
            link.fix(fix.clone())
        }
        Reason::NoGrant | Reason::NoResource(_) => {
            let mut link = broken(format!(
                "{who} may not be {email}: nothing gives it {GET_TOKEN}"
            ));
            let resource = Resource::ServiceAccount(email.clone());
            let policy = s.facts.policies.get(&resource).and_then(Seen::found);
            let gives = |role: &str| match look(&s.facts.roles, &role.to_owned()) {
                Look::Found(definition) => definition.gives(GET_TOKEN),
                _ => role == "roles/iam.workloadIdentityUser",
            };
            let members = policy
                .into_iter()
                .flat_map(|p| &p.bindings)
                .filter(|b| gives(&b.role))
                .flat_map(|b| b.members.iter().map(String::as_str));
            let number = match look(&s.facts.numbers, &ksa.project) {
                Look::Found(number) => Some(*number),
                _ => None,
            };
            link.near = near(members, &ksa.identity, number);
            if !link.near.is_empty() {
                link.detail.push("it is given to".to_owned());
            }
            link.fix(fix.clone())
        }
    }
}
