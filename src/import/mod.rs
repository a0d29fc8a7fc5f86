//! A spec from what is there: reads clusters, accounts and policies for [`wi_core::import`].

mod read;

pub use read::{Read, Wanted, read};
