//! Being asked to stop: HUP, INT and TERM become one token that every long task watches.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::step::{Kind, Problem};

/// After this long a run that was asked to stop is ended as it is.
const LAST_RESORT: Duration = Duration::from_secs(15);

/// The signals that end a run in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// From a terminal that is closed.
    Hup,
    /// From a terminal.
    Int,
    /// From a scheduler.
    Term,
}

impl Signal {
    /// 128 and the signal's number, as shells report it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Hup => 129,
            Self::Int => 130,
            Self::Term => 143,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Hup => "HUP",
            Self::Int => "INT",
            Self::Term => "TERM",
        }
    }
}

/// Whether and by what the run was interrupted.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    token: CancellationToken,
    signal: Arc<OnceLock<Signal>>,
}

impl Interrupt {
    /// Listens for HUP, INT and TERM from now on; under `nohup` not for HUP.
    ///
    /// # Errors
    /// Where the system does not let us listen.
    pub fn listen() -> std::io::Result<Self> {
        let interrupt = Self::default();
        let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut hup = (!is_ignored(SignalKind::hangup())).then(|| signal(SignalKind::hangup())).transpose()?;
        // A limit on the length of files is an error of whoever writes, not the end of us. Whom we start, it ends as ever.
        drop(signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?);
        let listening = interrupt.clone();
        tokio::spawn(async move {
            let signal = tokio::select! {
                Some(_) = async { hup.as_mut()?.recv().await } => Signal::Hup,
                _ = int.recv() => Signal::Int,
                _ = term.recv() => Signal::Term,
            };
            warn!("{} received, stopping", signal.name());
            // Set before the token is cancelled, so whoever sees the token finds the reason.
            let _ = listening.signal.set(signal);
            listening.token.cancel();
            // Nothing may keep us: a file system that hangs does not listen to tokens.
            std::thread::spawn(move || {
                std::thread::sleep(LAST_RESORT);
                std::process::exit(signal.exit_code().into());
            });
        });
        Ok(interrupt)
    }

    /// A token that is cancelled with the run, and can be cancelled alone.
    pub fn child_token(&self) -> CancellationToken {
        self.token.child_token()
    }

    /// Waits until there is a signal.
    pub async fn stopped(&self) {
        self.token.cancelled().await;
    }

    /// The signal that was received, if one was.
    pub fn signal(&self) -> Option<Signal> {
        self.signal.get().copied()
    }

    /// The problem that an interrupted step reports, if there was a signal.
    pub fn problem(&self) -> Option<Problem> {
        let signal = self.signal()?;
        let message = format!("stopped by {}", signal.name());
        Some(Problem::new(message, "run the same command again").of_kind(Kind::Interrupted(signal)))
    }
}

/// Whether whoever started us wants the signal to pass; Linux tells, elsewhere it is not known.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}
