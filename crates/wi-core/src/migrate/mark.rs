//! What `wi` keeps on a workload while it changes the template, and afterwards: an annotation. What a run that was killed
//! has left is known by it, and whence the way back leads.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pieces::Piece;
use crate::live::{Live, Template};
use crate::names::Email;
use crate::wire::kubernetes::ObjectMeta;

/// The annotation.
pub const MARK: &str = "wi/off-key";

/// Which way a template is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Way {
    /// The key is taken out.
    Out,
    /// It comes back.
    Back,
}

/// The annotation's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// The account whose key was taken out.
    pub account: Email,
    /// The revision that has the template of before; empty where the cluster keeps none.
    pub revision: String,
    /// What was taken out, where the cluster keeps no template of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pieces: Option<Vec<Piece>>,
    /// When it was taken out, where a later run is to show that it does without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// While it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_way: Option<UnderWay>,
}

/// A change that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnderWay {
    /// Which way.
    pub way: Way,
    /// The workload's own settings of a rollout, which it gets again at the end.
    pub was: Value,
}

impl Mark {
    /// That of an object; `None`: it has none that can be read.
    pub fn of(meta: &ObjectMeta) -> Option<Self> {
        serde_json::from_str(meta.annotations.get(MARK)?).ok()
    }

    /// As the annotation has it.
    pub fn text(&self) -> String {
        // A map with texts for keys can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Which way a change goes on.
    pub fn way(&self) -> Option<Way> {
        self.under_way.as_ref().map(|u| u.way)
    }
}

/// The mark of an object of the API.
pub fn on(object: &Value) -> Option<Mark> {
    let text = object["metadata"]["annotations"][MARK].as_str()?;
    serde_json::from_str(text).ok()
}

/// All workloads that were read, for whatever reason, by the spec's name of their cluster. Some may come twice.
pub fn read_templates(live: &Live) -> impl Iterator<Item = (&str, &Template)> {
    let read = live.kubernetes.iter().filter_map(|(cluster, objects)| {
        let workloads = objects.found()?.workloads.as_ref()?.as_ref().ok()?;
        Some((cluster.as_str(), &workloads.templates))
    });
    let alone = live.alone.iter();
    let alone =
        alone.filter_map(|((cluster, _), seen)| Some((cluster.as_str(), seen.as_ref().ok()?)));
    let all = read.chain(alone);
    all.flat_map(|(cluster, templates)| templates.iter().map(move |t| (cluster, t)))
}

/// Those that have a mark.
pub fn marked(live: &Live) -> impl Iterator<Item = (&str, &Template, Mark)> {
    read_templates(live).filter_map(|(cluster, t)| Some((cluster, t, Mark::of(&t.metadata)?)))
}
