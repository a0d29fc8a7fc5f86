//! `wi validate`: the spec alone, offline.

use std::path::PathBuf;

use clap::Args;
use wi_client::http::Http;
use wi_core::desired::Desired;
use wi_core::spec::fleet::Discovered;
use wi_core::spec::model::Spec;

use super::{Failure, Success};
use crate::engine::read::Lists;
use crate::engine::read::discover::discover;
use crate::view::print;

#[derive(Debug, Args)]
pub(super) struct SpecArgs {
    /// Spec files and directories, read recursively; `-` is standard input
    #[arg(value_name = "PATH", default_value = ".")]
    pub paths: Vec<PathBuf>,
}

pub(super) fn run(args: SpecArgs) -> Result<Success, Failure> {
    let spec = load(&args.paths)?;
    let accounts: usize = spec
        .namespaces
        .values()
        .map(|n| n.service_accounts.len())
        .sum();
    print::data(&format!(
        "Success! The spec `{}` is valid: {}, {}, {} with {}.\n",
        spec.name,
        count(spec.clusters.len(), "cluster"),
        count(spec.accounts.len(), "Google service account"),
        count(spec.namespaces.len(), "namespace"),
        count(accounts, "Kubernetes service account"),
    ))?;
    Ok(Success::Ok)
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Reads the spec; all its mistakes are one failure.
pub(super) fn load(paths: &[PathBuf]) -> Result<Spec, Failure> {
    crate::engine::load(paths)
        .map_err(|errors| Failure::Rendered(errors.render(print::width(), true)))
}

/// A spec, and a former version of it.
#[derive(Debug)]
pub(super) struct Input {
    spec: Spec,
    former: Option<Spec>,
}

/// What a spec asks for on all its clusters, and how they were found.
#[derive(Debug)]
pub(super) struct Found {
    pub desired: Desired,
    /// Lists of clusters that need not be read again.
    pub lists: Lists,
    /// Where could not be looked, and why.
    pub unseen: Vec<(String, String)>,
}

impl Input {
    /// Reads both; `base` is what git calls the former one.
    pub fn load(paths: &[PathBuf], base: Option<&str>) -> Result<Self, Failure> {
        let spec = load(paths)?;
        let former = match base {
            Some(reference) => Some(crate::engine::load_former(reference, paths)?),
            None => None,
        };
        Ok(Self { spec, former })
    }

    /// What it asks for on the clusters that it declares.
    pub fn declared(&self) -> Desired {
        desired(&self.spec, self.former.as_ref())
    }

    /// What it asks for on all clusters, those that are found included.
    pub async fn on_all_clusters(mut self, http: &Http) -> Result<Found, Failure> {
        let mut entries = self.spec.discover.clone();
        let own = entries.len();
        entries.extend(self.former.iter().flat_map(|f| f.discover.clone()));
        if entries.is_empty() {
            return Ok(Found {
                desired: self.declared(),
                lists: Lists::new(),
                unseen: Vec::new(),
            });
        }
        let found = discover(http, &entries).await;
        let (ours, formers): (Vec<_>, Vec<_>) =
            found.clusters.into_iter().partition(|c| c.by < own);
        let misfits = self.spec.take_in(ours);
        if found.unseen.is_empty() && !misfits.is_empty() {
            let lines: Vec<String> = misfits
                .iter()
                .map(|m| format!("- {}: {}", m.place, m.message))
                .collect();
            return Err(Failure::Message(format!(
                "the spec does not fit the clusters that were found:\n\n{}",
                lines.join("\n")
            )));
        }
        if let Some(former) = &mut self.former {
            former.take_in(
                formers
                    .into_iter()
                    .map(|c| Discovered {
                        by: c.by - own,
                        ..c
                    })
                    .collect(),
            );
        }
        Ok(Found {
            desired: self.declared(),
            lists: found.lists,
            unseen: found.unseen,
        })
    }
}

fn desired(spec: &Spec, former: Option<&Spec>) -> Desired {
    let mut desired = Desired::of(spec);
    if let Some(former) = former {
        desired.succeed(&Desired::of(former));
    }
    desired
}
