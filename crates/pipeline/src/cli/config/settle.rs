//! Which of the settings hold: the stronger source wins, over the same option and over its rivals.

use std::collections::BTreeSet;

use super::Setting;
use super::options::Options;
use super::problem;
use crate::step::Problem;

/// The settings that hold for this run. `settings` has the stronger first, `given` is what the command line says.
///
/// # Errors
/// Where one source contradicts itself, or an option lacks one that it needs.
pub(super) fn settle(
    settings: Vec<Setting>,
    given: &BTreeSet<String>,
    options: &Options,
) -> Result<Vec<Setting>, Problem> {
    check_rivals(&settings, options)?;
    let (mut held, displaced) = without_rivals(strongest(settings, given, options), given, options);
    let there: BTreeSet<String> =
        held.iter().filter(|setting| setting.says_something()).map(name).chain(given.clone()).collect();
    let mut lacking = None;
    held.retain(|setting| {
        let needs = options.needs(&setting.name, &setting.arguments);
        let missing = needs.into_iter().find(|need| setting.says_something() && !there.contains(need));
        if let Some(need) = missing.as_ref().filter(|need| !displaced.contains(*need)) {
            lacking.get_or_insert_with(|| lacks(setting, need));
        }
        missing.is_none()
    });
    lacking.map_or(Ok(held), Err)
}

/// Of each option of this command that the command line does not give, the strongest setting.
pub(super) fn strongest(settings: Vec<Setting>, given: &BTreeSet<String>, options: &Options) -> Vec<Setting> {
    let mut seen = given.clone();
    settings
        .into_iter()
        .filter(|setting| options.apply_here(&setting.name) && seen.insert(setting.name.clone()))
        .collect()
}

fn name(setting: &Setting) -> String {
    setting.name.clone()
}

fn check_rivals(settings: &[Setting], options: &Options) -> Result<(), Problem> {
    let said: Vec<&Setting> = settings.iter().filter(|setting| setting.says_something()).collect();
    for (position, later) in said.iter().enumerate() {
        let rival = said[..position]
            .iter()
            .find(|earlier| earlier.source == later.source && options.are_rivals(&earlier.name, &later.name));
        if let Some(earlier) = rival {
            let message = format!("'{}' cannot be used with '{}' ({})", later.name, earlier.name, earlier.place);
            return Err(problem::at(&later.place, &message, "keep one of the two"));
        }
    }
    Ok(())
}

/// What is left beside stronger rivals, and the names of what is not.
fn without_rivals(
    settings: Vec<Setting>,
    given: &BTreeSet<String>,
    options: &Options,
) -> (Vec<Setting>, BTreeSet<String>) {
    let mut said = given.clone();
    let (mut held, mut displaced) = (Vec::new(), BTreeSet::new());
    for setting in settings {
        if setting.says_something() {
            if said.iter().any(|stronger| options.are_rivals(stronger, &setting.name)) {
                displaced.insert(setting.name);
                continue;
            }
            said.insert(setting.name.clone());
        }
        held.push(setting);
    }
    (held, displaced)
}

fn lacks(setting: &Setting, need: &str) -> Problem {
    let hint = format!("set '{need}' too, or leave '{}' away", setting.name);
    problem::at(&setting.place, &format!("'{}' needs '{need}'", setting.name), hint)
}
