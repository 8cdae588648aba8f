//! The life of two hotfixes on two registries, one with a password: after each act every environment's image is pulled and run.

use std::path::Path;
use std::process::Command;

use crate::support::Scenario;
use crate::support::engine::{self, Base, docker, try_docker};
use crate::support::estate::{ENVIRONMENTS, Estate, REGISTRY_PASSWORD, USER};
use crate::support::registry::Registry;

/// What the files that the hotfixes change are to be like in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    /// Level 10 as it is in the pack.
    Clean,
    /// With both hotfixes.
    Fixed,
    /// Level 20.
    Later,
}

/// In the order of the environments.
fn run_in(estate: &Estate) -> Vec<Runs> {
    ENVIRONMENTS.map(|environment| what_runs(estate, environment)).into()
}

/// Pulls the image of an environment and lets it show the files.
fn what_runs(estate: &Estate, environment: &str) -> Runs {
    let (tag, home) = (estate.tag(environment), "/home/wso2carbon/wso2am-4.1.0");
    let config = estate.scenario.path("home");
    docker(&["--config", config.to_str().expect("UTF-8"), "pull", "--quiet", &tag]);
    let shell = format!(
        "cat {home}/bin/README.txt; ls {home}/repository/deployment/server/webapps/publisher; \
         grep -h hostname {home}/repository/conf/deployment.toml; ls {home}/repository/components/plugins"
    );
    let shown = docker(&["run", "--rm", &tag, "sh", "-c", &shell]);
    try_docker(&["rmi", "--force", &tag]);
    let has = |words: &str| shown.contains(words);
    let signs = [
        has("How to start the server, corrected."),
        has("org.example.a_1.0.0.1.jar") && !has("org.example.a_1.0.0.jar"),
        has("fix#1.js"),
        has("am.example.com"),
    ];
    match signs {
        [true, true, true, true] => Runs::Fixed,
        [false, false, false, false] if has("Level 20.") => Runs::Later,
        [false, false, false, false] => Runs::Clean,
        _ => panic!("{environment} has half of the hotfixes:\n{shown}"),
    }
}

/// Images of the story stand on one with a shell, in the registry.
fn put_base(estate: &Estate, base: &Base) -> String {
    let name = format!("{}/base/shell:1", estate.registry.host);
    docker(&["tag", &base.name, &name]);
    docker(&["push", "--quiet", &name]);
    docker(&["rmi", &name]);
    name
}

fn version(estate: &Estate, environment: usize) -> String {
    let row = &estate.json("status")["environments"][environment];
    format!("{}{}", row["version"].as_str().expect("text"), if row["unsolved"] == true { "+" } else { "" })
}

#[test]
fn from_a_defect_in_production_to_an_update_level() {
    if !engine::is_there() {
        return;
    }
    let Some(production) = Registry::start_with_password(USER, REGISTRY_PASSWORD) else { return };
    let gate = "gate = { verified = true, approvals = 2 }";
    let Some(estate) = Estate::with(Some(production), gate) else { return };
    let base = Base::new("story");
    let on_base = ["--base-image", &put_base(&estate, &base)];
    // Development's images are its own: hotfixes get there by a manifest of their own.
    let on_base_for_dev = [&on_base[..], &["--label", "team=dev"]].concat();
    let (hf1, hf2) = ("wso2am-4.1.0.10/hf-1", "wso2am-4.1.0.10/hf-2");

    estate.deploy_with(&on_base, 0, &["qa", "preprod", "prod"]);
    estate.deploy_with(&on_base_for_dev, 0, &["dev"]);
    assert_eq!(run_in(&estate), [Runs::Clean; 4]);
    estate.env("status --check").succeeds();

    // Made where production is.
    estate.deploy_with(&on_base, 2, &["preprod"]);
    assert_eq!(run_in(&estate), [Runs::Clean, Runs::Clean, Runs::Fixed, Runs::Clean]);
    let tested = estate.digest("preprod");

    // To customers, by the gate.
    let promote = "promote --from preprod --to prod --actor ci";
    estate.env(promote).fails_with(11).says("it was not verified in preprod; 0 of 2 approvals are there");
    estate.env("verify --env preprod --result pass --actor ci").succeeds();
    estate.env("approve --env preprod --reason good --actor ann").succeeds();
    estate.env(promote).fails_with(11).says("1 of 2 approvals are there");
    assert_eq!(what_runs(&estate, "prod"), Runs::Clean);
    estate.env("approve --env preprod --reason good --actor bob").succeeds();
    estate.env(promote).succeeds();
    assert_eq!(estate.digest("prod"), tested);
    assert_eq!(run_in(&estate), [Runs::Clean, Runs::Clean, Runs::Fixed, Runs::Fixed]);

    // The next release would bring the defect back.
    let run = estate.env("status --check");
    assert_eq!(run.code, Some(11), "{}", run.stderr);
    assert!(run.stdout.contains(&format!("dev lacks {hf1}, which prod holds")), "{}", run.stdout);
    assert_eq!(version(&estate, 3), "4.1.0.10-hf2+");
    estate.env(&format!("solve {hf1}")).fails_with(11).says("dev (4.1.0.10) lacks it; qa (4.1.0.10) lacks it");

    // Backwards.
    estate.env("propagate --from preprod --actor ci").succeeds();
    assert_eq!(run_in(&estate), [Runs::Fixed; 4]);
    assert_eq!(estate.digest("qa"), tested);
    assert_ne!(estate.digest("dev"), tested, "it has a label of its own");
    estate.env("status --check").succeeds();
    let compared = estate.json("compare dev prod");
    assert_eq!((&compared["only-from"], &compared["files"]), (&serde_json::Value::Null, &serde_json::json!([])));
    estate.env("verify --env dev --result pass --actor ci").succeeds();

    // Everywhere.
    for hotfix in [hf1, hf2] {
        estate.env(&format!("solve {hotfix} --reason everywhere --actor ann")).succeeds();
    }
    assert_eq!(version(&estate, 3), "4.1.0.10-hf2");

    // A level that holds them.
    let later = Scenario::empty().without_engine();
    let later = later.with_pack(|pack| pack.level(20).file("bin/README.txt", "Level 20.\n"));
    estate.deploy_from_with(&later, &on_base, 0, &["4.1.0.20"]);
    let promote = format!("promote --image {} --to dev --actor ci", estate.tag("4.1.0.20"));
    estate.env(&promote).fails_with(11).says(&format!("dev would lose {hf1}, {hf2}"));
    estate.env(&format!("fixed-in {hf1} 15 --actor ann")).succeeds();
    estate.env(&promote).fails_with(11).says(&format!("dev would lose {hf2}\n"));
    estate.env(&format!("fixed-in {hf2} 20 --actor ann")).succeeds();
    estate.env(&promote).succeeds();
    assert_eq!(run_in(&estate), [Runs::Later, Runs::Fixed, Runs::Fixed, Runs::Fixed]);
    let status = estate.json("status");
    let states: Vec<_> = status["hotfixes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["environments"][0]["state"].clone())
        .collect();
    assert_eq!(states, ["included", "included"]);
    estate.env("status --check").succeeds();

    // It is not good, and goes.
    estate.env("verify --env dev --result fail --actor ci").succeeds();
    estate.env("reject --env dev --reason slow --actor bob").succeeds();
    estate.env("promote --from dev --to qa").fails_with(11).says("bob rejected it: slow");
    estate.env("rollback --env dev --actor bob").succeeds();
    assert_eq!(run_in(&estate), [Runs::Fixed; 4]);

    let history = estate.env("history").succeeds().stdout;
    let told: Vec<String> = history.lines().map(|line| without_digests(&line[21..])).collect();
    assert_eq!(
        told,
        [
            "ci: preprod: tests of * passed",
            "ann: preprod: * approved: good",
            "bob: preprod: * approved: good",
            "ci: prod: promoted from preprod, * in place of *, as 4.1.0.10-hf2",
            "ci: dev: hotfixes propagated from preprod, * in place of *",
            "ci: qa: hotfixes propagated from preprod, * in place of *",
            "ci: dev: tests of * passed",
            "ann: wso2am-4.1.0.10/hf-1 is solved: everywhere",
            "ann: wso2am-4.1.0.10/hf-2 is solved: everywhere",
            "ann: wso2am-4.1.0.10/hf-1 is fixed in update level 15",
            "ann: wso2am-4.1.0.10/hf-2 is fixed in update level 20",
            &format!("ci: dev: promoted from {}, * in place of *, as 4.1.0.20", estate.tag("4.1.0.20")),
            "ci: dev: tests of * failed",
            "bob: dev: * rejected: slow",
            "bob: dev: rolled back, * in place of *",
        ]
    );
}

/// With a star for each.
fn without_digests(line: &str) -> String {
    let is_digest = |word: &str| word.len() == 12 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let star = |word: &str| match is_digest(word.trim_end_matches(',')) {
        true => word.replace(word.trim_end_matches(','), "*"),
        false => word.to_owned(),
    };
    line.split(' ').map(star).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_example_plays_it() {
    if Registry::start().is_none() {
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/environments/story.sh");
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(script);
    command.arg(folder.path()).env("HOTFIX", env!("CARGO_BIN_EXE_hotfix")).env_remove("NO_COLOR");
    let output = command.output().expect("bash is there");
    let told = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    // Codes are checked by the script itself.
    for line in [
        "prod (production)  wso2am 4.1.0.10-hf2+",
        "  qa lacks wso2am-4.1.0.10/hf-2, which prod holds\n(exit code 11)",
        "$ hotfix env approve --env preprod --reason 'the defect is gone' --actor ann",
        "wso2am-4.1.0.10/hf-2  included  applied  applied  applied  solved",
        "bob: dev: rolled back, ",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    for page in ["before.html", "after.html"] {
        assert!(folder.path().join(page).is_file(), "{page}");
    }
    assert!(!told.contains("sample-password") && !told.contains("127.0.0.1"), "{told}");
}
