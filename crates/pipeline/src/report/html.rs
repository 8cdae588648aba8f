//! `report.html`: one file that fetches nothing, for phones, paper, light and dark.

use std::collections::BTreeMap;

use bytesize::ByteSize;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{HotfixReport, Outcome, Report, Status, StepReport};
use crate::pack::printable;

const STYLE: &str = include_str!("style.css");
const FILTER: &str = include_str!("filter.js");
/// So that a step that took no time is seen.
const THINNEST: f64 = 0.4;

impl Report {
    /// The report as a page.
    pub(super) fn html(&self) -> String {
        let title = self.title();
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (title) ": " (self.outcome.word()) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { (title) " " span class={ "badge " (self.outcome.word()) } { (self.outcome.word()) } }
                    (facts(self))
                    @if let Some(error) = &self.error {
                        h2 { "What failed" }
                        div .error {
                            strong { (error.step) ", exit code " (self.exit_code) } br;
                            (lines(&error.message)) br;
                            "Next: " (lines(&error.hint))
                        }
                    }
                    @if !self.warnings.is_empty() {
                        h2 { "Warnings" }
                        ul .warnings { @for warning in &self.warnings { li { (lines(warning)) } } }
                    }
                    h2 { "Steps" }
                    (timeline(&self.steps, self.seconds))
                    @if !self.hotfixes.is_empty() { (hotfixes(&self.hotfixes)) }
                }
            }
        };
        page.into_string()
    }
}

/// What somebody else has said, on as many lines.
fn lines(text: &str) -> Markup {
    html! { @for (position, line) in text.lines().enumerate() { @if position > 0 { br; } (printable(line)) } }
}

fn facts(report: &Report) -> Markup {
    html! {
        dl {
            dt { "Run" } dd { (report.started.strftime("%Y-%m-%d %H:%M UTC")) ", " (format!("{:.1} s", report.seconds)) ", hotfix " (report.made_by) }
            @if let Some(product) = &report.product {
                dt { "Product" } dd { (product.name) " " (product.version) " at update level " (product.update_level) }
            }
            @if let Some(pack) = &report.pack {
                dt { "Pack" } dd {
                    (printable(&pack.file)) ", " (ByteSize(pack.bytes))
                    @if let Some(sha256) = &pack.sha256 { br; code { (sha256) } }
                }
            }
            @if let Some(image) = &report.image {
                dt { "Image" } dd { @for tag in &image.tags { code { (tag) } br; } code { (image.digest.as_ref().unwrap_or(&image.id)) } }
                dt { "On" } dd { code { (printable(&image.base)) } }
                @if let Some(bytes) = image.hotfix_layer_bytes { dt { "Layer of the hotfixes" } dd { (ByteSize(bytes)) } }
            }
            @if let Some(changes) = report.changes.as_ref().filter(|changes| !changes.is_empty()) {
                dt { "Changed since" } dd { @for change in changes { (change) br; } }
            }
        }
    }
}

/// A bar for each step, where it was and as long as it took, in hundredths of the whole run.
fn timeline(steps: &[StepReport], total: f64) -> Markup {
    let end = |step: &StepReport| step.start.unwrap_or(0.0) + step.seconds;
    let whole = steps.iter().map(end).fold(total, f64::max).max(0.001);
    let part = |seconds: f64| 100.0 * seconds / whole;
    html! {
        div #timeline {
            @for step in steps {
                span { (step.name) }
                small { @if step.status == Status::Skipped { "skipped" } @else { (format!("{:.1} s", step.seconds)) } }
                svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label={ (step.name) ": " (step.status.word()) } {
                    rect .track width="100" height="10" {}
                    @if let (Some(start), Some(class)) = (step.start, bar(step.status)) {
                        rect class=(class) x=(format!("{:.2}", part(start).min(100.0 - THINNEST)))
                            width=(format!("{:.2}", part(step.seconds).max(THINNEST))) height="10" {
                            title { (step.name) ": " (step.status.word()) " in " (format!("{:.1} s", step.seconds)) }
                        }
                    }
                }
            }
        }
    }
}

fn bar(status: Status) -> Option<&'static str> {
    match status {
        Status::Passed | Status::Failed => Some(status.word()),
        Status::Skipped => None,
    }
}

fn hotfixes(hotfixes: &[HotfixReport]) -> Markup {
    let shared = shared(hotfixes);
    html! {
        h2 { "Hotfixes" }
        // Without scripts there is nothing to type into.
        input .filter hidden type="search" placeholder="Filter files, such as publisher or .jar" aria-label="Filter files";
        @for hotfix in hotfixes {
            details data-files open[hotfix.status == Status::Failed] {
                summary {
                    strong { (hotfix.number) } " " (printable(&hotfix.file)) " "
                    small {
                        @match hotfix.status {
                            Status::Passed => { (hotfix.changed) " changed, " (hotfix.added) " added, " (hotfix.removed) " removed" }
                            other => { (other.word()) }
                        }
                    }
                }
                @if let Some(sha256) = &hotfix.sha256 { code { (sha256) } }
                ul .files {
                    @for (sign, paths) in [("~", &hotfix.files.changed), ("+", &hotfix.files.added), ("−", &hotfix.files.removed)] {
                        @for path in paths { li { (sign) " " (printable(path)) } }
                    }
                }
            }
        }
        @if !shared.is_empty() {
            h2 { "Files of more than one hotfix" }
            div #shared data-files {
                ul .files { @for (path, numbers) in &shared { li { (printable(path)) " (" (numbers.join(", ")) ")" } } }
            }
        }
        script { (PreEscaped(FILTER)) }
    }
}

/// Files that more than one hotfix touches, with the numbers of those.
fn shared(hotfixes: &[HotfixReport]) -> BTreeMap<&str, Vec<String>> {
    let mut touched: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for hotfix in hotfixes {
        let files = [&hotfix.files.changed, &hotfix.files.added, &hotfix.files.removed];
        for path in files.into_iter().flatten() {
            touched.entry(path).or_default().push(hotfix.number.to_string());
        }
    }
    touched.retain(|_, numbers| numbers.len() > 1);
    touched
}

impl Outcome {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Unchanged => "unchanged",
            Self::Failure => "failure",
        }
    }
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}
