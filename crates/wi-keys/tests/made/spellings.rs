//! Every spelling in which credentials lie in files.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// One level of a string in JSON.
pub fn escaped(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .trim_matches('"')
        .to_owned()
}

pub fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

pub fn packed(text: &str) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(text.as_bytes()).expect("written");
    out.finish().expect("packed")
}

pub fn wrapped(text: &str, width: usize, end: &str) -> String {
    let lines = text.as_bytes().chunks(width);
    let lines: Vec<&str> = lines
        .map(|l| std::str::from_utf8(l).expect("ASCII"))
        .collect();
    lines.join(end)
}

pub fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(b).to_string()
            }
            b' ' => "+".to_owned(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}

pub fn wide(text: &str) -> Vec<u8> {
    let units = text.encode_utf16().flat_map(u16::to_le_bytes);
    [0xff, 0xfe].into_iter().chain(units).collect()
}

/// Every spelling of a text that a reader has to undo.
pub fn spellings(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let once = STANDARD.encode(text);
    let compact: String = text.split("\n  ").collect();
    let release = format!(
        "{{\"name\":\"shop\",\"chart\":\"{}\",\"manifest\":{}}}",
        super::Numbers(1).word(super::LETTERS, 900),
        quoted(&format!(
            "---\nkind: Secret\ndata:\n  key.json: {once}\n  other: eA==\n"
        ))
    );
    let release = STANDARD.encode(STANDARD.encode(packed(&release)));
    let of = |text: String| text.into_bytes();
    vec![
        ("as it is", of(text.to_owned())),
        ("without line ends", of(compact)),
        (
            "in a YAML block",
            of(format!(
                "a: |-\n    {}\nb: 1\n",
                text.replace('\n', "\n    ")
            )),
        ),
        ("base64", of(format!("data:\n  key.json: {once}\n"))),
        (
            "base64, quoted",
            of(format!("{{\"data\":{{\"key.json\":\"{once}\"}}}}")),
        ),
        (
            "base64, wrapped",
            of(format!("x: |\n  {}\ny: z\n", wrapped(&once, 76, "\n  "))),
        ),
        (
            "base64, line ends escaped",
            of(format!("x: \"{}\"", wrapped(&once, 64, "\\n"))),
        ),
        (
            "base64 of the URL alphabet",
            of(format!("K={}\n", URL_SAFE_NO_PAD.encode(text))),
        ),
        ("base64 after a word", of(format!("path/{once}\n"))),
        (
            "base64 twice",
            of(format!("K: {}\n", STANDARD.encode(&once))),
        ),
        (
            "JSON in JSON",
            of(format!("{{\"credentials\":{}}}", quoted(text))),
        ),
        (
            "JSON in JSON in JSON",
            of(format!(
                "{{\"a\":{}}}",
                quoted(&format!("{{\"b\":{}}}", quoted(text)))
            )),
        ),
        ("three times escaped", of(quoted(&quoted(&quoted(text))))),
        (
            "quotes as \\u0022",
            of(escaped(text).replace("\\\"", "\\u0022")),
        ),
        (
            "percent",
            of(format!(
                "conn=google-cloud-platform://?keyfile_dict={}&x=1",
                percent(text)
            )),
        ),
        ("gzip", packed(text)),
        (
            "a release of Helm",
            of(format!("data:\n  release: {release}\n")),
        ),
        ("UTF-16", wide(text)),
        ("in a shell", of(format!("export KEY='{text}'\n"))),
    ]
}
