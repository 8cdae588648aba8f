//! Processes that the update tool left behind in sessions of their own, where signals to its group do not reach them.
//! They are known by their environment: it names a home in the workspace, or has a mark.

use std::path::Path;

const ROUNDS: usize = 20;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// Ends every process whose home is in `workspace`. Where the system has no `/proc`, none. The working folder does not
/// count: somebody may be looking around there.
pub fn end(workspace: &Path) {
    let home = [b"HOME=", workspace.as_os_str().as_encoded_bytes(), b"/"].concat();
    end_all(|variable| variable.starts_with(&home));
}

/// Ends every process that has the variable `name` with this value.
pub fn end_marked(name: &str, value: &str) {
    let mark = format!("{name}={value}");
    end_all(|variable| variable == mark.as_bytes());
}

fn end_all(is_mark: impl Fn(&[u8]) -> bool) {
    // Each round can meet what the one before was about to start.
    for _ in 0..ROUNDS {
        if end_once(&is_mark) == 0 {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

fn end_once(is_mark: &impl Fn(&[u8]) -> bool) -> usize {
    use rustix::process::{Pid, Signal, kill_process};
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0 };
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let ours = pids.filter(|pid| *pid != std::process::id().cast_signed() && has(*pid, is_mark));
    ours.filter(|pid| Pid::from_raw(*pid).is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())).count()
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
