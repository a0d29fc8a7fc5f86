//! Taking a key out of a pod template: what goes, what stays, and what is not guessed.

mod applied;
mod edit;
mod generated;
mod json_patch;
mod support;
