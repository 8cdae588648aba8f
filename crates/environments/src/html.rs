//! A status as one page: no scripts, nothing fetched, readable on a phone, in print, light and dark.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::status::{HotfixRow, Row, State, Status};

const STYLE: &str = "\
:root { color-scheme: light dark; --line: #8886; --applied: #2e7d32; --included: #1565c0; --missing: #c62828; --other: #ad6800; --unknown: #757575; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 1.5rem auto; max-width: 70rem; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem 1rem .3rem 0; text-align: left; vertical-align: top; white-space: nowrap; }
small { display: block; opacity: .75; white-space: normal; }
.unsolved, .drift { color: light-dark(var(--missing), #ff8a80); font-weight: 600; }
svg text { font: 13px system-ui, sans-serif; fill: currentColor; }
svg .in { fill: #fff; text-anchor: middle; }
.legend span { display: inline-block; margin-right: 1.2rem; }
.legend i { display: inline-block; width: .9em; height: .9em; margin-right: .4em; vertical-align: -.1em; }
@media print { body { margin: 0; } svg .in { fill: #000; } }
";
const STATES: [State; 6] =
    [State::Applied, State::Included, State::Missing, State::Other, State::Elsewhere, State::Unknown];
/// Of the picture, in pixels.
const NAME_WIDTH: usize = 190;
const CELL: (usize, usize) = (104, 30);
const HEAD: usize = 30;

impl Status {
    /// The page, as things were at `time`.
    pub fn html(&self, time: Timestamp) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { "Hotfixes by environment" }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { "Hotfixes by environment" }
                    p { "As of " (time.strftime("%Y-%m-%d %H:%M UTC")) }
                    div .wide { (environments(&self.environments)) }
                    @if !self.hotfixes.is_empty() {
                        h2 { "Where the hotfixes are" }
                        div .wide { (matrix(&self.environments, &self.hotfixes)) }
                        p .legend {
                            @for state in STATES { span { i style={ "background: " (color(state)) } {} (state.word()) } }
                            span { "✓ solved" }
                        }
                    }
                    @if !self.notes.is_empty() {
                        h2 { "To be known" }
                        ul { @for line in &self.notes { li { (line) } } }
                    }
                    @if !self.drift.is_empty() {
                        h2 { "Not as it should be" }
                        ul .drift { @for line in &self.drift { li { (line) } } }
                    }
                }
            }
        };
        page.into_string()
    }
}

fn environments(rows: &[Row]) -> Markup {
    html! {
        table {
            thead { tr { @for title in ["Environment", "Runs", "Digest", "Since", "By"] { th { (title) } } } }
            tbody {
                @for row in rows {
                    tr {
                        td { (row.environment) @if row.production { " (production)" } small { (breakable(&row.image)) } }
                        td .unsolved[row.unsolved] {
                            @match (&row.product, &row.version) {
                                (Some(product), Some(version)) => { (product) " " (version) @if row.unsolved { "+" } },
                                _ if row.problem.is_some() => span .drift title=[row.problem.as_deref()] { "cannot be read" },
                                _ if row.digest.is_some() => { "not made by hotfix" },
                                _ => { "nothing" },
                            }
                        }
                        td { code title=[row.digest.as_deref()] { (row.digest.as_deref().map(crate::show::short).unwrap_or_default()) } }
                        td { @if let Some(since) = row.since { (since.strftime("%Y-%m-%d %H:%M UTC")) } }
                        td { (row.by.as_deref().unwrap_or_default()) }
                    }
                }
            }
        }
    }
}

/// A name that can go on in the next line after each of its parts.
fn breakable(name: &str) -> Markup {
    html! { @for part in name.split_inclusive(['/', ':']) { (part) wbr; } }
}

/// Hotfixes down, environments across.
fn matrix(environments: &[Row], hotfixes: &[HotfixRow]) -> Markup {
    let (width, height) = (NAME_WIDTH + environments.len() * CELL.0, HEAD + hotfixes.len() * CELL.1);
    let x = |column: usize| NAME_WIDTH + column * CELL.0;
    let y = |row: usize| HEAD + row * CELL.1;
    html! {
        svg width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } role="img" aria-label="Which hotfix is in which environment" {
            @for (column, environment) in environments.iter().enumerate() {
                text x=(x(column) + CELL.0 / 2) y=(HEAD - 10) text-anchor="middle" { (environment.environment) }
            }
            @for (number, row) in hotfixes.iter().enumerate() {
                text x="0" y=(y(number) + 20) { (row.hotfix) @if row.solved { " ✓" } }
                @for (column, place) in row.environments.iter().enumerate() {
                    rect x=(x(column) + 2) y=(y(number) + 2) width=(CELL.0 - 4) height=(CELL.1 - 4) rx="4" style={ "fill: " (color(place.state)) } {
                        title { (row.hotfix) " in " (place.environment) ": " (place.state.word()) }
                    }
                    text .in x=(x(column) + CELL.0 / 2) y=(y(number) + 20) { (place.state.word()) }
                }
            }
        }
    }
}

fn color(state: State) -> &'static str {
    match state {
        State::Applied => "var(--applied)",
        State::Included => "var(--included)",
        State::Missing => "var(--missing)",
        State::Other => "var(--other)",
        State::Elsewhere | State::Unknown => "var(--unknown)",
    }
}
