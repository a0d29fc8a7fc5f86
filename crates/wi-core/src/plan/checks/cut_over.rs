//! Workloads whose key `wi` has taken out, and whose identity goes: they would be left with neither.

use crate::address::Address;
use crate::desired::Desired;
use crate::live::Live;
use crate::migrate::mark::{MARK, marked};
use crate::plan::{Options, Plan};

/// Stops a plan that leaves such a workload with nothing, but where that is accepted.
pub(in crate::plan) fn check(desired: &Desired, live: &Live, options: &Options, plan: &mut Plan) {
    let mut told: Vec<(Address, String)> = Vec::new();
    for (address, loss) in &plan.losing_identity {
        if !plan.changes.contains_key(address) {
            continue;
        }
        let identity = &loss.identity;
        for (cluster, template, mark) in marked(live) {
            let of_ksa = template.metadata.namespace == identity.namespace
                && template.pod.service_account() == identity.name;
            // One on which a change goes on is told as that.
            if cluster != loss.cluster || !of_ksa || mark.way().is_some() {
                continue;
            }
            let account = desired.account_name(&mark.account);
            let account = account.unwrap_or_else(|| {
                let email = mark.account.as_str();
                email.split('@').next().unwrap_or_default()
            });
            let (kind, name) = (&template.kind, &template.metadata.name);
            let kubectl = kind.to_lowercase();
            let namespace = &identity.namespace;
            told.push((
                address.clone(),
                format!(
                    "{kind} {namespace}/{name} in cluster.{cluster} would be nobody: wi took the key of {} out of it. As long as a key of it is live, `migrate: {{ {account}: {{ until: bound }} }}` in the spec and `wi apply --read-secrets referenced` give it back first. --accept-loss goes on without; then its annotation stays, until `kubectl annotate {kubectl}/{name} -n {namespace} {MARK}-`",
                    mark.account
                ),
            ));
        }
    }
    for (address, message) in told {
        match options.accept_loss {
            true => plan.warnings.push(message),
            false => plan.error(address, None, message),
        }
    }
}
