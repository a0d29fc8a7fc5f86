//! The real binary on a sandbox of this process.

use wi_sandbox::Sandbox;

use crate::generate::Fleet;

pub struct Run {
    directory: tempfile::TempDir,
    endpoint: String,
    token: String,
}

impl Run {
    pub fn of(fleet: &Fleet, sandbox: &Sandbox) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("wi.yaml"), fleet.spec()).expect("written");
        Self {
            directory,
            endpoint: sandbox.endpoint(),
            token: sandbox.token(),
        }
    }

    /// Applies until nothing is left to do; each apply has to end well.
    pub async fn to_the_end(&self) {
        for round in 0.. {
            let apply = self.command(&["apply", "--auto-approve"]).output();
            let apply = apply.await.expect("wi runs");
            let text = format!(
                "{}{}",
                String::from_utf8_lossy(&apply.stdout),
                String::from_utf8_lossy(&apply.stderr)
            );
            assert!(apply.status.success(), "{text}");
            if text.contains("No changes") {
                return;
            }
            assert!(round < 3, "not at rest: {text}");
        }
    }

    pub fn command(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_wi"));
        command
            .args(args)
            .args(["wi.yaml", "--allow-mass-removal"])
            .current_dir(self.directory.path())
            .env_clear()
            .env("WI_ENDPOINT", &self.endpoint)
            .env("GOOGLE_OAUTH_ACCESS_TOKEN", &self.token)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        command
    }
}
