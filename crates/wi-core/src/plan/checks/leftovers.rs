//! Where what left the spec could not be looked for.

use crate::live::Live;
use crate::plan::Plan;

/// Says so.
pub(in crate::plan) fn warn(live: &Live, plan: &mut Plan) {
    let unseen = &live.leftovers_unseen;
    if !unseen.accounts.is_empty() {
        let projects: Vec<String> = unseen
            .accounts
            .keys()
            .map(|p| format!("project/{p}"))
            .collect();
        let why = unseen.accounts.values().next().map_or("", String::as_str);
        plan.warnings.push(format!(
            "accounts that left this spec are not looked for in {}, where it declares none: {why}",
            projects.join(", ")
        ));
    }
}
