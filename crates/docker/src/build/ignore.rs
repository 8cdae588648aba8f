//! Which files of a folder a `.dockerignore` leaves out.
//!
//! The rules are Docker's, not git's: patterns start at the context's root, a pattern that fits a folder fits all that is
//! in it, and of several that fit the last one counts.

use std::path::Path;

use crate::{Error, Result, files};

/// What a `.dockerignore` says, in its order.
#[derive(Debug, Clone, Default)]
pub struct Ignore(Vec<Pattern>);

/// One line.
#[derive(Debug, Clone)]
struct Pattern {
    parts: Vec<Part>,
    /// Whether what fits is kept (`!`), not left out.
    keeps: bool,
}

#[derive(Debug, Clone)]
enum Part {
    Char(char),
    /// `?`
    AnyChar,
    /// `[…]`, as ranges, and whether it is what is not in them.
    Class(Vec<(char, char)>, bool),
    /// `*`
    Star,
    /// `**` before more: nothing, or any number of folders.
    Folders,
    /// `**` at the end.
    Everything,
}

impl Ignore {
    /// What `<dockerfile>.dockerignore` says, else `.dockerignore` in `folder`, else nothing.
    ///
    /// # Errors
    /// Where the file cannot be read, or holds what is no pattern.
    pub fn of(folder: &Path, dockerfile: &str) -> Result<Self> {
        for name in [format!("{dockerfile}.dockerignore"), ".dockerignore".to_owned()] {
            let file = folder.join(name);
            match files::read_text(&file) {
                Ok(text) => {
                    return Self::parse(&text).map_err(|reason| Error::BuildContext { path: file, reason });
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("read", &file)(error)),
            }
        }
        Ok(Self::default())
    }

    fn parse(text: &str) -> Result<Self, String> {
        let lines = text.trim_start_matches('\u{feff}').lines().filter(|line| !line.starts_with('#')).map(str::trim);
        lines.filter(|line| !line.is_empty()).map(Pattern::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether `path`, with `/` between names, is left out.
    pub fn leaves_out(&self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        let paths: Vec<Vec<char>> = ends.map(|end| path[..end].chars().collect()).collect();
        let fits = |pattern: &&Pattern| paths.iter().any(|path| matches(&pattern.parts, path));
        self.0.iter().rfind(fits).is_some_and(|pattern| !pattern.keeps)
    }

    /// Whether nothing in a folder that is left out is kept.
    pub fn is_final(&self) -> bool {
        !self.0.iter().any(|pattern| pattern.keeps)
    }
}

impl Pattern {
    fn parse(line: &str) -> Result<Self, String> {
        let (keeps, text) = match line.strip_prefix('!') {
            Some("") => return Err("has a line with ! and no pattern".to_owned()),
            Some(text) => (true, text.trim()),
            None => (false, line),
        };
        let parts = parts(&clean(text)).ok_or_else(|| format!("has a line that is no pattern: {text}"))?;
        Ok(Self { parts, keeps })
    }
}

/// Without `.`, `..` and double slashes, from the context's root.
fn clean(text: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in text.split('/').filter(|name| !name.is_empty() && *name != ".") {
        if name != ".." {
            names.push(name);
        } else if names.pop().is_none() && !text.starts_with('/') {
            // Above the context there is nothing that could fit.
            return "..".to_owned();
        }
    }
    names.join("/")
}

/// `None` for a range that does not end, or an escape of nothing.
fn parts(text: &str) -> Option<Vec<Part>> {
    let mut rest = text.chars().peekable();
    let mut parts = Vec::new();
    while let Some(next) = rest.next() {
        parts.push(match next {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                if rest.peek().is_some() { Part::Folders } else { Part::Everything }
            }
            '*' => Part::Star,
            '?' => Part::AnyChar,
            '\\' => Part::Char(rest.next()?),
            '[' => class(&mut rest)?,
            other => Part::Char(other),
        });
    }
    Some(parts)
}

fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Part> {
    let is_negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    let one = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>| match rest.next()? {
        '\\' => rest.next(),
        other => Some(other),
    };
    while ranges.is_empty() || rest.next_if_eq(&']').is_none() {
        let from = one(rest)?;
        let to = if rest.next_if_eq(&'-').is_some() { one(rest)? } else { from };
        ranges.push((from, to));
    }
    Some(Part::Class(ranges, is_negated))
}

fn matches(parts: &[Part], path: &[char]) -> bool {
    let Some((part, more)) = parts.split_first() else { return path.is_empty() };
    let one = |fits: &dyn Fn(char) -> bool| path.first().is_some_and(|c| fits(*c)) && matches(more, &path[1..]);
    match part {
        Part::Char(expected) => one(&|c| c == *expected),
        Part::AnyChar => one(&|c| c != '/'),
        Part::Class(ranges, is_negated) => {
            one(&|c| c != '/' && ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *is_negated)
        }
        Part::Star => {
            let name = path.iter().position(|c| *c == '/').unwrap_or(path.len());
            (0..=name).any(|end| matches(more, &path[end..]))
        }
        Part::Folders => {
            let starts = path.iter().enumerate().filter(|(_, c)| **c == '/').map(|(end, _)| end + 1);
            std::iter::once(0).chain(starts).any(|start| matches(more, &path[start..]))
        }
        Part::Everything => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, left_out: &[&str], kept: &[&str]) {
        let ignore = Ignore::parse(text).expect("patterns");
        left_out.iter().for_each(|path| assert!(ignore.leaves_out(path), "{text:?} keeps {path}"));
        kept.iter().for_each(|path| assert!(!ignore.leaves_out(path), "{text:?} leaves {path} out"));
    }

    #[test]
    fn patterns_start_at_the_root_and_fit_all_below() {
        check("build\n/target/", &["build", "build/a/b", "target/x"], &["src/build", "builds"]);
        check("# comment\n\n  a/./b//c  \nd/../e", &["a/b/c", "e"], &["a/b", "d"]);
        check("../x\n.\n/", &[], &["x", "a/x"]);
    }

    #[test]
    fn wildcards_stay_in_a_name_but_for_two_stars() {
        check("*.log\n*/temp*", &["a.log", "x/temperature", "x/temp/y"], &["x/a.log", "temp"]);
        check("**/*.log", &["a.log", "x/a.log", "x/y/a.log"], &["a.logs"]);
        check("**/node_modules", &["node_modules/x", "a/b/node_modules/c"], &["my_node_modules"]);
        check("a/**", &["a/b", "a/b/c"], &["a", "ab"]);
        check("a/**/z", &["a/z", "a/b/z", "a/b/c/z"], &["az", "a/bz"]);
        check("**", &["a", ".x", "a/b"], &[]);
        check("v?.[0-9^]\n[^a]x", &["v1.2", "v1.^", "bx"], &["v1.a", "v/.1", "ax", "/x"]);
        check("\\!a\n\\*", &["!a", "*"], &["a", "b"]);
    }

    #[test]
    fn the_last_pattern_that_fits_counts() {
        check("*\n!keep\n!dir/keep\nkeep/not", &["a", "dir", "dir/a", "keep/not"], &["keep", "keep/x", "dir/keep/x"]);
        check("!a\na", &["a"], &[]);
        check("docs\n! docs/*.md", &["docs", "docs/x/a.md"], &["docs/a.md"]);
        check("\u{feff}a", &["a"], &[]);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["!", "[a", "a\\", "["] {
            assert!(Ignore::parse(text).is_err(), "{text}");
        }
    }
}
