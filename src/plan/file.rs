//! The saved plan: a line that says what the file is, then the plan as compressed JSON.
//!
//! ```text
//! wi-plan 1.0 SHA256-OF-THE-REST\n
//! gzip of JSON
//! ```
//!
//! A newer minor version only adds fields; another major version is not read.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::marks::{ADOPTED, MANAGED_BY, OWNER};
use super::{Basis, Compared, Options, Plan, What, basis};
use crate::desired::{Desired, GSA_ANNOTATION};
use crate::digest::sha256;
use crate::live::Live;

pub use super::basis::needed;

/// The first bytes of a plan file.
const MAGIC: &str = "wi-plan ";

/// Major and minor version of what is written.
const FORMAT: (u32, u32) = (1, 0);

/// The largest plan that is read, in bytes, unpacked: a plan of 200 clusters is a tenth of it.
const LARGEST: u64 = 1 << 30;

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
    /// The spec's files, and the SHA-256 of each.
    pub spec_digests: BTreeMap<String, String>,
    /// Choices that it was made with.
    pub options: Options,
    /// What the spec asks for, as far as the plan's changes touch it.
    pub desired: Desired,
    /// The plan.
    pub plan: Plan,
    /// What it rests on.
    pub basis: Basis,
}

impl PlanFile {
    /// Makes a file of a plan. Nothing of it is secret: of other tools' annotations not even the
    /// values are kept.
    pub fn new(plan: &Plan, desired: &Desired, live: &Live, options: &Options) -> Self {
        let (basis, _unread) = Basis::of(plan, live);
        let mut plan = plan.clone();
        for change in plan.changes.values_mut() {
            if let What::Namespace(write) | What::Ksa { change: write, .. } = &mut change.what
                && let Some(before) = &mut write.before
            {
                let ours = [OWNER, ADOPTED, MANAGED_BY, GSA_ANNOTATION];
                before.labels.retain(|k, _| ours.contains(&k.as_str()));
                before.annotations.retain(|k, _| ours.contains(&k.as_str()));
                before.managed_fields.clear();
                before.owner_references.clear();
            }
        }
        Self {
            wi_version: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: jiff::Timestamp::now(),
            made_on: None,
            spec: Vec::new(),
            spec_digests: desired.files.clone(),
            options: options.clone(),
            desired: basis::needed(desired, &plan),
            plan,
            basis,
        }
    }

    /// Compares what it rests on with the live state, read anew for [`Self::desired`].
    pub fn compare(&self, live: &Live) -> Compared {
        let options = Options {
            now: Some(jiff::Timestamp::now()),
            ..self.options.clone()
        };
        basis::compare(&self.plan, &self.basis, &self.desired, live, &options)
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
        serde_json::from_slice(&text).map_err(|e| format!("{damaged} ({e})"))
    }
}
