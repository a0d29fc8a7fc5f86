//! What servers answer, the fields that `wi` reads. What is not known is kept as it came where it is
//! written back.

pub mod asset;
pub mod budgets;
pub mod container;
pub mod iam;
pub mod kubernetes;
pub mod network;
pub mod pods;
pub mod policy;
pub mod restrictions;
pub mod upgrade;
pub mod workloads;
