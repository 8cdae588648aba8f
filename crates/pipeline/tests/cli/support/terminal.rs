//! A terminal for somebody to be watched at.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::scenario::Scenario;

const ROWS: u16 = 60;

/// What was to be seen.
pub struct Watched {
    pub code: Option<i32>,
    pub stdout: String,
    /// All that was written to the terminal.
    pub written: String,
    /// What was on the screen after each piece of that, as text.
    pub screens: Vec<String>,
}

impl Watched {
    /// What is there in the end.
    pub fn last(&self) -> &str {
        self.screens.last().map_or("", String::as_str)
    }

    /// Whether there was such a line at any time.
    pub fn has_shown(&self, words: &[&str]) -> bool {
        self.screens.iter().flat_map(|screen| screen.lines()).any(|line| words.iter().all(|word| line.contains(word)))
    }
}

/// Runs hotfix with its standard error at a terminal of so many columns.
pub fn watch<S: AsRef<str>>(scenario: &Scenario, arguments: &[S], columns: u16) -> Watched {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).expect("ours");
    unlockpt(&ours).expect("ours");
    let size = Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&ours, size).expect("a terminal");
    let name = ptsname(&ours, Vec::new()).expect("a name");
    let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("it is there");
    let mut command = scenario.command(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(theirs);
    let child = command.spawn().expect("it starts");
    // It holds their end, too.
    drop(command);

    let mut parser = vt100::Parser::new(ROWS, columns, 0);
    let (mut written, mut screens) = (Vec::new(), Vec::new());
    let (mut ours, mut piece) = (File::from(ours), vec![0; 4096]);
    // An error is how a terminal ends.
    while let Ok(read @ 1..) = ours.read(&mut piece) {
        written.extend_from_slice(&piece[..read]);
        parser.process(&piece[..read]);
        screens.push(parser.screen().contents());
    }
    let output = child.wait_with_output().expect("it ends");
    Watched {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        written: String::from_utf8_lossy(&written).into_owned(),
        screens,
    }
}
