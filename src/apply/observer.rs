//! What may be seen of an apply while it runs. Views observe it; it knows none of them.

use std::collections::BTreeSet;
use std::fmt;

use wi_core::address::Address;
use wi_core::plan::{Action, Plan};
use wi_core::reason::Reason;

/// Is told what happens, by many tasks at once. A method that is not written does nothing.
pub trait Observer: fmt::Debug + Send + Sync {
    /// These changes of the plan are carried out next: a wave's.
    fn begin(&self, plan: &Plan, addresses: &BTreeSet<Address>) {
        let _ = (plan, addresses);
    }

    /// What [`Self::begin`] told of has ended.
    fn end(&self) {}

    /// A change begins.
    fn start(&self, address: &str, action: Action) {
        let _ = (address, action);
    }

    /// A change goes on; `detail` says what it waits for, or is empty.
    fn still(&self, address: &str, detail: &str) {
        let _ = (address, detail);
    }

    /// A change waits for a GKE operation that somebody else, or an earlier run, has started.
    fn waits_for(&self, address: &str, operation: &str) {
        let _ = (address, operation);
    }

    /// A change is done.
    fn done(&self, address: &str) {
        let _ = address;
    }

    /// A change failed, and why.
    fn failed(&self, address: &str, why: &Reason) {
        let _ = (address, why);
    }

    /// Something that the user should see while it happens.
    fn notice(&self, text: &str) {
        let _ = text;
    }

    /// A change that had begun with others of its policy was not carried out after all.
    fn not_started(&self, address: &str) {
        let _ = address;
    }

    /// A wave of clusters goes on; `what` says to what.
    fn wave(&self, name: &str, what: &str) {
        let _ = (name, what);
    }
}

/// Nobody looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}
