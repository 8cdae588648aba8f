//! An update tool that leaves what no update tool should: nothing outside the workspace is read into the image or written to, and
//! nobody waits for ever.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::Scenario;

/// What every script does first; the second word is the level.
const RECORDS: &str = r#"mkdir -p $home/updates
[ -e $home/updates/config.json ] || echo '{ "update-level": "10" }' >$home/updates/config.json
[ $1 = current-state ] && exit 0
"#;

/// A tool that does `what` when it applies a hotfix.
fn tool(what: &str) -> Scenario {
    let scenario = Scenario::new().without_engine().with_script(&format!("{RECORDS}{what}"));
    scenario.args(["--base-image", "scratch", "--through", "1"])
}

#[test]
fn records_that_are_something_else() {
    for (what, words) in [
        ("rm $home/updates/config.json; mkfifo $home/updates/config.json", "is no regular file"),
        ("rm $home/updates/config.json; mkdir $home/updates/config.json", "is no regular file"),
        ("rm $home/updates/config.json; ln -s \"$VICTIM/config.json\" $home/updates/config.json", "is no regular file"),
        ("rm -rf $home/updates; ln -s \"$VICTIM\" $home/updates", "is no folder any more"),
        ("head -c 17000000 /dev/zero >$home/updates/config.json", "is larger than 16 MiB"),
    ] {
        for mode in ["auto", "copy"] {
            for keep in [&[][..], &["--keep-workspace", "--workspace", "kept"]] {
                let scenario = tool(what).args(["--workspace-mode", mode]).args(keep.iter().copied());
                let text = r#"{ "username": "mine", "access-token": "mine-too", "auth": "c2VjcmV0" }"#;
                let scenario = scenario.with_file("victim/config.json", text).with_file("victim/logs/log", "mine");
                let victim = scenario.path("victim").to_str().expect("UTF-8").to_owned();
                let scenario = scenario.env("VICTIM", &victim);
                let run = scenario.apply().fails_with(6).says("error: apply-hotfixes: ").says(words);
                assert_eq!(scenario.text("victim/config.json"), text, "{what}: {}", run.stderr);
                assert_eq!(scenario.text("victim/logs/log"), "mine", "{what}: {}", run.stderr);
                assert!(!scenario.path("image").exists(), "{what}");
            }
        }
    }
}

/// The image says which hotfixes are in it, by their checksums.
#[test]
fn a_later_hotfix_that_is_changed() {
    for what in ["echo more >>\"$next\"", "rm \"$next\"", "rm \"$next\"; mkfifo \"$next\"", "truncate -s 1T \"$next\""]
    {
        let what = format!("next=$(dirname \"$2\")/wso2am-4.1.0.10-hf-2.zip; {what}");
        let scenario = Scenario::new().without_engine().with_script(&format!("{RECORDS}date +%N >$home/x; {what}"));
        let run = scenario.args(["--base-image", "scratch"]);
        let run = run.apply().fails(6, "apply-hotfixes");
        run.says("wso2am-4.1.0.10-hf-2.zip, the run's own copy of a hotfix, is not what it was when the run began");
    }
}

#[test]
fn a_tool_that_is_a_link() {
    let name = update_tool_sim::tool_file_name();
    let scenario = tool(&format!("rm $home/bin/{name}; ln -s \"$VICTIM\" $home/bin/{name}; exit 2"));
    let scenario = scenario.with_file("victim.sh", "#!/bin/sh\n");
    let victim = scenario.path("victim.sh").to_str().expect("UTF-8").to_owned();
    let scenario = scenario.env("VICTIM", &victim);
    let before = fs::metadata(&victim).expect("there").permissions();
    scenario.apply().fails(6, "apply-hotfixes").says("cannot be made executable").says("it is no regular file");
    assert_eq!(fs::metadata(&victim).expect("there").permissions(), before);
}

#[test]
fn more_than_the_product_may_have() {
    let scenario = tool("truncate -s 4T $home/lib/large.bin 2>/dev/null || truncate -s 4T $home/large.bin");
    let start = Instant::now();
    let run = scenario.apply().fails(6, "apply-hotfixes").says("--max-unpacked-size allows 18.6 GiB");
    run.says("its largest file is ").says("large.bin (4.0 TiB)");
    assert!(start.elapsed() < Duration::from_secs(60), "nothing of it is read");
}

#[test]
fn folders_without_end() {
    // Renamed together, since no path leads to the innermost.
    let deep = "cd $home; path=$(printf 'd/%.0s' $(seq 300)); mkdir top; \
                for i in $(seq 12); do mkdir -p outer/$path; mv top outer/$path; mv outer top; done";
    let run = tool(deep).args(["--workspace-mode", "copy"]).apply().fails(6, "apply-hotfixes").stderr.clone();
    assert!(run.contains("File name too long") && !run.contains("could not be removed"), "{run}");
}

/// What it says is cut, and the password with it.
#[test]
fn a_line_without_end_shows_no_part_of_a_secret() {
    let password = "Secr3t-Pass-xyz";
    let scenario = tool(
        "i=0; while [ $i -lt 4000 ]; do printf %s%s%s%s%s%s%s%s%s%s $P $P $P $P $P $P $P $P $P $P; i=$((i+1)); done; exit 1",
    );
    let scenario = scenario.args(["--report", "report"]).env("UPDATE_TOOL_PASSWORD", password).env("P", password);
    let run = scenario.apply().fails(6, "apply-hotfixes");
    for part in [&password[..6], &password[6..], &password[10..]] {
        assert!(!run.stderr.contains(part), "{part}: {}", run.stderr.len());
        assert!(!scenario.text("report/report.json").contains(part), "{part}");
    }
    let long = tool("head -c 50000 /dev/zero | tr '\\0' A; exit 1").apply().fails(6, "apply-hotfixes").stderr.len();
    assert!(long < 6000, "{long}");
}

/// Whatever somebody is waited for, they are not when they are told to stop.
#[test]
fn a_password_that_never_comes() {
    let scenario = Scenario::new().without_engine().without_credentials();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        scenario.path("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .expect("a pipe");
    let arguments = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "-u", "jo", "--password-file", "fifo"];
    let child = scenario.spawn(&arguments);
    std::thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    kill_process(Pid::from_raw(child.id().cast_signed()).expect("not 0"), Signal::INT).expect("it is there");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let long = Scenario::new().without_credentials().with_file("long", "x".repeat(70_000));
    let long = long.args(["-u", "jo", "--password-file", "long"]);
    long.apply().fails(4, "validate-inputs").says("the password file long has more than 65536 bytes");
}

#[test]
fn a_product_that_is_gone() {
    for mode in ["auto", "copy"] {
        let gone = |what: &str| tool(what).args(["--workspace-mode", mode]);
        let run = gone("rm -rf $home/* 2>/dev/null; exit 0");
        run.apply().fails(6, "apply-hotfixes").says("no folder any more");
        let run = gone("rm -rf $home/lib $home/updates/product.txt");
        run.apply().fails(6, "apply-hotfixes").says("updates/product.txt is gone from the product");
    }
    let moved =
        tool("cd ..; mv wso2am-4.1.0 elsewhere; ln -s elsewhere wso2am-4.1.0").args(["--workspace-mode", "copy"]);
    moved.apply().fails(6, "apply-hotfixes").says("wso2am-4.1.0 is no folder any more");
}

/// Whatever they did to be known by nothing.
#[test]
fn processes_that_are_left_behind() {
    let command = || format!("{}.{:03}", 7000 + std::process::id() % 1000, number());
    for mode in ["auto", "copy"] {
        let seconds = command();
        let scenario = tool(&format!("echo x >$home/x; env -i setsid /bin/sleep {seconds} >/dev/null 2>&1 &"));
        scenario.args(["--workspace-mode", mode]).apply().succeeds();
        assert!(!runs(&seconds), "{mode}");
    }
    let seconds = command();
    let scenario = tool(&format!("env -i setsid /bin/sleep {seconds} >/dev/null 2>&1 & sleep 1000"));
    let scenario = scenario.args(["--output", "oci:image"]);
    let child = scenario.start_apply_until(|_| runs(&seconds));
    kill_process(Pid::from_raw(child.id().cast_signed()).expect("not 0"), Signal::TERM).expect("it is there");
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(143));
    assert!(!runs(&seconds));
}

/// A number that no other test of this process takes.
fn number() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Whether somebody sleeps for so long.
fn runs(seconds: &str) -> bool {
    let processes = fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
    let mut commands = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    commands.any(|command| command == format!("/bin/sleep\0{seconds}\0").into_bytes())
}

/// Secrets in names, in what links say, and in the forms in which others write them.
#[test]
fn secrets_where_no_content_is() {
    let user = "jo@example.org";
    let password = "Secr3t-Pass-xyz";
    for what in [
        "echo x >$home/x-$UPDATE_TOOL_PASSWORD",
        "mkdir $home/x-$UPDATE_TOOL_PASSWORD",
        "ln -s nowhere-$UPDATE_TOOL_PASSWORD $home/l",
        "echo x >$home/$(printf %s $UPDATE_TOOL_PASSWORD | base64)",
        "printf %s $UPDATE_TOOL_PASSWORD | base64 >$home/x",
        "echo \"Authorization: Basic $(printf %s:%s $UPDATE_TOOL_USERNAME $UPDATE_TOOL_PASSWORD | base64)\" >$home/x",
    ] {
        let scenario = tool(what).args(["--report", "report", "-vv"]);
        let scenario = scenario.env("UPDATE_TOOL_USERNAME", user).env("UPDATE_TOOL_PASSWORD", password);
        let run = scenario.apply().fails(8, "build-image").says("holds the password, the user name or a token");
        let coded = "U2VjcjN0LVBhc3MteHl6";
        let files = ["report.json", "report.html", "summary.md", "junit.xml"];
        let reports = files.map(|file| scenario.text(&format!("report/{file}")));
        for text in reports.iter().chain([&run.stderr]) {
            assert!(!text.contains(password) && !text.contains(coded), "{what}: {text}");
        }
    }
}
