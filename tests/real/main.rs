//! `wi` and the sandbox beside programs that others wrote: gcloud, kubectl, a real API server. What is not
//! on this machine is skipped, and each test says when it is.

#[path = "../support/mod.rs"]
mod support;

#[cfg(unix)]
mod apiserver;
mod clients;
mod gcloud;
mod rollouts;
mod terraform;
