//! Whether a server runs from an installation: its start script notes the process in `wso2carbon.pid`.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::Serialize;

use crate::pack::printable;
use crate::step::Problem;

/// Where the start script notes the process.
pub const PID_FILE: &str = "wso2carbon.pid";
/// Words in the command line of a server.
const WORDS: [&str; 2] = ["carbon", "wso2"];

/// A server that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Server {
    /// Its process.
    pub pid: i32,
}

impl Server {
    /// The server that runs from `home`.
    ///
    /// # Errors
    /// Where the note cannot be understood: then one could run.
    pub(super) fn of(home: &Path) -> Result<Option<Self>, Problem> {
        let file = home.join(PID_FILE);
        let hint = "see whether a server runs from there; if none does, remove the file";
        let text = match fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => {
                text.map_err(|error| Problem::new(format!("{} cannot be read", file.display()), hint).because(error))?
            }
        };
        if text.trim().is_empty() {
            return Ok(None);
        }
        let pid = text.trim().parse().ok().filter(|pid| *pid > 0);
        let Some((number, pid)) = pid.and_then(|number| Some((number, Pid::from_raw(number)?))) else {
            let said = printable(text.trim());
            return Err(Problem::new(format!("{} holds no process number: '{said}'", file.display()), hint));
        };
        let is_alive = !matches!(test_kill_process(pid), Err(Errno::SRCH));
        Ok((is_alive && !is_another(number, home, &file)).then_some(Self { pid: number }))
    }
}

/// Whether a process is certainly not the one that was noted: after a restart of the machine another one has its number. It was
/// started later than the note was written, and nothing in its command line is of a server.
fn is_another(pid: i32, home: &Path, note: &Path) -> bool {
    let Ok(command) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let command = String::from_utf8_lossy(&command).to_lowercase();
    let home = home.to_string_lossy().to_lowercase();
    if command.contains(&home) || WORDS.iter().any(|word| command.contains(word)) {
        return false;
    }
    let written = fs::metadata(note).and_then(|metadata| metadata.modified());
    // A script that starts a server notes it within moments.
    matches!((started(pid), written), (Some(started), Ok(written)) if started > written + Duration::from_secs(60))
}

/// When a process was started, as Linux tells it.
fn started(pid: i32) -> Option<SystemTime> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which is in brackets and can hold anything, this is the twentieth field (proc_pid_stat(5)).
    let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot: u64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    let since_boot = Duration::from_secs(ticks / rustix::param::clock_ticks_per_second().max(1));
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(boot) + since_boot)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    fn noted(text: &str) -> (tempfile::TempDir, Result<Option<Server>, Problem>) {
        let home = tempfile::tempdir().expect("a folder");
        fs::write(home.path().join(PID_FILE), text).expect("written");
        let found = Server::of(home.path());
        (home, found)
    }

    #[test]
    fn a_process_that_is_there_is_a_server() {
        let own = std::process::id();
        let (_home, found) = noted(&format!("{own}\n"));
        assert_eq!(found.expect("readable"), Some(Server { pid: own.cast_signed() }));
    }

    #[test]
    fn one_that_is_gone_is_none() {
        let mut child = Command::new("true").spawn().expect("it starts");
        child.wait().expect("it ends");
        assert_eq!(noted(&child.id().to_string()).1.expect("readable"), None);
        assert_eq!(noted("").1.expect("readable"), None);
    }

    #[test]
    fn a_number_that_another_process_has_got_is_none() {
        let mut sleep = Command::new("sleep").arg("60").spawn().expect("it starts");
        let (home, found) = noted(&sleep.id().to_string());
        let there = found.expect("readable");
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        let file = fs::File::options().write(true).open(home.path().join(PID_FILE)).expect("there");
        file.set_modified(long_ago).expect("can be set");
        let later = Server::of(home.path()).expect("readable");
        sleep.kill().and_then(|()| sleep.wait()).expect("it ends");
        assert_eq!((there.is_some(), later), (true, None));
    }

    #[test]
    fn what_is_no_number_is_told() {
        for text in ["x", "-1", "0", "99999999999999"] {
            let problem = noted(text).1.expect_err("no number").to_string();
            assert!(problem.contains("wso2carbon.pid holds no process number"), "{problem}");
        }
    }
}
