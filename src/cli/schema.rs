//! `wi schema`: the JSON Schemas, made from the types that read the files.

use clap::{Args, ValueEnum};

use super::{Failure, Success};
use crate::view::print;

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Which schema
    #[arg(value_enum, default_value_t = SchemaKind::Spec)]
    pub kind: SchemaKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaKind {
    /// Of the spec (wi/v1)
    Spec,
    /// Of the sandbox's world file (wi.sandbox/v1)
    World,
    /// Of what `wi plan --json` prints
    Plan,
    /// Of what `wi scan --format json` prints
    Findings,
    /// Of what `wi access --format json` prints
    Access,
    /// Of what `wi verify --format json` prints
    Verify,
    /// Of what `wi migrate --json` prints
    Migrate,
}

pub(super) fn run(args: SchemaArgs) -> Result<Success, Failure> {
    let schema = match args.kind {
        SchemaKind::Spec => wi_core::spec::json_schema(),
        SchemaKind::Plan => crate::view::json::schema(),
        SchemaKind::Findings => crate::view::findings::json::schema(),
        SchemaKind::Access => crate::view::access::json::schema(),
        SchemaKind::Verify => crate::view::verify::json::schema(),
        SchemaKind::Migrate => crate::view::migrate::json::schema(),
        SchemaKind::World => wi_sandbox::world::json_schema(),
    };
    print::data(&crate::view::json::document(&schema))?;
    Ok(Success::Ok)
}
