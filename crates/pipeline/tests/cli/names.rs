//! Names of the image: derived, given, and refused.

use crate::support::Scenario;

fn planned(arguments: &[&str]) -> Vec<String> {
    let scenario = Scenario::new().args(["--format", "json"]).args(arguments.iter().copied());
    let run = scenario.plan();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let plan: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    plan["tags"].as_array().expect("tags").iter().map(|tag| tag.as_str().expect("text").to_owned()).collect()
}

#[test]
fn a_name_is_derived_from_product_version_level_and_hotfixes() {
    assert_eq!(planned(&[]), ["wso2am:4.1.0.10-hf3"]);
    assert_eq!(planned(&["--through", "1"]), ["wso2am:4.1.0.10-hf1"]);
    assert_eq!(planned(&["--through", "0"]), ["wso2am:4.1.0.10"]);
}

#[test]
fn a_repository_takes_the_place_of_the_products_name() {
    for repository in ["team/wso2am", "127.0.0.1:5000/team/x", "localhost/x", "registry.example.org:443/a/b/c"] {
        assert_eq!(planned(&["--repository", repository]), [format!("{repository}:4.1.0.10-hf3")]);
    }
    let scenario = Scenario::new().args(["--repository", "127.0.0.1:5000/team/x", "--through", "0"]);
    scenario.apply().succeeds().prints("127.0.0.1:5000/team/x:4.1.0.10\n");
}

#[test]
fn a_repository_that_cannot_be_one_is_refused() {
    for repository in ["a b", "team/WSO2am", "team//x", "team/x/", "https://registry.example.org/x", "", "x\u{1b}[2J"] {
        let scenario = Scenario::new().args([format!("--repository={repository}")]);
        let run = scenario.apply().fails(4, "validate-inputs").prints("");
        run.says("is no name of a repository").says("such as registry.example.org/team/wso2am").does_not_say("\u{1b}");
    }
}

#[test]
fn a_repository_with_a_tag_is_told_from_a_tag() {
    let digest = format!("x@sha256:{}", "a".repeat(64));
    for repository in ["x:1", "127.0.0.1:5000/team/x:1", &digest] {
        let run = Scenario::new().args(["--repository", repository]);
        run.plan()
            .fails(4, "validate-inputs")
            .says(&format!("--repository {repository} has a tag or a digest"))
            .says(&format!("give --tag {repository} for a name of your own"));
    }
}

#[test]
fn a_repository_beside_tags_is_wrong_usage() {
    let run = Scenario::new().args(["--repository", "x", "-t", "y:1"]);
    let run = run.plan();
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    run.says("error: command line: the argument '--repository <REPO>' cannot be used with '--tag <REF>'").prints("");
}

#[test]
fn every_tag_counts_once_and_in_its_order() {
    let tags = ["-t", "b:2", "--tag", "a", "--tag=b:2", "-t", "a:latest", "-t", "docker.io/library/b:2", "-t", "c/b:2"];
    assert_eq!(planned(&tags), ["b:2", "a:latest", "c/b:2"]);
    let scenario = Scenario::new().args(tags);
    scenario.apply().succeeds().prints("b:2\na:latest\nc/b:2\n");
}

#[test]
fn one_bad_tag_among_good_ones_is_named() {
    for (tag, words) in [
        ("x:y:z", "'x:y:z' is not an image reference"),
        ("team/X:1", "'team/X:1' is not an image reference"),
        (&format!("x:{}", "t".repeat(129)), "is not an image reference"),
    ] {
        let scenario = Scenario::new().args(["-t", "good:1", "-t", tag]);
        scenario.apply().fails(4, "validate-inputs").says("a tag of the image cannot be used").says(words);
    }
}

#[test]
fn a_password_in_a_name_is_not_shown() {
    let name = "jo:pa55w0rd@127.0.0.1:5791/am:1";
    for option in ["--tag", "--base-image", "--from-image", "--repository"] {
        let scenario = Scenario::new().args([option, name]);
        let run = scenario.apply().fails(4, "validate-inputs");
        run.says("***@127.0.0.1:5791/am:1").does_not_say("pa55w0rd");
    }
    let scenario = Scenario::new().with_image(name);
    let run = scenario.apply().fails(4, "validate-inputs");
    run.says("***@127.0.0.1:5791/am:1").does_not_say("pa55w0rd");
    let scenario = Scenario::new();
    let run = scenario.run(&["inspect", name]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    run.says("***@127.0.0.1:5791/am:1").does_not_say("pa55w0rd");
}

#[test]
fn a_name_cannot_fool_a_terminal() {
    let scenario = Scenario::new().with_file("hotfix.toml", "tag = 'x'\nbase-image = \"a\\u001b[2J\\rb\"\n");
    let run = scenario.apply().fails(4, "validate-inputs").says("  cause: 'a\\u{1b}[2J\\rb' is not");
    run.does_not_say("\u{1b}").does_not_say("\r");
}
