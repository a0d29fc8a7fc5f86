//! The sandbox from outside: what clients send and are answered.

mod access;
mod assets;
mod google;
mod kubernetes;
mod support;
