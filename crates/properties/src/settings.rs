//! `hotfix.toml`.

use std::collections::BTreeSet;

use hotfix_pipeline::cli::SettingsFile;
use toml::de::DeTable;

use crate::assert_well_said;

const SHOWN: &str = "hotfix.toml";

thread_local! {
    static SETTINGS: SettingsFile = SettingsFile::of_apply();
}

/// Each key gives what could have been typed, or what is wrong with it and where.
pub fn check(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let read = SETTINGS.with(|settings| settings.read(SHOWN, text));
    let keys = match DeTable::parse(text) {
        Ok(table) => table.get_ref().keys().map(|key| key.get_ref().to_string()).collect(),
        Err(_) => BTreeSet::from(["what is wrong".to_owned()]),
    };
    assert_eq!(read.len(), keys.len(), "each key gives one thing");
    for result in read {
        match result {
            Ok(arguments) => arguments.iter().for_each(|argument| check_argument(argument, &keys)),
            Err(problem) => {
                assert_well_said(&problem);
                check_place(&problem.to_string(), text);
            }
        }
    }
}

fn check_argument(argument: &str, keys: &BTreeSet<String>) {
    let option = argument.strip_prefix("--").unwrap_or_else(|| panic!("{argument:?} is no option"));
    let name = option.split('=').next().unwrap_or_default();
    assert!(keys.contains(name), "{argument:?} stands in no line");
    assert!(name != "password" && name != "config", "{argument:?} is no setting");
}

/// `hotfix.toml:LINE:COLUMN: …`, of a line that is there.
fn check_place(message: &str, text: &str) {
    let mut parts = message.splitn(4, ':');
    assert_eq!(parts.next(), Some(SHOWN), "{message:?}");
    let mut number = || parts.next().and_then(|part| part.parse::<usize>().ok()).unwrap_or_default();
    let (line, column) = (number(), number());
    let lines: Vec<&str> = text.split('\n').collect();
    assert!((1..=lines.len()).contains(&line), "{message:?} of {} lines", lines.len());
    assert!((1..=lines[line - 1].chars().count() + 1).contains(&column), "{message:?} of {:?}", lines[line - 1]);
}
