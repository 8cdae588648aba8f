//! The password and the tokens: in no log, no report, no output, whatever the tool prints.

use update_tool_sim::Fault;

use crate::support::Scenario;
use crate::support::scenario::PASSWORD;

/// A tool that prints its password and tokens, and fails or not.
fn loud(fault: Fault) -> Scenario {
    let scenario = Scenario::new().with_tool(|tool| {
        tool.loud = true;
        tool.on_apply_hotfix = fault;
    });
    scenario.args(["-vv", "--report", "report", "--keep-workspace", "--workspace", "work"])
}

#[test]
fn a_loud_tool_gives_nothing_away() {
    for (fault, code) in [(Fault::None, 0), (Fault::Error, 6)] {
        let scenario = loud(fault);
        let run = scenario.apply();
        assert_eq!(run.code, Some(code), "{}", run.stderr);
        let said = [
            run.stdout.as_str(),
            &run.stderr,
            &scenario.text("report/report.json"),
            &scenario.text("report/summary.md"),
        ]
        .concat();
        assert!(!said.contains(PASSWORD), "the password was printed:\n{said}");
        assert!(said.contains("***"), "the tool is loud, so something must have been replaced:\n{said}");
        let tokens = tokens(&said);
        assert!(tokens.is_empty(), "tokens were printed: {tokens:?}\n{said}");
    }
}

/// The stand-in's loud line is `access-token: …`; what follows must have been replaced.
fn tokens(said: &str) -> Vec<&str> {
    let after = said.lines().filter_map(|line| line.split_once("token").map(|(_, rest)| rest));
    after.filter(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.len() >= 16)).collect()
}
