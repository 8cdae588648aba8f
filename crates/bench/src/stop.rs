//! Being asked to stop: INT and TERM end the child that is being measured, and then the program in good order, so that
//! images and folders go.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::signal::unix::{SignalKind, signal};

static ASKED: AtomicBool = AtomicBool::new(false);
/// The process group that is being measured; 0 for none.
static CURRENT: AtomicI32 = AtomicI32::new(0);

/// Listens for INT and TERM from now on, on a thread of its own.
///
/// # Errors
/// Where the system does not let us listen.
pub fn listen() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut int, mut term) = {
        let _guard = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = int.recv() => {}
                    _ = term.recv() => {}
                }
                ASKED.store(true, Ordering::SeqCst);
                end_current();
            }
        });
    });
    Ok(())
}

fn end_current() {
    if let Some(group) = Pid::from_raw(CURRENT.load(Ordering::SeqCst)) {
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::TERM);
    }
}

/// Whether to go on.
///
/// # Errors
/// Where it was asked to stop.
pub fn check() -> Result<()> {
    if ASKED.load(Ordering::SeqCst) {
        bail!("stopped by a signal");
    }
    Ok(())
}

/// A child in a process group of its own, ended when we are asked to stop.
#[derive(Debug)]
pub struct Watched(());

impl Watched {
    /// Watches the group `id`, until the value is dropped.
    pub fn new(id: u32) -> Self {
        CURRENT.store(id.cast_signed(), Ordering::SeqCst);
        if ASKED.load(Ordering::SeqCst) {
            end_current();
        }
        Self(())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        CURRENT.store(0, Ordering::SeqCst);
    }
}
