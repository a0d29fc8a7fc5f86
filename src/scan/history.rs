//! Git's history, by unique blobs: each is read once, whatever the number of commits and branches that have
//! it, and a key is whole.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use wi_core::findings::NotSeen;
use wi_core::words::safe;

use super::{Buffer, Hit, Progress, Spot};
use crate::engine::git::{self, GitError, Why, WorkTree};

/// What was found in the history.
#[derive(Debug, Default)]
pub struct History {
    /// The credentials.
    pub hits: Vec<Hit>,
    /// Where the blobs that have some were first seen.
    pub origins: BTreeMap<String, Origin>,
    /// What could not be read.
    pub not_seen: Vec<NotSeen>,
    /// How many blobs there were.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The first commit that has a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The path in that commit, from the top of the work tree.
    pub path: String,
    /// The commit.
    pub commit: String,
    /// Its day, as `2023-02-11`.
    pub day: String,
}

/// Looks through all objects of the repository that `path` is in, or those of a range of commits
/// (`BASE..HEAD`).
pub fn scan(path: &Path, range: Option<&str>, progress: &Progress) -> Result<History, GitError> {
    let asked = match range {
        Some(range) => format!("--history={range}"),
        None => "--history".to_owned(),
    };
    let asked = asked.as_str();
    if range.is_some_and(|r| r.is_empty() || r.starts_with('-')) {
        return Err(Why::NoRange.of(asked));
    }
    let path = git::canonical(path, asked)?;
    let tree = WorkTree::of(&path).ok_or_else(|| Why::InNoWorkTree(path).of(asked))?;
    tree.check(asked)?;

    let mut list = tree.git();
    match range {
        Some(range) => list.args(["rev-list", "--objects", "--end-of-options", range, "--"]),
        None => list.args([
            "cat-file",
            "--batch-all-objects",
            "--unordered",
            "--batch-check=%(objectname) %(objecttype)",
        ]),
    };
    let mut list = spawn(list.stdin(Stdio::null()), asked)?;
    let mut read = tree.git();
    read.args(["cat-file", "--batch", "--buffer"]);
    let mut read = spawn(read.stdin(Stdio::piped()), asked)?;
    let (Some(names), Some(into), Some(blobs)) =
        (list.stdout.take(), read.stdin.take(), read.stdout.take())
    else {
        let error = std::io::Error::other("there are no pipes");
        return Err(Why::NotRun(error).of(asked));
    };
    let mut history = History::default();
    let ended = std::thread::scope(|scope| {
        let feeder = scope.spawn(move || feed(BufReader::new(names), BufWriter::new(into)));
        let read = take_in(
            BufReader::with_capacity(1 << 20, blobs),
            &mut history,
            progress,
        );
        let fed = feeder
            .join()
            .unwrap_or_else(|_| Err(std::io::Error::other("a fault of wi")));
        read.and(fed)
    });
    let all = [finish(list, asked), finish(read, asked)];
    // What git says is more than that its pipe is closed.
    all.into_iter().collect::<Result<(), GitError>>()?;
    ended.map_err(|e| Why::Unreadable(e).of(asked))?;
    history.origins = origins(&tree, &history.hits, asked)?;
    history
        .hits
        .sort_by(|a, b| (&a.spot, &a.found).cmp(&(&b.spot, &b.found)));
    Ok(history)
}

fn spawn(command: &mut Command, asked: &str) -> Result<Child, GitError> {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| Why::NotRun(e).of(asked))
}

fn finish(child: Child, asked: &str) -> Result<(), GitError> {
    let output = child.wait_with_output();
    let output = output.map_err(|e| Why::Unreadable(e).of(asked))?;
    git::succeeded(output, asked).map(drop)
}

/// Names of objects, from the list to the reader: those that are no blobs for certain are left out.
fn feed(mut names: impl BufRead, mut into: impl Write) -> std::io::Result<()> {
    let mut line = Vec::new();
    while names.read_until(b'\n', &mut line)? > 0 {
        let mut words = line.trim_ascii_end().splitn(2, |b| *b == b' ');
        let name = words.next().unwrap_or_default();
        // Of a range the second word is a path, and not there for commits.
        let rest = words.next();
        let is_other = matches!(rest, None | Some(b"commit" | b"tree" | b"tag"));
        if !is_other && !name.is_empty() {
            into.write_all(name)?;
            into.write_all(b"\n")?;
        }
        line.clear();
    }
    into.flush()
}

/// `NAME TYPE SIZE`, the content, a line's end; again and again.
fn take_in(
    mut from: impl BufRead,
    history: &mut History,
    progress: &Progress,
) -> std::io::Result<()> {
    let mut buffer = Buffer::default();
    let mut header = String::new();
    while from.read_line(&mut header)? > 0 {
        let mut words = header.split_whitespace();
        let (name, kind) = (words.next().unwrap_or_default(), words.next());
        let Some(size) = words.next().and_then(|w| w.parse::<u64>().ok()) else {
            // `NAME missing`: a partial clone, from which nothing is fetched.
            history.not_seen.push(NotSeen {
                what: format!("git object {}", safe(name)),
                why: "it is not in this clone".to_owned(),
            });
            header.clear();
            continue;
        };
        let mut content = (&mut from).take(size);
        if kind == Some("blob") {
            let hits = &mut history.hits;
            let scanned = buffer.scan(&mut content, size, |line, found| {
                let object = name.to_owned();
                hits.push(Hit {
                    spot: Spot::Blob { object, line },
                    found,
                });
            })?;
            history.blobs += 1;
            history.bytes += scanned.bytes;
            progress.add(scanned.bytes);
            if scanned.is_partial {
                history.not_seen.push(NotSeen {
                    what: format!("git object {name}"),
                    why: "what is packed or encoded in it is more than is looked at".to_owned(),
                });
            }
        }
        std::io::copy(&mut content, &mut std::io::sink())?;
        from.read_exact(&mut [0])?;
        header.clear();
    }
    Ok(())
}

/// Where each blob with a hit was first.
fn origins(
    tree: &WorkTree,
    hits: &[Hit],
    asked: &str,
) -> Result<BTreeMap<String, Origin>, GitError> {
    let mut origins = BTreeMap::new();
    for hit in hits {
        let Spot::Blob { object, .. } = &hit.spot else {
            continue;
        };
        if origins.contains_key(object) {
            continue;
        }
        let mut log = tree.git();
        log.args([
            "log",
            "--all",
            "--topo-order",
            "-m",
            "--root",
            "--no-renames",
        ]);
        log.args(["--no-ext-diff", "--no-textconv", "--no-show-signature"]);
        log.args(["--diff-filter=AM", "-z", "--name-only"]);
        log.arg(format!("--find-object={object}"));
        log.arg("--format=%x01%H%x02%cs%x02");
        let told = git::output(log, asked)?;
        if let Some(origin) = first_of(&told) {
            origins.insert(object.clone(), origin);
        }
    }
    Ok(origins)
}

/// The last entry of a log is the first commit.
fn first_of(log: &str) -> Option<Origin> {
    let mut parts = log.rsplit('\u{1}').next()?.split('\u{2}');
    let (commit, day, paths) = (parts.next()?, parts.next()?, parts.next()?);
    let path = paths
        .split('\0')
        .map(|p| p.trim_matches('\n'))
        .find(|p| !p.is_empty())?;
    Some(Origin {
        path: path.to_owned(),
        commit: commit.to_owned(),
        day: day.to_owned(),
    })
}
