//! What a section gives: text and tables for the page, targets with what was measured, and figures for the plots.

use crate::figures::{Ratio, UNKNOWN};
use crate::plot::{Bar, Chart};
use crate::table::Table;

/// A part of the page.
#[derive(Debug, Clone, Default)]
pub struct Chapter {
    /// Its title.
    pub title: String,
    /// What is in it, in order.
    pub parts: Vec<Part>,
    /// What it measured against a target.
    pub targets: Vec<Target>,
    /// Its ratios, for the plot of all of them.
    pub bars: Vec<Bar>,
}

/// A part of a [`Chapter`].
#[derive(Debug, Clone)]
pub enum Part {
    /// A paragraph.
    Text(String),
    /// A table.
    Table(Table),
    /// A plot of its own.
    Chart(Chart),
}

impl Chapter {
    /// With nothing in it.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    /// Adds a paragraph.
    pub fn text(&mut self, text: impl Into<String>) {
        self.parts.push(Part::Text(text.into()));
    }

    /// Adds a table.
    pub fn table(&mut self, table: Table) {
        self.parts.push(Part::Table(table));
    }

    /// Adds a plot.
    pub fn chart(&mut self, chart: Chart) {
        self.parts.push(Part::Chart(chart));
    }

    /// Adds a target for a ratio, and the ratio to the plot.
    pub fn ratio(&mut self, what: &str, ratio: Option<Ratio>, target: Option<f64>) {
        if let Some(least) = target {
            self.targets.push(Target {
                what: what.to_owned(),
                bound: format!("at least {least} ×"),
                measured: Ratio::written(ratio),
                holds: ratio.map(|ratio| ratio.of_medians >= least),
            });
        }
        if let Some(ratio) = ratio {
            self.bars.push(Bar { label: what.to_owned(), ratio, target });
        }
    }

    /// Adds a target for something that must not be more than `bound`; both are written by `write`.
    pub fn at_most(&mut self, what: &str, measured: Option<f64>, bound: f64, write: impl Fn(f64) -> String) {
        self.targets.push(Target {
            what: what.to_owned(),
            bound: format!("at most {}", write(bound)),
            measured: measured.map_or_else(|| UNKNOWN.to_owned(), &write),
            holds: measured.map(|measured| measured <= bound),
        });
    }
}

/// A target, and whether it was reached.
#[derive(Debug, Clone)]
pub struct Target {
    /// What was measured.
    pub what: String,
    /// What is wanted of it.
    pub bound: String,
    /// What it came to.
    pub measured: String,
    /// Whether that is what is wanted; `None` where it could not be measured.
    pub holds: Option<bool>,
}

impl Target {
    /// In words.
    pub fn verdict(&self) -> &'static str {
        match self.holds {
            Some(true) => "holds",
            Some(false) => "**does not hold**",
            None => "not measured",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Figures, seconds};

    #[test]
    fn verdicts_follow_from_what_was_measured() {
        let mut chapter = Chapter::new("x");
        let ratio = Ratio::of(&Figures(vec![10.0]), &Figures(vec![4.0]));
        chapter.ratio("a", ratio, Some(2.5));
        chapter.ratio("b", ratio, Some(2.6));
        chapter.ratio("c", None, Some(1.0));
        chapter.ratio("d", ratio, None);
        chapter.at_most("e", Some(0.31), 0.3, seconds);
        let verdicts: Vec<_> = chapter.targets.iter().map(|target| (target.what.as_str(), target.holds)).collect();
        assert_eq!(verdicts, [("a", Some(true)), ("b", Some(false)), ("c", None), ("e", Some(false))]);
        assert_eq!(chapter.bars.len(), 3);
    }
}
