//! How fast text without keys is looked through, on one core. Fails below `LIMIT`.
//!
//! `cargo bench -p wi-keys`. The text is what lies in repositories: YAML, source, prose, lock files, without a
//! word that makes it worth a second look; and for comparison the same with such words, and with keys.

#[path = "../tests/made/mod.rs"]
mod made;

use std::hint::black_box;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use made::{Account, LETTERS, Numbers};

/// In megabytes a second.
const LIMIT: f64 = 500.0;

const SIZE: usize = 32 << 20;

/// Lines of many kinds, as they come in repositories.
fn text() -> String {
    let mut numbers = Numbers(1);
    let mut text = String::with_capacity(SIZE + 4096);
    while text.len() < SIZE {
        let word = numbers.word(b"abcdefghijklmnopqrstuvwxyz_", 8);
        let hash = numbers.word(b"0123456789abcdef", 64);
        let line = match numbers.below(8) {
            0 => format!(
                "      - name: {word}\n        value: \"{}\"\n",
                numbers.below(10_000)
            ),
            1 => format!(
                "    fn {word}(&self) -> Result<Vec<u8>, Error> {{\n        self.{word}.map(|x| x + 1)\n    }}\n"
            ),
            2 => format!("checksum = \"{hash}\"\n"),
            3 => format!(
                "The {word} of a cluster is read before anything is written; see https://example.com/{word}.\n"
            ),
            4 => format!(
                "  \"{word}\": {{ \"version\": \"1.{}.0\", \"integrity\": \"sha512-{}==\" }},\n",
                numbers.below(99),
                numbers.word(LETTERS, 86)
            ),
            5 => format!("GOOGLE_CLOUD_PROJECT={word} # set by the deployment of {word}\n"),
            6 => format!(
                "| {word} | roles/storage.objectViewer | {word}@acme.iam.gserviceaccount.com |\n"
            ),
            _ => format!(
                "\t\t// {word}: {}\n\n",
                numbers.word(b"abcdefghij klmno", 60)
            ),
        };
        text.push_str(&line);
    }
    text
}

/// Megabytes a second, the best of five.
fn speed(bytes: &[u8]) -> f64 {
    let once = |_| {
        let started = Instant::now();
        black_box(wi_keys::scan(black_box(bytes)));
        started.elapsed().as_secs_f64()
    };
    let best = (0..5).map(once).fold(f64::INFINITY, f64::min);
    bytes.len() as f64 / 1e6 / best
}

fn main() {
    let plain = text();
    assert!(!wi_keys::is_worth_a_look(plain.as_bytes()));
    let without = speed(plain.as_bytes());
    println!("without hits: {without:.0} MB/s a core (limit {LIMIT})");
    let words = format!("{plain}\n\"private_key\": \"REDACTED\"\n");
    println!("with a word of it: {:.0} MB/s", speed(words.as_bytes()));
    let mut keys = plain.clone();
    for seed in 0..100 {
        keys.push_str(&format!(
            "key.json: {}\n",
            STANDARD.encode(Account::new(seed).json())
        ));
    }
    println!("with 100 keys: {:.0} MB/s", speed(keys.as_bytes()));
    let blobs = STANDARD.encode(Numbers(2).bytes(SIZE / 2));
    println!("one run of base64: {:.0} MB/s", speed(blobs.as_bytes()));
    if without < LIMIT {
        eprintln!("slower than {LIMIT} MB/s");
        std::process::exit(1);
    }
}
