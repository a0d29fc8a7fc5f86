//! Many cases at once: each has a sandbox of its own in this process and runs the real binary on it. Most
//! of their time they sleep between two tries, which takes no processor.

use std::any::Any;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;

use crate::support::inside::runtime;

/// How many cases are under way, in all tests of this file. Each is a process and some twenty sockets.
static UNDER_WAY: Semaphore = Semaphore::const_new(260);
/// How many of them are at work: more would keep each other from being in time.
static AT_WORK: Semaphore = Semaphore::const_new(12);
/// What takes longer is asleep most of the time.
const ASLEEP: Duration = Duration::from_secs(3);

/// The right to be at work.
pub struct Work(Option<SemaphorePermit<'static>>);

impl Work {
    async fn begin() -> Self {
        Self(Some(AT_WORK.acquire().await.expect("never closed")))
    }

    /// Waits for something that sleeps if it takes long, and lets others work then.
    pub async fn wait_for<T>(&mut self, run: impl Future<Output = T>) -> T {
        let mut run = std::pin::pin!(run);
        if let Ok(ended) = tokio::time::timeout(ASLEEP, run.as_mut()).await {
            return ended;
        }
        self.0 = None;
        let ended = run.await;
        *self = Self::begin().await;
        ended
    }
}

/// Runs all cases; panics with the messages of those that failed.
pub fn all<C, F>(cases: impl IntoIterator<Item = C>)
where
    C: FnOnce(Work) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    raise_limit_of_open_files();
    let failures = runtime().block_on(async {
        let mut running = JoinSet::new();
        for case in cases {
            let under_way = UNDER_WAY.acquire().await.expect("never closed");
            let work = Work::begin().await;
            running.spawn(async move {
                let _under_way = under_way;
                case(work).await;
            });
        }
        let mut failures = Vec::new();
        while let Some(ended) = running.join_next().await {
            if let Err(e) = ended {
                failures.push(message(e.into_panic().as_ref()));
            }
        }
        failures
    });
    assert!(
        failures.is_empty(),
        "{} cases failed:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&t| t.to_owned()))
        .unwrap_or_default()
}

/// Many systems start processes with 1024, and let them have more for the asking.
#[cfg(unix)]
fn raise_limit_of_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(16_384, |most| most.min(16_384));
    if limit.current.is_some_and(|now| now < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            ..limit
        };
        setrlimit(Resource::Nofile, raised).expect("no more than the hard limit");
    }
}

#[cfg(not(unix))]
fn raise_limit_of_open_files() {}
