//! Answers to stdout, everything else to stderr.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use serde::Serialize;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::args::{Color, Format, Talk};
use super::github;
use super::progress::{self, Beside, Words, beside};
use super::warnings::Collector;
use crate::pack::printable;
use crate::recorder::STEP_LINES;
use crate::step::{DEFECT, DONE, Failure};

const RED: &str = "\u{1b}[1;31m";
const CYAN: &str = "\u{1b}[36m";
const PLAIN: &str = "\u{1b}[0m";

/// Sends the log to stderr. Other crates speak up only where something is wrong: at lower levels they show requests.
pub(super) fn start_logging(talk: &Talk) {
    // Before anything else is said.
    github::commands();
    progress::start(talk);
    let verbose = talk.verbose.max(u8::from(github::wants_debug()));
    let level = match (talk.quiet, verbose) {
        (true, _) => Level::WARN,
        (false, 0) => Level::INFO,
        (false, 1) => Level::DEBUG,
        (false, _) => Level::TRACE,
    };
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        // It logs as an error what we report with what to do about it.
        .with_target("rustls_platform_verifier", LevelFilter::OFF)
        .with_targets([("hotfix_pipeline", level), ("hotfix_docker", level), ("hotfix_environments", level)]);
    let steps = if progress::is_plain() { LevelFilter::OFF } else { level.into() };
    let filter = filter.with_target(STEP_LINES, steps);
    let has_color = use_color(talk, &io::stderr());
    let layer = tracing_subscriber::fmt::layer().with_writer(|| Beside).with_ansi(has_color).with_target(false);
    let registry = tracing_subscriber::registry().with(filter).with(Collector);
    // Set already where a test or an example has done so.
    let _ = match talk.log_format {
        Format::Json => registry.with(layer.json()).try_init(),
        Format::Text if progress::is_plain() => registry.with(layer.event_format(Words { has_color })).try_init(),
        Format::Text => registry.with(layer.with_timer(Elapsed(Instant::now()))).try_init(),
    };
}

/// Seconds since the start: CI adds the time of day itself.
struct Elapsed(Instant);

impl FormatTime for Elapsed {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{:>7.2}s", self.0.elapsed().as_secs_f64())
    }
}

/// Whether what goes to `stream` has colours.
pub(super) fn use_color(talk: &Talk, stream: &impl IsTerminal) -> bool {
    match talk.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            stream.is_terminal() && !is_unwanted && !is_dumb()
        }
    }
}

/// Whether the terminal, where there is one, knows nothing but lines.
pub(super) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// The answer to a question; returns the exit code. It can hold what somebody else has said, control characters and all.
pub(super) fn answer(talk: &Talk, answer: &(impl Serialize + Display)) -> u8 {
    answer_as(talk, answer, || answer.to_string().trim_end().split('\n').map(printable).collect::<Vec<_>>().join("\n"))
}

/// As [`answer`], of one that has colours, and has made the rest of itself fit for a terminal.
pub(super) fn colored_answer(talk: &Talk, answer: &(impl Serialize + Display)) -> u8 {
    answer_as(talk, answer, || answer.to_string().trim_end().to_owned())
}

fn answer_as(talk: &Talk, answer: &impl Serialize, text: impl FnOnce() -> String) -> u8 {
    match talk.format {
        Format::Json => lines(talk, &[serde_json::to_string_pretty(answer).unwrap_or_default()]),
        Format::Text => lines(talk, &[text()]),
    }
}

/// Lines of an answer; returns the exit code. A reader that is gone has what it wants, a full disk has not.
pub(super) fn lines(talk: &Talk, lines: &[impl Display]) -> u8 {
    let written = beside(|| {
        let mut stdout = io::stdout().lock();
        lines.iter().try_for_each(|line| writeln!(stdout, "{line}")).and_then(|()| stdout.flush())
    });
    match written {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            let chain = ["the answer could not be written to standard output".to_owned(), cause.to_string()];
            error(talk, &chain, "see where standard output goes; the work itself is done");
            DEFECT
        }
        _ => DONE,
    }
}

/// A failed run: the step, what failed, why, what to do next.
pub(super) fn failure(talk: &Talk, failure: &Failure) {
    let mut chain = failure.chain();
    if let Some(first) = chain.first_mut() {
        *first = format!("{}: {first}", failure.step);
    }
    error_of(&format!("hotfix: {}", failure.step), talk, &chain, failure.problem.hint());
}

/// One line that starts with `error:`, then causes, then what to do next.
pub(super) fn error(talk: &Talk, chain: &[String], hint: &str) {
    error_of("hotfix", talk, chain, hint);
}

fn error_of(title: &str, talk: &Talk, chain: &[String], hint: &str) {
    if let Some(commands) = github::commands() {
        let next = if hint.is_empty() { String::new() } else { format!("\nnext: {}", fit_for_a_terminal(hint)) };
        let causes: Vec<String> = chain.iter().map(|message| fit_for_a_terminal(message)).collect();
        commands.error(title, &(causes.join("\n") + &next));
    }
    if talk.log_format == Format::Json {
        // Fields of a log line hold no lists: a line for each.
        let causes = chain.get(1..).unwrap_or_default().join("\n");
        tracing::error!(causes, hint, "error: {}", chain.first().map_or("", String::as_str));
        return;
    }
    let (red, cyan, plain) = if use_color(talk, &io::stderr()) { (RED, CYAN, PLAIN) } else { ("", "", "") };
    let say = |line: String| {
        // There is nowhere else to say it.
        let _ = beside(|| writeln!(io::stderr(), "{line}"));
    };
    for (position, message) in chain.iter().enumerate() {
        let indented = fit_for_a_terminal(message);
        say(if position == 0 { format!("{red}error:{plain} {indented}") } else { format!("  cause: {indented}") });
    }
    if !hint.is_empty() {
        say(format!("  {cyan}next:{plain} {}", fit_for_a_terminal(hint)));
    }
}

/// A cause can hold what somebody else has said, control characters and all.
fn fit_for_a_terminal(message: &str) -> String {
    message.split('\n').map(printable).collect::<Vec<_>>().join("\n    ")
}
