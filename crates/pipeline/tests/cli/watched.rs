//! A run that somebody watches: arguments and environment of every process that there is, and every byte that is left.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;

use crate::support::layout::Layout;
use crate::support::wiretap::Wiretap;
use crate::support::{Scenario, engine};

/// One for each test: others run beside it, with passwords of their own in their environment.
const PASSWORD: &str = "w~a/t+c h?é'\"$%\\ed-8412";
const OF_ENGINE: &str = "e~n/g+i n?é'\"$%\\es-8413";
const OF_TOKENS: &str = "t~o/k+e n?é'\"$%\\ns-8414";

/// The password as different writers write it.
fn forms(password: &str) -> Vec<Vec<u8>> {
    let json = serde_json::to_string(password).expect("a string");
    let quoted = password.replace('\'', "'\\''");
    let percent: String = password
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let base64 = base64::engine::general_purpose::STANDARD;
    // As the second half of `user:password`, at each of the three places that it can have there.
    let inner = (0..3).map(|skip| base64.encode(&password.as_bytes()[skip..password.len() - 3]));
    let inner = inner.map(|text| text[..text.len() - 4].to_owned());
    let plain = [password.to_owned(), json.trim_matches('"').to_owned(), quoted, percent];
    plain.into_iter().chain(inner).map(String::into_bytes).collect()
}

fn is_in(bytes: &[u8], forms: &[Vec<u8>]) -> bool {
    forms.iter().any(|form| memchr::memmem::find(bytes, form).is_some())
}

/// Command lines of the processes that have the password in their arguments, and of those that have it in their environment.
fn watch(forms: &[Vec<u8>], until: &AtomicBool) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut arguments, mut environments) = (BTreeSet::new(), BTreeSet::new());
    while !until.load(Ordering::Relaxed) {
        for process in fs::read_dir("/proc").expect("Linux").filter_map(Result::ok) {
            let read = |name: &str| fs::read(process.path().join(name)).unwrap_or_default();
            let (command, environment) = (read("cmdline"), read("environ"));
            let shown = || String::from_utf8_lossy(&command).replace('\0', " ");
            if is_in(&command, forms) {
                arguments.insert(shown());
            }
            if is_in(&environment, forms) {
                environments.insert(shown());
            }
        }
    }
    (arguments, environments)
}

#[test]
fn the_password_is_seen_by_nobody_but_the_update_tool() {
    if !cfg!(target_os = "linux") {
        engine::skip_even_in_ci("there is no /proc");
        return;
    }
    let forms = forms(PASSWORD);
    let scenario = Scenario::new().without_engine().with_tool(|tool| {
        tool.loud = true;
        tool.slow_ms = 50;
    });
    fs::write(scenario.path("password"), PASSWORD).expect("written");
    let words = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--username", "somebody@example.org"];
    let more =
        ["--password-file", "password", "--base-image", "scratch", "--output", "oci:image", "--report", "report"];
    let kept = ["-vv", "--workspace", "work", "--keep-workspace"];
    let until = AtomicBool::new(false);
    let (output, (arguments, environments)) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(&forms, &until));
        let child = scenario.spawn(&[&words[..], &more, &kept].concat());
        let output = child.wait_with_output().expect("it ends");
        until.store(true, Ordering::Relaxed);
        (output, watching.join().expect("it looks on"))
    });
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(arguments.is_empty(), "{arguments:?}");
    let is_tools = |command: &String| command.contains("/bin/wso2update_");
    assert!(!environments.is_empty() && environments.iter().all(is_tools), "{environments:?}");
    assert!(!is_in(&output.stderr, &forms) && !is_in(&output.stdout, &forms));
    fs::remove_file(scenario.path("password")).expect("there");
    let layout = Layout::open(&scenario.path("image"), "4.1.0.10-hf3");
    for (index, _) in layout.diff_ids().iter().enumerate() {
        assert!(!is_in(&layout.layer_bytes(index), &forms), "layer {index}");
    }
    let mut left = Scenario::snapshot_of(&scenario.path(""));
    // In which the stand-in notes how it was called.
    left.remove("journal");
    let holders: Vec<&String> = left.iter().filter(|(_, bytes)| is_in(bytes, &forms)).map(|(path, _)| path).collect();
    assert!(left.len() > 50 && holders.is_empty(), "{holders:?}");
    // And it would have been found.
    assert!(is_in(format!("say {PASSWORD}").as_bytes(), &forms));
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("jo:{PASSWORD}"));
    assert!(is_in(pair.as_bytes(), &forms), "{pair}");
}

#[test]
fn the_engine_is_never_told() {
    if !engine::is_there() {
        return;
    }
    let forms = forms(OF_ENGINE);
    let base = engine::Base::new("watched");
    let wiretap = Wiretap::start();
    let scenario = Scenario::new().with_tool(|tool| tool.loud = true).env("DOCKER_HOST", &wiretap.endpoint());
    fs::write(scenario.path("password"), OF_ENGINE).expect("written");
    fs::create_dir(scenario.path("own")).expect("made");
    let recipe = format!("FROM {}\nCOPY wso2am-4.1.0 /home/wso2am-4.1.0\n", base.name);
    fs::write(scenario.path("own/Dockerfile"), recipe).expect("written");
    let words = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--username", "somebody@example.org", "-vv"];
    for image in [["--base-image", &base.name], ["--dockerfile", "own/Dockerfile"]] {
        let tag = base.name.replacen("base", "image", 1);
        let account = ["--password-file", "password", "--tag", &tag];
        let child = scenario.spawn(&[&words[..], &image, &account].concat());
        let output = child.wait_with_output().expect("it ends");
        engine::try_docker(&["rmi", "--force", &tag]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!is_in(&output.stderr, &forms));
    }
    let heard = wiretap.heard();
    assert!(memchr::memmem::find(&heard, b"hotfix.fingerprint").is_some(), "it heard {} bytes", heard.len());
    assert!(!is_in(&heard, &forms));
}

/// Files in `folder` that hold one of `secrets`, and whether others could read them.
fn holders(folder: &Path, secrets: &[Vec<u8>]) -> Vec<(PathBuf, bool)> {
    let is_open = |path: &Path| path.metadata().is_ok_and(|metadata| metadata.mode() & 0o077 != 0);
    let is_reachable = |path: &Path| path.ancestors().take_while(|above| above.starts_with(folder)).all(is_open);
    let files = walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok).map(walkdir::DirEntry::into_path);
    let holders = files.filter(|path| is_in(&fs::read(path).unwrap_or_default(), secrets));
    holders.map(|path| (is_reachable(&path), path)).map(|(is_open, path)| (path, is_open)).collect()
}

#[test]
fn the_tools_tokens_are_left_nowhere_and_meanwhile_others_cannot_read_them() {
    // Put together by the tool: otherwise the pack itself would have them.
    let script = r#"t=live; t=$t-token-5f2c9a71; mkdir -p $home/updates/logs; n=$(basename "$2")
echo "using $t as $UPDATE_TOOL_USERNAME with $UPDATE_TOOL_PASSWORD" | tee $home/updates/logs/wso2update-01-02-2026.log
echo "{ \"n\": \"$n\", \"service\": { \"access-token\": \"$t\", \"refresh-token\": \"${t}r\" } }" > $home/updates/config.json
mkdir -p "$HOME/.wso2-updates"; cp $home/updates/config.json "$HOME/.wso2-updates/"; sleep 0.2
[ $1 = current-state ] || echo x > $home/$n.txt"#;
    let secrets = [&forms(OF_TOKENS)[..], &[b"live-token-5f2c9a71".to_vec()]].concat();
    let scenario = Scenario::new().with_script(script).without_engine();
    fs::write(scenario.path("password"), OF_TOKENS).expect("written");
    fs::set_permissions(scenario.path("password"), fs::Permissions::from_mode(0o600)).expect("mine");
    let words = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "-vv", "--username", "somebody@example.org"];
    let more = ["--password-file", "password", "--base-image", "scratch", "--output", "oci:image"];
    for mode in ["copy", "auto"] {
        let kept = ["--report", "report", "--workspace", "work", "--keep-workspace", "--workspace-mode", mode];
        let mut child = scenario.spawn(&[&words[..], &more, &kept].concat());
        let reader = child.stderr.take().expect("piped");
        let said = std::thread::spawn(move || std::io::read_to_string(reader).expect("UTF-8"));
        let mut seen = BTreeSet::new();
        while child.try_wait().expect("ours").is_none() {
            seen.extend(holders(&scenario.path(""), &secrets));
        }
        let open: Vec<&PathBuf> = seen.iter().filter(|(_, is_open)| *is_open).map(|(path, _)| path).collect();
        let said = said.join().expect("it reads");
        assert!(said.contains("using ***"), "{said}");
        assert!(open.is_empty() && !is_in(said.as_bytes(), &secrets), "{open:?}: {said}");
        // The password's own file, and those of the tool.
        assert!(seen.len() > 2, "{seen:?}");
    }
    fs::remove_file(scenario.path("password")).expect("there");
    let layout = Layout::open(&scenario.path("image"), "4.1.0.10-hf3");
    for (index, _) in layout.diff_ids().iter().enumerate() {
        assert!(!is_in(&layout.layer_bytes(index), &secrets), "layer {index}");
    }
    let left = Scenario::snapshot_of(&scenario.path(""));
    let holders: Vec<&String> = left.iter().filter(|(_, bytes)| is_in(bytes, &secrets)).map(|(path, _)| path).collect();
    assert!(left.len() > 50 && holders.is_empty(), "{holders:?}");
}

#[test]
fn the_update_tool_gets_the_users_environment_without_what_is_ours() {
    let script = "env > $home/../../env.txt; echo x >> $home/x.txt";
    let scenario = Scenario::empty().with_script(script).with_hotfix(1, |hotfix| hotfix.add("x", "y"));
    let scenario = scenario.env("HTTPS_PROXY", "http://proxy:1").env("JENKINS_SERVER_COOKIE", "durable-1");
    let scenario = scenario.env("BUILD_ID", "7").env("HOTFIX_LABEL", "team=a").env("HOTFIX_QUIET", "false");
    scenario
        .run(&[
            "apply",
            "packs/wso2am-4.1.0.10.zip",
            "hotfixes",
            "--output",
            "oci:image",
            "--base-image",
            "scratch",
            "--workspace",
            "work",
            "--keep-workspace",
            "--workspace-mode",
            "copy",
        ])
        .leaves_no_process();
    let seen = Scenario::snapshot_of(&scenario.path("work"));
    let (_, seen) = seen.iter().find(|(path, _)| path.ends_with("env.txt")).expect("it was written");
    let seen = String::from_utf8_lossy(seen);
    for line in ["HTTPS_PROXY=http://proxy:1", "JENKINS_SERVER_COOKIE=durable-1", "BUILD_ID=7"] {
        assert!(seen.lines().any(|found| found == line), "{line}: {seen}");
    }
    assert!(!seen.contains("HOTFIX_") && !seen.contains("DOCKER_AUTH_CONFIG"), "{seen}");
}
