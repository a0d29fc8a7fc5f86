//! The sandbox from outside: what clients send and are answered.

mod access;
mod assets;
mod controllers;
mod fleets;
mod google;
mod kubernetes;
mod requests;
mod support;
