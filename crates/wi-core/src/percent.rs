//! Percent-encoding: which characters stay is another question in each place, the rest is one.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// A value of a query or a form: tokens may hold anything. RFC 3986, "unreserved".
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A segment of a path. Google leaves the colon of domain-scoped projects as it is.
const SEGMENT: &AsciiSet = &QUERY.remove(b':').remove(b'@');

/// A value in a comment of HTML, that ends neither itself nor the comment.
const COMMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'/');

/// A part of a header's name: RFC 9110, "tchar", without `%`.
const HEADER_NAME: &AsciiSet = &QUERY
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'*')
    .remove(b'+')
    .remove(b'^')
    .remove(b'`')
    .remove(b'|');

/// A value for a URL's query or a form.
pub fn query(value: &str) -> String {
    utf8_percent_encode(value, QUERY).to_string()
}

/// A name for a segment of a URL's path.
pub fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// A value for a comment of HTML.
pub fn comment(value: &str) -> String {
    utf8_percent_encode(value, COMMENT).to_string()
}

/// A text for a part of a header's name.
pub fn header_name(text: &str) -> String {
    utf8_percent_encode(text, HEADER_NAME).to_string()
}

/// What was encoded; `None` where that is no text.
pub fn decoded(value: &str) -> Option<String> {
    let decoded = percent_decode_str(value).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_its_place_is_encoded_and_comes_back() {
        let text = "a/b c%2F:@é&=?#+\n--><";
        for (encoded, meaning) in [
            (query(text), "/ %:@&=?#+\n><"),
            (segment(text), "/ &=?#+\n><"),
            (comment(text), " :@&=?#+\n-><"),
            (header_name(text), "/ :@=?\n><"),
        ] {
            let stays = encoded.replace('%', "");
            assert!(
                !stays.contains(|c| c != '%' && meaning.contains(c)),
                "{encoded}"
            );
            assert_eq!(decoded(&encoded).as_deref(), Some(text));
        }
        assert_eq!(segment("example.com:acme"), "example.com:acme");
        assert_eq!(decoded("%FF"), None);
    }
}
