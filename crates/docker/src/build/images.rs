//! Which images a Dockerfile is put on, as far as it says so in plain words. What cannot be told is left open: the
//! builder knows better.

use std::collections::BTreeMap;

/// The images that a Dockerfile names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedImages {
    /// What the last stage is put on in the end; `None` where that cannot be told.
    pub base: Option<String>,
    /// Every image that is named.
    pub all: Vec<String>,
}

struct Stage {
    name: Option<String>,
    base: Option<String>,
}

/// Reads the images in a Dockerfile, with `arguments` for its build arguments.
pub fn named_images(text: &str, arguments: &BTreeMap<String, String>) -> NamedImages {
    let mut variables = BTreeMap::new();
    let mut stages: Vec<Stage> = Vec::new();
    let mut all = Vec::new();
    for line in instructions(text) {
        let (instruction, rest) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
        match instruction.to_ascii_uppercase().as_str() {
            // Only those before the first stage count in FROM.
            "ARG" if stages.is_empty() => {
                for word in rest.split_whitespace() {
                    let (name, default) = word.split_once('=').unwrap_or((word, ""));
                    let default = expand(default.trim_matches(['"', '\'']), &variables);
                    let value = arguments.get(name).cloned().or(default.filter(|_| word.contains('=')));
                    variables.extend(value.map(|value| (name.to_owned(), value)));
                }
            }
            "FROM" => {
                let words: Vec<&str> = rest.split_whitespace().filter(|word| !word.starts_with("--")).collect();
                let base = words.first().and_then(|name| expand(name, &variables)).filter(|name| !name.is_empty());
                let base = match base.as_deref().and_then(|name| find(&stages, name)) {
                    Some(stage) => stage.base.clone(),
                    None => base.inspect(|name| all.push(name.clone())),
                };
                let name = (words.get(1).is_some_and(|word| word.eq_ignore_ascii_case("as"))).then(|| words.get(2));
                stages.push(Stage { name: name.flatten().map(|name| (*name).to_owned()), base });
            }
            "COPY" => {
                let from = rest.split_whitespace().find_map(|word| word.strip_prefix("--from="));
                all.extend(from.filter(|name| is_image(&stages, name)).map(str::to_owned));
            }
            "RUN" => {
                let mounts = rest.split_whitespace().filter_map(|word| word.strip_prefix("--mount="));
                let from = mounts.flat_map(|mount| mount.split(',')).filter_map(|part| part.strip_prefix("from="));
                all.extend(from.filter(|name| is_image(&stages, name)).map(str::to_owned));
            }
            _ => {}
        }
    }
    all.retain(|name| name != "scratch");
    NamedImages { base: stages.pop().and_then(|stage| stage.base), all }
}

/// Whether files come from an image by that name, and not from a stage, by its name or its number.
fn is_image(stages: &[Stage], name: &str) -> bool {
    name.parse::<usize>().is_err() && find(stages, name).is_none()
}

fn find<'a>(stages: &'a [Stage], name: &str) -> Option<&'a Stage> {
    stages.iter().rfind(|stage| stage.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name)))
}

/// Lines that are continued put together; comments and texts of here-documents left out.
fn instructions(text: &str) -> Vec<String> {
    let directive = |line: &str| {
        let (key, value) = line.strip_prefix('#')?.split_once('=')?;
        key.trim().eq_ignore_ascii_case("escape").then(|| value.trim().to_owned())
    };
    let escape = text.lines().take_while(|line| line.starts_with('#')).find_map(directive);
    let escape = escape.unwrap_or_else(|| "\\".to_owned());
    let mut found = Vec::new();
    let mut open = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(start) = line.strip_suffix(&escape) {
            open.push_str(start);
            open.push(' ');
            continue;
        }
        open.push_str(line);
        for end in here_documents(&open) {
            lines.by_ref().map(str::trim).find(|line| *line == end);
        }
        found.push(std::mem::take(&mut open));
    }
    found
}

/// The words that end the here-documents that an instruction opens, as in `RUN <<EOF`.
fn here_documents(instruction: &str) -> Vec<String> {
    let word = |text: &str| text.trim_start_matches('-').trim_matches(['"', '\'']).to_owned();
    let begins = |text: &String| text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    instruction
        .split_whitespace()
        .filter_map(|text| text.split_once("<<").map(|(_, end)| word(end)))
        .filter(begins)
        .collect()
}

/// `text` with `$NAME`, `${NAME}` and `${NAME:-default}` replaced; `None` where one of them is not known.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> Option<String> {
    let Some((before, after)) = text.split_once('$') else { return Some(text.to_owned()) };
    let (value, rest) = if let Some(inner) = after.strip_prefix('{') {
        let (inner, rest) = inner.split_once('}')?;
        let (name, default) = inner.split_once(":-").map_or((inner, None), |(name, default)| (name, Some(default)));
        let value = variables.get(name).filter(|value| default.is_none() || !value.is_empty());
        (value.map(String::as_str).or(default)?, rest)
    } else {
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        (variables.get(&after[..end])?.as_str(), &after[end..])
    };
    Some(format!("{before}{value}{}", expand(rest, variables)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, base: Option<&str>, all: &[&str]) {
        let arguments = [("GIVEN".to_owned(), "given:1".to_owned())].into();
        let named = named_images(text, &arguments);
        assert_eq!(
            (named.base.as_deref(), named.all.iter().map(String::as_str).collect::<Vec<_>>()),
            (base, all.to_vec()),
            "{text}"
        );
    }

    #[test]
    fn the_last_stage_counts() {
        check("FROM a:1\nRUN x", Some("a:1"), &["a:1"]);
        check(
            "# comment\nfrom --platform=linux/amd64 a AS b\nFROM c\nCOPY --from=b x y\nCOPY --from=d:1 / /",
            Some("c"),
            &["a", "c", "d:1"],
        );
        check("FROM a AS one\nFROM ONE as two\nFROM two", Some("a"), &["a"]);
        check("FROM scratch", Some("scratch"), &[]);
        check(
            "FROM a AS b\nFROM c\nRUN --mount=type=bind,from=b,target=/b --mount=type=bind,from=d:1,target=/d x",
            Some("c"),
            &["a", "c", "d:1"],
        );
        check("", None, &[]);
    }

    #[test]
    fn arguments_are_replaced_where_they_are_known() {
        check("ARG GIVEN=x\nFROM $GIVEN", Some("given:1"), &["given:1"]);
        check("ARG A=\"img\" T=2\nARG FULL=${A}:$T\nFROM ${FULL}", Some("img:2"), &["img:2"]);
        check("ARG NONE\nFROM ${NONE:-b}", Some("b"), &["b"]);
        check("ARG NONE\nFROM $NONE", None, &[]);
        check("FROM a\nARG B=c\nFROM $B", None, &["a"]);
        check("ARG A=x\nFROM ${A%y}", None, &[]);
    }

    #[test]
    fn lines_go_on_and_texts_are_no_instructions() {
        check("FROM \\\n  # comment\n a:1\nRUN echo \\\n FROM b", Some("a:1"), &["a:1"]);
        check("# escape=`\nFROM `\na", Some("a"), &["a"]);
        check("FROM a\nRUN cat <<-'EOF' > x\nFROM b\nEOF\nCOPY <<X <<Y /\nFROM c\nX\nFROM d\nY\n", Some("a"), &["a"]);
    }
}
