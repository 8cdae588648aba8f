//! What is to be seen while hotfix is at work: at a terminal, and where there is none.

use crate::registries::to_registry;
use crate::support::Scenario;
use crate::support::engine::skip;
use crate::support::faults::Fault;
use crate::support::faulty_registry;
use crate::support::registry::Registry;
use crate::support::terminal::{Watched, watch};

const WIDE: u16 = 100;
/// What turns.
const TURNS: &str = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";

fn at_a_terminal() -> Scenario {
    let scenario = Scenario::new().without_engine().args(["--base-image", "scratch"]);
    scenario.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8")
}

fn apply(scenario: &Scenario, columns: u16) -> Watched {
    watch(scenario, &scenario.apply_arguments(), columns)
}

/// Lines of the last screen that begin so.
fn lines<'a>(watched: &'a Watched, mark: &str) -> Vec<&'a str> {
    watched.last().lines().filter_map(|line| line.strip_prefix(mark)).map(str::trim).collect()
}

#[test]
fn each_finished_step_has_one_line() {
    let scenario = at_a_terminal();
    let watched = apply(&scenario, WIDE);
    assert_eq!(watched.code, Some(0), "{}", watched.last());
    assert_eq!(watched.stdout, "wso2am:4.1.0.10-hf3\n");
    let steps = lines(&watched, "✓ ");
    assert_eq!(steps[0], "validate-os, validate-inputs, validate-sequence");
    let names: Vec<&str> = steps.iter().skip(1).map(|line| line.split_whitespace().next().expect("a name")).collect();
    assert_eq!(names, ["extract-pack", "initialize-update-tool", "apply-hotfixes", "build-image"]);
    for line in &steps[1..] {
        let time = line.split_once("  ").expect("a time").1.strip_suffix(" s").expect("seconds");
        assert!(time.parse::<f64>().is_ok(), "{line}");
    }
    assert!(watched.last().contains("\n  hotfix 2 of 3 applied: "), "{}", watched.last());
    for noise in ["INFO", "started", "done in"] {
        assert!(!watched.last().contains(noise), "{}", watched.last());
    }
    assert!(!watched.last().contains(|turn| TURNS.contains(turn)), "{}", watched.last());
}

#[test]
fn warnings_and_failures() {
    let scenario = at_a_terminal().with_file("hotfixes/notes.txt", "mine").without_hotfixes();
    let watched = apply(&scenario, WIDE);
    assert_eq!(watched.code, Some(5), "{}", watched.last());
    assert!(watched.last().contains("error: validate-sequence: "), "{}", watched.last());
    assert!(watched.written.contains("\u{1b}[1;31merror:\u{1b}[0m "), "{:?}", watched.written);
    let scenario = at_a_terminal().with_file("hotfixes/notes.txt", "mine").with_tool(|tool| {
        tool.on_apply_hotfix = update_tool_sim::Fault::Error;
    });
    let watched = apply(&scenario, WIDE);
    assert_eq!(watched.code, Some(6), "{}", watched.last());
    assert_eq!(lines(&watched, "✗ ").len(), 1, "{}", watched.last());
    assert!(lines(&watched, "✗ ")[0].starts_with("apply-hotfixes  "), "{}", watched.last());
    assert!(watched.last().contains("warning: "), "{}", watched.last());
    assert!(watched.last().contains("error: apply-hotfixes: "), "{}", watched.last());
}

#[test]
fn colours_letters_and_loudness_are_as_wanted() {
    let green = "\u{1b}[32m✓\u{1b}[0m extract-pack";
    assert!(apply(&at_a_terminal(), WIDE).written.contains(green));
    let colourless = [
        at_a_terminal().env("NO_COLOR", "1"),
        at_a_terminal().args(["--color", "never"]),
        at_a_terminal().env("NO_COLOR", "1").args(["-v"]),
    ];
    for scenario in colourless {
        let watched = apply(&scenario, WIDE);
        assert!(
            !watched.written.contains("\u{1b}[3") && !watched.written.contains("\u{1b}[1;"),
            "{:?}",
            watched.written
        );
    }
    let ascii = apply(&at_a_terminal().env("LC_ALL", "C"), WIDE);
    assert!(ascii.written.is_ascii(), "{:?}", ascii.written);
    assert!(ascii.last().contains("\nok extract-pack  "), "{}", ascii.last());
    for term in ["dumb", ""] {
        let dumb = apply(&at_a_terminal().env("TERM", term), WIDE);
        assert!(!dumb.written.contains('\u{1b}'), "{:?}", dumb.written);
        assert!(dumb.last().contains("INFO extract-pack: done in "), "{}", dumb.last());
    }
    let verbose = apply(&at_a_terminal().args(["-v"]), WIDE);
    assert!(verbose.last().contains("INFO extract-pack: done in ") && verbose.last().contains("DEBUG"));
    assert!(lines(&verbose, "✓ ").is_empty(), "{}", verbose.last());
    let quiet = apply(&at_a_terminal().args(["-q"]), WIDE);
    assert_eq!((quiet.code, quiet.written.as_str()), (Some(0), ""));
    let json = apply(&at_a_terminal().args(["--log-format", "json"]), WIDE);
    let line = json.written.lines().next().expect("a line");
    assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
}

#[test]
fn hotfixes_are_counted() {
    let scenario = at_a_terminal().with_tool(|tool| tool.slow_ms = 800);
    let watched = apply(&scenario, WIDE);
    for number in 1..=3 {
        let words = format!(" s  hotfix {number} of 3 (");
        assert!(watched.has_shown(&["apply-hotfixes [", &words]), "{number}: {:?}", watched.screens);
    }
    assert!(watched.has_shown(&["initialize-update-tool  0 s"]) || watched.has_shown(&["initialize-update-tool  1 s"]));
    assert!(!watched.last().contains(|turn| TURNS.contains(turn)), "{}", watched.last());
    // It never takes a second row, nor leaves anything where there is little room.
    let narrow = apply(&at_a_terminal().with_tool(|tool| tool.slow_ms = 800), 40);
    assert!(narrow.has_shown(&["apply-hotfixes  ", " s  hotfix 2"]));
    let moving = |screen: &String| screen.lines().filter(|line| line.starts_with(|turn| TURNS.contains(turn))).count();
    assert_eq!(narrow.screens.iter().map(moving).max(), Some(1));
    assert_eq!(moving(narrow.screens.last().expect("one")), 0, "{}", narrow.last());
}

#[test]
fn unpacking_is_shown_by_bytes() {
    let slow =
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fchmod", "-e", "inject=fchmod:delay_enter=40000"];
    let scenario = at_a_terminal().args(["--no-cache"]).under(slow).with_pack(|pack| {
        (0..60).fold(pack, |pack, number| pack.file(&format!("lib/{number}.jar"), "x".repeat(100_000)))
    });
    let watched = apply(&scenario, WIDE);
    assert_eq!(watched.code, Some(0), "{}", watched.last());
    let words = ["extract-pack [", " %, ", " MiB of ", " s  unpacking wso2am-4.1.0.10.zip"];
    assert!(watched.has_shown(&words), "{:?}", watched.screens);
}

#[test]
fn pushing_is_shown_by_bytes() {
    if !std::path::Path::new("/usr/bin/docker-registry").exists() && skip("pushing_is_shown_by_bytes") {
        return;
    }
    let Some(registry) = Registry::start() else { return };
    let slow = faulty_registry::in_front_of(&registry.host, |request| {
        (request.method == "PUT" && request.address.contains("/blobs/")).then_some(Fault::Slow(2))
    });
    // What does not fit between the two has to wait.
    let mut seed = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as u8
    })
    .take(24 << 20)
    .collect();
    let tag = format!("{}/team/wso2am:t1", slow.host);
    let scenario = to_registry(&tag).args(["--base-image", "scratch"]).env("TERM", "xterm").env("LC_ALL", "C.UTF-8");
    let scenario = scenario.with_pack(|pack| pack.file("lib/noise.bin", noise));
    let watched = apply(&scenario, WIDE);
    assert_eq!(watched.code, Some(0), "{}", watched.last());
    assert!(
        watched.has_shown(&["push-image [", " %, ", " MiB of ", " s  pushing 127.0.0.1:"]),
        "{:#?}",
        watched.screens.iter().flat_map(|s| s.lines()).filter(|l| l.contains("push-image")).collect::<Vec<_>>()
    );
}

#[test]
fn without_a_terminal_there_is_a_line_every_half_minute() {
    let scenario = Scenario::new().without_engine().args(["--base-image", "scratch", "--through", "1"]);
    let scenario = scenario.with_tool(|tool| tool.slow_ms = 28_000);
    let run = scenario.apply().succeeds();
    let said: Vec<&str> = run.stderr.lines().filter(|line| line.contains("still at work after")).collect();
    assert!(said.iter().any(|line| line.contains("INFO initialize-update-tool: still at work after 2")), "{said:?}");
    let hotfix = "INFO apply-hotfixes: still at work after 2";
    assert!(said.iter().any(|line| line.contains(hotfix) && line.contains(" s: hotfix 1 of 1 (")), "{said:?}");
    assert!(!run.stderr.contains('\r'), "{}", run.stderr);
}
