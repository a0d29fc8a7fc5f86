//! Programs that hand out credentials: bounded in time and in what they print, and stopped with
//! all that they have started.

use std::fmt;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// What is read of a program's output, in bytes; no credential comes near it.
const LARGEST: u64 = 1 << 20;

/// How a program ended, and what it printed.
pub(super) struct Output {
    pub status: ExitStatus,
    /// May hold a secret.
    pub stdout: Vec<u8>,
    /// The start of it.
    pub stderr: String,
}

/// Why there is no answer, as the end of a sentence that begins with the program's name.
#[derive(Debug)]
pub(super) enum Failure {
    NotRun(io::Error),
    TooSlow(Duration),
    TooMuch,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRun(e) => write!(f, "cannot be run: {e}"),
            Self::TooSlow(patience) => write!(f, "did not answer within {patience:?}"),
            Self::TooMuch => write!(f, "printed more than {LARGEST} bytes, and was stopped"),
        }
    }
}

/// Runs a program that gets no input, and that is stopped when the future is dropped.
pub(super) async fn run(mut command: Command, patience: Duration) -> Result<Output, Failure> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn().map_err(Failure::NotRun)?;
    let mut group = Group::of(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let work = async {
        tokio::try_join!(
            async {
                let printed = start_of(stdout).await?; // dropped here: the rest cannot be written
                let whole = printed.len() as u64 <= LARGEST;
                whole.then_some(printed).ok_or(Failure::TooMuch)
            },
            async {
                let mut stderr = stderr;
                let printed = start_of(stderr.as_mut()).await?;
                if let Some(mut rest) = stderr {
                    // Whoever is not read waits.
                    let read = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
                    read.map_err(Failure::NotRun)?;
                }
                Ok(String::from_utf8_lossy(&printed).into_owned())
            },
            async { child.wait().await.map_err(Failure::NotRun) },
        )
    };
    let (stdout, stderr, status) = tokio::time::timeout(patience, work)
        .await
        .map_err(|_| Failure::TooSlow(patience))??;
    // What it leaves running on purpose, an agent say, is not ours to stop.
    group.leave();
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

async fn start_of(pipe: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, Failure> {
    let mut printed = Vec::new();
    if let Some(pipe) = pipe {
        let read = pipe.take(LARGEST + 1).read_to_end(&mut printed).await;
        read.map_err(Failure::NotRun)?;
    }
    Ok(printed)
}

/// The process group of a program, which is killed when this is dropped: `kill_on_drop` reaches the
/// program alone, and one that hangs is often a script whose child hangs.
struct Group {
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
}

#[cfg(unix)]
impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            leader: id.and_then(rustix::process::Pid::from_raw),
        }
    }

    fn leave(&mut self) {
        self.leader = None;
    }
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // It fails where all of them have ended already.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(not(unix))]
impl Group {
    fn of(_: &Child) -> Self {
        Self {}
    }

    fn leave(&mut self) {}
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_stopped_with_its_children() {
        let directory = tempfile::tempdir().expect("a directory");
        let pipe = directory.path().join("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status().await;
        assert!(made.expect("mkfifo").success());
        // Read to its end once all have ended that hold it: the program and its child.
        let held = tokio::task::spawn_blocking({
            let pipe = pipe.clone();
            move || std::fs::read_to_string(pipe)
        });
        let script = format!(
            "exec 9>{}; echo begun >&9; sleep 600 & sleep 600",
            pipe.display()
        );
        let mut patience = Duration::from_millis(200);
        while !held.is_finished() {
            // On a busy machine it may be stopped before it has begun.
            let failed = run(shell(&script), patience).await;
            assert!(matches!(failed, Err(Failure::TooSlow(_))));
            patience *= 2;
            let minute = Duration::from_secs(60);
            assert!(patience < minute, "its child has lived on, or never began");
        }
        let text = held.await.expect("no panic").expect("it ends");
        assert!(text.starts_with("begun"), "{text}");
    }

    #[tokio::test]
    async fn a_program_that_prints_without_end_is_stopped() {
        let failed = run(shell("exec cat /dev/zero"), Duration::from_secs(60)).await;
        assert!(matches!(failed, Err(Failure::TooMuch)));
    }

    #[tokio::test]
    async fn a_good_answer_is_whole() {
        let script = "echo out; echo err >&2; exit 3";
        let output = run(shell(script), Duration::from_secs(60)).await;
        let output = output.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(output.status.code(), Some(3));
        assert_eq!((&*output.stdout, &*output.stderr), (&b"out\n"[..], "err\n"));
    }
}
