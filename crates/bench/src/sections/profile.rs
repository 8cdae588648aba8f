//! Where the time of a run goes, by the steps of its report.

use super::job::{Rounds, times, tool_times};
use crate::figures::{Figures, UNKNOWN};
use crate::hotfix::Applied;
use crate::script::ByHand;
use crate::table::Table;

fn written(figures: &Figures) -> String {
    figures.median().map_or_else(|| UNKNOWN.to_owned(), |median| format!("{median:.3}"))
}

/// Each step of each way, with the update tool's time apart.
pub(crate) fn of_rounds(rounds: &Rounds) -> Table {
    let ways: [(&str, &[Applied]); 4] = [
        ("cold, from image", &rounds.cold_from_image),
        ("cold, base image", &rounds.cold_base_image),
        ("warm, base image", &rounds.warm_base_image),
        ("warm, from image", &rounds.warm_from_image),
    ];
    let mut table = Table::new(["step"].into_iter().chain(ways.map(|(way, _)| way)));
    let names: Vec<String> = rounds
        .cold_base_image
        .first()
        .map(Applied::steps)
        .unwrap_or_default()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    for name in &names {
        let step = |run: &Applied| run.steps().into_iter().find(|(step, _)| step == name).map(|(_, seconds)| seconds);
        let cells = ways.map(|(_, runs)| written(&runs.iter().map(step).collect()));
        table.row([format!("`{name}`")].into_iter().chain(cells));
    }
    let outside = |run: &Applied| run.seconds - run.steps().iter().map(|(_, seconds)| seconds).sum::<f64>();
    let cells = ways.map(|(_, runs)| written(&runs.iter().map(outside).collect()));
    table.row(["before, between and after the steps".to_owned()].into_iter().chain(cells));
    let cells = ways.map(|(_, runs)| written(&times(runs)));
    table.row(["all".to_owned()].into_iter().chain(cells));
    let cells = ways.map(|(_, runs)| written(&tool_times(runs)));
    table.row(["of that, the update tool".to_owned()].into_iter().chain(cells));
    table
}

/// Each part of the script; `None` where it was not run.
pub(crate) fn of_script(runs: &[ByHand]) -> Option<Table> {
    let mut table = Table::new(["part", "the script's way"]);
    for (name, _) in &runs.first()?.parts {
        let part = |run: &ByHand| run.parts.iter().find(|(part, _)| part == name).map(|(_, seconds)| *seconds);
        table.row([name.clone(), written(&runs.iter().map(part).collect())]);
    }
    Some(table)
}
