//! Mistakes in the user's YAML: collected, then shown all at once, each with the words underlined.

use std::fmt;
use std::sync::Arc;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents,
};

use super::model::SourceLine;
use super::tree::Span;
use crate::digest::sha256;

/// How many mistakes are shown: more than anybody fixes in one go.
const MOST_SHOWN: usize = 50;

/// A line of more bytes is not shown, only named.
const LONGEST_LINE: usize = 400;

/// A byte order mark.
const MARK: char = '\u{feff}';

/// A file of the spec.
#[derive(Debug, Clone)]
pub struct Source {
    /// As the user gave it; `-` for standard input.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The SHA-256 of the file as it is.
    pub digest: String,
    line_starts: Vec<usize>,
}

impl Source {
    /// A source of this name.
    pub fn new(name: String, text: String) -> Self {
        // The mark that Windows puts before UTF-8 is no part of the first line.
        let unmarked = text.strip_prefix(MARK).map(str::to_owned);
        let digest = sha256(text.as_bytes());
        let text = unmarked.unwrap_or(text);
        let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let line_starts = std::iter::once(0)
            .chain(newlines.map(|(i, _)| i + 1))
            .collect();
        Self {
            name,
            text,
            digest,
            line_starts,
        }
    }

    /// The line of a byte, from 1.
    pub fn line(&self, byte: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= byte)
    }

    fn line_len(&self, byte: usize) -> usize {
        let line = self.line(byte);
        let end = self
            .line_starts
            .get(line)
            .copied()
            .unwrap_or(self.text.len());
        end - self.line_starts.get(line - 1).copied().unwrap_or_default()
    }

    /// The byte at a line and a column (in characters), both from 1.
    pub fn byte_at(&self, line: u64, column: u64) -> usize {
        let count = |n: u64| usize::try_from(n.saturating_sub(1)).unwrap_or(usize::MAX);
        let start = self.line_starts.get(count(line)).copied();
        let start = start.unwrap_or(self.text.len());
        let rest = self.text.get(start..).unwrap_or_default();
        start
            + rest
                .char_indices()
                .nth(count(column))
                .map_or(rest.trim_end().len(), |(i, _)| i)
    }

    /// Where a span is, for other messages to name.
    pub fn place(&self, span: Span) -> SourceLine {
        SourceLine {
            file: self.name.clone(),
            line: self.line(span.start),
        }
    }
}

/// One mistake.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// Such as `unknown_field`; shown as `wi::spec::unknown_field`.
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The way out.
    pub help: Option<String>,
    /// The words, and what to say about them; none for a file that cannot be read.
    pub label: Option<(Arc<Source>, Span, String)>,
    /// Another place that has to do with it.
    pub other: Option<(Arc<Source>, Span, String)>,
}

/// All mistakes of a spec; never empty.
#[derive(Debug, Clone)]
pub struct SpecErrors(pub(super) Vec<Diagnostic>);

impl SpecErrors {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Where each is, as far as it has a place, and what is wrong there.
    pub fn places(&self) -> Vec<(SourceLine, String)> {
        let placed = self.0.iter().filter_map(|mistake| {
            let (source, span, _) = mistake.label.as_ref()?;
            Some((source.place(*span), mistake.message.clone()))
        });
        placed.collect()
    }

    /// Never true.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mistakes, in the order of files and lines.
    pub fn mistakes(&self) -> &[Diagnostic] {
        &self.0
    }

    /// All mistakes for a terminal of this width.
    pub fn render(&self, width: usize, colour: bool) -> String {
        let theme = if colour {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(width)
            .with_links(false);
        let mut out = String::new();
        for mistake in self.0.iter().take(MOST_SHOWN) {
            // Writing to a String cannot fail.
            let _ = handler.render_report(&mut out, &Shown::of(mistake));
            // Two files have one text each: the other place is shown by itself.
            if let Some(other) = Shown::elsewhere(mistake) {
                let _ = handler.render_report(&mut out, &other);
            }
            out.push('\n');
        }
        let n = self.0.len();
        if n > MOST_SHOWN {
            out.push_str(&format!("… and {} more.\n", n - MOST_SHOWN));
        }
        out.push_str(&format!(
            "{n} mistake{} in the spec.\n",
            if n == 1 { "" } else { "s" }
        ));
        out
    }
}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(80, false))
    }
}

impl std::error::Error for SpecErrors {}

/// A mistake as miette wants it.
#[derive(Debug)]
struct Shown {
    code: String,
    message: String,
    help: Option<String>,
    source: Option<ShownText>,
    labels: Vec<LabeledSpan>,
    severity: miette::Severity,
}

/// A file as it is shown.
#[derive(Debug)]
struct ShownText {
    name: String,
    text: String,
}

impl ShownText {
    fn of(source: &Source) -> Self {
        Self {
            name: crate::words::safe(&source.name),
            text: shown_text(&source.text),
        }
    }
}

impl SourceCode for ShownText {
    /// As miette reads a text, but for the count of lines: miette gives the number of the last one,
    /// and takes two places for neighbours that have half the file between them.
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let found = self.text.read_span(span, before, after)?;
        let lines = found.data().split(|b| *b == b'\n').count();
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            found.data(),
            *found.span(),
            found.line(),
            found.column(),
            lines,
        )))
    }
}

/// Control and bidi characters in one column each, so that byte places stay right where the
/// characters are one byte, and nothing reaches the terminal raw.
fn shown_text(text: &str) -> String {
    let mut characters = text.chars().peekable();
    std::iter::from_fn(|| characters.next().map(|c| (c, characters.peek().copied())))
        .map(|(c, next)| match c {
            '\n' | '\t' => c,
            // miette takes both for one line end.
            '\r' if next == Some('\n') => c,
            c if crate::words::safe(c.encode_utf8(&mut [0; 4])).len() > c.len_utf8() => {
                match c.len_utf8() {
                    1 => '?',
                    2 => '¿',
                    _ => '\u{fffd}',
                }
            }
            c => c,
        })
        .collect()
}

fn label(source: &Source, span: Span, text: &str) -> LabeledSpan {
    let start = span.start.min(source.text.len());
    // A map or list is underlined on its first line only.
    let end = (start + span.len.max(1)).min(source.text.len());
    let first_line = source
        .text
        .get(start..end)
        .map_or(1, |t| t.lines().next().unwrap_or("").trim_end().len());
    LabeledSpan::new_with_span(
        Some(crate::words::safe(text)),
        SourceSpan::from((start, first_line.max(1))),
    )
}

impl Shown {
    fn of(mistake: &Diagnostic) -> Self {
        let mut labels = Vec::new();
        let mut shown_source = None;
        let mut message = crate::words::safe(&mistake.message);
        if let Some((source, span, text)) = &mistake.label
            && source.line_len(span.start) > LONGEST_LINE
        {
            let place = source.place(*span).to_string();
            message = format!(
                "{}: {message} ({})",
                crate::words::safe(&place),
                crate::words::safe(text)
            );
        } else if let Some((source, span, text)) = &mistake.label {
            labels.push(label(source, *span, text));
            shown_source = Some(ShownText::of(source));
            if let Some((other, span, text)) = &mistake.other
                && other.name == source.name
            {
                labels.push(label(other, *span, text));
            }
        }
        Self {
            code: format!("wi::spec::{}", mistake.code),
            message,
            help: mistake.help.as_deref().map(crate::words::safe_lines),
            source: shown_source,
            labels,
            severity: miette::Severity::Error,
        }
    }

    fn elsewhere(mistake: &Diagnostic) -> Option<Self> {
        let (source, ..) = mistake.label.as_ref()?;
        let (other, span, text) = mistake.other.as_ref()?;
        (other.name != source.name).then(|| Self {
            code: format!("wi::spec::{}", mistake.code),
            message: "the other place".to_owned(),
            help: None,
            source: Some(ShownText::of(other)),
            labels: vec![label(other, *span, text)],
            severity: miette::Severity::Advice,
        })
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown {}

impl miette::Diagnostic for Shown {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|s| s as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}
