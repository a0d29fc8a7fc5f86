//! Reads logs on all processors: one thread unpacks and cuts, the others read records.

use std::io::Read;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::entry::Entry;
use crate::facts::Counts;
use crate::source::{self, Block};

/// Who gathers entries.
pub trait Take: Send {
    /// One entry, of whatever log.
    fn take(&mut self, entry: &Entry<'_>);
    /// What could not be read is counted here.
    fn counts(&mut self) -> &mut Counts;
}

/// Something to read.
pub struct Input<'a> {
    /// For messages.
    pub name: String,
    /// Opens it.
    pub open: Box<dyn FnOnce() -> std::io::Result<Box<dyn Read + 'a>> + 'a>,
}

impl std::fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome<T> {
    /// The gatherers, each with a part.
    pub parts: Vec<T>,
    /// What could not be read to its end, and why.
    pub broken: Vec<(String, String)>,
}

/// Reads all inputs, one after another, on so many threads (and this one).
pub fn read<'a, T: Take>(
    inputs: impl IntoIterator<Item = Input<'a>>,
    threads: usize,
    make: impl Fn() -> T,
) -> Outcome<T> {
    let (send, receive) = sync_channel::<Block>(threads.max(1) * 2);
    let receive = Mutex::new(receive);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1))
            .map(|_| {
                let mut gatherer = make();
                let receive = &receive;
                scope.spawn(move || {
                    let mut reader = Reader::default();
                    while let Some(block) = next(receive) {
                        reader.block(&block, &mut gatherer);
                    }
                    gatherer
                })
            })
            .collect();
        let mut counts = Counts::default();
        let mut broken = Vec::new();
        for input in inputs {
            let result = (input.open)()
                .and_then(|from| source::blocks(from, &mut counts, |b| send.send(b).is_ok()));
            if let Err(e) = result {
                broken.push((input.name, e.to_string()));
            }
        }
        drop(send);
        let mut parts: Vec<T> = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(part) => parts.push(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        if let Some(first) = parts.first_mut() {
            let own = first.counts();
            own.bytes += counts.bytes;
            own.giant += counts.giant;
            own.unreadable += counts.unreadable;
        }
        Outcome { parts, broken }
    })
}

fn next(receive: &Mutex<Receiver<Block>>) -> Option<Block> {
    let receive = receive
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    receive.recv().ok()
}

/// Reads records.
struct Reader {
    audit: Finder<'static>,
    closing: Finder<'static>,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            audit: Finder::new("cloudaudit.googleapis.com"),
            closing: Finder::new("}}}}}}}}"),
        }
    }
}

/// How deep an entry may be: far more than any is.
const DEEPEST: usize = 128;

impl Reader {
    fn block(&mut self, block: &Block, into: &mut impl Take) {
        match &block.records {
            Some(records) => {
                for record in records {
                    self.record(&block.bytes[record.clone()], block.has_envelopes, into);
                }
            }
            None => {
                let mut start = 0;
                for end in memchr::memchr_iter(b'\n', &block.bytes).chain([block.bytes.len()]) {
                    self.record(&block.bytes[start..end], block.has_envelopes, into);
                    start = end + 1;
                }
            }
        }
    }

    fn record(&mut self, record: &[u8], has_envelopes: bool, into: &mut impl Take) {
        let record = record.trim_ascii();
        if record.is_empty() {
            return;
        }
        let record = record.strip_prefix(b"\xef\xbb\xbf").unwrap_or(record);
        let is_whole = record.starts_with(b"{") && record.ends_with(b"}");
        if !has_envelopes && self.audit.find(record).is_none() {
            match is_whole {
                true => into.counts().others += 1,
                false => into.counts().unreadable += 1,
            }
            return;
        }
        if self.closing.find(record).is_some() && depth(record) > DEEPEST {
            into.counts().nested += 1;
            return;
        }
        match Entry::parse(record).filter(|_| is_whole) {
            None => into.counts().unreadable += 1,
            Some(entry) if entry.is_audit() || !has_envelopes => into.take(&entry),
            Some(entry) => {
                let packed = opened(record, 0);
                if packed.is_empty() {
                    into.take(&entry);
                }
                for inner in packed {
                    match Entry::parse(&inner) {
                        Some(entry) => into.take(&entry),
                        None => into.counts().unreadable += 1,
                    }
                }
            }
        }
    }
}

/// How deep a record is, at its deepest.
fn depth(record: &[u8]) -> usize {
    let (mut depth, mut most, mut in_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in record {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => {
                depth += 1;
                most = most.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// What others wrap entries into: Pub/Sub (`message.data`), Elastic (`event.original`), Splunk (`event`).
#[derive(Deserialize, Default)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    original: Option<&'a RawValue>,
}

/// The entries in an envelope.
fn opened(record: &[u8], level: usize) -> Vec<Vec<u8>> {
    let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(record) else {
        return Vec::new();
    };
    let parts = [
        envelope.message,
        envelope.event,
        envelope.data,
        envelope.original,
    ];
    let mut found = Vec::new();
    for part in parts.into_iter().flatten().map(RawValue::get) {
        let inner = match serde_json::from_str::<String>(part) {
            Ok(text) => match text.trim_start().starts_with('{') {
                true => text.into_bytes(),
                false => STANDARD.decode(text).unwrap_or_default(),
            },
            Err(_) => part.as_bytes().to_vec(),
        };
        if !inner.trim_ascii_start().starts_with(b"{") {
            continue;
        }
        match Entry::parse(&inner) {
            Some(entry) if entry.is_audit() => found.push(inner),
            _ if level < 3 => found.extend(opened(&inner, level + 1)),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Methods(Vec<String>, Counts);

    impl Take for Methods {
        fn take(&mut self, entry: &Entry<'_>) {
            if entry.is_audit() {
                self.0.push(entry.payload.method.as_str().to_owned());
            }
        }
        fn counts(&mut self) -> &mut Counts {
            &mut self.1
        }
    }

    fn read_text(text: &str) -> Methods {
        let bytes = text.as_bytes().to_vec();
        let input = Input {
            name: "x".to_owned(),
            open: Box::new(move || Ok(Box::new(std::io::Cursor::new(bytes)))),
        };
        let mut outcome = read([input], 1, Methods::default);
        assert!(outcome.broken.is_empty());
        outcome.parts.remove(0)
    }

    fn entry(method: &str) -> String {
        format!(
            r#"{{"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","protoPayload":{{"methodName":"{method}"}}}}"#
        )
    }

    #[test]
    fn entries_in_envelopes_are_read() {
        let inner = entry("m");
        let data = STANDARD.encode(&inner);
        let escaped = serde_json::Value::from(inner.clone());
        for wrapped in [
            format!("{{\"message\":{{\"data\":\"{data}\",\"messageId\":\"1\"}}}}"),
            format!("[{{\"ackId\":\"x\",\"message\":{{\"data\":\"{data}\"}}}}]"),
            format!("{{\"event\":{{\"original\":{escaped}}},\"gcp\":{{}}}}"),
            format!("{{\"message\":{escaped}}}"),
            format!("{{\"event\":{inner}}}"),
        ] {
            assert_eq!(read_text(&wrapped).0, ["m"], "{wrapped}");
        }
    }

    #[test]
    fn what_is_torn_nul_or_nested_is_skipped_and_counted() {
        let good = entry("m");
        let deep = good.replace(
            "\"methodName\"",
            &format!(
                "\"request\":{}1{},\"methodName\"",
                "{\"a\":".repeat(20_000),
                "}".repeat(20_000)
            ),
        );
        let text = format!(
            "{good}\n{}\n\0\0\0{good}\n{deep}\n{{\"textPayload\":\"x\"}}\n\n{}",
            &good[..good.len() / 2],
            &good[..60],
        );
        let read = read_text(&text);
        assert_eq!(read.0, ["m"]);
        assert_eq!((read.1.unreadable, read.1.nested, read.1.others), (3, 1, 1));
    }
}
