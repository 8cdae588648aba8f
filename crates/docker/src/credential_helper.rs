//! The programs that keep registry credentials for `docker`: `docker-credential-<name> get`, the registry on standard
//! input, JSON on standard output.

use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::auth::Credentials;

/// A credential helper that takes longer waits for somebody who is not there.
pub(crate) const HELPER_LIMIT: Duration = Duration::from_secs(20);
/// A helper that says more than this says no credential.
const MOST_BYTES: u64 = 1 << 20;
/// What helpers give for the user where the secret is an identity token.
const TOKEN_USER: &str = "<token>";
/// What helpers say where they have none.
const NOT_FOUND: &str = "credentials not found";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// What the helper called `name` has for `key`; nothing is [`Credentials::Anonymous`].
///
/// # Errors
/// In words: it is missing, fails, says what nobody understands, or takes longer than `limit`; then it is ended, and so
/// is what it started.
pub(crate) async fn ask(name: &str, key: &str, limit: Duration) -> Result<Credentials, String> {
    let program = format!("docker-credential-{name}");
    let output = match tokio::time::timeout(limit, run(&program, key)).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Err(format!("there is no credential helper {program} in PATH"));
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => return Err(nonsense(&program)),
        Ok(Err(error)) => return Err(format!("the credential helper {program} cannot be run: {error}")),
        Err(_) => return Err(format!("the credential helper {program} did not answer in {} s", limit.as_secs_f32())),
    };
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        if said.contains(NOT_FOUND) || complaint.contains(NOT_FOUND) {
            return Ok(Credentials::Anonymous);
        }
        // Its standard output can hold a secret; standard error is meant for people.
        return Err(format!("the credential helper {program} failed ({}): {}", output.status, complaint.trim()));
    }
    let answer: Answer = serde_json::from_slice(&output.stdout).map_err(|_| nonsense(&program))?;
    Ok(match answer.username.as_str() {
        TOKEN_USER => Credentials::IdentityToken(answer.secret),
        _ => Credentials::Password { username: answer.username, password: answer.secret },
    })
}

fn nonsense(program: &str) -> String {
    format!("the credential helper {program} answered with something that is no credential")
}

async fn run(program: &str, key: &str) -> io::Result<Output> {
    let mut command = Command::new(program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input can still answer.
        let _ = stdin.write_all(key.as_bytes()).await;
    }
    let (stdout, stderr) = tokio::try_join!(read(child.stdout.take()), read(child.stderr.take()))?;
    let status = child.wait().await?;
    group.has_ended();
    Ok(Output { status, stdout, stderr })
}

/// All of it; [`io::ErrorKind::InvalidData`] where that is more than a credential can be.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(MOST_BYTES + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(bytes)
}

/// A helper at work and what it started; dropped before it has ended, they are.
struct Group(Option<Pid>);

impl Group {
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // One that is gone already needs no ending.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::time::Instant;

    use super::*;

    /// The name of a helper that is a shell script: a path, which `PATH` is not asked for.
    fn helper(folder: &Path, script: &str) -> String {
        let path = folder.join("docker-credential-test");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
        path.to_str().expect("UTF-8").to_owned()
    }

    #[tokio::test]
    async fn one_that_hangs_is_ended_with_what_it_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let pids = folder.path().join("pids");
        let script = format!("sleep 60 & echo $! $$ > '{}'; wait", pids.display());
        let program = helper(folder.path(), &script);
        let start = Instant::now();
        let limited = tokio::time::timeout(Duration::from_millis(500), run(&program, "host")).await;
        assert!(limited.is_err() && start.elapsed() < Duration::from_secs(5));
        let pids = fs::read_to_string(pids).expect("it ran");
        assert_eq!(pids.split_whitespace().count(), 2);
        let deadline = Instant::now() + Duration::from_secs(5);
        while pids.split_whitespace().any(is_running) {
            assert!(Instant::now() < deadline, "still running: {pids}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// One that has ended and that nobody has waited for is as good as gone.
    fn is_running(pid: &str) -> bool {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
    }
}
