//! A spec from what is there: reads clusters, accounts and policies for [`wi_core::import`].

mod files;
mod read;

pub use files::owners;
pub use read::{Read, Wanted, read};
