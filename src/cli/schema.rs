//! `wi schema`: the JSON Schemas, made from the types that read the files.

use super::args::{SchemaArgs, SchemaKind};
use super::{Failure, Success};
use crate::view::print;

pub(super) fn run(args: SchemaArgs) -> Result<Success, Failure> {
    let schema = match args.kind {
        SchemaKind::Spec => wi_core::spec::json_schema(),
        SchemaKind::Plan => crate::view::json::schema(),
        SchemaKind::World => wi_sandbox::world::json_schema(),
    };
    print::data(&format!("{schema:#}\n"))?;
    Ok(Success::Ok)
}
