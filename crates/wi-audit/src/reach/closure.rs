//! All whom somebody can become.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wi_core::access::Unseen;

use super::edges::Graph;
use super::step::{Node, Path};

/// All whom somebody can become, himself included: by steps that are certain where there are such, with as few steps as
/// there can be, and no more of them than `depth`.
pub fn of(graph: &Graph<'_>, from: &Node, depth: usize) -> BTreeMap<Node, Path> {
    let mut reached: BTreeMap<Node, Path> = BTreeMap::new();
    // First over what is certain, then from all of that over what may be.
    let start = Path { steps: Vec::new() };
    reached.insert(from.clone(), start);
    for sure in [true, false] {
        let mut next: VecDeque<Node> = reached.keys().cloned().collect();
        // The nearest first, so that paths are short.
        next.make_contiguous()
            .sort_by_key(|node| reached[node].steps.len());
        while let Some(node) = next.pop_front() {
            let path = reached[&node].clone();
            if path.steps.len() >= depth {
                continue;
            }
            for edge in &graph.edges(&node).to {
                if (sure && !edge.because.is_empty()) || reached.contains_key(&edge.to) {
                    continue;
                }
                let mut steps = path.steps.clone();
                steps.push((node.clone(), edge.clone()));
                reached.insert(edge.to.clone(), Path { steps });
                next.push_back(edge.to.clone());
            }
        }
    }
    reached
}

/// What was not seen and decides about a path, or could take it away.
pub fn doubts(path: &Path) -> BTreeSet<Unseen> {
    let edges = path.steps.iter().map(|(_, edge)| edge);
    edges
        .flat_map(|e| e.because.iter().chain(&e.unless))
        .cloned()
        .collect()
}
