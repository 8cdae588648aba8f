//! Who is logged in: flags, environment, prompt; the first found wins, for each of the two.

use std::io::{Write, stdin, stdout};

use anyhow::{Result, ensure};

use super::arguments::Arguments;
use super::config::Config;
use crate::behaviour::ToolBehaviour;

/// A user name and a password that have been accepted.
pub(super) struct Credentials {
    pub(super) username: String,
    password: String,
}

impl Credentials {
    pub(super) fn find(arguments: &Arguments, behaviour: &ToolBehaviour) -> Result<Self> {
        let value = |flag: &Option<String>, variable: &str, question: &str| {
            let from_environment = || {
                let read = behaviour.reads_environment.then(|| std::env::var(variable));
                read?.ok().filter(|value| !value.is_empty())
            };
            match flag.clone().or_else(from_environment) {
                Some(value) => Ok(value),
                None => prompt(question),
            }
        };
        let found = Self {
            username: value(&arguments.username, "UPDATE_TOOL_USERNAME", "Username: ")?,
            password: value(&arguments.password, "UPDATE_TOOL_PASSWORD", "Password: ")?,
        };
        let right = match &behaviour.accepts {
            Some((username, password)) => found.username == *username && found.password == *password,
            None => !found.username.is_empty() && !found.password.is_empty(),
        };
        ensure!(right, "the user name or the password is wrong");
        Ok(found)
    }

    /// Tells every secret on both streams, to test whether somebody hides them.
    pub(super) fn print_with(&self, config: &Config) {
        let (access, refresh) = config.tokens();
        let text = format!(
            "debug: username={} password={} access-token={access} refresh-token={refresh}",
            self.username, self.password
        );
        println!("{text}");
        eprintln!("{text}");
    }
}

/// Asks, and waits for the answer as long as stdin is open.
pub(super) fn prompt(question: &str) -> Result<String> {
    print!("{question}");
    stdout().flush()?;
    let mut answer = String::new();
    let read = stdin().read_line(&mut answer)?;
    ensure!(read > 0, "no answer: stdin is closed");
    Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
}
