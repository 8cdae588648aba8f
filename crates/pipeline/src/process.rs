//! A child process that cannot outlive its run: no terminal, no open input, a session of its own, and all of it ended
//! when the run is stopped.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// What is kept of the output: the end, where the error is.
const TAIL: usize = 64 * 1024;
/// Between asking to end and ending.
const GRACE: Duration = Duration::from_secs(2);
/// Jenkins ends what a run has started before the run itself: a moment later it is known that all of it is to end.
const ABORT: Duration = Duration::from_secs(1);
/// A grandchild can hold the output open for ever; what it says after the child has ended is of no interest.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);
/// A program just written cannot be run while another thread's new child still has it open.
const BUSY_RETRIES: u32 = 20;

/// How a child ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// The signal.
    pub signal: Option<i32>,
    /// The end of what it printed, to both of its outputs.
    pub output: String,
}

/// Runs `command` to its end. Its input is empty; its outputs are captured.
///
/// # Errors
/// Where it cannot be started; `Ok(None)` where `cancel` was cancelled, which ends it and all it started.
pub async fn run(command: &mut Command, cancel: &CancellationToken) -> io::Result<Option<Finished>> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    detach(command);
    let mut child = spawn(command).await?;
    let group = Group::of(&child);
    let stdout = tokio::spawn(tail_of(child.stdout.take()));
    let stderr = tokio::spawn(tail_of(child.stderr.take()));
    let status = tokio::select! {
        status = child.wait() => Some(status?),
        () = cancel.cancelled() => None,
    };
    let Some(status) = status else {
        group.signal(Signal::TERM);
        // Whether it has ended by then or not, what is left of the group is killed below.
        let _ = tokio::time::timeout(GRACE, child.wait()).await;
        group.signal(Signal::KILL);
        child.wait().await?;
        return Ok(None);
    };
    // Whatever it left running has no more to do with this run.
    group.signal(Signal::KILL);
    if is_abort(status) && tokio::time::timeout(ABORT, cancel.cancelled()).await.is_ok() {
        return Ok(None);
    }
    let mut output = collect(stdout).await;
    output.extend(collect(stderr).await);
    Ok(Some(Finished {
        code: status.code(),
        signal: status.signal(),
        output: String::from_utf8_lossy(&output).into_owned(),
    }))
}

/// Whether somebody has asked it to end: it was a signal for that, or what a shell makes of one.
fn is_abort(status: ExitStatus) -> bool {
    let signals = [Signal::HUP, Signal::INT, Signal::TERM].map(Signal::as_raw);
    status.signal().or(status.code().map(|code| code - 128)).is_some_and(|signal| signals.contains(&signal))
}

async fn spawn(command: &mut Command) -> io::Result<Child> {
    for _ in 0..BUSY_RETRIES {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                tokio::time::sleep(Duration::from_millis(25)).await
            }
            other => return other,
        }
    }
    command.spawn()
}

/// A session of its own has no terminal to prompt on; on Linux it ends with us even if we are killed.
#[allow(unsafe_code)]
fn detach(command: &mut Command) {
    let detached = || {
        rustix::process::setsid()?;
        #[cfg(target_os = "linux")]
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; both are plain system calls that
    // allocate nothing.
    unsafe { command.pre_exec(detached) };
}

/// The child's process group; killed on drop, so that no early return leaves it behind.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id.cast_signed())))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // An empty group is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

async fn tail_of(source: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut tail = Vec::new();
    let Some(mut source) = source else { return tail };
    let (mut buffer, mut is_cut) = (vec![0; 16 * 1024], false);
    while let Ok(read @ 1..) = source.read(&mut buffer).await {
        tail.extend_from_slice(&buffer[..read]);
        if tail.len() > 2 * TAIL {
            tail.drain(..tail.len() - TAIL);
            is_cut = true;
        }
    }
    if is_cut {
        // Half a line can begin with half a secret, which nobody would know for one.
        let end = tail.iter().position(|byte| *byte == b'\n').map_or(tail.len(), |end| end + 1);
        tail.drain(..end);
    }
    tail
}

async fn collect(mut reader: tokio::task::JoinHandle<Vec<u8>>) -> Vec<u8> {
    match tokio::time::timeout(OUTPUT_GRACE, &mut reader).await {
        Ok(output) => output.unwrap_or_default(),
        Err(_) => {
            reader.abort();
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script);
        command
    }

    async fn finished(script: &str) -> Finished {
        run(&mut shell(script), &CancellationToken::new()).await.expect("sh is there").expect("not cancelled")
    }

    #[tokio::test]
    async fn code_and_output_are_kept() {
        let finished = finished("echo out; echo err >&2; exit 3").await;
        assert_eq!((finished.code, finished.output.as_str()), (Some(3), "out\nerr\n"));
    }

    #[tokio::test]
    async fn of_what_is_cut_off_whole_lines_are_kept() {
        let long = finished("yes secret | head -n 40000 | tr -d '\\n'; echo; echo end").await;
        assert_eq!(long.output, "end\n");
        let endless = finished("yes secret | head -n 40000 | tr -d '\\n'").await;
        assert_eq!(endless.output, "");
        let many = finished("yes secret | head -n 40000").await;
        assert!(many.output.len() > TAIL / 2 && many.output.lines().all(|line| line == "secret"));
    }

    #[tokio::test]
    async fn there_is_no_input_and_no_terminal() {
        let finished = finished("read line && exit 1; (: </dev/tty) 2>/dev/null && exit 2; exit 0").await;
        assert_eq!(finished.code, Some(0));
    }

    #[tokio::test]
    async fn a_grandchild_that_holds_the_output_does_not_hold_us() {
        let start = Instant::now();
        let finished = finished("sleep 1000 & echo $!").await;
        assert!(start.elapsed() < Duration::from_secs(20));
        assert_eq!(finished.code, Some(0));
    }

    #[tokio::test]
    async fn cancelling_ends_a_child_that_ignores_it_and_its_children() {
        let folder = tempfile::tempdir().expect("a folder");
        let pids = folder.path().join("pids");
        let script = format!("trap '' TERM; sleep 1000 & echo $! $$ > '{}'; wait", pids.display());
        let cancel = CancellationToken::new();
        let child = tokio::spawn({
            let cancel = cancel.clone();
            async move { run(&mut shell(&script), &cancel).await }
        });
        while std::fs::read_to_string(&pids).unwrap_or_default().split_whitespace().count() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancel.cancel();
        assert!(child.await.expect("no panic").expect("no error").is_none());
        for pid in std::fs::read_to_string(&pids).expect("written").split_whitespace() {
            let pid = Pid::from_raw(pid.parse().expect("a number")).expect("not 0");
            assert!(is_gone(pid).await, "{pid:?} is still running");
        }
    }

    /// A grandchild is reaped by whoever inherits it, a moment after it was killed.
    async fn is_gone(pid: Pid) -> bool {
        for _ in 0..100 {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
            if rustix::process::test_kill_process(pid).is_err() || state.contains(") Z ") {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }
}
