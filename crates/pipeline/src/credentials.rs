//! The credentials of the update tool. They never become part of a plan, and Debug does not show them.

use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::step::Problem;

/// Variable that holds the user name, for us as for the vendor's tool.
pub const USERNAME_VARIABLE: &str = "UPDATE_TOOL_USERNAME";
/// Variable that holds the password, for us as for the vendor's tool.
pub const PASSWORD_VARIABLE: &str = "UPDATE_TOOL_PASSWORD";
const NO_LONGER_THAN: u64 = 64 * 1024;

/// User name and password of a WSO2 account.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Mostly an e-mail address.
    pub username: String,
    /// The password.
    pub password: SecretString,
}

/// Where the user said the credentials are, unchecked.
#[derive(Debug, Default)]
pub struct CredentialSources {
    /// The third positional argument, in the old script's order.
    pub positional_username: Option<String>,
    /// The fourth positional argument, in the old script's order.
    pub positional_password: Option<SecretString>,
    /// `--username`.
    pub username: Option<String>,
    /// `--password-file`.
    pub password_file: Option<PathBuf>,
    /// `--password-stdin`.
    pub password_stdin: bool,
    /// The environment's user name.
    pub environment_username: Option<String>,
    /// The environment's password.
    pub environment_password: Option<SecretString>,
}

impl CredentialSources {
    /// The credentials: positional arguments, then options, then environment; user name and password each on its own.
    /// What is missing, where one of the two is nowhere to be found, or empty: an unset secret of a pipeline is.
    ///
    /// # Errors
    /// Where the file or standard input cannot be read, or holds no password.
    pub fn read(self) -> Result<Result<Credentials, Missing>, Problem> {
        // Whoever gave it meant something by it, and others would be taken in its place.
        if self.positional_username.as_deref() == Some("") {
            return Ok(Err(Missing::EmptyUsername));
        }
        if self.positional_password.as_ref().is_some_and(is_empty) {
            return Ok(Err(Missing::EmptyPassword));
        }
        let username = self.positional_username.or(self.username).or(self.environment_username);
        let password = match self.positional_password {
            Some(password) => Some(password),
            None if self.password_stdin => Some(password_from(std::io::stdin(), "standard input")?),
            None => match &self.password_file {
                Some(path) => Some(password_from_file(path)?),
                None => self.environment_password,
            },
        };
        let username = username.filter(|username| !username.is_empty());
        Ok(match (username, password.filter(|password| !is_empty(password))) {
            (Some(username), Some(password)) => Ok(Credentials { username, password }),
            (Some(_), None) => Err(Missing::Password),
            (None, Some(_)) => Err(Missing::Username),
            (None, None) => Err(Missing::Both),
        })
    }
}

/// Whether nobody can have this password.
pub fn is_empty(password: &SecretString) -> bool {
    password.expose_secret().is_empty()
}

fn password_from_file(path: &Path) -> Result<SecretString, Problem> {
    let hint = "give a readable file that holds the password and nothing else";
    let file = std::fs::File::open(path).map_err(|error| {
        Problem::new(format!("the password file {} cannot be read", path.display()), hint).because(error)
    })?;
    password_from(file, &format!("the password file {}", path.display()))
}

/// The first line, without its end: editors and `echo` put one there.
fn password_from(source: impl Read, name: &str) -> Result<SecretString, Problem> {
    let hint = "give the password as one line of text";
    let mut text = String::new();
    source
        .take(NO_LONGER_THAN + 1)
        .read_to_string(&mut text)
        .map_err(|error| Problem::new(format!("{name} cannot be read as text"), hint).because(error))?;
    if text.len() as u64 > NO_LONGER_THAN {
        return Err(Problem::new(format!("{name} has more than {NO_LONGER_THAN} bytes"), hint));
    }
    // Windows' editors begin a file with it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(Problem::new(format!("{name} is empty"), hint));
    }
    if line.contains('\0') {
        return Err(Problem::new(format!("{name} holds a NUL byte, which no password can have"), hint));
    }
    if line.contains('\n') {
        return Err(Problem::new(format!("{name} has more than one line"), hint));
    }
    Ok(line.into())
}

/// Which of the credentials are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Nobody said any.
    Both,
    /// There is a password alone.
    Username,
    /// There is a user name alone.
    Password,
    /// The third positional argument is there, and empty.
    EmptyUsername,
    /// The fourth positional argument is there, and empty.
    EmptyPassword,
}

impl Missing {
    /// What a run says that needs them.
    pub fn problem(self) -> Problem {
        let password = "--password-file or --password-stdin";
        let leave_away = || {
            format!(
                "leave USERNAME and PASSWORD away where {USERNAME_VARIABLE} and {PASSWORD_VARIABLE} are set; else the variables \
                 that they come from are not"
            )
        };
        match self {
            Self::Both => Problem::new(
                "there are no credentials for the update tool: a user name and a password of a WSO2 account",
                format!("set {USERNAME_VARIABLE} and {PASSWORD_VARIABLE}, or give --username with {password}"),
            ),
            Self::Username => Problem::new(
                "there is no user name for the update tool, only a password",
                format!("set {USERNAME_VARIABLE}, or give --username"),
            ),
            Self::Password => Problem::new(
                "there is no password for the update tool, only a user name",
                format!("set {PASSWORD_VARIABLE}, or give {password}"),
            ),
            Self::EmptyUsername => Problem::new("USERNAME, the third argument, is empty", leave_away()),
            Self::EmptyPassword => Problem::new("PASSWORD, the fourth argument, is empty", leave_away()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positional_goes_before_option_before_environment() {
        let all = || CredentialSources {
            positional_username: Some("p".into()),
            positional_password: Some("pp".into()),
            username: Some("o".into()),
            environment_username: Some("e".into()),
            environment_password: Some("ee".into()),
            ..CredentialSources::default()
        };
        let read = |sources: CredentialSources| {
            let read = sources.read().expect("readable");
            read.map(|c| (c.username, c.password.expose_secret().to_owned()))
        };
        let pair = |u: &str, p: &str| Ok((u.to_owned(), p.to_owned()));
        assert_eq!(read(all()), pair("p", "pp"));
        assert_eq!(
            read(CredentialSources { positional_username: None, positional_password: None, ..all() }),
            pair("o", "ee")
        );
        let environment =
            CredentialSources { positional_username: None, positional_password: None, username: None, ..all() };
        assert_eq!(read(environment), pair("e", "ee"));
        assert_eq!(
            read(CredentialSources { environment_password: Some("x".into()), ..CredentialSources::default() }),
            Err(Missing::Username)
        );
        assert_eq!(
            read(CredentialSources { positional_password: Some("".into()), ..all() }),
            Err(Missing::EmptyPassword)
        );
        assert_eq!(read(CredentialSources::default()), Err(Missing::Both));
    }

    #[test]
    fn only_the_end_of_the_line_is_taken_off() {
        let read = |text: &str| password_from(text.as_bytes(), "it").map(|p| p.expose_secret().to_owned());
        assert_eq!(read(" a b \n").expect("one line"), " a b ");
        assert_eq!(read("x\r\n").expect("one line"), "x");
        assert_eq!(read("\u{feff}x\n").expect("one line"), "x");
        assert!(read("\n").expect_err("empty").to_string().contains("empty"));
        assert!(read("a\nb\n").expect_err("two").to_string().contains("more than one line"));
    }

    #[test]
    fn debug_shows_no_password() {
        let credentials = Credentials { username: "u".into(), password: "s3cret".into() };
        assert!(!format!("{credentials:?}").contains("s3cret"));
    }
}
