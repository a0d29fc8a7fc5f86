//! The saved plan: a line that says what the file is, then the plan as compressed JSON.
//!
//! ```text
//! wi-plan 3.0 SHA256-OF-THE-REST\n
//! gzip of JSON
//! ```
//!
//! A newer minor version only adds fields; another major version is not read. The checksum is there for
//! accidents: anybody can make a file, so that nothing in one is believed that can be checked.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::scope::{Part, kept, touched};
use super::{Compared, Options, Plan, Preconditions, digest, integrity, preconditions};
use crate::desired::Desired;
use crate::digest::sha256;
use crate::live::Live;

/// The first bytes of a plan file.
const MAGIC: &str = "wi-plan ";

/// Major and minor version of what is written. Since 3.0 each fact is in it once.
const FORMAT: (u32, u32) = (3, 0);

/// The largest plan that is read, in bytes, unpacked: one that changes everything on 200 clusters with
/// 200 service accounts each has 69 MiB (benches/fleet.rs has such a fleet; packed it is 4 MiB).
const LARGEST: u64 = 256 << 20;

/// The most memory that a plan may take, in bytes, as [`memory`] guesses it: for that same plan it
/// guesses 0.9 GiB, and showing it takes 0.75 GiB.
const MOST_MEMORY: u64 = 4 << 30;

/// A plan, and all that carrying it out later takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanFile {
    /// The `wi` that made it.
    pub wi_version: String,
    /// When.
    pub made_at: jiff::Timestamp,
    /// What it was made on, where that is not Google's own APIs: such as `a sandbox`.
    pub made_on: Option<String>,
    /// Paths of the spec, as the user gave them.
    pub spec: Vec<PathBuf>,
    /// The flags that chose what is in it, as they were typed.
    #[serde(default)]
    pub choices: Vec<String>,
    /// The spec's files, and the SHA-256 of each.
    pub spec_digests: BTreeMap<String, String>,
    /// Choices that it was made with.
    pub options: Options,
    /// What the spec asks for, as far as the plan's changes touch it, or its waves are verified by it.
    pub desired: Desired,
    /// The plan.
    pub plan: Plan,
    /// What it rests on, beside what its edits hold.
    pub preconditions: Preconditions,
}

impl PlanFile {
    /// Makes a file of a plan. Nothing of it is secret: of other tools' labels and annotations a plan holds no
    /// values.
    pub fn new(plan: &Plan, desired: &Desired, live: &Live, options: &Options) -> Self {
        Self {
            wi_version: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: jiff::Timestamp::now(),
            made_on: None,
            spec: Vec::new(),
            choices: Vec::new(),
            spec_digests: desired.files.clone(),
            options: options.clone(),
            desired: kept(desired, plan),
            plan: plan.clone(),
            preconditions: Preconditions::of(plan, desired, live),
        }
    }

    /// Whether this `wi` may carry it out: patch versions of one minor version read a plan alike.
    pub fn is_of_this_version(&self) -> bool {
        let minor = |version: &str| -> Vec<String> {
            version.split('.').take(2).map(str::to_owned).collect()
        };
        minor(&self.wi_version) == minor(env!("CARGO_PKG_VERSION"))
    }

    /// What `--expect-plan-hash` compares: it covers all that steers carrying the file out.
    pub fn hash(&self) -> String {
        digest::hash(&self.plan, &self.desired, &self.options)
    }

    /// The choices that it was made with, at the time of today.
    pub fn options(&self) -> Options {
        Options {
            now: Some(jiff::Timestamp::now()),
            ..self.options.clone()
        }
    }

    /// What is looked at again before it is carried out.
    pub fn touched(&self) -> Part {
        touched(&self.desired, &self.plan)
    }

    /// Compares what it rests on with the live state, read anew for `touched` ([`Self::touched`]).
    pub fn compare(&self, touched: &Part, live: &Live) -> Compared {
        let options = self.options();
        let desired = &touched.desired;
        preconditions::compare(&self.plan, &self.preconditions, desired, live, &options)
    }

    /// The file's bytes.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        let failed = |e: &dyn std::fmt::Display| format!("the plan cannot be packed: {e}");
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        serde_json::to_writer(&mut packer, self).map_err(|e| failed(&e))?;
        let packed = packer.finish().map_err(|e| failed(&e))?;
        let (major, minor) = FORMAT;
        let mut out = Vec::with_capacity(packed.len() + 96);
        writeln!(out, "{MAGIC}{major}.{minor} {}", sha256(&packed)).map_err(|e| failed(&e))?;
        out.extend(packed);
        Ok(out)
    }

    /// Whether these are the first bytes of a plan file.
    pub fn is_one(start: &[u8]) -> bool {
        start.starts_with(MAGIC.as_bytes())
    }

    /// Reads a file's bytes; an error says what is wrong with them and what to do.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let rest = bytes
            .strip_prefix(MAGIC.as_bytes())
            .ok_or("it is not a saved plan: make one with `wi plan --out FILE`")?;
        let damaged = "it is damaged: plan again with `wi plan --out FILE`";
        // A line without an end is a truncated one.
        let end = rest.iter().take(128).position(|b| *b == b'\n');
        let (line, packed) = rest.split_at(end.ok_or(damaged)?);
        let packed = &packed[1..];
        let line = std::str::from_utf8(line).map_err(|_| damaged)?;
        let (version, digest) = line.split_once(' ').ok_or(damaged)?;
        let major = version.split('.').next().unwrap_or_default();
        match major.parse::<u32>() {
            Ok(major) if major > FORMAT.0 => {
                return Err(format!(
                    "it was made by a newer wi (plan format {version}; this is wi {}, which reads {}.x): use that one, or plan again with this one",
                    env!("CARGO_PKG_VERSION"),
                    FORMAT.0
                ));
            }
            Ok(major) if major < FORMAT.0 => {
                return Err(format!(
                    "it was made by an older wi (plan format {version}; this is wi {}, which reads {}.x): plan again with `wi plan --out FILE`",
                    env!("CARGO_PKG_VERSION"),
                    FORMAT.0
                ));
            }
            Ok(major) if major == FORMAT.0 => {}
            _ => return Err(damaged.to_owned()),
        }
        if sha256(packed) != digest {
            return Err(format!(
                "it is truncated or was changed: its checksum does not fit. {}",
                "Plan again with `wi plan --out FILE`"
            ));
        }
        let mut text = Vec::new();
        GzDecoder::new(packed)
            .take(LARGEST + 1)
            .read_to_end(&mut text)
            .map_err(|e| format!("{damaged} ({e})"))?;
        if text.len() as u64 > LARGEST {
            return Err(format!("it unpacks to more than {} MiB", LARGEST >> 20));
        }
        Self::from_json(&text)
    }

    /// Reads what is packed in a file. Whoever made it got its checksum right: what does not fit
    /// together is refused.
    pub fn from_json(text: &[u8]) -> Result<Self, String> {
        if memory(text) > MOST_MEMORY {
            return Err("it has more in it than any plan".to_owned());
        }
        let file: Self = serde_json::from_slice(text)
            .map_err(|e| format!("it is damaged: plan again with `wi plan --out FILE` ({e})"))?;
        match integrity(&file) {
            Ok(()) => Ok(file),
            Err(why) => Err(format!(
                "wi has not written it so: {why}. Plan again with `wi plan --out FILE`"
            )),
        }
    }
}

/// About what a JSON text takes once it is read: for each map a node of a tree, for each value its own
/// place. `{"":0},` takes a hundred times its length.
fn memory(text: &[u8]) -> u64 {
    let of = |byte: &u8| match byte {
        b'{' => 640,
        b'[' | b',' => 64,
        _ => 1,
    };
    text.iter().map(of).sum()
}

/// What in it does not fit together; nothing in one that `wi` has written.
fn integrity(file: &PlanFile) -> Result<(), String> {
    let PlanFile {
        wi_version: _,
        made_at: _,
        made_on: _,
        choices: _,
        spec: _,
        spec_digests: _,
        options,
        desired,
        plan,
        preconditions: _,
    } = file;
    integrity::check(desired, options, plan)
}
