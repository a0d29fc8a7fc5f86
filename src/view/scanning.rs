//! How far a scan is: one line on a terminal, on standard error, and nothing elsewhere.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::scan::Progress;

/// How often the line is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// Does the work, and meanwhile shows how far it is.
pub fn while_scanning<T: Send>(progress: &Progress, work: impl FnOnce() -> T + Send) -> T {
    let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    if dumb || !std::io::stderr().is_terminal() {
        return work();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    let is_done = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        let painter = scope.spawn(|| {
            while !is_done.load(Ordering::Acquire) {
                let files = progress.files.load(Ordering::Relaxed);
                let megabytes = progress.bytes.load(Ordering::Relaxed) / 1_000_000;
                bar.set_message(format!("Scanning: {files} files, {megabytes} MB"));
                bar.tick();
                std::thread::park_timeout(EVERY);
            }
        });
        let result = work();
        is_done.store(true, Ordering::Release);
        painter.thread().unpark();
        result
    });
    bar.finish_and_clear();
    result
}
