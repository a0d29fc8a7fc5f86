//! What cannot be read as YAML: where, and what to do about it, for people who do not know the words
//! of YAML's grammar.

use std::sync::Arc;

use serde_saphyr::granit_parser::ErrorKind;
use serde_saphyr::{DefaultMessageFormatter, Error, ExternalMessageSource, MessageFormatter};

use super::diagnostics::{Diagnostic, Source};
use super::tree::Span;
use super::yaml_context::{Explained, Text};

/// The mistake that the parser found.
pub fn mistake(source: &Arc<Source>, e: &Error) -> Diagnostic {
    let at = e
        .location()
        .map_or(0, |l| source.byte_at(l.line(), l.column()));
    let text = Text { source, at };
    let e = innermost(e);
    let (at, label, help) = text
        .not_yaml_at_all()
        .or_else(|| stops_later(e).then(|| text.no_space())?)
        .unwrap_or_else(|| explained(&text, e));
    let place = |at: usize, label: String| (Arc::clone(source), Span { start: at, len: 1 }, label);
    let open = Text { source, at }.open_above();
    Diagnostic {
        code: "yaml",
        message: format!("{} cannot be read as YAML", source.name),
        help,
        label: Some(place(at, label)),
        other: open.map(|open| {
            let bracket = &source.text[open..=open];
            place(open, format!("this `{bracket}` is still open"))
        }),
    }
}

/// Whether the parser may have read on over a `-` or a `:` that has no space after it.
fn stops_later(e: &Error) -> bool {
    use ErrorKind as K;
    matches!(
        kind(e),
        Some(
            K::MappingValueNotAllowed
                | K::ExpectedBlockMappingKey
                | K::SimpleKeyExpected
                | K::InvalidIndentation
        )
    )
}

/// The parser's own words in plain ones.
fn explained(text: &Text<'_>, e: &Error) -> Explained {
    use ErrorKind as K;
    let here = |label: &str, help: &str| {
        let help = (!help.is_empty()).then(|| help.to_owned());
        (text.at, label.to_owned(), help)
    };
    let Some(kind) = kind(e) else {
        return match e {
            Error::UnknownAnchor { .. } => text.unknown_anchor(),
            Error::UnsupportedTag { tag, .. } => {
                let label = format!("after the tag `{tag}`");
                here(&label, "wi knows no tags: write the value itself.")
            }
            // All but keys may be of any kind.
            Error::NullIntoString { .. } | Error::Unexpected { .. } => {
                here("a key has to be a text", "")
            }
            Error::NonFiniteFloat { value, .. } => {
                here(&format!("`{value}` is no number to count with"), "")
            }
            Error::AliasReplayLimitExceeded { .. } => here(
                "too much, with all that its references (`*…`) stand for",
                "",
            ),
            Error::RecursiveReferencesRequireWeakTypes { .. } => {
                here("this refers to what it is in", "")
            }
            e => here(&plainly(e), ""),
        };
    };
    match kind {
        K::TabNotAllowed
        | K::TabInBlockIndentation
        | K::TabInIndentation
        | K::TabInPlainScalar
        | K::TabAtBlockScalarStart => {
            let before = text.source.text[..text.at].ends_with('\t');
            let at = text.at - usize::from(before);
            (
                at,
                "a tab".to_owned(),
                Some("YAML is indented by spaces only: write spaces in its place.".to_owned()),
            )
        }
        K::MappingValueNotAllowed | K::InvalidColonPlacement => text.colon(),
        K::UnclosedQuotedScalar => here(
            "this quote is not closed",
            "Write the same quote at the end of the text.",
        ),
        K::ExpectedFlowMappingSeparator => here("a `,` or a `}` is missing before this place", ""),
        K::ExpectedFlowSequenceSeparator => here("a `,` or a `]` is missing before this place", ""),
        K::UnclosedFlowCollection { open } | K::MismatchedFlowCollectionEnd { open, .. } => {
            let close = if *open == '{' { '}' } else { ']' };
            let label = match kind {
                K::MismatchedFlowCollectionEnd { close: other, .. } => {
                    format!("this `{open}` is closed by a `{other}`")
                }
                _ => format!("this `{open}` is not closed"),
            };
            (text.at, label, Some(format!("Close it with `{close}`.")))
        }
        K::UnexpectedEofFlowMapping | K::UnexpectedEofImplicitFlowMapping => {
            here("a `}` is missing", "Close what was opened with `{`.")
        }
        K::UnexpectedEofFlowSequence => here("a `]` is missing", "Close what was opened with `[`."),
        K::MisplacedFlowCollectionEnd => here(
            "this closes nothing",
            "Take it out, or quote the text that it is part of.",
        ),
        K::BlockEntryInFlowCollection => here(
            "a `- ` inside of brackets",
            "Close the bracket before it; in brackets, entries have commas between them: [a, b]",
        ),
        K::BlockSequenceEntryNotAllowed => here(
            "a list cannot begin here",
            "Begin it on a line of its own, or write it in brackets: [a, b]",
        ),
        K::InvalidBlockEntryWhitespace => here("a space is missing after this `-`", ""),
        K::ExpectedBlockSequenceEntry => here(
            "an entry of the list above should begin here",
            "Put a `- ` before it, or indent it as what it belongs to.",
        ),
        K::ExpectedBlockMappingKey | K::InvalidIndentation | K::SimpleKeyExpected => {
            text.indentation()
        }
        K::InvalidMappingValueWhitespace => here("a space is missing after this `:`", ""),
        K::UnexpectedCharacter { character } => {
            let label = format!("a text cannot begin with `{character}`");
            (text.at, label, Some("Quote the text.".to_owned()))
        }
        K::MissingAnchorOrAliasName => here("a text cannot begin with this", "Quote the text."),
        K::InvalidTrailingSingleQuotedScalar => here(
            "more text after the closing quote",
            "Put all of it into the quotes. A ' within them is written twice: ''.",
        ),
        K::InvalidTrailingDoubleQuotedScalar => here(
            "more text after the closing quote",
            "Put all of it into the quotes. A \" within them is written \\\"; in single quotes it is as it is.",
        ),
        K::RecursionLimitExceeded => here("too many levels within each other", ""),
        K::UnknownQuotedScalarEscape => here(
            "no character is written like this",
            "In double quotes `\\` begins a special character: write `\\\\`, or use single quotes.",
        ),
        K::InvalidQuotedScalarIndent | K::DocumentIndicatorInQuotedScalar => here(
            "still inside of a quoted text",
            "Is its closing quote missing, further up?",
        ),
        K::CommentNotSeparated => here("a space is missing before this `#`", ""),
        _ => here(&plainly(e), ""),
    }
}

/// The error itself, without what only says where it was found.
fn innermost(e: &Error) -> &Error {
    match e {
        Error::AliasError { error, .. } | Error::WithSnippet { error, .. } => innermost(error),
        e => e,
    }
}

/// The parser's own error.
fn kind(e: &Error) -> Option<&ErrorKind> {
    match e {
        Error::ExternalMessage { source, .. } => match source.as_ref() {
            ExternalMessageSource::Parser(e) => Some(e.kind()),
            _ => None,
        },
        _ => None,
    }
}

/// The error in the library's words, without its place, which is shown.
fn plainly(e: &Error) -> String {
    DefaultMessageFormatter.format_message(e).into_owned()
}
