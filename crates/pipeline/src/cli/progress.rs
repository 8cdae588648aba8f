//! What is going on, for those who wait: on a terminal a line that moves and one for each finished step, elsewhere a line of the log from
//! time to time.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use hotfix_docker::progress::{Progress, Unit, current};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::{Event, Level, Subscriber, info};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::args::{Format, Talk};
use super::output::{is_dumb, use_color};
use crate::pack::printable;
use crate::recorder::Observer;
use crate::step::Step;

/// What takes no longer is over before it is read.
const SHORT: Duration = Duration::from_millis(500);
const REDRAWN: Duration = Duration::from_millis(100);
/// Some CI systems end what is silent for long; people do so earlier.
const LONGEST_SILENCE: Duration = Duration::from_secs(25);
/// Columns; where there are fewer, words are worth more than a bar.
const ROOM_FOR_A_BAR: u16 = 72;

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const YELLOW: &str = "\u{1b}[33m";
const PLAIN: &str = "\u{1b}[0m";

static DISPLAY: OnceLock<Display> = OnceLock::new();
static NOW: Mutex<Now> = Mutex::new(Now { bar: None, step: None, last_line: None });

/// How a run is shown.
#[derive(Debug, Clone, Copy)]
struct Display {
    /// Steps have lines of their own, and the log has no more than it must.
    is_plain: bool,
    has_color: bool,
    is_unicode: bool,
}

/// What is on the screen.
struct Now {
    /// The line that moves, while it can be seen.
    bar: Option<ProgressBar>,
    step: Option<(Step, Instant)>,
    last_line: Option<Instant>,
}

fn now() -> MutexGuard<'static, Now> {
    NOW.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Decides how the run is shown, before anything is.
pub(super) fn start(talk: &Talk) {
    let is_terminal = talk.log_format == Format::Text && !talk.quiet && !is_dumb() && io::stderr().is_terminal();
    let display = Display {
        is_plain: is_terminal && talk.verbose == 0,
        has_color: use_color(talk, &io::stderr()),
        is_unicode: is_unicode(),
    };
    if DISPLAY.set(display).is_ok() && !talk.quiet {
        now().last_line = Some(Instant::now());
        let (pause, show): (Duration, fn(Display)) = match is_terminal {
            true => (REDRAWN, redraw),
            false => (Duration::from_secs(1), speak_up),
        };
        // It ends with the program. Where there is no thread to be had, there is more to worry about.
        let _ = thread::Builder::new().name("progress".to_owned()).spawn(move || {
            loop {
                thread::sleep(pause);
                show(display);
            }
        });
    }
}

/// Takes the moving line away: what it was about has ended.
pub(super) fn end() {
    let mut now = now();
    now.step = None;
    clear(&mut now);
}

/// Whether each finished step has a line of its own.
pub(super) fn is_plain() -> bool {
    DISPLAY.get().is_some_and(|display| display.is_plain)
}

/// Lets `write` write, with the moving line out of the way.
pub(super) fn beside<T>(write: impl FnOnce() -> T) -> T {
    let mut now = now();
    now.last_line = Some(Instant::now());
    match &now.bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Whether the locale has other letters than those of ASCII.
fn is_unicode() -> bool {
    let named = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(std::env::var_os).find(|name| !name.is_empty());
    named.is_some_and(|name| {
        let name = name.to_string_lossy().to_ascii_lowercase();
        name.ends_with("utf-8") || name.ends_with("utf8")
    })
}

/// What there is to be seen, if it has gone on for long enough.
fn seen(now: &Now) -> Option<(String, Option<Progress>, Duration)> {
    let task = current();
    let task_since = task.as_ref().map(|task| task.since);
    let since = match (now.step, task_since) {
        (Some((_, since)), _) | (None, Some(since)) => since,
        (None, None) => return None,
    };
    let name = now.step.map_or("hotfix", |(step, _)| step.name());
    Some((name.to_owned(), task, since.elapsed())).filter(|(_, _, time)| *time >= SHORT)
}

fn redraw(display: Display) {
    let mut now = now();
    let Some((name, task, time)) = seen(&now) else { return clear(&mut now) };
    let bar = now.bar.get_or_insert_with(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()));
    let known = task.as_ref().and_then(|task| Some((task.done, task.total?)));
    bar.set_style(style(display, known.is_some()));
    let (done, total) = known.unwrap_or_default();
    bar.set_length(total);
    bar.set_position(done);
    bar.set_prefix(name);
    // What is cut off where there is no room is what does not move.
    let (amount, what) = task.as_ref().map(|task| (amount(task), printable(&task.what))).unwrap_or_default();
    let words = [amount, seconds(time), what];
    bar.set_message(words.into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join("  "));
    bar.tick();
}

fn clear(now: &mut Now) {
    if let Some(bar) = now.bar.take() {
        bar.finish_and_clear();
    }
}

fn style(display: Display, has_total: bool) -> ProgressStyle {
    let width = rustix::termios::tcgetwinsize(io::stderr()).map_or(80, |size| size.ws_col);
    let template = match has_total && width >= ROOM_FOR_A_BAR {
        true => "{spinner} {prefix} [{bar:20}] {wide_msg}",
        false => "{spinner} {prefix}  {wide_msg}",
    };
    let (turns, bar) =
        if display.is_unicode { ("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ", "━╸ ") } else { ("|/-\\ ", "=> ") };
    // Both templates are right, as the tests see them.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    style.tick_chars(turns).progress_chars(bar)
}

/// Off a terminal: a line where there was none for long.
fn speak_up(_: Display) {
    let now = now();
    let is_silent = now.last_line.is_none_or(|last| last.elapsed() >= LONGEST_SILENCE);
    let Some((name, task, time)) = seen(&now).filter(|_| is_silent) else { return };
    drop(now);
    let (amount, what) = task.map(|task| (amount(&task), printable(&task.what))).unwrap_or_default();
    let words = [format!("{name}: still at work after {}", seconds(time)), what, amount];
    info!("{}", words.into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join(": "));
}

/// How much of a task is done, in words; nothing where its name says it.
fn amount(task: &Progress) -> String {
    match (task.unit, task.total) {
        (Unit::Items, _) => String::new(),
        (_, None) if task.done == 0 => String::new(),
        (_, None) => ByteSize(task.done).to_string(),
        (_, Some(total)) => {
            let percent = task.done.saturating_mul(100) / total.max(1);
            format!("{percent} %, {} of {}", ByteSize(task.done), ByteSize(total))
        }
    }
}

fn seconds(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// The steps of a run: where each is, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// Those that took no time, and have no line yet.
    checked: Mutex<Vec<Step>>,
    told: Mutex<Vec<Step>>,
}

impl Observer for Steps {
    fn passed(&self, step: Step) {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !checked.contains(&step) && !told.contains(&step) {
            checked.push(step);
        }
    }

    fn began(&self, step: Step) {
        let checked = std::mem::take(&mut *self.checked.lock().unwrap_or_else(PoisonError::into_inner));
        if !checked.is_empty() {
            let names: Vec<&str> = checked.iter().map(|step| step.name()).collect();
            line(true, &names.join(", "));
            self.told.lock().unwrap_or_else(PoisonError::into_inner).extend(checked);
        }
        now().step = Some((step, Instant::now()));
    }

    fn ended(&self, step: Step, has_passed: bool, time: Duration) {
        end();
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(step);
        line(has_passed, &format!("{step}  {:.1} s", time.as_secs_f64()));
    }
}

/// The line of a finished step.
fn line(has_passed: bool, text: &str) {
    let Some(display) = DISPLAY.get().filter(|display| display.is_plain) else { return };
    let mark = match (has_passed, display.is_unicode) {
        (true, true) => "✓",
        (true, false) => "ok",
        (false, true) => "✗",
        (false, false) => "failed",
    };
    let color = if has_passed { GREEN } else { RED };
    let (color, plain) = if display.has_color { (color, PLAIN) } else { ("", "") };
    // There is nowhere else to say it.
    let _ = beside(|| writeln!(io::stderr(), "{color}{mark}{plain} {text}"));
}

/// Where the log goes.
#[derive(Debug)]
pub(super) struct Beside;

impl Write for Beside {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        beside(|| io::stderr().write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The log for people at a terminal: words, and no more.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) has_color: bool,
}

impl<S, N> FormatEvent<S, N> for Words
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (yellow, plain) = if self.has_color { (YELLOW, PLAIN) } else { ("", "") };
        match *event.metadata().level() {
            Level::ERROR | Level::WARN => write!(to, "{yellow}warning:{plain} ")?,
            _ => write!(to, "  ")?,
        }
        context.field_format().format_fields(to.by_ref(), event)?;
        writeln!(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_told_in_words() {
        let task = |unit, done, total| Progress { what: "x".into(), unit, done, total, since: Instant::now() };
        for (unit, done, total, expected) in [
            (Unit::Items, 1, Some(3), ""),
            (Unit::Bytes, 0, None, ""),
            (Unit::Bytes, 1 << 20, None, "1.0 MiB"),
            (Unit::Bytes, 0, Some(3 << 20), "0 %, 0 B of 3.0 MiB"),
            (Unit::Bytes, 1 << 20, Some(3 << 20), "33 %, 1.0 MiB of 3.0 MiB"),
        ] {
            assert_eq!(amount(&task(unit, done, total)), expected);
        }
        assert_eq!(seconds(Duration::from_secs(59)), "59 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 5 s");
    }
}
