//! What the files of rules have in common.

pub(super) use std::collections::{BTreeMap, BTreeSet};

pub(super) use wi_core::access;
pub(super) use wi_core::findings::{Rule, Severity};
pub(super) use wi_core::live::Seen;
pub(super) use wi_core::names::{Email, Member, ProjectId};
pub(super) use wi_core::resource::Resource;

pub(super) use super::common::*;
pub(super) use crate::out::{Out, Read};
pub(super) use crate::rule::Audited;
pub(super) use crate::world::{Held, World, annotation, is_compute_default};
