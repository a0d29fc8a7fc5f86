//! Where this runs, as the CI says.

use serde_json::Value;

use super::{Kind, Target, Token};

/// Which pull request is meant is not known. For the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// Nothing says which forge.
    #[error(
        "this is no job of GitHub Actions or GitLab CI: pass --forge, --repository and --number, and set GITHUB_TOKEN or GITLAB_TOKEN"
    )]
    NoJob,
    /// The job does not say this.
    #[error("{what} is not known: pass {by}")]
    Missing {
        /// In words.
        what: &'static str,
        /// The flag or the variables that say it.
        by: &'static str,
    },
}

/// What the environment of a CI job says.
#[derive(Debug, Clone, Default)]
pub struct Here {
    /// Which forge.
    pub kind: Option<Kind>,
    /// Its API.
    pub api: Option<String>,
    /// The repository.
    pub repository: Option<String>,
    /// The pull request.
    pub number: Option<u64>,
    /// The head commit of the pull request.
    pub sha: Option<String>,
    /// Which run: later ones are greater.
    pub run: u64,
    /// Where the run can be seen.
    pub run_url: Option<String>,
    /// A token.
    pub token: Option<Token>,
    /// The file that GitHub shows as the step's summary.
    pub summary: Option<String>,
}

impl Here {
    /// Reads the variables of GitHub Actions and GitLab CI; `get` looks one up, `read` a file.
    pub fn new(
        get: &dyn Fn(&str) -> Option<String>,
        read: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let set = |name: &str| get(name).filter(|v| !v.is_empty());
        if set("GITLAB_CI").is_some()
            || (set("GITHUB_ACTIONS").is_none() && set("GITLAB_TOKEN").is_some())
        {
            return Self {
                kind: Some(Kind::GitLab),
                api: set("CI_API_V4_URL").or_else(|| Some("https://gitlab.com/api/v4".to_owned())),
                repository: set("CI_PROJECT_ID"),
                number: set("CI_MERGE_REQUEST_IID").and_then(|n| n.parse().ok()),
                // In a pipeline of a merged result CI_COMMIT_SHA is no commit of the merge request.
                sha: set("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA").or_else(|| set("CI_COMMIT_SHA")),
                run: set("CI_PIPELINE_ID")
                    .and_then(|n| n.parse().ok())
                    .unwrap_or(0),
                run_url: set("CI_JOB_URL"),
                token: set("GITLAB_TOKEN")
                    .map(|t| Token::gitlab(&t))
                    .or_else(|| set("CI_JOB_TOKEN").map(|t| Token::gitlab_job(&t))),
                summary: None,
            };
        }
        let event: Value = set("GITHUB_EVENT_PATH")
            .and_then(|path| read(&path))
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let of_ref = set("GITHUB_REF").and_then(|r| {
            r.strip_prefix("refs/pull/")?
                .split('/')
                .next()?
                .parse()
                .ok()
        });
        let run_url = match (
            set("GITHUB_SERVER_URL"),
            set("GITHUB_REPOSITORY"),
            set("GITHUB_RUN_ID"),
        ) {
            (Some(server), Some(repository), Some(run)) => {
                Some(format!("{server}/{repository}/actions/runs/{run}"))
            }
            _ => None,
        };
        let token = set("GITHUB_TOKEN").or_else(|| set("GH_TOKEN"));
        Self {
            kind: (set("GITHUB_ACTIONS").is_some() || token.is_some()).then_some(Kind::GitHub),
            api: set("GITHUB_API_URL").or_else(|| Some("https://api.github.com".to_owned())),
            repository: set("GITHUB_REPOSITORY"),
            number: event["pull_request"]["number"].as_u64().or(of_ref),
            // GITHUB_SHA is the merge of head and target there.
            sha: event["pull_request"]["head"]["sha"]
                .as_str()
                .map(str::to_owned),
            run: set("GITHUB_RUN_ID")
                .and_then(|n| n.parse().ok())
                .unwrap_or(0),
            run_url,
            token: token.map(|t| Token::github(&t)),
            summary: set("GITHUB_STEP_SUMMARY"),
        }
    }

    /// The pull request, or what is missing and how to say it.
    pub fn target(&self) -> Result<Target, NoTarget> {
        let kind = self.kind.ok_or(NoTarget::NoJob)?;
        let missing = |what, by| NoTarget::Missing { what, by };
        Ok(Target {
            kind,
            api: self
                .api
                .clone()
                .ok_or_else(|| missing("the API", "GITHUB_API_URL or CI_API_V4_URL"))?
                .trim_end_matches('/')
                .to_owned(),
            repository: self
                .repository
                .clone()
                .ok_or_else(|| missing("the repository", "--repository"))?,
            number: self
                .number
                .ok_or_else(|| missing("the pull request (is this a job of one?)", "--number"))?,
        })
    }
}
