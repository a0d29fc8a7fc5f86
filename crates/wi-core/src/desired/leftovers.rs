//! What left a spec, and where it is looked for.

use std::collections::BTreeSet;

use crate::names::ProjectId;
use crate::resource::Resource;

/// Where what left a spec is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Projects that the spec names: accounts are looked for in each, and policies below it.
    pub projects: BTreeSet<ProjectId>,
    /// Wider places in which policies are searched.
    pub scopes: BTreeSet<Resource>,
    /// Whether a former spec says what it granted on.
    pub by_former: bool,
}

/// The most texts of one search: a URL has to hold them.
const TEXTS: usize = 20;

impl Leftovers {
    /// The searches of policies that find what principals of these projects have: where, and for what. Words
    /// of names are found in other names, too.
    pub fn searches(&self, pools: impl Iterator<Item = String>) -> Vec<(Resource, String)> {
        let of_projects = self.projects.iter().flat_map(|project| {
            let account = project.service_account("a");
            let domain = account.as_str().split_once('@').map(|(_, d)| d.to_owned());
            domain.into_iter().chain([project.workload_pool()])
        });
        let texts: BTreeSet<String> = of_projects.chain(pools).collect();
        let quoted: Vec<String> = texts.iter().map(|t| format!("\"{t}\"")).collect();
        let queries: Vec<String> = quoted
            .chunks(TEXTS)
            .map(|some| match some {
                [one] => format!("policy:{one}"),
                some => format!("policy:({})", some.join(" OR ")),
            })
            .collect();
        let projects = self.projects.iter().cloned().map(Resource::Project);
        let scopes: BTreeSet<Resource> = projects.chain(self.scopes.iter().cloned()).collect();
        scopes
            .iter()
            .flat_map(|scope| queries.iter().map(|q| (scope.clone(), q.clone())))
            .collect()
    }
}
