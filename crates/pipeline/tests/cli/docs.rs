//! What the documents say of options and exit codes is so.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use hotfix_pipeline::step::Step;

use crate::support::Scenario;

pub fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// As a shell splits them, where quotes are double and around whole words.
pub fn words_of(line: &str) -> Vec<String> {
    let words = line.split('"').enumerate().flat_map(|(position, part)| match position % 2 {
        1 => vec![part.to_owned()],
        _ => part.split_whitespace().map(str::to_owned).collect(),
    });
    words.collect()
}

/// The README, and every page of `docs` for users; that of the benchmarks has options of another program.
pub fn pages() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let entries = fs::read_dir(folder).expect("there").map(|entry| entry.expect("readable").file_name());
    let pages = entries
        .map(|name| name.into_string().expect("UTF-8"))
        .filter(|name| name.ends_with(".md") && !["architecture.md", "benchmarks.md"].contains(&name.as_str()));
    pages.map(|name| format!("docs/{name}")).chain(["README.md".to_owned()]).collect()
}

/// The help of every command; of those that have to do with environments and servers, only what can be set elsewhere too: what
/// is below the first heading of their own.
pub fn help_of_settings() -> String {
    let headings = ["\nEnvironments:\n", "\nCredentials of the update tool:\n"];
    let help_of_others = environments_help().into_iter().chain(["revert", "migrate"].map(help));
    let settings: Vec<String> = help_of_others
        .filter_map(|help| headings.iter().find_map(|heading| Some(help.split_once(heading)?.1.to_owned())))
        .collect();
    let commands = ["apply", "plan", "inspect", "cache list", "cache prune"];
    commands.iter().map(|command| help(command)).chain(settings).collect()
}

fn all_help() -> String {
    let servers = ["state", "backup", "restore", "revert", "migrate"].map(help);
    let images = ["images list", "images prune"].map(help);
    help_of_settings() + &environments_help().concat() + &servers.concat() + &images.concat()
}

fn environments_help() -> Vec<String> {
    let acts = ["status", "compare", "promote", "propagate", "rollback", "verify", "approve", "reject"];
    acts.into_iter().chain(["fixed-in", "solve", "history"]).map(|act| help(&format!("env {act}"))).collect()
}

fn help(command: &str) -> String {
    let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
    Scenario::empty().run(&words).stdout
}

/// `--long-options` in a text.
pub fn options(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '-';
    let starts = text.match_indices("--").map(|(at, _)| &text[at..]);
    let names =
        starts.map(|rest| rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())].trim_end_matches('-').to_owned());
    names.filter(|name| name.len() > 3 && name.as_bytes()[2].is_ascii_lowercase()).collect()
}

#[test]
fn every_option_in_the_documents_exists() {
    let known = options(&all_help());
    // Of cargo, in the commands that try it out; of Dockerfiles; of docker and podman; of the update tool.
    let of_others =
        ["--workspace", "--locked", "--path", "--from", "--docker", "--time", "--continue"].map(str::to_owned);
    // How to install has options of whoever installs.
    for name in pages().iter().filter(|name| *name != "docs/installing.md") {
        let unknown: Vec<_> =
            options(&document(name)).into_iter().filter(|o| !known.contains(o) && !of_others.contains(o)).collect();
        assert!(unknown.is_empty(), "{name} names options that do not exist: {unknown:?}");
    }
    let guide = document("docs/guide.md");
    assert!(options(&guide).len() > 15, "the guide names options: {:?}", options(&guide));
}

#[test]
fn the_readme_has_the_exit_code_of_every_step() {
    let readme = document("README.md");
    for (position, step) in Step::ALL.iter().enumerate() {
        let start = format!("| {} | `{}` | ", position + 1, step.name());
        let row = readme.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no row {start}"));
        let code = row.trim_end_matches(" |").rsplit("| ").next().expect("cells");
        assert!(code == step.exit_code().to_string() || code == "6; conflicts: 7", "{row}");
    }
}

/// As GitHub makes them of headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let is_part = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
    let text = document(page);
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings
        .map(|heading| heading.to_lowercase().chars().filter(is_part).collect::<String>().replace(' ', "-"))
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut linked = BTreeSet::new();
    for page in pages() {
        let text = document(&page);
        let folder = Path::new(&page).parent().expect("in the repository");
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { Path::new(&page).to_owned() } else { folder.join(file) };
            let there = root.join(&target).canonicalize();
            let there = there.unwrap_or_else(|error| panic!("{page} links to {link}: {error}"));
            let name = there.strip_prefix(root.canonicalize().expect("there")).expect("in the repository");
            let name = name.to_str().expect("UTF-8").to_owned();
            assert!(
                anchor.is_empty() || anchors(&name).contains(anchor),
                "{page} links to {link}: {:?}",
                anchors(&name)
            );
            linked.insert(name);
        }
    }
    let lost: Vec<_> = pages().into_iter().filter(|page| page != "README.md" && !linked.contains(page)).collect();
    assert!(lost.is_empty(), "nothing links to {lost:?}");
}
