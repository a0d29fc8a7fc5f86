//! Clusters by phase, as a wave goes on: a row for each cluster that is being changed.

use std::collections::{BTreeMap, BTreeSet};

use console::{measure_text_width, truncate_str};
use wi_core::address::Address;
use wi_core::plan::{Phase, Plan};
use wi_core::words::safe;

use super::style::{DIM, GREEN, RED, paint};

const PHASES: [(Phase, &str); 3] = [
    (Phase::Cluster, "cluster"),
    (Phase::Kubernetes, "kubernetes"),
    (Phase::NodePools, "node pools"),
];

/// What is not in one cluster.
const SHARED: &str = "(shared)";

/// So many clusters have a row each at the end.
const MOST_ENDED: usize = 30;

/// The widest name of a cluster that is shown whole.
const WIDEST: usize = 30;

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    all: usize,
    done: usize,
    failed: usize,
    running: usize,
}

/// The changes of a wave.
#[derive(Debug, Default)]
pub struct WaveTable {
    of: BTreeMap<String, (String, Phase)>,
    rows: BTreeMap<String, BTreeMap<Phase, Cell>>,
}

impl WaveTable {
    /// Of these changes of a plan.
    pub fn of(plan: &Plan, addresses: &BTreeSet<Address>) -> Self {
        let mut matrix = Self::default();
        for (address, change) in addresses
            .iter()
            .filter_map(|a| plan.changes.get_key_value(a))
        {
            let phase = change.edit.phase();
            let row = change.cluster().unwrap_or(SHARED).to_owned();
            let cells = matrix.rows.entry(row.clone()).or_default();
            cells.entry(phase).or_default().all += 1;
            matrix.of.insert(address.to_string(), (row, phase));
        }
        matrix
    }

    /// How many clusters are changed.
    pub fn clusters(&self) -> usize {
        self.rows.keys().filter(|row| *row != SHARED).count()
    }

    fn cell(&mut self, address: &str) -> Option<&mut Cell> {
        let (row, phase) = self.of.get(address)?;
        self.rows.get_mut(row)?.get_mut(phase)
    }

    /// A change begins.
    pub fn start(&mut self, address: &str) {
        if let Some(cell) = self.cell(address) {
            cell.running += 1;
        }
    }

    /// A change has ended.
    pub fn end(&mut self, address: &str, well: bool) {
        if let Some(cell) = self.cell(address) {
            cell.running = cell.running.saturating_sub(1);
            *(if well {
                &mut cell.done
            } else {
                &mut cell.failed
            }) += 1;
        }
    }

    /// The table, in at most so many lines: clusters under way and those that failed come first, the
    /// rest is counted.
    pub fn under_way(&self, width: usize, height: usize) -> Vec<String> {
        self.lines(width, height, false)
    }

    /// How it ended, cluster by cluster; where there are many, those that are done are counted.
    pub fn ended(&self, width: usize) -> Vec<String> {
        let few = self.rows.len() <= MOST_ENDED;
        self.lines(width, usize::MAX, few)
    }

    fn lines(&self, width: usize, height: usize, all: bool) -> Vec<String> {
        let sum = |cells: &BTreeMap<Phase, Cell>, of: fn(&Cell) -> usize| -> usize {
            cells.values().map(of).sum()
        };
        let mut shown = Vec::new();
        let (mut done, mut waiting) = (0, 0);
        for (row, cells) in &self.rows {
            let (failed, running) = (sum(cells, |c| c.failed), sum(cells, |c| c.running));
            let ended = sum(cells, |c| c.done);
            if all || failed > 0 || running > 0 || (ended > 0 && ended < sum(cells, |c| c.all)) {
                // What is under way, what has failed, and what is between two phases.
                shown.push((running == 0, failed == 0, row, cells));
            } else if row == SHARED {
                // No cluster: it is not counted.
            } else if ended > 0 {
                done += 1;
            } else {
                waiting += 1;
            }
        }
        shown.sort_by_key(|(idle, well, ..)| (*idle, *well));
        let room = height.saturating_sub(2);
        let more = shown.len().saturating_sub(room);
        shown.truncate(room);
        let name = self.rows.keys().map(|r| measure_text_width(&safe(r)));
        let name = name.max().unwrap_or(0).clamp(SHARED.len(), WIDEST);
        let mut head = format!("{:name$}", "");
        for (_, title) in PHASES {
            head.push_str(&format!("  {title:<10}"));
        }
        let mut lines = vec![paint(DIM, head.trim_end())];
        for (.., row, cells) in shown {
            let title = truncate_str(&safe(row), name, "…").into_owned();
            let mut line = format!(
                "{title}{}",
                " ".repeat(name.saturating_sub(measure_text_width(&title)))
            );
            for (phase, _) in PHASES {
                let (text, style) = match cells.get(&phase) {
                    None => ("–".to_owned(), DIM),
                    Some(c) if c.failed > 0 => (format!("✗ {} failed", c.failed), RED),
                    Some(c) if c.done == c.all => ("✓".to_owned(), GREEN),
                    Some(c) if c.running > 0 || c.done > 0 => {
                        (format!("{}/{}", c.done, c.all), anstyle::Style::new())
                    }
                    Some(_) => ("waits".to_owned(), DIM),
                };
                let space = 10_usize.saturating_sub(measure_text_width(&text));
                line.push_str(&format!("  {}{}", paint(style, &text), " ".repeat(space)));
            }
            lines.push(line.trim_end().to_owned());
        }
        let count = |n: usize, what: &str| (n > 0).then(|| format!("{n} {what}"));
        let rest: Vec<String> = [
            count(more, "more"),
            count(waiting, "waiting"),
            count(done, "done"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !rest.is_empty() {
            lines.push(paint(DIM, rest.join(", ")));
        }
        lines
            .into_iter()
            .map(|line| truncate_str(&line, width, "…").into_owned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> WaveTable {
        let mut matrix = WaveTable::default();
        for c in 0..6 {
            let cluster = format!("prod-{c}");
            for (phase, all) in [
                (Phase::Cluster, 1),
                (Phase::Kubernetes, 3),
                (Phase::NodePools, 2),
            ] {
                for n in 0..all {
                    let address = format!("{cluster}/{phase:?}/{n}");
                    matrix.of.insert(address, (cluster.clone(), phase));
                }
                let cells = matrix.rows.entry(cluster.clone()).or_default();
                cells.entry(phase).or_default().all = all;
            }
        }
        let mut shared = BTreeMap::new();
        shared.insert(
            Phase::Cluster,
            Cell {
                all: 2,
                done: 2,
                ..Cell::default()
            },
        );
        matrix.rows.insert(SHARED.to_owned(), shared);
        for address in [
            "prod-0/Cluster/0",
            "prod-1/Cluster/0",
            "prod-1/Kubernetes/0",
        ] {
            matrix.start(address);
            matrix.end(address, true);
        }
        matrix.start("prod-1/Kubernetes/1");
        matrix.start("prod-2/Cluster/0");
        matrix.end("prod-2/Cluster/0", false);
        matrix.start("prod-3/Cluster/0");
        matrix
    }

    fn plain(lines: &[String]) -> String {
        console::strip_ansi_codes(&lines.join("\n")).into_owned()
    }

    #[test]
    fn what_is_under_way_comes_first_and_the_rest_is_counted() {
        insta::assert_snapshot!(plain(&matrix().under_way(80, 24)), @r"
                  cluster     kubernetes  node pools
        prod-1    ✓           1/3         waits
        prod-3    0/1         waits       waits
        prod-2    ✗ 1 failed  waits       waits
        prod-0    ✓           waits       waits
        2 waiting
        ");
    }

    #[test]
    fn it_fits_the_terminal() {
        let lines = matrix().under_way(30, 4);
        insta::assert_snapshot!(plain(&lines), @r"
                  cluster     kuberne…
        prod-1    ✓           1/3    …
        prod-3    0/1         waits  …
        2 more, 2 waiting
        ");
        assert!(lines.len() <= 4 && lines.iter().all(|l| measure_text_width(l) <= 30));
    }
}
