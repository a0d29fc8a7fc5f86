//! `wi graph`: the dependency graph of the spec, offline.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use wi_core::desired::Desired;
use wi_core::graph::Graph;

use super::validate::SpecArgs;
use super::{Failure, Success, validate};
use crate::view::{self, print};

#[derive(Debug, Args)]
pub(super) struct GraphArgs {
    #[command(flatten)]
    pub spec: SpecArgs,
    /// The language to print it in
    #[arg(long, value_enum, default_value_t = GraphFormat::Dot)]
    pub format: GraphFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum GraphFormat {
    /// For Graphviz
    Dot,
    /// For Markdown
    Mermaid,
}

pub(super) fn run(args: GraphArgs) -> Result<Success, Failure> {
    let desired = Desired::of(&validate::load(&args.spec.paths)?);
    // Which node pools there are only GKE knows; `*` stands for all of a cluster's.
    let node_pools: BTreeMap<String, Vec<String>> = desired
        .clusters
        .keys()
        .map(|name| (name.clone(), vec!["*".to_owned()]))
        .collect();
    let graph = Graph::of(&desired, &node_pools);
    if let Some(address) = graph.cycle() {
        return Err(Failure::Message(format!(
            "the spec asks for a cycle through {address}"
        )));
    }
    print::data(&match args.format {
        GraphFormat::Dot => view::graph::dot(&graph),
        GraphFormat::Mermaid => view::graph::mermaid(&graph),
    })?;
    Ok(Success::Ok)
}
