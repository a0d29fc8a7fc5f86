//! What an apply is doing: bars on a terminal, lines elsewhere, on standard error; or a stream of
//! JSON on standard output.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use wi_core::address::Address;
use wi_core::plan::{Action, Plan};
use wi_core::reason::Reason;
use wi_core::words::safe;

use super::json::stream::Stream;
use super::style::{BOLD, RED, YELLOW, paint};
use super::wave_table::WaveTable;
use crate::apply::Observer;

/// How often a change that takes its time is reported where there is no terminal.
const STILL: Duration = Duration::from_secs(10);

/// From how many clusters on there is a table.
const TABLE: usize = 4;
const MOST_ROWS: usize = 20;

/// Reports the changes of one apply. Shared by its tasks.
#[derive(Debug)]
pub struct Progress {
    bars: Option<MultiProgress>,
    stream: Option<Stream>,
    running: Mutex<BTreeMap<String, Running>>,
    /// What has failed first because of each cause.
    failures: Mutex<BTreeMap<String, String>>,
    table: Mutex<Option<Table>>,
}

/// Clusters by phase, in place of a bar for each change.
#[derive(Debug)]
struct Table {
    matrix: WaveTable,
    /// All of it is one bar, so that a terminal has it whole or not at all.
    bar: ProgressBar,
}

impl Table {
    fn draw(&self) {
        let (height, width) = console::Term::stderr().size();
        let height = usize::from(height).saturating_sub(2).clamp(3, MOST_ROWS);
        let lines = self.matrix.under_way(usize::from(width), height);
        let colour =
            anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
        let text = lines.join("\n");
        self.bar.set_message(match colour {
            true => text,
            false => anstream::adapter::strip_str(&text).to_string(),
        });
    }
}

#[derive(Debug)]
struct Running {
    since: Instant,
    last_line: Instant,
    /// What it waits for, as was told last.
    told: String,
    doing: &'static str,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Bars if standard error is a terminal that can draw them.
    pub fn new() -> Self {
        Self {
            bars: super::print::draws().then(MultiProgress::new),
            stream: None,
            running: Mutex::default(),
            failures: Mutex::default(),
            table: Mutex::default(),
        }
    }

    /// As JSON, a line an event.
    pub fn json(stream: Stream) -> Self {
        Self {
            stream: Some(stream),
            bars: None,
            running: Mutex::default(),
            failures: Mutex::default(),
            table: Mutex::default(),
        }
    }

    /// The stream, for one that is JSON.
    pub fn stream(&self) -> Option<&Stream> {
        self.stream.as_ref()
    }

    fn print(&self, text: &str) {
        // A stream says all of it in its own way.
        if self.stream.is_none() {
            super::print::note(text);
        }
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| self.print(text)),
            None => self.print(text),
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Running>> {
        // A panic of another task while it held the lock leaves whole entries behind.
        self.running
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What has failed because of the same, if something has.
    fn failed_before(&self, address: &str, why: &Reason) -> Option<String> {
        // Entries are inserted whole, so a poisoned map is still right.
        let all = self.failures.lock();
        let mut all = all.unwrap_or_else(std::sync::PoisonError::into_inner);
        match all.entry(why.cause().to_owned()) {
            Entry::Occupied(first) => Some(first.get().clone()),
            Entry::Vacant(new) => {
                new.insert(address.to_owned());
                None
            }
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Option<Table>> {
        self.table
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Edits the table and draws it again; `false` where there is none.
    fn in_table(&self, edit: impl FnOnce(&mut WaveTable)) -> bool {
        match self.table().as_mut() {
            Some(table) => {
                edit(&mut table.matrix);
                table.draw();
                true
            }
            None => false,
        }
    }
}

impl Observer for Progress {
    fn notice(&self, text: &str) {
        if let Some(stream) = &self.stream {
            stream.notice(text);
        }
        self.line(&paint(YELLOW, safe(text)));
    }

    /// On a terminal, the changes of several clusters are shown as a table of clusters by phase.
    fn begin(&self, plan: &Plan, addresses: &BTreeSet<Address>) {
        let Some(bars) = &self.bars else {
            return;
        };
        let matrix = WaveTable::of(plan, addresses);
        if matrix.clusters() < TABLE {
            return;
        }
        let bar = bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("[{elapsed}]\n{msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_secs(1));
        let table = Table { matrix, bar };
        table.draw();
        *self.table() = Some(table);
    }

    fn end(&self) {
        if let Some(table) = self.table().take() {
            // How the wave ended stays on the screen.
            table.bar.finish_and_clear();
            for line in table
                .matrix
                .ended(usize::from(console::Term::stderr().size().1))
            {
                self.line(&line);
            }
        }
    }

    fn start(&self, address: &str, action: Action) {
        let doing = doing(action);
        let now = Instant::now();
        let in_table = self.in_table(|matrix| matrix.start(address));
        let bar = self.bars.as_ref().filter(|_| !in_table).map(|bars| {
            // What does not fit is cut off: a second line would stay at each tick.
            let style = ProgressStyle::with_template("{spinner} {prefix} [{elapsed}]: {wide_msg}");
            let bar = ProgressBar::new_spinner()
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
                .with_prefix(safe(address))
                .with_message(doing);
            let bar = bars.add(bar);
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() && !in_table {
            self.print(&format!("{}: {doing}...", paint(BOLD, safe(address))));
        }
        if let Some(stream) = &self.stream {
            stream.start(address);
        }
        self.running().insert(
            address.to_owned(),
            Running {
                since: now,
                last_line: now,
                told: String::new(),
                doing,
                bar,
            },
        );
    }

    fn still(&self, address: &str, detail: &str) {
        let mut all = self.running();
        let Some(running) = all.get_mut(address) else {
            return;
        };
        if let Some(bar) = &running.bar {
            let detail = match detail {
                "" => String::new(),
                detail => format!(", {}", safe(detail)),
            };
            bar.set_message(format!("{}{detail}", running.doing));
        } else if self.bars.is_none() && running.last_line.elapsed() >= STILL {
            running.last_line = Instant::now();
            if let Some(stream) = &self.stream {
                stream.still(address, running.since.elapsed());
            }
            // What is waited for is told once: it may be long.
            let detail = match detail {
                "" => String::new(),
                detail if detail == running.told => ", for the same".to_owned(),
                detail => {
                    detail.clone_into(&mut running.told);
                    format!(", {}", safe(detail))
                }
            };
            self.print(&format!(
                "{}: Still {}... [{}s elapsed{detail}]",
                paint(BOLD, safe(address)),
                running.doing.to_lowercase(),
                running.since.elapsed().as_secs()
            ));
        }
    }

    fn waits_for(&self, address: &str, operation: &str) {
        self.still(address, &format!("waiting for {operation}"));
        if let Some(stream) = &self.stream {
            stream.notice(&format!("{address}: Waiting for {operation}"));
        }
        self.line(&format!(
            "{}: Waiting for {}",
            paint(BOLD, safe(address)),
            safe(operation)
        ));
    }

    fn done(&self, address: &str) {
        let Some(running) = self.running().remove(address) else {
            return;
        };
        if let Some(bar) = running.bar {
            bar.finish_and_clear();
        }
        if let Some(stream) = &self.stream {
            stream.done(address, running.since.elapsed());
        }
        if self.in_table(|matrix| matrix.end(address, true)) {
            return;
        }
        let noun = match running.doing {
            "Creating" => "Creation",
            "Destroying" => "Destruction",
            _ => "Modifications",
        };
        self.line(&format!(
            "{}: {noun} complete after {}s",
            paint(BOLD, safe(address)),
            running.since.elapsed().as_secs()
        ));
    }

    fn not_started(&self, address: &str) {
        if let Some(bar) = self.running().remove(address).and_then(|r| r.bar) {
            bar.finish_and_clear();
        }
        self.in_table(|matrix| matrix.end(address, false));
    }

    fn failed(&self, address: &str, why: &Reason) {
        let running = self.running().remove(address);
        if let Some(stream) = &self.stream {
            let elapsed = running
                .as_ref()
                .map_or(Duration::ZERO, |r| r.since.elapsed());
            stream.failed(address, elapsed);
        }
        if let Some(bar) = running.and_then(|r| r.bar) {
            bar.finish_and_clear();
        }
        self.in_table(|matrix| matrix.end(address, false));
        self.line(&format!(
            "{}: {}{}",
            paint(BOLD, safe(address)),
            paint(RED, "failed"),
            match self.failed_before(address, why) {
                Some(first) => format!(", as {}", safe(&first)),
                None => format!(": {}", safe(why)),
            }
        ));
    }

    fn wave(&self, name: &str, what: &str) {
        if let Some(stream) = &self.stream {
            stream.wave(name, what);
        }
        self.line(&format!(
            "{} {}",
            paint(BOLD, format!("Wave {}:", safe(name))),
            safe(what)
        ));
    }
}

fn doing(action: Action) -> &'static str {
    match action {
        Action::Create => "Creating",
        Action::Update => "Modifying",
        Action::Delete => "Destroying",
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
