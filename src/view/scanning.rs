//! How far a scan is: one line on a terminal, on standard error, and nothing elsewhere.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::print;
use crate::scan::Progress;

/// How often the line is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// Does the work, and meanwhile shows how far it is.
pub fn while_scanning<T: Send>(progress: &Progress, work: impl FnOnce() -> T + Send) -> T {
    if !print::draws() {
        return work();
    }
    let bar = print::Shown::spinner();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
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
    })
}
