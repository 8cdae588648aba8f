//! The pages on troubleshooting name the messages that there are: no others, and all that this crate's steps end with.

use std::fs;
use std::path::Path;

use walkdir::WalkDir;

use crate::docs::document;
use crate::support::Scenario;

const PAGES: [&str; 2] = ["docs/troubleshooting.md", "docs/troubleshooting-env-servers.md"];

/// Names in messages that mean one text only.
const NAMES: [(&str, &str); 5] = [
    ("{PRODUCT_TXT}", "updates/product.txt"),
    ("{CONFIG_JSON}", "updates/config.json"),
    ("{HOME_VARIABLE}", "WSO2_SERVER_HOME"),
    ("{MANIFEST}", "hotfix.json"),
    ("{MADE}", "the image that the Dockerfile made"),
];

/// Messages that are put together elsewhere, and why that is enough.
const PUT_TOGETHER: [(&str, &str); 6] = [
    ("{place}: {message}", "of settings: the place, and what clap or the reader of the file says"),
    ("{what}: {how}", "of the update tool: what it was to do, and how it ended, which the page has each"),
    ("{option} {} is {why}", "what the folder is, which the page has"),
    ("the {called} {base} {what}", "what is wrong with a base image, which the page has"),
    ("message", "of the engine, chosen by its error; the page has the errors"),
    ("wrong", "of image names, given by two callers; the page has both"),
];

/// What a text has in backquotes in the first cell of its tables.
fn quoted() -> Vec<String> {
    let text = PAGES.map(document).concat();
    let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The code of a crate without its tests, with every text in one line and without escapes.
fn code(name: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src");
    let files = WalkDir::new(folder).into_iter().map(|entry| entry.expect("readable").into_path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "rs")).map(|path| code_of(&path)).collect()
}

fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("readable");
    let code = text.split("#[cfg(test)]\nmod ").next().expect("one");
    let mut pieces = code.split("\\\n");
    let first = pieces.next().expect("one").to_owned();
    let joined = pieces.fold(first, |all, piece| all + piece.trim_start()).replace("\\\"", "'");
    NAMES.iter().fold(joined, |text, (name, meaning)| text.replace(name, meaning))
}

/// The texts in quotes in a piece of code.
fn literals(code: &str) -> impl Iterator<Item = &str> {
    code.split('"').skip(1).step_by(2)
}

/// Code up to the end of the first argument.
fn first_argument(code: &str) -> &str {
    let (mut depth, mut is_text) = (0, false);
    let end = code.find(|c| {
        match c {
            '"' => is_text = !is_text,
            '(' | '[' | '{' if !is_text => depth += 1,
            ')' | ']' | '}' if !is_text => depth -= 1,
            _ => {}
        }
        !is_text && (depth < 0 || depth == 0 && c == ',')
    });
    &code[..end.expect("an end")]
}

/// What a message always says, of that the longest piece.
fn longest_fixed_part(message: &str) -> &str {
    let pieces = message.split('{').enumerate().map(|(position, piece)| match position {
        0 => piece,
        _ => piece.split_once('}').map_or(piece, |(_, fixed)| fixed),
    });
    let pieces = pieces.map(|piece| piece.trim_matches(|c: char| c.is_whitespace() || ":'/;,()".contains(c)));
    pieces.max_by_key(|piece| piece.len()).expect("one")
}

/// The messages of the problems that a file makes: texts, or the name of a value that is no text of its own.
fn messages(code: &str) -> Vec<String> {
    let starts = code.match_indices("Problem::new(").map(|(at, call)| at + call.len());
    let messages = starts.map(|start| {
        let argument = first_argument(&code[start..]);
        let name = argument.trim();
        let is_set = || code[..start].rfind(&format!("let {name} =")).map(|at| code[at..].split(';').next());
        literals(argument).next().or_else(|| literals(is_set()??).next()).unwrap_or(name).to_owned()
    });
    messages.collect()
}

#[test]
fn every_message_on_the_pages_exists() {
    let code = ["pipeline", "docker", "environments"].map(code).concat().concat();
    let quoted = quoted();
    assert!(quoted.len() > 200, "{}", quoted.len());
    for message in quoted {
        for part in message.split('…').map(str::trim).filter(|part| !part.is_empty()) {
            assert!(code.contains(part), "nothing says '{part}', of `{message}`");
        }
    }
}

#[test]
fn every_message_is_on_the_pages() {
    let quoted = quoted().join("\n");
    let messages: Vec<String> = code("pipeline").iter().flat_map(|code| messages(code)).collect();
    assert!(messages.len() > 200, "{}", messages.len());
    for (put_together, why) in PUT_TOGETHER {
        assert!(messages.iter().any(|message| message == put_together), "'{put_together}' is no more: {why}");
    }
    let is_put_together = |message: &str| PUT_TOGETHER.iter().any(|(text, _)| *text == message);
    let missing: Vec<&String> = messages
        .iter()
        .filter(|message| !is_put_together(message) && !quoted.contains(longest_fixed_part(message)))
        .collect();
    assert!(missing.is_empty(), "say in {PAGES:?} what to do about {missing:#?}");
}

#[test]
fn every_error_of_engines_and_registries_is_on_the_pages() {
    let quoted = quoted().join("\n");
    let errors = code_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/src/error.rs"));
    let messages = errors.split("#[error(\"").skip(1).map(|rest| rest.split('"').next().expect("one"));
    // The two that have no words of their own: what a builder said, and what is wrong with which file of a build context.
    let messages: Vec<&str> =
        messages.filter(|message| !["{} {reason}", "{}{reason}\\n{}"].contains(message)).collect();
    assert!(messages.len() > 20, "{messages:?}");
    for message in messages {
        assert!(quoted.contains(longest_fixed_part(message)), "say in {PAGES:?} what to do about '{message}'");
    }
}

/// What the file of environments is told of itself needs no page: each names the key and what is expected.
#[test]
fn every_answer_of_environments_is_on_the_pages() {
    let quoted = quoted().join("\n");
    let said: Vec<String> = code("environments").iter().flat_map(|code| answers(code)).collect();
    assert!(said.len() > 40, "{}", said.len());
    let missing: Vec<&String> = said.iter().filter(|message| !quoted.contains(longest_fixed_part(message))).collect();
    assert!(missing.is_empty(), "say in {PAGES:?} what to do about {missing:#?}");
}

/// The texts of conditions and inputs that are not as they must be.
fn answers(code: &str) -> Vec<String> {
    let text_after = |start: usize| {
        let argument = code[start..].trim_start().trim_start_matches("format!(");
        argument.strip_prefix('"').and_then(|text| text.split('"').next()).map(str::to_owned)
    };
    let makers = ["condition(", "refused(", "message: ", "let message ="];
    let starts = makers.iter().flat_map(|maker| code.match_indices(maker).map(|(at, found)| at + found.len()));
    starts.filter_map(text_after).collect()
}

#[test]
fn the_example_is_what_a_run_says() {
    let scenario = Scenario::new().without_engine();
    fs::remove_file(scenario.path("hotfixes/wso2am-4.1.0.10-hf-2.zip")).expect("it was there");
    let run = scenario.run(&["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes"]).fails(5, "validate-sequence");
    let page = document(PAGES[0]);
    let lines: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    lines.iter().for_each(|line| assert!(run.stderr.contains(line), "{line}\n{}", run.stderr));
}
