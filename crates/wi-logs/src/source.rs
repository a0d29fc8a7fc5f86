//! From bytes to records: what is packed is unpacked, and what follows each other is cut apart. No more than a
//! few blocks are in memory, however large the file and however torn it is.

use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;

use flate2::bufread::MultiGzDecoder;
use memchr::{memchr, memchr3, memmem, memrchr};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use crate::facts::Counts;

/// An entry of Cloud Audit Logs has up to 512 KiB; spread over lines it may take some times as much.
pub const LARGEST_RECORD: usize = 4 << 20;

/// What is handed on at once.
const BLOCK: usize = 1 << 20;

/// What is looked at to tell how a file is made.
const HEAD: usize = 64 << 10;

/// Whole records.
#[derive(Debug)]
pub struct Block {
    /// Their bytes.
    pub bytes: Vec<u8>,
    /// Where each is; `None`: each line is one.
    pub records: Option<Vec<Range<usize>>>,
    /// Whether entries may be packed into others' messages.
    pub has_envelopes: bool,
}

/// Cuts what a reader has into blocks of whole records, and hands each on until that answers `false`.
pub fn blocks(
    from: impl Read,
    counts: &mut Counts,
    mut each: impl FnMut(Block) -> bool,
) -> io::Result<()> {
    let mut from = unpacked(BufReader::with_capacity(256 << 10, from))?;
    let mut head = Vec::new();
    let peeked = from.by_ref().take(HEAD as u64).read_to_end(&mut head);
    let has_envelopes = memmem::find(&head, b"\"data\"").is_some()
        || memmem::find(&head, b"\"message\"").is_some()
        || memmem::find(&head, b"\"event\"").is_some();
    let result = match base_depth(&head) {
        None => lines(head, &mut from, counts, &mut |bytes| {
            each(Block {
                bytes,
                records: None,
                has_envelopes,
            })
        }),
        Some(base) => {
            let mut cutter = Cutter::new(base, indentation(&head));
            cutter.run(head, &mut from, counts, &mut |bytes, records| {
                each(Block {
                    bytes,
                    records: Some(records),
                    has_envelopes,
                })
            })
        }
    };
    // What was read before the file broke off counts.
    peeked.and(result)
}

/// Unpacks gzip and zstd, which are known by their first bytes, whatever the file is called.
fn unpacked<'a>(mut from: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let head = from.fill_buf()?;
    if head.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(MultiGzDecoder::new(from)));
    }
    let is_zstd = head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || is_skippable(head);
    if is_zstd {
        return Ok(Box::new(Frames::Between(Some(from))));
    }
    Ok(Box::new(from))
}

fn is_skippable(head: &[u8]) -> bool {
    head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == [0x2a, 0x4d, 0x18]
}

/// The frames of a zstd file, one after another.
enum Frames<R: BufRead> {
    Between(Option<R>),
    In(Box<StreamingDecoder<R, FrameDecoder>>),
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self {
                Self::In(frame) => {
                    let read = frame.read(into)?;
                    if read > 0 || into.is_empty() {
                        return Ok(read);
                    }
                    let Self::In(frame) = std::mem::replace(self, Self::Between(None)) else {
                        return Ok(0);
                    };
                    *self = Self::Between(Some(frame.into_inner()));
                }
                Self::Between(from) => {
                    let Some(mut from) = from.take() else {
                        return Ok(0);
                    };
                    let head = from.fill_buf()?;
                    if head.is_empty() {
                        return Ok(0);
                    }
                    if is_skippable(head) {
                        let mut header = [0; 8];
                        from.read_exact(&mut header)?;
                        let [.., a, b, c, d] = header;
                        let length = u64::from(u32::from_le_bytes([a, b, c, d]));
                        io::copy(&mut from.by_ref().take(length), &mut io::sink())?;
                        *self = Self::Between(Some(from));
                        continue;
                    }
                    let frame = StreamingDecoder::new(from).map_err(io::Error::other)?;
                    *self = Self::In(Box::new(frame));
                }
            }
        }
    }
}

/// How deep the records lie, if they are not a line each: 0 for objects over several lines, 1 in an array, 2
/// in pages as `entries:list` answers them.
fn base_depth(head: &[u8]) -> Option<usize> {
    let mut start = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    start = start.trim_ascii_start();
    if start.first() == Some(&b'[') {
        return Some(1);
    }
    let line = &start[..memchr(b'\n', start).unwrap_or(start.len())];
    let plain: Vec<u8> = start
        .iter()
        .filter(|b| !b.is_ascii_whitespace())
        .take(12)
        .copied()
        .collect();
    if plain.starts_with(b"{\"entries\":[") {
        return Some(2);
    }
    let line = line.trim_ascii();
    // The first line of an object that is spread over several says next to nothing.
    (line.starts_with(b"{") && (line == b"{" || line.ends_with(b"{") || line.ends_with(b",")))
        .then_some(0)
}

/// How far in the first record's brace is, where it begins a line.
fn indentation(head: &[u8]) -> usize {
    let start = head.split(|b| *b == b'\n').find_map(|line| {
        let spaces = line.iter().take_while(|b| **b == b' ').count();
        (line.get(spaces) == Some(&b'{')).then_some(spaces)
    });
    start.unwrap_or(0)
}

/// Reads on up to a block; with whether that was the end, or the last that could be read.
fn fill(buffer: &mut Vec<u8>, from: &mut impl Read) -> (io::Result<usize>, bool) {
    let wanted = BLOCK.saturating_sub(buffer.len()).max(64 << 10);
    let read = from.by_ref().take(wanted as u64).read_to_end(buffer);
    let is_end = read.as_ref().map_or(true, |n| *n < wanted);
    (read, is_end)
}

fn lines(
    mut buffer: Vec<u8>,
    from: &mut impl Read,
    counts: &mut Counts,
    each: &mut impl FnMut(Vec<u8>) -> bool,
) -> io::Result<()> {
    // Whether what comes is the rest of a line that is too long.
    let mut is_skipping = false;
    loop {
        let (read, is_end) = fill(&mut buffer, from);
        if is_skipping {
            match memchr(b'\n', &buffer) {
                Some(end) => {
                    counts.bytes += end as u64 + 1;
                    buffer.drain(..=end);
                    is_skipping = false;
                }
                None => {
                    counts.bytes += buffer.len() as u64;
                    buffer.clear();
                }
            }
        }
        let cut = match memrchr(b'\n', &buffer) {
            _ if is_end => buffer.len(),
            Some(end) => end + 1,
            None if buffer.len() > LARGEST_RECORD => {
                counts.giant += 1;
                counts.bytes += buffer.len() as u64;
                buffer.clear();
                is_skipping = true;
                0
            }
            None => 0,
        };
        if cut > 0 {
            let mut rest = Vec::with_capacity(BLOCK + (64 << 10));
            rest.extend_from_slice(&buffer[cut..]);
            buffer.truncate(cut);
            counts.bytes += cut as u64;
            if !each(std::mem::replace(&mut buffer, rest)) {
                return Ok(());
            }
        }
        if is_end {
            return read.map(|_| ());
        }
    }
}

/// Finds objects of one depth.
struct Cutter {
    base: usize,
    indent: usize,
    depth: usize,
    in_text: bool,
    is_escaped: bool,
    /// Where the object begins that is open.
    open: Option<usize>,
    /// Whether something was torn, and the next beginning is looked for.
    is_lost: bool,
    at: usize,
}

impl Cutter {
    fn new(base: usize, indent: usize) -> Self {
        Self {
            base,
            indent,
            depth: 0,
            in_text: false,
            is_escaped: false,
            open: None,
            is_lost: false,
            at: 0,
        }
    }

    fn run(
        &mut self,
        mut buffer: Vec<u8>,
        from: &mut impl Read,
        counts: &mut Counts,
        each: &mut impl FnMut(Vec<u8>, Vec<Range<usize>>) -> bool,
    ) -> io::Result<()> {
        loop {
            let (read, is_end) = fill(&mut buffer, from);
            let records = self.cut(&buffer, counts);
            if let Some(open) = self.open
                && self.at - open > LARGEST_RECORD
            {
                counts.giant += 1;
                self.lose();
            }
            if is_end && self.open.is_some() {
                counts.unreadable += 1;
            }
            let keep = self.open.unwrap_or(self.at);
            let rest = buffer[keep..].to_vec();
            counts.bytes += keep as u64;
            self.at -= keep;
            self.open = self.open.map(|_| 0);
            buffer.truncate(keep);
            let whole = std::mem::replace(&mut buffer, rest);
            if !records.is_empty() && !each(whole, records) {
                return Ok(());
            }
            if is_end {
                return read.map(|_| ());
            }
        }
    }

    /// Gives up what is open.
    fn lose(&mut self) {
        self.open = None;
        self.in_text = false;
        self.is_escaped = false;
        self.is_lost = true;
    }

    fn cut(&mut self, buffer: &[u8], counts: &mut Counts) -> Vec<Range<usize>> {
        let mut records = Vec::new();
        while self.at < buffer.len() {
            if self.is_lost {
                if !self.find_start(buffer) {
                    return records;
                }
                continue;
            }
            if self.in_text {
                if self.is_escaped {
                    self.is_escaped = false;
                    self.at += 1;
                    continue;
                }
                match memchr3(b'"', b'\\', b'\n', &buffer[self.at..]) {
                    None => self.at = buffer.len(),
                    Some(found) => {
                        self.at += found + 1;
                        match buffer[self.at - 1] {
                            b'"' => self.in_text = false,
                            b'\\' => self.is_escaped = true,
                            // No text of JSON has a line's end in it.
                            _ => {
                                counts.unreadable += 1;
                                self.at -= 1;
                                self.lose();
                            }
                        }
                    }
                }
                continue;
            }
            match buffer[self.at] {
                b'"' => self.in_text = true,
                b'{' | b'[' => {
                    if self.depth == self.base && self.open.is_none() && buffer[self.at] == b'{' {
                        self.open = Some(self.at);
                    }
                    self.depth += 1;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == self.base
                        && let Some(open) = self.open.take()
                    {
                        records.push(open..self.at + 1);
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        records
    }

    /// Goes to the next line that begins as records do. `false`: more is needed.
    fn find_start(&mut self, buffer: &[u8]) -> bool {
        while let Some(end) = memchr(b'\n', &buffer[self.at..]) {
            let line = self.at + end + 1;
            let brace = line + self.indent;
            if buffer.len() <= brace {
                self.at += end;
                return false;
            }
            self.at = line;
            if buffer[line..brace].iter().all(|b| *b == b' ') && buffer[brace] == b'{' {
                self.is_lost = false;
                self.depth = self.base;
                return true;
            }
        }
        self.at = buffer.len();
        false
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn cut(bytes: &[u8]) -> (Vec<String>, Counts) {
        let mut counts = Counts::default();
        let mut all = Vec::new();
        blocks(bytes, &mut counts, |block| {
            let text = |range: &[u8]| String::from_utf8_lossy(range).trim().to_owned();
            match &block.records {
                Some(records) => all.extend(records.iter().map(|r| text(&block.bytes[r.clone()]))),
                None => all.extend(block.bytes.split(|b| *b == b'\n').map(text)),
            }
            true
        })
        .expect("readable");
        all.retain(|r| !r.is_empty());
        (all, counts)
    }

    #[test]
    fn lines_arrays_pages_and_objects_over_lines_are_the_same_records() {
        let one = r#"{"a":"} ] \" {","b":[{"c":1}]}"#;
        let two = r#"{"a":2}"#;
        let spread = "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n";
        assert_eq!(cut(format!("{one}\n{two}\n").as_bytes()).0, [one, two]);
        assert_eq!(cut(format!("{one}\r\n{two}").as_bytes()).0, [one, two]);
        assert_eq!(cut(format!(" [{one},\n {two}]\n").as_bytes()).0, [one, two]);
        let page = format!("{{ \"entries\": [{one},{two}], \"nextPageToken\": \"x\" }}\n");
        assert_eq!(
            cut(format!("{page}{page}").as_bytes()).0,
            [one, two, one, two]
        );
        assert_eq!(cut(format!("{spread}{spread}").as_bytes()).0.len(), 2);
        assert_eq!(cut(b"").0.len(), 0);
        assert_eq!(cut(b"[]").0.len(), 0);
    }

    #[test]
    fn packed_files_are_unpacked_whatever_they_are_called() {
        let plain = "{\"a\":1}\n{\"a\":2}\n";
        let mut gzip = Vec::new();
        // Two members after each other, as appended logs are.
        for _ in 0..2 {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(plain.as_bytes()).expect("memory");
            gzip.extend(packed.finish().expect("memory"));
        }
        assert_eq!(cut(&gzip).0.len(), 4);
        let frame = ruzstd::encoding::compress_to_vec(
            plain.as_bytes(),
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        let mut zstd = vec![0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        zstd.extend(&frame);
        zstd.extend(&frame);
        assert_eq!(cut(&zstd).0.len(), 4);
    }

    #[test]
    fn a_packed_file_that_breaks_off_is_told_after_what_it_had() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        for n in 0..100_000 {
            writeln!(packed, "{{\"a\":{n}}}").expect("memory");
        }
        let gzip = packed.finish().expect("memory");
        let mut counts = Counts::default();
        let mut records = 0;
        let result = blocks(&gzip[..gzip.len() / 2], &mut counts, |block| {
            records += block.bytes.split(|b| *b == b'\n').count();
            true
        });
        assert!(result.is_err() && records > 10_000, "{records}");
    }

    #[test]
    fn what_is_giant_or_torn_hides_nothing_that_follows() {
        let giant = format!("{{\"a\":\"{}\"}}", "x".repeat(LARGEST_RECORD + BLOCK * 2));
        let (records, counts) = cut(format!("{{\"a\":1}}\n{giant}\n{{\"a\":2}}\n").as_bytes());
        assert_eq!(records, ["{\"a\":1}", "{\"a\":2}"]);
        assert_eq!(counts.giant, 1);
        let array = format!("[\n  {{\"a\":1}},\n  {giant},\n  {{\"a\":2}}\n]\n");
        let (records, counts) = cut(array.as_bytes());
        assert_eq!((records.len(), counts.giant), (2, 1));
        let torn = "[\n  {\"a\":1},\n  {\"b\":\"torn\n  {\"a\":2},\n  {\"a\":3}\n]\n";
        let (records, counts) = cut(torn.as_bytes());
        assert_eq!(records.len(), 3, "{records:?}");
        assert_eq!(counts.unreadable, 1);
        let (records, counts) = cut(b"[\n  {\"a\":1},\n  {\"b\":");
        assert_eq!((records.len(), counts.unreadable), (1, 1));
    }
}
