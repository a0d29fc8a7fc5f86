//! From what is there to a spec that asks for just that.
//!
//! [`import`] chooses what a spec would look after, and writes it; [`proof`] says of a plan of what was written whether it
//! only adopts. What the spec has no words for is left out, or only referred to, with the reason: it is never written so
//! that a plan takes it away.

mod accounts;
mod asked;
mod choice;
mod clusters;
mod facts;
mod ksas;
mod members;
mod owners;
mod proof;
mod refused;
mod selectors;
mod told;
mod write;
mod yaml;

use std::collections::BTreeMap;

pub use owners::{FileKind, Owner, Owners, Tool, documents};
pub use proof::{Proof, proof};

pub use facts::{Facts, FoundCluster};
pub use told::{Choices, Imported, LeftOut, LeftOutKind};

use crate::names::KubeName;
use crate::spec::{Source, load_sources};
use choice::Choice;
use refused::Refused;

/// How often what the spec refuses is taken out before it is given up: each time all that it tells is.
const ROUNDS: usize = 20;

/// Makes a spec of what is there.
///
/// # Errors
///
/// The spec's own words where what was written cannot be read, which would be a fault of this program.
pub fn import(facts: &Facts, choices: &Choices) -> Result<Imported, String> {
    let marks = choice::marks(facts);
    let given = choices.name.clone();
    // Under the name of marks only all that has them can be looked after: what is not in the spec would have left it.
    let marked = marks.first().filter(|name| KubeName::label(name).is_ok());
    let first = given.clone().or_else(|| marked.cloned());
    let other = choice::new_name(facts, &marks);
    let (choice, files) = readable(facts, choices, first.unwrap_or_else(|| other.clone()))?;
    match choice.unclaimed(facts) {
        Some(what) if given.is_none() => {
            let name = choice.name;
            let (choice, files) = readable(facts, choices, other)?;
            let mut imported = choice.told(files, choices);
            imported.instead_of = Some((name, what));
            Ok(imported)
        }
        _ => Ok(choice.told(files, choices)),
    }
}

/// What can be written so that it can be read.
fn readable(
    facts: &Facts,
    choices: &Choices,
    name: String,
) -> Result<(Choice, BTreeMap<String, String>), String> {
    let mut refused = Refused::default();
    for _ in 0..ROUNDS {
        let choice = Choice::of(facts, choices, name.clone(), &refused);
        let written = write::write(&choice, choices);
        let sources = written.files.iter();
        let sources = sources.map(|(name, text)| Source::new(name.clone(), text.clone()));
        let Err(errors) = load_sources(sources.collect()) else {
            return Ok((choice, written.files));
        };
        let before = refused.len();
        for (place, message) in errors.places() {
            if let Some(subject) = written.subject(&place) {
                refused.add(subject, message);
            }
        }
        if refused.len() == before {
            return Err(errors.render(100, false));
        }
    }
    Err("the spec that was made of it is refused again and again".to_owned())
}
