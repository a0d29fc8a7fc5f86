//! Who can become whom: a graph whose edges are rights that were read, each with the bindings that give it.
//!
//! A step is certain where the access engine says yes. Where it cannot tell, the step is one that may be, with what was not
//! seen; nothing is concluded from it. What deny policies and boundaries take away counts as far as they were read; what of
//! them was not is told apart ([`Edge::unless`]).

mod closure;
mod edges;
mod index;
mod places;
mod pods;
mod powers;
mod step;
mod who;

#[cfg(test)]
mod tests;

pub use closure::{doubts, of};
pub use edges::Graph;
pub use powers::makes_one_somebody_else;
pub use step::{Edge, Edges, How, Node, Path, Power};
pub use who::{Holder, Who};
