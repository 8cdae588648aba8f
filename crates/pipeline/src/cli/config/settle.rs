//! Which of the settings hold: the stronger source wins, over the same option and over its rivals. But only a way to make an image takes
//! the place of another one.

use std::collections::BTreeSet;

use super::Setting;
use super::options::Options;
use super::problem;
use crate::step::Problem;

/// What an image is made on, each an option that is a way by itself. Other options go with some of them.
const WAYS: [&str; 4] = ["base-image", "from-image", "dockerfile", "vendor-image"];

/// What became of the settings.
pub(super) struct Settled {
    /// Those that hold for this run.
    pub(super) held: Vec<Setting>,
    /// What is said of those that made room.
    pub(super) dropped: Vec<String>,
}

/// The settings that hold for this run. `settings` has the stronger first, `given` is what the command line says.
///
/// # Errors
/// Where one source contradicts itself, an option lacks one that it needs, or one that is no way does not go with the way.
pub(super) fn settle(settings: Vec<Setting>, given: &BTreeSet<String>, options: &Options) -> Result<Settled, Problem> {
    check_rivals(&settings, options)?;
    let Beside { mut held, displaced, mut dropped } =
        without_rivals(strongest(settings, given, options), given, options)?;
    let there: BTreeSet<String> =
        held.iter().filter(|setting| setting.says_something()).map(name).chain(given.clone()).collect();
    let mut lacking = None;
    held.retain(|setting| {
        let needs = options.needs(&setting.name, &setting.arguments);
        let missing = needs.into_iter().find(|need| setting.says_something() && !there.contains(need));
        match missing.as_ref() {
            Some(need) if displaced.contains(need) => {
                dropped.push(format!("{} does not count: it needs '{need}', which made room", shown(setting)));
            }
            Some(need) => _ = lacking.get_or_insert_with(|| lacks(setting, need)),
            None => {}
        }
        missing.is_none()
    });
    lacking.map_or(Ok(Settled { held, dropped }), Err)
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

/// What is left beside stronger rivals, the names of what is not, and what is said of that.
struct Beside {
    held: Vec<Setting>,
    displaced: BTreeSet<String>,
    dropped: Vec<String>,
}

/// # Errors
/// Where a way would have to make room for an option that is none: an image on something else is not what that asks for.
fn without_rivals(settings: Vec<Setting>, given: &BTreeSet<String>, options: &Options) -> Result<Beside, Problem> {
    // By name, with how messages show it and where it is.
    let typed = |name: &String| (name.clone(), format!("--{name}"), "command line".to_owned());
    let mut said: Vec<(String, String, String)> = given.iter().map(typed).collect();
    let (mut held, mut displaced, mut dropped) = (Vec::new(), BTreeSet::new(), Vec::new());
    for setting in settings {
        if setting.says_something() {
            let rivals = || said.iter().filter(|(stronger, ..)| options.are_rivals(stronger, &setting.name));
            let way = rivals().find(|(stronger, ..)| is_way(stronger));
            if let Some((stronger, called, place)) = way.or_else(|| rivals().next()) {
                if is_way(&setting.name) && !is_way(stronger) {
                    return Err(does_not_go(called, place, &setting));
                }
                dropped.push(format!("{} does not count beside '{called}' ({place})", shown(&setting)));
                displaced.insert(setting.name);
                continue;
            }
            said.push((setting.name.clone(), setting.name.clone(), setting.place.clone()));
        }
        held.push(setting);
    }
    Ok(Beside { held, displaced, dropped })
}

fn is_way(name: &str) -> bool {
    WAYS.contains(&name)
}

/// As the setting is shown where it did not hold.
fn shown(setting: &Setting) -> String {
    format!("'{}' ({})", setting.name, setting.place)
}

fn does_not_go(called: &str, place: &str, way: &Setting) -> Problem {
    let message = format!("'{called}' cannot be used with '{}' ({})", way.name, way.place);
    let hint = "leave one of the two away, or give another way for this run, such as --base-image";
    problem::at(place, &message, hint)
}

fn lacks(setting: &Setting, need: &str) -> Problem {
    let hint = format!("set '{need}' too, or leave '{}' away", setting.name);
    problem::at(&setting.place, &format!("'{}' needs '{need}'", setting.name), hint)
}
