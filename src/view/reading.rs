//! What a reading of the live state waits for: one line on a terminal, on standard error, and nothing elsewhere.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;
use wi_client::http::Http;
use wi_core::words::{counted, duration, safe};

use super::print;

/// How often the line is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// What is done by then needs no line.
const FIRST: Duration = Duration::from_millis(500);

/// Servers that are named.
const NAMED: usize = 3;

/// Does the work, and meanwhile shows how far it is.
pub async fn while_reading<T>(http: &Http, work: impl Future<Output = T>) -> T {
    if !print::draws() {
        return work.await;
    }
    let mut work = pin!(work);
    let begun = Instant::now();
    let ended = http.traffic().ended();
    let mut shown: Option<print::Shown> = None;
    let mut ticks = tokio::time::interval_at(begun + FIRST, EVERY);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => {
                let bar = shown.get_or_insert_with(print::Shown::spinner);
                let ended = http.traffic().ended() - ended;
                bar.set_message(message(ended, &http.traffic().under_way(), begun.elapsed()));
                bar.tick();
            }
        }
    }
}

fn message(ended: u64, under_way: &BTreeMap<String, usize>, since: Duration) -> String {
    let mut servers: Vec<(&str, usize)> = under_way.iter().map(|(s, n)| (s.as_str(), *n)).collect();
    // Those with the most first.
    servers.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
    let calls: usize = servers.iter().map(|(_, calls)| calls).sum();
    let mut named: Vec<String> = servers
        .iter()
        .take(NAMED)
        .map(|(server, calls)| format!("{} {calls}", safe(server)))
        .collect();
    if servers.len() > NAMED {
        named.push(format!("{} more", servers.len() - NAMED));
    }
    let waits = match calls {
        0 => String::new(),
        _ => format!(", {calls} under way ({})", named.join(", ")),
    };
    let since = duration(Duration::from_secs(since.as_secs()));
    let ended = usize::try_from(ended).unwrap_or(usize::MAX);
    format!(
        "Reading the live state [{since}]: {} answered{waits}",
        counted(ended, "call")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_who_is_waited_for_most() {
        let calls = [("a", 1), ("b", 7), ("c", 2), ("d", 1), ("e", 1)];
        let under_way = calls.map(|(s, n)| (s.to_owned(), n)).into();
        assert_eq!(
            message(1, &under_way, Duration::from_millis(83_900)),
            "Reading the live state [1 min 23 s]: 1 call answered, 12 under way (b 7, c 2, a 1, 2 more)"
        );
        assert_eq!(
            message(20, &BTreeMap::new(), Duration::from_millis(600)),
            "Reading the live state [0 s]: 20 calls answered"
        );
    }
}
