//! Processes that the update tool left behind in sessions of their own, where signals to its group do not reach them.
//! They are known by their environment: it names a home in the workspace, or has a mark. Where they have emptied that, the
//! kernel gives us those whose parents have ended, if we ask for them.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, kill_process};

const ROUNDS: usize = 20;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

static ADOPTING: AtomicBool = AtomicBool::new(false);

/// From now on, what is left behind below this process is its own, as [`watch`] needs it. For programs, not for tests, in which others
/// start processes as well.
pub fn adopt() {
    #[cfg(target_os = "linux")]
    if rustix::process::set_child_subreaper(Some(rustix::process::getpid())).is_ok() {
        ADOPTING.store(true, Ordering::Relaxed);
    }
}

/// Ends every process whose home is in `workspace`. Where the system has no `/proc`, none. The working folder does not
/// count: somebody may be looking around there.
pub fn end(workspace: &Path) {
    let home = [b"HOME=", workspace.as_os_str().as_encoded_bytes(), b"/"].concat();
    end_marked_by(|variable| variable.starts_with(&home));
}

/// Ends every process that has the variable `name` with this value.
pub fn end_marked(name: &str, value: &str) {
    let mark = format!("{name}={value}");
    end_marked_by(|variable| variable == mark.as_bytes());
}

/// Ends, when it is dropped, what was left behind below this process since, whatever its environment: where [`adopt`] could do what it
/// does. Others that we have started, such as the agents of credential helpers, were there before.
#[derive(Debug)]
pub struct Watch {
    before: HashSet<i32>,
}

/// Begins to watch.
pub fn watch() -> Watch {
    Watch { before: adopted() }
}

impl Drop for Watch {
    fn drop(&mut self) {
        end_all(|| adopted().difference(&self.before).copied().collect());
    }
}

fn end_marked_by(is_mark: impl Fn(&[u8]) -> bool) {
    end_all(|| others().into_iter().filter(|pid| has(*pid, &is_mark)).collect());
}

/// Ends what `find` finds, until that is nothing.
fn end_all(find: impl Fn() -> Vec<i32>) {
    // Each round can meet what the one before was about to start.
    for _ in 0..ROUNDS {
        let ended = |pid: &i32| Pid::from_raw(*pid).is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok());
        if find().iter().filter(|pid| ended(pid)).count() == 0 {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

/// All processes but this one.
fn others() -> Vec<i32> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| *pid != std::process::id().cast_signed()).collect()
}

/// What is below us in another session than ours, and lives.
fn adopted() -> HashSet<i32> {
    let us = std::process::id().cast_signed();
    let Some(own) = Status::of(us).filter(|_| ADOPTING.load(Ordering::Relaxed)) else { return HashSet::new() };
    let all: HashMap<i32, Status> = others().into_iter().filter_map(|pid| Some((pid, Status::of(pid)?))).collect();
    let is_below = |pid: i32| {
        // Parents change while they are looked at; a way of this length leads nowhere.
        let mut above = std::iter::successors(Some(pid), |pid| all.get(pid).map(|status| status.parent)).take(10_000);
        above.any(|pid| pid == us)
    };
    let lost = all.iter().filter(|(_, status)| status.session != own.session && status.state != "Z");
    lost.map(|(pid, _)| *pid).filter(|pid| is_below(*pid)).collect()
}

/// What the kernel says of a process (`proc_pid_stat(5)`).
struct Status {
    state: String,
    parent: i32,
    session: i32,
}

impl Status {
    fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before it can hold anything.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let (state, parent) = (fields.next()?.to_owned(), fields.next()?.parse().ok()?);
        Some(Self { state, parent, session: fields.nth(1)?.parse().ok()? })
    }
}

fn has(pid: i32, is_mark: &impl Fn(&[u8]) -> bool) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(is_mark)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_those_of_the_workspace_are_ended() {
        let workspace = tempfile::tempdir().expect("a folder");
        let sleep = |home: &Path| Command::new("sleep").arg("1000").env("HOME", home).spawn().expect("it starts");
        let mut ours = sleep(&workspace.path().join("home"));
        let mut other = sleep(Path::new("/"));
        end(workspace.path());
        assert!(!ours.wait().expect("it ends").success());
        assert!(other.try_wait().expect("a child").is_none(), "a process of somebody else was ended");
        other.kill().expect("it is there");
        other.wait().expect("it ends");
    }
}
