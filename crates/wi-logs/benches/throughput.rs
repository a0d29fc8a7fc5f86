//! How fast logs are read, and in how much memory: five million entries of ten thousand principals, and as many
//! lines of other logs. Fails above its limits. `cargo bench -p wi-logs`; with `quick`, a tenth of it.

#[path = "../tests/made/mod.rs"]
#[allow(dead_code)] // The tests plant more.
mod made;

use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use wi_logs::collect::{Collector, Seen};
use wi_logs::facts::Facts;
use wi_logs::read::{self, Input};

/// Lines of one day over and over, each with an id, and a principal of its own.
struct Lines {
    templates: Arc<Vec<[Vec<u8>; 3]>>,
    left: usize,
    line: Vec<u8>,
    at: usize,
}

impl Read for Lines {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let mut written = 0;
        while written < into.len() {
            if self.at == self.line.len() {
                if self.left == 0 {
                    break;
                }
                self.left -= 1;
                let [start, middle, end] = &self.templates[self.left % self.templates.len()];
                self.line.clear();
                self.line.extend_from_slice(start);
                digits(self.left, 8, &mut self.line);
                self.line.extend_from_slice(middle);
                digits(self.left / 7 % 1_429, 4, &mut self.line);
                self.line.extend_from_slice(end);
                self.line.push(b'\n');
                self.at = 0;
            }
            let count = (into.len() - written).min(self.line.len() - self.at);
            into[written..written + count].copy_from_slice(&self.line[self.at..self.at + count]);
            self.at += count;
            written += count;
        }
        Ok(written)
    }
}

/// The last digits of a number.
fn digits(number: usize, count: u32, into: &mut Vec<u8>) {
    let digit = |place: u32| b'0' + (number / 10_usize.pow(place) % 10) as u8;
    into.extend((0..count).rev().map(digit));
}

/// Where an id and a principal's number go.
fn template(line: &str) -> Option<[Vec<u8>; 3]> {
    let (start, rest) = line.split_once("\"insertId\":\"")?;
    let (_, rest) = rest.split_once('"')?;
    let (middle, end) = rest
        .split_once("[shop/")
        .or_else(|| rest.split_once("\"principalEmail\":\""))?;
    let by = &rest[middle.len()..rest.len() - end.len()];
    Some([
        format!("{start}\"insertId\":\"").into_bytes(),
        format!("\"{middle}{by}p").into_bytes(),
        end.as_bytes().to_vec(),
    ])
}

fn run(templates: Vec<[Vec<u8>; 3]>, lines: usize) -> (f64, Facts) {
    let templates = Arc::new(templates);
    let input = Input {
        name: "made up".to_owned(),
        open: Box::new(move || {
            Ok(Box::new(Lines {
                templates,
                left: lines,
                line: Vec::new(),
                at: 0,
            }))
        }),
    };
    let (started, before) = (Instant::now(), processor());
    let seen = Arc::new(Seen::default());
    let outcome = read::read([input], 2, || Collector::new(seen.clone()));
    let mut facts = Facts::default();
    for part in outcome.parts {
        facts.merge(part.finish());
    }
    // On a machine that is shared, half of the processor time is what two cores of one's own take.
    let seconds = match (before, processor()) {
        (Some(before), Some(after)) => (after - before) / 2.0,
        _ => started.elapsed().as_secs_f64(),
    };
    (seconds, facts)
}

/// The processor time of this process so far, in seconds, where the system tells.
fn processor() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split(' ').skip(12).map(|f| f.parse::<f64>().ok());
    Some((ticks.next()?? + ticks.next()??) / 100.0)
}

/// The most that was ever in memory, in MiB.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.trim().split(' ').next()?.parse::<u64>().ok()? / 1024)
}

fn main() {
    let quick = std::env::args().any(|a| a == "quick");
    let lines = if quick { 500_000 } else { 5_000_000 };
    let mut made = made::Made::new(1);
    made.quiet(0..1);
    let day: Vec<String> = made.lines();
    let templates: Vec<_> = day.iter().filter_map(|l| template(l)).collect();
    let average: usize = day.iter().map(String::len).sum::<usize>() / day.len();
    let other = br#"{"logName":"projects/acme-prod/logs/stdout","timestamp":"2026-11-05T03:12:44.123456789Z","resource":{"type":"k8s_container","labels":{"project_id":"acme-prod","namespace_name":"shop"}},"severity":"INFO","insertId":""#;
    let others = vec![[
        other.to_vec(),
        b"\",\"textPayload\":\"GET /checkout 200 ".to_vec(),
        b" in 12 ms\"}".to_vec(),
    ]];
    let (seconds, facts) = run(others, lines);
    let rejected = lines as f64 / seconds;
    println!(
        "{lines} lines of other logs: {seconds:.1} s, {:.2} M/s",
        rejected / 1e6
    );
    assert_eq!(facts.counts.others as usize, lines);
    let (seconds, facts) = run(templates, lines);
    println!(
        "{lines} audit entries of {average} bytes: {seconds:.1} s, {:.0} K/s; {} principals, {} rows",
        lines as f64 / seconds / 1e3,
        facts.principals().len(),
        facts.rows.len()
    );
    let peak = peak();
    println!("peak: {peak:?} MiB");
    assert_eq!(facts.counts.entries as usize, lines);
    assert!(rejected >= 1e6, "rejected lines: {rejected:.0} a second");
    assert!(seconds <= if quick { 3.0 } else { 15.0 }, "{seconds:.1} s");
    assert!(peak.is_none_or(|p| p <= 256), "{peak:?} MiB");
}
