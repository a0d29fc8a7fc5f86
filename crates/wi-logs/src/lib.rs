//! Audit logs: what identities do, and what of it is unusual.
//!
//! ```text
//! bytes -> records (source) -> entries (entry, read) -> rows (collect, facts) -> findings (detect)
//!                                                                             -> baseline, summary
//! ```

pub mod baseline;
pub mod collect;
pub mod detect;
pub mod detector;
pub mod digest;
pub mod each;
pub mod entry;
pub mod expected;
pub mod facts;
pub mod filter;
pub mod history;
pub mod name;
pub mod read;
pub mod services;
pub mod source;
pub mod sql;
pub mod summary;
pub mod when;
