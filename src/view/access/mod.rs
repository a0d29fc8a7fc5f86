//! Who reaches what: as text, JSON, and graphs.

pub mod graph;
pub mod json;
mod picture;
pub mod text;

pub use picture::Picture;
