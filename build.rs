//! The commit that `wi --version` names: of a release by its workflow, of a package by what cargo packed into it. A build in
//! a checkout has none, so that it is not made anew with each commit.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-env-changed=WI_COMMIT");
    let packed = Path::new(".cargo_vcs_info.json");
    if packed.exists() {
        println!("cargo::rerun-if-changed={}", packed.display());
    } else {
        println!("cargo::rerun-if-changed=build.rs");
    }
    let of_package = || {
        let info = std::fs::read_to_string(packed).ok()?;
        let (_, rest) = info.split_once("\"sha1\"")?;
        Some(rest.split('"').nth(1)?.to_owned())
    };
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let commit = std::env::var("WI_COMMIT").ok().or_else(of_package);
    let commit: String = commit.iter().flat_map(|c| c.chars().take(12)).collect();
    let version = if commit.is_empty() {
        version
    } else {
        format!("{version} ({commit})")
    };
    println!("cargo::rustc-env=WI_VERSION={version}");
}
