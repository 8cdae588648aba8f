//! Secrets where they must not be: in files that the hotfixes changed, and in a workspace that is kept.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use aho_corasick::AhoCorasick;
use hotfix_docker::layer::{Content, Layer, Node};
use secrecy::ExposeSecret;
use walkdir::WalkDir;

use crate::changes::{Change, PatchedProduct};
use crate::credentials::Credentials;
use crate::pack::{CONFIG_JSON, printable};
use crate::redact;
use crate::request::Request;
use crate::step::Problem;
use crate::tree::{self, Kind};

/// A shorter password stands in too many words to be told from them.
const SHORTEST_PASSWORD: usize = 6;
const CHUNK: usize = 1 << 20;

/// What must not be found. Debug does not show it.
pub struct Secrets {
    finder: AhoCorasick,
    longest: usize,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({} forms)", self.finder.patterns_len())
    }
}

impl Secrets {
    /// The password where it is of six characters or more, the user name where it is an e-mail address, and `tokens`.
    pub fn new(credentials: &Credentials, tokens: &[String]) -> Self {
        let password =
            Some(credentials.password.expose_secret()).filter(|text| text.chars().count() >= SHORTEST_PASSWORD);
        let username = Some(credentials.username.as_str()).filter(|text| text.contains('@'));
        // As `Authorization: Basic` has it.
        let basic = password.map(|password| format!("{}:{password}", credentials.username));
        let texts = password.into_iter().chain(username).chain(tokens.iter().map(String::as_str));
        let forms: BTreeSet<String> = texts.chain(basic.as_deref()).flat_map(redact::forms).collect();
        let longest = forms.iter().map(String::len).max().unwrap_or_default();
        // Patterns that are not too many to be searched for, as these are, are no error.
        let finder = AhoCorasick::new(forms).unwrap_or_else(|error| unreachable!("{error}"));
        Self { finder, longest }
    }

    /// The password alone, where it is of six characters or more.
    pub fn password(credentials: &Credentials) -> Self {
        let nobody = Credentials { username: String::new(), ..credentials.clone() };
        Self::new(&nobody, &[])
    }

    fn is_in_text(&self, text: &str) -> bool {
        self.finder.is_match(text)
    }

    /// Whether one of them is in `source`.
    pub(crate) fn are_in(&self, mut source: impl Read) -> io::Result<bool> {
        let mut buffer = Vec::with_capacity(CHUNK + self.longest);
        loop {
            let read = source.by_ref().take(CHUNK as u64).read_to_end(&mut buffer)?;
            if self.finder.is_match(&buffer) {
                return Ok(true);
            }
            if read == 0 {
                return Ok(false);
            }
            buffer.drain(..buffer.len().saturating_sub(self.longest));
        }
    }
}

/// Looks for the password in what the user says of the image: all of that can be read in it.
///
/// # Errors
/// Where it is there, naming the option.
pub fn check_request(request: &Request, credentials: &Credentials) -> Result<(), Problem> {
    let secrets = Secrets::password(credentials);
    let options = [("--env", &request.env), ("--label", &request.labels), ("--build-arg", &request.build_args)];
    let pairs = options.into_iter().flat_map(|(option, pairs)| pairs.iter().map(move |(_, value)| (option, value)));
    let entrypoint = request.entrypoint.iter().flatten().map(|word| ("--entrypoint", word));
    for (option, text) in pairs.chain(entrypoint) {
        if secrets.are_in(text.as_bytes()).unwrap_or(true) {
            return Err(Problem::new(
                format!(
                    "{option} holds the password of the update tool, and everybody who has the image could read it"
                ),
                "leave it away: the image needs no account of the vendor's",
            ));
        }
    }
    Ok(())
}

/// Looks for the password in what would be sent to a builder.
///
/// # Errors
/// Where it is there, naming the file, or a file cannot be read.
pub fn check_context(context: &Layer, credentials: &Credentials) -> Result<(), Problem> {
    let secrets = Secrets::password(credentials);
    for (path, entry) in context.entries() {
        let Node::File(content) = &entry.node else { continue };
        let found = is_in(content.as_ref(), &secrets).map_err(|error| {
            Problem::new(format!("{path} in the build context cannot be read"), "check its permissions").because(error)
        })?;
        if found {
            return Err(Problem::new(
                format!("{} in the build context holds the password of the update tool", printable(path)),
                "move it elsewhere, or name it in the .dockerignore",
            ));
        }
    }
    Ok(())
}

/// Content writes itself, and is searched by reading.
fn is_in(content: &dyn Content, secrets: &Secrets) -> io::Result<bool> {
    let (reader, mut writer) = io::pipe()?;
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || content.copy_to(&mut writer));
        let found = secrets.are_in(reader)?;
        match writing.join() {
            // Who has found it reads no further.
            Ok(Err(error)) if !found => Err(error),
            _ => Ok(found),
        }
    })
}

/// Looks through everything that would become the hotfix layer.
///
/// # Errors
/// Where a file holds a secret, naming the file, or cannot be read.
pub fn check(product: &PatchedProduct, secrets: &Secrets) -> Result<(), Problem> {
    for (path, change) in &product.changes {
        if secrets.is_in_text(path) {
            return Err(found_in("the name of a file that a hotfix has left"));
        }
        if let Change::Present { node: tree::Node { kind: Kind::Symlink(target), .. }, .. } = change
            && secrets.is_in_text(target)
        {
            return Err(found_in(path));
        }
    }
    let files = product.changes.iter().filter_map(|(path, change)| match change {
        Change::Present { node, .. } if node.kind == Kind::File => Some(path),
        _ => None,
    });
    for path in files {
        let found = product.home.locate(path).and_then(File::open).and_then(|file| secrets.are_in(file));
        let found = found.map_err(|error| {
            let file = product.home.path().join(path);
            Problem::new(format!("{} cannot be read", file.display()), "see the cause: the update tool left it so")
                .because(error)
        })?;
        if found {
            return Err(found_in(path));
        }
    }
    match &product.config {
        Some((config, _)) if secrets.are_in(config.as_slice()).unwrap_or(true) => Err(found_in(CONFIG_JSON)),
        _ => Ok(()),
    }
}

/// What a run says of a secret at `path`.
pub(crate) fn found_in(path: &str) -> Problem {
    Problem::new(
        format!(
            "{} holds the password, the user name or a token of the update tool, and would be in the image",
            printable(path)
        ),
        "ask the vendor about this hotfix; if the word is there by chance, use an account with another password",
    )
}

/// A larger file of a kept workspace is not searched: it goes.
const LARGEST_KEPT: u64 = 20_000_000_000;

/// Removes every file below `folder` that holds a secret; returns how many.
pub fn remove_from(folder: &Path, secrets: &Secrets) -> usize {
    let files = WalkDir::new(folder).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    let holds = |path: &Path| File::open(path).and_then(|file| secrets.are_in(file)).unwrap_or(true);
    let is_large = |entry: &walkdir::DirEntry| entry.metadata().is_ok_and(|file| file.len() > LARGEST_KEPT);
    files.filter(|entry| (is_large(entry) || holds(entry.path())) && std::fs::remove_file(entry.path()).is_ok()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_wherever_it_stands() {
        let credentials = Credentials { username: "jo@example.org".into(), password: "s3cret!".into() };
        let secrets = Secrets::new(&credentials, &["token-1".to_owned()]);
        for at in [0, 1, CHUNK - 3, CHUNK, 2 * CHUNK - 1] {
            for secret in ["jo@example.org", "s3cret!", "token-1", "am9AZXhhbXBsZS5vcmc6czNjcmV0IQ==", "czNjcmV0IQ"] {
                let text = [vec![b'x'; at], secret.as_bytes().to_vec(), vec![b'y'; 10]].concat();
                assert!(secrets.are_in(text.as_slice()).expect("memory"), "{secret} at {at}");
            }
        }
        assert!(!secrets.are_in(vec![b'x'; 3 * CHUNK].as_slice()).expect("memory"));
    }

    #[test]
    fn short_passwords_and_plain_names_are_words() {
        let credentials = Credentials { username: "admin".into(), password: "admin".into() };
        assert!(!Secrets::new(&credentials, &[]).are_in(b"admin".as_slice()).expect("memory"));
    }
}
