//! `wi` from outside: the real binary, and the library, on the sandbox or on small servers of the tests.

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod beside_terraform;
mod broken_specs;
mod brownfield;
mod cases;
mod clocks;
mod comment;
mod conditions;
mod credentials;
mod cutover;
mod destroy;
mod docs;
mod doctor;
mod exit_codes;
mod explain;
mod failures;
mod forged_plans;
mod former_tokens;
mod fuzzed;
mod gke;
mod guarantees;
mod help;
mod hostile;
mod house;
mod http;
mod iam;
mod import;
mod init;
mod install;
mod interrupt;
mod kinds;
mod kube_sandbox;
#[cfg(unix)]
mod kubeconfig;
mod kubernetes_objects;
mod left_behind;
mod log;
mod logs;
mod losses;
mod machine_readable;
mod made_later;
mod markdown;
mod migrate;
mod off_keys;
mod part_of_a_cluster;
mod quickstart;
mod rehearsal;
mod replaced;
mod rollout;
mod sandbox;
mod saved_plans;
mod scan;
#[cfg(unix)]
mod secrets;
mod shadow;
mod snippets;
mod spec;
#[cfg(target_os = "linux")]
mod terminal;
mod told;
mod two_owners;
mod unseen;
mod users;
mod verify;
mod victims;
mod what_left;
