//! Work that takes time, as whoever waits for it may want to see it. Those who work say how far they are, those who show it ask for it;
//! neither knows the other.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bollard::models::ProgressDetail;

static TASKS: Mutex<Vec<Arc<State>>> = Mutex::new(Vec::new());

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things, one by one.
    Items,
}

#[derive(Debug)]
struct State {
    what: Mutex<String>,
    unit: Unit,
    done: AtomicU64,
    total: AtomicU64,
    since: Instant,
}

/// Work that is going on, as long as this is not dropped.
#[derive(Debug, Clone)]
pub struct Task {
    state: Arc<State>,
    _listed: Arc<Listed>,
}

/// Takes a task off the list.
#[derive(Debug)]
struct Listed(Arc<State>);

impl Drop for Listed {
    fn drop(&mut self) {
        tasks().retain(|task| !Arc::ptr_eq(task, &self.0));
    }
}

fn tasks() -> MutexGuard<'static, Vec<Arc<State>>> {
    TASKS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Task {
    /// Begins `what` (such as "unpacking the pack"), which has `total` bytes; 0 where nobody knows.
    pub fn bytes(what: impl Into<String>, total: u64) -> Self {
        Self::begin(what.into(), Unit::Bytes, total)
    }

    /// Begins `what`, which has `total` parts.
    pub fn items(what: impl Into<String>, total: u64) -> Self {
        Self::begin(what.into(), Unit::Items, total)
    }

    fn begin(what: String, unit: Unit, total: u64) -> Self {
        let (done, total) = (AtomicU64::new(0), AtomicU64::new(total));
        let state = Arc::new(State { what: Mutex::new(what), unit, done, total, since: Instant::now() });
        tasks().push(Arc::clone(&state));
        let listed = Arc::new(Listed(Arc::clone(&state)));
        Self { state, _listed: listed }
    }

    /// So much more is done.
    pub fn add(&self, more: u64) {
        self.state.done.fetch_add(more, Ordering::Relaxed);
    }

    /// So much is done, of so much that there is.
    pub fn set(&self, done: u64, total: u64) {
        self.state.done.store(done, Ordering::Relaxed);
        self.state.total.store(total, Ordering::Relaxed);
    }

    /// What is being done now.
    pub fn rename(&self, what: impl Into<String>) {
        *self.state.what.lock().unwrap_or_else(PoisonError::into_inner) = what.into();
    }

    /// Counts what is read from `inner` or written to it.
    pub fn count<T>(&self, inner: T) -> Counted<T> {
        Counted { inner, task: self.clone() }
    }
}

/// What engines say of the layers that they send or fetch, put together.
#[derive(Debug)]
pub(crate) struct Transfers {
    task: Task,
    /// Bytes done and in all, by layer.
    layers: BTreeMap<String, (u64, u64)>,
}

impl Transfers {
    pub(crate) fn begin(what: impl Into<String>) -> Self {
        Self { task: Task::bytes(what, 0), layers: BTreeMap::new() }
    }

    /// Takes note of what is said of the layer `id`. Where engines do not say which one it is, its length tells it.
    pub(crate) fn note(&mut self, id: Option<String>, detail: Option<&ProgressDetail>) {
        let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        let Some(detail) = detail else { return };
        let (Some(done), Some(total)) = (number(detail.current), number(detail.total)) else { return };
        self.layers.insert(id.unwrap_or_else(|| total.to_string()), (done.min(total), total));
        let sum = |one: fn(&(u64, u64)) -> u64| self.layers.values().map(one).fold(0, u64::saturating_add);
        self.task.set(sum(|layer| layer.0), sum(|layer| layer.1));
    }
}

/// A reader or writer by which a task goes on.
#[derive(Debug)]
pub struct Counted<T> {
    inner: T,
    task: Task,
}

impl<T: Read> Read for Counted<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.task.add(read as u64);
        Ok(read)
    }
}

impl<T: Write> Write for Counted<T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.task.add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub what: String,
    /// What is counted.
    pub unit: Unit,
    /// So much is done; no more than the total, where that is known.
    pub done: u64,
    /// So much there is; none where nobody knows.
    pub total: Option<u64>,
    /// Since when.
    pub since: Instant,
}

/// The work that was begun last, and is going on.
pub fn current() -> Option<Progress> {
    let state = Arc::clone(tasks().last()?);
    let total = Some(state.total.load(Ordering::Relaxed)).filter(|total| *total > 0);
    let done = state.done.load(Ordering::Relaxed);
    Some(Progress {
        what: state.what.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        unit: state.unit,
        // What is sent twice is counted twice.
        done: total.map_or(done, |total| done.min(total)),
        total,
        since: state.since,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, since the list is everybody's.
    #[test]
    fn the_last_that_goes_on_is_shown() {
        let outer = Task::items("hotfixes", 3);
        let inner = Task::bytes("sending", 0);
        io::copy(&mut inner.count(io::repeat(1).take(70)), &mut inner.count(io::sink())).expect("memory");
        let shown = |progress: &Progress| (progress.what.clone(), progress.done, progress.total);
        assert_eq!(current().as_ref().map(shown), Some(("sending".to_owned(), 140, None)));
        inner.set(150, 120);
        assert_eq!(current().as_ref().map(shown), Some(("sending".to_owned(), 120, Some(120))));
        let second = inner.clone();
        drop(inner);
        assert_eq!(current().map(|progress| progress.what), Some("sending".to_owned()), "somebody still holds it");
        drop(second);
        outer.add(1);
        outer.rename("hotfix 2");
        assert_eq!(current().as_ref().map(shown), Some(("hotfix 2".to_owned(), 1, Some(3))));
        drop(outer);
        assert_eq!(current(), None);

        let mut transfers = Transfers::begin("pushing");
        let said = |current, total| ProgressDetail { current: Some(current), total: Some(total) };
        for (id, detail) in [(None, said(5, 10)), (None, said(7, 10)), (Some("b"), said(30, 20)), (None, said(-1, 9))] {
            transfers.note(id.map(str::to_owned), Some(&detail));
        }
        transfers.note(None, None);
        assert_eq!(current().as_ref().map(shown), Some(("pushing".to_owned(), 27, Some(30))));
    }
}
