//! Step 3: the hotfixes in the folder must be 1, 2, 3 …, each for this product.

use update_tool_sim::HotfixBuilder;

use crate::support::Scenario;

fn numbered(numbers: &[u32]) -> Scenario {
    let scenario = Scenario::new().without_hotfixes();
    numbers.iter().fold(scenario, |scenario, number| {
        scenario.with_hotfix(*number, |hotfix| hotfix.add(&format!("fix-{number}.txt"), "fixed"))
    })
}

#[test]
fn a_gap() {
    numbered(&[1, 2, 4])
        .apply()
        .fails(5, "validate-sequence")
        .says("hotfix 3 is missing in hotfixes: after wso2am-4.1.0.10-hf-2.zip comes wso2am-4.1.0.10-hf-4.zip");
}

#[test]
fn a_double() {
    let scenario = numbered(&[1, 2]).with_hotfix(2, HotfixBuilder::spelling_without_dash);
    scenario
        .apply()
        .fails(5, "validate-sequence")
        .says("hotfix 2 is in hotfixes twice: wso2am-4.1.0.10-hf-2.zip and wso2am-4.1.0.10-hf2.zip");
}

#[test]
fn a_start_at_2_and_at_0() {
    numbered(&[2, 3])
        .apply()
        .fails(5, "validate-sequence")
        .says("begins with wso2am-4.1.0.10-hf-2.zip, not with hotfix 1");
    numbered(&[0, 1])
        .apply()
        .fails(5, "validate-sequence")
        .says("begins with wso2am-4.1.0.10-hf-0.zip, not with hotfix 1")
        .says("next: hotfixes are numbered from 1: take it out");
}

#[test]
fn another_product_version_or_level() {
    for (product, version, level, reason) in [
        ("wso2is", "4.1.0", 10, "its name does not begin with wso2am-4.1.0"),
        ("wso2am", "4.2.0", 10, "its name does not begin with wso2am-4.1.0"),
        ("wso2am", "4.1.0", 12, "its name says level 12"),
    ] {
        let scenario = numbered(&[1]);
        HotfixBuilder::new(product, version, level, 2).add("x", "y").write_to(scenario.hotfixes());
        scenario.apply().fails(5, "validate-sequence").says("is not for wso2am-4.1.0 at level 10").says(reason);
    }
}

#[test]
fn zips_that_are_no_hotfixes() {
    let scenario = numbered(&[1]).with_hotfix(2, HotfixBuilder::without_hotfix_json);
    scenario.apply().fails(5, "validate-sequence").says("hf-2.zip is no hotfix: there is no hotfix.json in it");
    let scenario = numbered(&[1]).with_file("hotfixes/wso2am-4.1.0.10-hf-2.zip", "text");
    scenario.apply().fails(5, "validate-sequence").says("hf-2.zip is no zip, or is damaged");
    let scenario = numbered(&[1]).with_hotfix(2, |hotfix| hotfix.name("wso2am-4.1.0.10-patch.zip"));
    scenario
        .apply()
        .fails(5, "validate-sequence")
        .says("patch.zip is no hotfix: its name does not end in -hf-<n>.zip or -hf<n>.zip");
}

#[test]
fn a_number_that_is_too_large() {
    let name = "wso2am-4.1.0.10-hf-99999999999999999999.zip";
    let scenario = numbered(&[1]).with_hotfix(2, |hotfix| hotfix.name(name));
    scenario.apply().fails(5, "validate-sequence").says("hotfix: the number in its name is too large");
}

#[test]
fn a_folder_with_none() {
    numbered(&[]).apply().fails(5, "validate-sequence").says("there is no hotfix in hotfixes").says("--through 0");
    numbered(&[])
        .with_file("hotfixes/readme.txt", "x")
        .apply()
        .fails(5, "validate-sequence")
        .says("ignored in hotfixes, being no zip: readme.txt");
}

#[test]
fn through_more_than_there_are() {
    numbered(&[1, 2])
        .args(["--through", "3"])
        .apply()
        .fails(5, "validate-sequence")
        .says("--through 3 asks for more hotfixes than there are: hotfixes holds 2");
}

/// A folder in which something is wrong is not to be trusted with the rest.
#[test]
fn what_is_wrong_above_through_is_wrong_too() {
    for scenario in [
        numbered(&[1, 2, 4]),
        numbered(&[1, 2]).with_file("hotfixes/wso2am-4.1.0.10-hf-3.zip", "text"),
        numbered(&[1, 2, 3]).with_hotfix(3, HotfixBuilder::spelling_without_dash),
    ] {
        scenario.args(["--through", "2"]).apply().fails(5, "validate-sequence");
    }
}

#[test]
fn a_wrong_folder_fails_before_the_pack_is_touched() {
    let scenario = numbered(&[2]).args(["-v"]);
    let run = scenario.apply();
    let stderr = run.stderr.clone();
    run.fails(5, "validate-sequence");
    assert!(!stderr.contains("extract-pack"), "{stderr}");
}

#[test]
fn both_spellings_in_any_case_count() {
    let scenario = Scenario::new().without_hotfixes();
    let names = [
        "wso2am-4.1.0.10-hf-1.zip",
        "wso2am-4.1.0-abc-hf2.zip",
        "WSO2AM-4.1.0.10-HF-03.ZIP",
        "wso2am-4.1.0.10-fix #4~ $a-hf-08.zip",
    ];
    let scenario = names.iter().zip([1, 2, 3, 4]).fold(scenario, |scenario, (name, number)| {
        let name = name.replace("hf-08", "hf-04");
        scenario.with_hotfix(number, |hotfix| hotfix.add(&format!("fix-{number}.txt"), "fixed").name(&name))
    });
    scenario.apply().succeeds().prints("wso2am:4.1.0.10-hf4\n");
    let applied: Vec<String> = scenario
        .calls()
        .iter()
        .filter(|call| call.arguments[0] == "apply-hotfix")
        .map(|call| call.arguments[1].rsplit('/').next().expect("a name").to_owned())
        .collect();
    assert_eq!(
        applied,
        [
            "wso2am-4.1.0.10-hf-1.zip",
            "wso2am-4.1.0-abc-hf2.zip",
            "WSO2AM-4.1.0.10-HF-03.ZIP",
            "wso2am-4.1.0.10-fix #4~ $a-hf-04.zip"
        ]
    );
}

#[test]
fn ten_comes_after_nine() {
    let numbers: Vec<u32> = (1..=11).collect();
    numbered(&numbers).apply().succeeds().prints("wso2am:4.1.0.10-hf11\n");
}

#[test]
fn what_is_named_like_a_hotfix_and_is_no_file_is_refused() {
    let scenario = numbered(&[1]);
    std::os::unix::fs::symlink("/nonexistent", scenario.path("hotfixes/wso2am-4.1.0.10-hf-2.zip")).expect("a link");
    scenario.apply().fails(5, "validate-sequence").says("hf-2.zip is no hotfix: it is no file, or a link to none");
    let scenario = numbered(&[1]);
    std::fs::create_dir(scenario.path("hotfixes/wso2am-4.1.0.10-hf-2.zip")).expect("a folder");
    scenario.apply().fails(5, "validate-sequence").says("hf-2.zip is no hotfix: it is no file");
}

#[test]
fn a_pack_among_the_hotfixes_is_called_what_it_is() {
    let scenario = numbered(&[1]).with_file("hotfixes/wso2am-4.1.0.10.zip", "x");
    scenario.apply().fails(5, "validate-sequence").says("is no hotfix but a product pack");
}

#[test]
fn what_macos_puts_beside_files_is_ignored() {
    let scenario = numbered(&[1]).with_file("hotfixes/._wso2am-4.1.0.10-hf-1.zip", "x");
    scenario.apply().succeeds().says("being no zip: ._wso2am-4.1.0.10-hf-1.zip");
}

#[test]
fn a_name_that_could_fool_a_terminal_is_refused() {
    for name in
        ["wso2am-4.1.0.10-a\nb-hf-2.zip", "wso2am-4.1.0.10-\u{1b}[2J-hf-2.zip", "wso2am-4.1.0.10-\u{202e}-hf-2.zip"]
    {
        let scenario = numbered(&[1]).with_hotfix(2, |hotfix| hotfix.add("x", "y").name(name));
        let run = scenario.apply().fails(5, "validate-sequence").says("has characters that cannot be shown");
        run.does_not_say("\u{1b}").does_not_say("\u{202e}").does_not_say("a\nb");
    }
}
