//! Runs the real binary in a directory of its own.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod client;
pub mod cpu;
pub mod fake;
pub mod front;
pub mod inside;
#[cfg(target_os = "linux")]
pub mod pty;
pub mod served;
pub mod tunnel;

use std::io::{BufRead, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// What runs so long hangs, however much the machine has to do: the test program ends.
pub const HANGS: Duration = Duration::from_secs(1800);

/// A directory with a spec and a world, in which `wi` is run.
pub struct Place {
    pub dir: tempfile::TempDir,
}

impl Place {
    pub fn new(spec: &str, world: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let place = Self { dir };
        place.write("wi.yaml", spec);
        place.write("world.yaml", world);
        place
    }

    /// A copy of one of the examples, whose operations take less time.
    pub fn example(name: &str) -> Self {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples")
            .join(name);
        let read = |file: &str| std::fs::read_to_string(from.join(file)).expect(file);
        let world = read("world.yaml");
        let start = "apiVersion: wi.sandbox/v1\n";
        let fast = match world.contains("timeScale") {
            true => world,
            false => world.replace(start, &format!("{start}timeScale: 2000\n")),
        };
        Self::new(&read("wi.yaml"), &fast)
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Commits a file, in a repository of its own.
    pub fn commit(&self, file: &str) {
        for args in [
            &["init", "-q"][..],
            &["add", file],
            &["commit", "-qm", "former"],
        ] {
            let ran = Command::new("git")
                .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
                .args(args)
                .current_dir(self.dir.path())
                .output()
                .expect("git runs");
            assert!(ran.status.success(), "{args:?}: {ran:?}");
        }
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect(file);
        std::fs::write(path, text).expect(file);
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wi"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("COLUMNS", "80")
            .env("HOME", self.dir.path())
            .env("SSL_CERT_FILE", authorities())
            .stdin(Stdio::null());
        command
    }

    /// Runs `wi` on the sandbox of this directory.
    pub fn wi(&self, args: &[&str]) -> Ran {
        let mut all = args.to_vec();
        if matches!(args.first(), Some(&"plan" | &"apply")) {
            all.push("--sandbox");
        }
        Ran::of(&mut self.command(&all))
    }

    /// The state of the sandbox between commands.
    pub fn state(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.state_file()).expect("state");
        serde_saphyr::from_str(&text).expect("state is YAML")
    }

    fn state_file(&self) -> PathBuf {
        std::fs::read_dir(self.path(".wi-sandbox"))
            .expect("a state directory")
            .flatten()
            .map(|e| e.path())
            .find(|p| p.extension().is_some_and(|e| e == "yaml"))
            .expect("a state file")
    }

    /// Changes the text of the sandbox's state, as if somebody had changed the world.
    pub fn edit_state(&self, edit: impl FnOnce(String) -> String) {
        let file = self.state_file();
        let text = std::fs::read_to_string(&file).expect("state");
        std::fs::write(file, edit(text)).expect("state");
    }
}

/// A bundle with one certificate, in place of the system's, whose reading takes a tenth of a run of `wi`: all servers
/// of tests are on loopback, and name their own.
fn authorities() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["nobody.test".to_owned()]);
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("authorities.pem");
        // Another test program may read it now.
        let mut new = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("made");
        new.write_all(made.expect("a certificate").cert.pem().as_bytes())
            .expect("written");
        new.persist(&file).expect("put in place");
        file
    })
}

/// How many cases of a long proof are run: a tenth, or all of them where `WI_PROOFS=full` asks for that.
pub fn size(full: usize) -> usize {
    match std::env::var_os("WI_PROOFS") {
        Some(asked) if asked == "full" => full,
        _ => full.div_ceil(10),
    }
}

/// A text without line breaks, and without the signs that begin the lines of boxes and comments.
pub fn flat(text: &str) -> String {
    let words = text.split_whitespace().filter(|w| !["│", "#"].contains(w));
    words.collect::<Vec<_>>().join(" ")
}

/// What a run printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Starts `wi`; what it prints is kept.
pub fn spawn(command: &mut Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("wi starts")
}

/// Reads lines until one has `part` in it, which it answers with.
#[track_caller]
pub fn line_with(lines: &mut impl BufRead, part: &str) -> String {
    let mut all = String::new();
    loop {
        let before = all.len();
        let read = lines.read_line(&mut all).expect("a line");
        assert_ne!(read, 0, "it ended without {part}: {all}");
        if all[before..].contains(part) {
            return all[before..].to_owned();
        }
    }
}

impl Ran {
    /// What it printed, as one JSON document that fits this schema.
    #[track_caller]
    pub fn json(&self, schema: &str) -> serde_json::Value {
        let value = serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        let schema = serde_json::from_str(schema).expect("JSON");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let errors = validator.iter_errors(&value);
        let errors: Vec<String> = errors
            .map(|e| format!("{}: {e}", e.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
        value
    }

    pub fn of(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        let (ended, hangs) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            if hangs.recv_timeout(HANGS) == Err(RecvTimeoutError::Timeout) {
                eprintln!("it hangs: {what}");
                std::process::exit(101);
            }
        });
        let output = command.output().expect("wi runs");
        drop(ended);
        output.into()
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "out:\n{}\nerr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn fails(self) -> Self {
        assert_eq!(self.code, Some(1), "out:\n{}\nerr:\n{}", self.out, self.err);
        self
    }

    /// Fails unless each part is in what was printed, wherever lines break.
    #[track_caller]
    pub fn says(&self, parts: &[&str]) {
        let all = flat(&format!("{}\n{}", self.out, self.err));
        for part in parts {
            assert!(all.contains(part), "`{part}` is not in:\n{all}");
        }
    }
}
