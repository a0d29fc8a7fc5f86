//! The simulated services. They share no decision with the planner: they only imitate the servers.

pub mod kube;
