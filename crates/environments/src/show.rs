//! Status and history as text.

use std::fmt;

use crate::compare::{Change, Comparison, Side};
use crate::hotfix_id::HotfixId;
use crate::ledger::{Act, Kind, Move, Outcome, Record};
use crate::printable::printable;
use crate::promote::{self, Promoted};
use crate::propagate::{self, Propagated};
use crate::rollback::RolledBack;
use crate::status::{State, Status};

const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";
/// Digests are shown by so many characters, as engines do.
const SHORT: usize = 12;

/// A status, to be shown with or without colours.
#[derive(Debug)]
pub struct Shown<'a> {
    /// What is shown.
    pub status: &'a Status,
    /// Whether what is unsolved, or missing, is red.
    pub color: bool,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, color } = self;
        let mut table = Table::new(["environment", "version", "digest", "since", "by"], *color);
        for row in &status.environments {
            let version = match (&row.product, &row.version) {
                (Some(product), Some(version)) => format!("{product} {version}{}", if row.unsolved { "+" } else { "" }),
                _ if row.problem.is_some() && row.digest.is_some() => "(not the same for each platform)".to_owned(),
                _ if row.problem.is_some() => "(cannot be read)".to_owned(),
                _ if row.digest.is_some() => "(not made by hotfix)".to_owned(),
                _ => "(nothing)".to_owned(),
            };
            let name =
                if row.production { format!("{} (production)", row.environment) } else { row.environment.clone() };
            let digest = row.digest.as_deref().map_or("", short);
            let since = row.since.map(|since| since.strftime("%Y-%m-%d %H:%M").to_string()).unwrap_or_default();
            let by = row.by.clone().unwrap_or_default();
            table.row([
                (name, false),
                (version, row.unsolved),
                (digest.to_owned(), false),
                (since, false),
                (by, false),
            ]);
        }
        write!(f, "{table}")?;
        if !status.hotfixes.is_empty() {
            let names = status.environments.iter().map(|row| row.environment.as_str());
            let mut table = Table::new(["hotfix"].into_iter().chain(names).chain([""]), *color);
            for row in &status.hotfixes {
                let remark = match (row.solved, row.fixed_in) {
                    (true, _) => "solved".to_owned(),
                    (false, Some(level)) => format!("fixed in level {level}"),
                    (false, None) => String::new(),
                };
                let cells = row.environments.iter().map(|place| (place.state.word().to_owned(), place.state.is_bad()));
                table.row([(row.hotfix.to_string(), false)].into_iter().chain(cells).chain([(remark, false)]));
            }
            write!(f, "\n{table}")?;
        }
        if !status.drift.is_empty() {
            writeln!(f, "\nnot as it should be:")?;
            status.drift.iter().try_for_each(|line| writeln!(f, "  {}", printable(line)))?;
        }
        if !status.notes.is_empty() {
            writeln!(f, "\nto be known:")?;
            status.notes.iter().try_for_each(|line| writeln!(f, "  {}", printable(line)))?;
        }
        Ok(())
    }
}

impl State {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Missing => "missing",
            Self::Included => "included",
            Self::Other => "other content",
            Self::Elsewhere => "other version",
            Self::Unknown => "?",
        }
    }

    fn is_bad(self) -> bool {
        matches!(self, Self::Missing | Self::Other)
    }
}

/// Columns as wide as what is in them.
struct Table {
    rows: Vec<Vec<(String, bool)>>,
    color: bool,
}

impl Table {
    fn new<'a>(titles: impl IntoIterator<Item = &'a str>, color: bool) -> Self {
        Self { rows: vec![titles.into_iter().map(|title| (title.to_owned(), false)).collect()], color }
    }

    /// Cells with whether they are red.
    fn row(&mut self, cells: impl IntoIterator<Item = (String, bool)>) {
        self.rows.push(cells.into_iter().map(|(text, is_red)| (printable(&text), is_red)).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| self.rows.iter().map(|row| row[column].0.chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).map(|((text, is_red), width)| {
                let padding = " ".repeat(width - text.chars().count());
                if *is_red && self.color { format!("{RED}{text}{PLAIN}{padding}") } else { format!("{text}{padding}") }
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A line break in what others wrote would begin a record of its own.
        write!(f, "{}  {}: ", self.time.strftime("%Y-%m-%d %H:%M:%S"), printable(&self.actor.name))?;
        let because = |reason: &Option<String>| {
            reason.as_ref().map(|reason| format!(": {}", printable(reason))).unwrap_or_default()
        };
        match &self.act {
            Act::FixedIn { hotfix, level, version: None } => write!(f, "{hotfix} is fixed in update level {level}"),
            Act::FixedIn { hotfix, level, version: Some(version) } => {
                write!(f, "{hotfix} is fixed in {version}, update level {level}")
            }
            Act::Solved { hotfix, reason } => write!(f, "{hotfix} is solved{}", because(reason)),
            Act::Verified { place, digest, result } => {
                let result = if *result == Outcome::Pass { "passed" } else { "failed" };
                write!(f, "{}: tests of {} {result}", printable(&place.environment), short(digest))
            }
            Act::Approved { place, digest, reason } => {
                write!(f, "{}: {} approved: {}", printable(&place.environment), short(digest), printable(reason))
            }
            Act::Rejected { place, digest, reason } => {
                write!(f, "{}: {} rejected: {}", printable(&place.environment), short(digest), printable(reason))
            }
            Act::Promoted(moved) => write_move(f, moved, "promoted"),
            Act::Propagated(moved) => write_move(f, moved, "hotfixes propagated"),
            Act::RolledBack(moved) => write_move(f, moved, "rolled back"),
            Act::Begun { of: Kind::Promoted, moved } => write_move(f, moved, "promotion begun"),
            Act::Begun { of: Kind::Propagated, moved } => write_move(f, moved, "propagation begun"),
            Act::Begun { of: Kind::RolledBack, moved } => write_move(f, moved, "rollback begun"),
        }
    }
}

fn write_move(f: &mut fmt::Formatter<'_>, moved: &Move, what: &str) -> fmt::Result {
    write!(f, "{}: {what}", printable(&moved.place.environment))?;
    if let Some(from) = &moved.from {
        write!(f, " from {}", printable(from))?;
    }
    write!(f, ", {}", short(&moved.digest))?;
    if let Some(replaced) = &moved.replaced {
        write!(f, " in place of {}", short(replaced))?;
    }
    if let Some(tag) = &moved.version_tag {
        write!(f, ", as {}", printable(tag))?;
    }
    write_removed(f, &moved.removed)
}

fn write_removed(f: &mut fmt::Formatter<'_>, removed: &[HotfixId]) -> fmt::Result {
    match removed {
        [] => Ok(()),
        removed => {
            write!(f, ", without {}", removed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
    }
}

impl fmt::Display for Promoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, version, version_tag, .. } = self;
        let digest = short(&self.digest);
        match self.outcome {
            promote::Outcome::Unchanged => return write!(f, "{to} runs {version} ({digest}) already"),
            promote::Outcome::Tagged => {
                return write!(f, "{to} runs {version} ({digest}) already; its tag is {version_tag}");
            }
            promote::Outcome::Possible if self.replaced.as_ref() == Some(&self.digest) => {
                return write!(f, "{to} runs {version} ({digest}) already; its tag would be {version_tag}");
            }
            promote::Outcome::Done => {
                write!(f, "{to} runs {version} ({digest}) now, from {from}, tagged {version_tag}")?
            }
            promote::Outcome::Possible => {
                write!(f, "{to} would run {version} ({digest}), from {from}, tagged {version_tag}")?;
            }
        }
        match (&self.version_before, &self.replaced) {
            (Some(version), Some(replaced)) => write!(f, ", in place of {version} ({})", short(replaced))?,
            (None, Some(replaced)) => write!(f, ", in place of {}", short(replaced))?,
            (_, None) => {}
        }
        write_removed(f, &self.removed)
    }
}

impl fmt::Display for Propagated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hotfixes = self.hotfixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let digest = self.digest.as_deref().map(short).unwrap_or_default();
        write!(f, "{}: ", self.environment)?;
        match &self.outcome {
            propagate::Outcome::Done => write!(f, "has {hotfixes} now ({digest})"),
            propagate::Outcome::Possible => write!(f, "would get {hotfixes}"),
            propagate::Outcome::Unchanged => write!(f, "has them all ({digest})"),
            propagate::Outcome::Failed(reason) => write!(f, "failed: {reason}"),
            propagate::Outcome::Impossible(reason) if hotfixes.is_empty() => write!(f, "not possible: {reason}"),
            propagate::Outcome::Impossible(reason) => write!(f, "{hotfixes}: not possible: {reason}"),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Side { environment, digest, version } in [&self.from, &self.to] {
            writeln!(f, "{environment}: {} ({})", version.as_deref().unwrap_or("not made by hotfix"), short(digest))?;
        }
        for (side, hotfixes) in [(&self.from, &self.only_from), (&self.to, &self.only_to)] {
            if !hotfixes.is_empty() {
                writeln!(f, "only in {}: {}", side.environment, hotfixes.join(", "))?;
            }
        }
        match (&self.files, &self.remark) {
            (Some(files), _) if files.is_empty() => writeln!(f, "no files differ")?,
            (Some(_), _) => writeln!(f, "files, from {} to {}:", self.from.environment, self.to.environment)?,
            (None, Some(remark)) => writeln!(f, "files: {remark}")?,
            (None, None) => {}
        }
        for file in self.files.iter().flatten() {
            let sign = match file.change {
                Change::Changed => "~",
                Change::Added => "+",
                Change::Removed => "-",
            };
            let hotfix = file.hotfix.map(|number| format!("  (hf-{number})")).unwrap_or_default();
            writeln!(f, "  {sign} {}{hotfix}", file.path)?;
        }
        Ok(())
    }
}

impl fmt::Display for RolledBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = if self.dry_run { "would run" } else { "runs" };
        let (digest, replaced) = (short(&self.digest), short(&self.replaced));
        match &self.version {
            Some(version) => {
                write!(f, "{} {runs} {version} ({digest}) again, in place of {replaced}", self.environment)?
            }
            None => write!(f, "{} {runs} {digest} again, in place of {replaced}", self.environment)?,
        }
        write_removed(f, &self.removed)
    }
}

pub(crate) fn short(digest: &str) -> &str {
    let digest = digest.strip_prefix("sha256:").unwrap_or(digest);
    digest.get(..SHORT).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut table = Table::new(["a", "bb", ""], false);
        table.row([("xxx".to_owned(), true), ("é".to_owned(), false), (String::new(), false)]);
        assert_eq!(table.to_string(), "a    bb\nxxx  é\n");
        table.color = true;
        assert_eq!(table.to_string(), format!("a    bb\n{RED}xxx{PLAIN}  é\n"));
    }
}
