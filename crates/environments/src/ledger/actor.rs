//! Who did something: as CI's variables or the user say. Nobody checks it, and records say so.

use serde::{Deserialize, Serialize};

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Actor {
    /// What they call themselves.
    pub name: String,
    /// Where that was found. All of them can be set by whoever runs the command.
    pub declared_by: Declared,
    /// The run of CI in which it was done.
    pub run: Option<String>,
}

/// Where an actor's name was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Declared {
    /// `--actor`.
    Option,
    /// `GITHUB_ACTOR`.
    GithubActions,
    /// `BUILD_USER_ID`, or that it was Jenkins.
    Jenkins,
    /// `GITLAB_USER_LOGIN`.
    Gitlab,
    /// The name of the user that runs the command.
    System,
}

impl Actor {
    /// From `--actor`, else from the variables of the environment.
    pub fn find(asked: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let run = github_run(set).or_else(|| set("CI_JOB_URL")).or_else(|| set("BUILD_URL"));
        let found = [
            (asked.map(str::to_owned), Declared::Option),
            (set("GITHUB_ACTIONS").and_then(|_| set("GITHUB_ACTOR")), Declared::GithubActions),
            (set("GITLAB_CI").and_then(|_| set("GITLAB_USER_LOGIN")), Declared::Gitlab),
            (
                set("JENKINS_URL").map(|_| set("BUILD_USER_ID").unwrap_or_else(|| "jenkins".to_owned())),
                Declared::Jenkins,
            ),
            (set("USER").or_else(|| set("LOGNAME")), Declared::System),
        ];
        let found = found.into_iter().find_map(|(name, declared_by)| Some((name?, declared_by)));
        let (name, declared_by) = found.unwrap_or_else(|| ("unknown".to_owned(), Declared::System));
        let run = run.map(|address| without_user(&address));
        Self { name, declared_by, run }
    }
}

/// An address without a user name and a password before its host.
fn without_user(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let host = rest.split('/').next().unwrap_or_default();
    match host.rsplit_once('@') {
        Some((user, _)) => format!("{scheme}://{}", &rest[user.len() + 1..]),
        None => address.to_owned(),
    }
}

fn github_run(set: impl Fn(&str) -> Option<String>) -> Option<String> {
    Some(format!("{}/{}/actions/runs/{}", set("GITHUB_SERVER_URL")?, set("GITHUB_REPOSITORY")?, set("GITHUB_RUN_ID")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(asked: Option<&str>, variables: &[(&str, &str)]) -> (String, Declared, Option<String>) {
        let variable =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let Actor { name, declared_by, run } = Actor::find(asked, variable);
        (name, declared_by, run)
    }

    #[test]
    fn whoever_is_said_to_have_done_it() {
        let github = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_ACTOR", "octo"),
            ("GITHUB_SERVER_URL", "https://g.example"),
            ("GITHUB_REPOSITORY", "a/b"),
            ("GITHUB_RUN_ID", "7"),
            ("USER", "runner"),
        ];
        let run = Some("https://g.example/a/b/actions/runs/7".to_owned());
        assert_eq!(found(None, &github), ("octo".to_owned(), Declared::GithubActions, run.clone()));
        assert_eq!(found(Some("jo"), &github), ("jo".to_owned(), Declared::Option, run));
        let jenkins = [("JENKINS_URL", "https://j.example"), ("BUILD_URL", "https://j.example/1"), ("USER", "x")];
        let run = Some("https://j.example/1".to_owned());
        assert_eq!(found(None, &jenkins), ("jenkins".to_owned(), Declared::Jenkins, run));
        let secret = [("CI_JOB_URL", "https://u:p@ss@g.example/1"), ("USER", "jo")];
        assert_eq!(found(None, &secret).2, Some("https://g.example/1".to_owned()));
        assert_eq!(found(None, &[("USER", "jo")]), ("jo".to_owned(), Declared::System, None));
        assert_eq!(found(None, &[("USER", " ")]), ("unknown".to_owned(), Declared::System, None));
    }
}
