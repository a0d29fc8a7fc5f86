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
use std::fmt;
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

/// Why a file cannot be used as a plan, with what to do; the file's name goes before.
#[derive(Debug, PartialEq, Eq)]
pub enum SavedError {
    /// It begins otherwise.
    NoPlan,
    /// It has no first line of a plan, or no plan behind it; with what the reader says.
    Damaged(Option<String>),
    /// Of another major version of the format, which is this.
    Newer(String),
    /// The same, an earlier one.
    Older(String),
    /// Its checksum does not fit.
    Changed,
    /// Larger than any plan.
    TooLarge,
    /// With more values in it than any plan.
    TooMany,
    /// What is in it does not fit together.
    Misfit(integrity::Misfit),
}

impl From<integrity::Misfit> for SavedError {
    fn from(misfit: integrity::Misfit) -> Self {
        Self::Misfit(misfit)
    }
}

impl fmt::Display for SavedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (this, reads) = (env!("CARGO_PKG_VERSION"), FORMAT.0);
        match self {
            Self::NoPlan => {
                f.write_str("it is not a saved plan: make one with `wi plan --out FILE`")
            }
            Self::Damaged(said) => {
                f.write_str("it is damaged: plan again with `wi plan --out FILE`")?;
                match said {
                    Some(said) => write!(f, " ({said})"),
                    None => Ok(()),
                }
            }
            Self::Newer(version) => write!(
                f,
                "it was made by a newer wi (plan format {version}; this is wi {this}, which reads {reads}.x): use that one, or plan again with this one"
            ),
            Self::Older(version) => write!(
                f,
                "it was made by an older wi (plan format {version}; this is wi {this}, which reads {reads}.x): plan again with `wi plan --out FILE`"
            ),
            Self::Changed => f.write_str(
                "it is truncated or was changed: its checksum does not fit. Plan again with `wi plan --out FILE`",
            ),
            Self::TooLarge => write!(f, "it unpacks to more than {} MiB", LARGEST >> 20),
            Self::TooMany => f.write_str("it has more in it than any plan"),
            Self::Misfit(why) => write!(
                f,
                "wi has not written it so: {why}. Plan again with `wi plan --out FILE`"
            ),
        }
    }
}

impl std::error::Error for SavedError {}

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
    ///
    /// # Errors
    /// Those of the packer.
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        serde_json::to_writer(&mut packer, self)?;
        let packed = packer.finish()?;
        let (major, minor) = FORMAT;
        let mut out = Vec::with_capacity(packed.len() + 96);
        writeln!(out, "{MAGIC}{major}.{minor} {}", sha256(&packed))?;
        out.extend(packed);
        Ok(out)
    }

    /// Whether these are the first bytes of a plan file.
    pub fn is_one(start: &[u8]) -> bool {
        start.starts_with(MAGIC.as_bytes())
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`SavedError`]: no plan of this format, or one that `wi` has not written so.
    pub fn decode(bytes: &[u8]) -> Result<Self, SavedError> {
        let rest = bytes.strip_prefix(MAGIC.as_bytes());
        let rest = rest.ok_or(SavedError::NoPlan)?;
        let damaged = || SavedError::Damaged(None);
        // A line without an end is a truncated one.
        let end = rest.iter().take(128).position(|b| *b == b'\n');
        let (line, packed) = rest.split_at(end.ok_or_else(damaged)?);
        let packed = &packed[1..];
        let line = std::str::from_utf8(line).map_err(|_| damaged())?;
        let (version, digest) = line.split_once(' ').ok_or_else(damaged)?;
        let major = version.split('.').next().unwrap_or_default();
        match major.parse::<u32>() {
            Ok(major) if major > FORMAT.0 => return Err(SavedError::Newer(version.to_owned())),
            Ok(major) if major < FORMAT.0 => return Err(SavedError::Older(version.to_owned())),
            Ok(_) => {}
            Err(_) => return Err(damaged()),
        }
        if sha256(packed) != digest {
            return Err(SavedError::Changed);
        }
        let mut text = Vec::new();
        GzDecoder::new(packed)
            .take(LARGEST + 1)
            .read_to_end(&mut text)
            .map_err(|e| SavedError::Damaged(Some(e.to_string())))?;
        if text.len() as u64 > LARGEST {
            return Err(SavedError::TooLarge);
        }
        Self::from_json(&text)
    }

    /// Reads what is packed in a file. Whoever made it got its checksum right: what does not fit
    /// together is refused.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn from_json(text: &[u8]) -> Result<Self, SavedError> {
        if memory(text) > MOST_MEMORY {
            return Err(SavedError::TooMany);
        }
        let file: Self =
            serde_json::from_slice(text).map_err(|e| SavedError::Damaged(Some(e.to_string())))?;
        integrity(&file)?;
        Ok(file)
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
fn integrity(file: &PlanFile) -> Result<(), integrity::Misfit> {
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
