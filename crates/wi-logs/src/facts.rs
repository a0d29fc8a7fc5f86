//! What entries come down to: rows of a few names with how often and when. All that is concluded is
//! concluded from rows; two heaps of them merge in any order to the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::when::Micros;

/// What a row says; `who`, `a`, `b`, `c` and `n` of [`Row`] in that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A principal was active on a day (`n`).
    Day,
    /// A principal called a service (`a`), by a method (`b`), on a project (`c`).
    Use,
    /// A principal called from a network, or a VPC (`a`).
    Place,
    /// A principal called by a program (`a`).
    Agent,
    /// A principal asked for a region (`a`), by a regional host if `b` says so.
    Region,
    /// A principal was acted as by another (`a`).
    Via,
    /// A principal called with a key (`a`, a digest of its id) on a day (`n`).
    Key,
    /// A principal made a credential of an account (`a`), by a program (`b`), from a network (`c`).
    Mint,
    /// A principal was denied in a minute (`n`); or, if `a` says so, somebody unknown at an account.
    Denial,
    /// A principal changed something: a method (`a`), of what (`b`), and what of it (`c`).
    Change,
    /// The same, by `wi`.
    OwnChange,
    /// A principal did a thing (`a`) in a cluster's namespace (`b`) of a project (`c`).
    Cluster,
    /// An account's number (`who`) and its email (`a`).
    Id,
    /// An account was disabled or deleted (`a`), or came back.
    State,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Day,
        Self::Use,
        Self::Place,
        Self::Agent,
        Self::Region,
        Self::Via,
        Self::Key,
        Self::Mint,
        Self::Denial,
        Self::Change,
        Self::OwnChange,
        Self::Cluster,
        Self::Id,
        Self::State,
    ];
}

/// A name that many rows share.
pub type Name = Arc<str>;

/// What a row is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// What it says.
    pub kind: Kind,
    /// Whom it is about.
    pub who: Name,
    /// As [`Kind`] says, and so on.
    pub a: Name,
    /// See there.
    pub b: Name,
    /// See there.
    pub c: Name,
    /// See there.
    pub n: i64,
}

/// How often, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Calls, those that were denied included.
    pub calls: u64,
    /// Those that were denied.
    pub denied: u64,
    /// The first.
    pub first: Micros,
    /// The last.
    pub last: Micros,
}

impl Stat {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.denied += other.denied;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// How much was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Audit entries that count.
    pub entries: u64,
    /// Entries of other logs.
    pub others: u64,
    /// Entries that had been read already.
    pub duplicates: u64,
    /// Torn or no JSON.
    pub unreadable: u64,
    /// Larger than any entry is.
    pub giant: u64,
    /// Deeper than any entry is.
    pub nested: u64,
    /// Entries without a moment that can be read.
    pub undated: u64,
    /// Entries whose names were too many to be kept.
    pub overflowed: u64,
    /// Bytes, unpacked.
    pub bytes: u64,
}

impl Counts {
    /// What was skipped.
    pub fn skipped(&self) -> u64 {
        self.unreadable + self.giant + self.nested + self.undated
    }

    fn add(&mut self, other: Self) {
        self.entries += other.entries;
        self.others += other.others;
        self.duplicates += other.duplicates;
        self.unreadable += other.unreadable;
        self.giant += other.giant;
        self.nested += other.nested;
        self.undated += other.undated;
        self.overflowed += other.overflowed;
        self.bytes += other.bytes;
    }
}

/// All rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// In order.
    pub rows: BTreeMap<Row, Stat>,
    /// How much was read.
    pub counts: Counts,
    /// The first and the last moment.
    pub span: Option<(Micros, Micros)>,
}

impl Facts {
    /// Adds what a row says.
    pub fn add(&mut self, row: Row, stat: Stat) {
        self.rows
            .entry(row)
            .and_modify(|s| s.add(stat))
            .or_insert(stat);
    }

    /// Adds those of another heap.
    pub fn merge(&mut self, other: Self) {
        self.counts.add(other.counts);
        self.span = match (self.span, other.span) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        if self.rows.is_empty() {
            self.rows = other.rows;
            return;
        }
        for (row, stat) in other.rows {
            self.add(row, stat);
        }
    }

    /// Rows of a kind, in order.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = (&Row, &Stat)> {
        self.from(kind, "")
            .take_while(move |(row, _)| row.kind == kind)
    }

    /// Rows of a kind about somebody, in order.
    pub fn about<'a>(
        &'a self,
        kind: Kind,
        who: &'a str,
    ) -> impl Iterator<Item = (&'a Row, &'a Stat)> {
        self.from(kind, who)
            .take_while(move |(row, _)| row.kind == kind && &*row.who == who)
    }

    /// Rows from the first that a kind can have about somebody on, in order.
    fn from(&self, kind: Kind, who: &str) -> impl Iterator<Item = (&Row, &Stat)> + use<'_> {
        let none: Name = Arc::from("");
        let start = Row {
            kind,
            who: Arc::from(who),
            a: none.clone(),
            b: none.clone(),
            c: none,
            n: i64::MIN,
        };
        self.rows.range(start..)
    }

    /// All principals that were active.
    pub fn principals(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.of(Kind::Day).map(|(row, _)| &*row.who).collect();
        all.dedup();
        all
    }

    /// The program that keeps itself apart, by the logs: who was seen with its agent.
    pub fn wi(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.of(Kind::OwnChange).map(|(row, _)| &*row.who).collect();
        all.dedup();
        all
    }

    /// An account's email, of what an entry names it by.
    pub fn email<'a>(&'a self, account: &'a str) -> &'a str {
        if account.contains('@') {
            return account;
        }
        match self.about(Kind::Id, account).next() {
            Some((row, _)) => &row.a,
            None => account,
        }
    }
}
