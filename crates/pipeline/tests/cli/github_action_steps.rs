//! The steps of `ci/github/action.yml`, each run as GitHub's runner runs it: by bash, with the files that it gives to steps.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Output;

use serde_yaml_ng::Value;
use sha2::{Digest, Sha256};

use crate::docs::document;
use crate::support::Scenario;
use crate::support::http::{Answer, Server};
use crate::support::layout::Layout;
use crate::support::scenario::{PASSWORD, USERNAME};

/// What a release has, and a runner with the files of one job.
struct Job {
    action: Value,
    releases: Server,
    scenario: Scenario,
    inputs: BTreeMap<&'static str, String>,
}

/// A program of that name, which is the one under test, as releases have it.
fn archive() -> Vec<u8> {
    let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_hotfix"));
    let mut header = tar::Header::new_gnu();
    header.set_size(script.len() as u64);
    header.set_mode(0o755);
    header.set_cksum();
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    tar.append_data(&mut header, "hotfix", script.as_bytes()).expect("in memory");
    tar.into_inner().and_then(flate2::write::GzEncoder::finish).expect("in memory")
}

fn archive_name() -> String {
    format!("hotfix-0.1.0-{}-linux.tar.gz", std::env::consts::ARCH)
}

impl Job {
    /// With a release whose checksum is `checksum`, else the right one.
    fn new(checksum: Option<&str>) -> Self {
        let checksum = checksum.map_or_else(|| hex::encode(Sha256::digest(archive())), str::to_owned);
        Self::with_checksums(&format!("{}  another-file\n{checksum}  {}\n", "0".repeat(64), archive_name()))
    }

    /// With a release that has these checksums.
    fn with_checksums(sums: &str) -> Self {
        let (archive, sums) = (archive(), sums.to_owned());
        let releases = Server::start(move |request| {
            match request.address.strip_prefix("/owner/repository/releases/download/v0.1.0/") {
                Some("SHA256SUMS") => Answer::new(200).body(sums.clone()),
                Some(name) if name == archive_name() => Answer::new(200).body(archive.clone()),
                _ => Answer::new(404),
            }
        });
        let scenario = Scenario::new().without_engine().with_file("runner/x", "");
        for file in ["output", "path", "summary"] {
            fs::File::create(scenario.path(file)).expect("writable");
        }
        let action = serde_yaml_ng::from_str(&document("ci/github/action.yml")).expect("YAML");
        let inputs = [
            ("pack", "packs/wso2am-4.1.0.10.zip"),
            ("hotfixes", "hotfixes"),
            ("username", USERNAME),
            ("password", PASSWORD),
            ("tag", "team/am:1\nteam/am:2"),
        ];
        let inputs = inputs.map(|(name, value)| (name, value.to_owned())).into();
        Self { action, releases, scenario, inputs }
    }

    fn steps(&self) -> Vec<Value> {
        self.action["runs"]["steps"].as_sequence().expect("steps").clone()
    }

    /// What stands for `text`, in which only expressions of these kinds are.
    fn filled(&self, text: &str) -> String {
        let mut filled = text.replace("${{ github.server_url }}", &format!("http://{}", self.releases.host));
        filled = filled.replace("${{ github.action_repository }}", "owner/repository");
        for (name, input) in self.action["inputs"].as_mapping().expect("inputs") {
            let name = name.as_str().expect("a name");
            let usual = input["default"].as_str().unwrap_or_default();
            let value = self.inputs.get(name).map_or(usual, String::as_str);
            filled = filled.replace(&format!("${{{{ inputs.{name} }}}}"), value);
        }
        assert!(!filled.contains("${{"), "{filled}");
        filled
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scenario.path(name)
    }

    /// Files of the whole job, its scratch folders included, that hold `text`.
    fn files_with(&self, text: &str) -> Vec<PathBuf> {
        let files = walkdir::WalkDir::new(self.file("")).into_iter().map(|entry| entry.expect("readable"));
        let files = files.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
        files
            .filter(|path| memchr::memmem::find(&fs::read(path).expect("readable"), text.as_bytes()).is_some())
            .collect()
    }

    /// Runs a step of the action as `shell: bash` does.
    fn run(&self, step: &Value) -> Output {
        assert_eq!(step["shell"], "bash");
        // What is written into a script is code to a shell, whatever somebody puts into an input.
        let script = step["run"].as_str().expect("a script");
        assert!(!script.contains("${{"), "{script}");
        fs::write(self.file("script"), script).expect("writable");
        let added = fs::read_to_string(self.file("path")).expect("there");
        let path = added.lines().chain(["/usr/bin", "/bin"]).collect::<Vec<_>>().join(":");
        let mut command = std::process::Command::new("bash");
        command.args(["--noprofile", "--norc", "-e", "-o", "pipefail"]).arg(self.file("script"));
        command.current_dir(self.file("")).env_clear().env("PATH", path);
        command.env("HOME", self.file("home")).env("TMPDIR", self.file("tmp")).env("DOCKER_HOST", "unix:///nowhere");
        command.env("GITHUB_ACTIONS", "true").env("RUNNER_TEMP", self.file("runner"));
        for (name, file) in [("OUTPUT", "output"), ("PATH", "path"), ("STEP_SUMMARY", "summary")] {
            command.env(format!("GITHUB_{name}"), self.file(file));
        }
        for (name, value) in step["env"].as_mapping().into_iter().flatten() {
            command.env(name.as_str().expect("a name"), self.filled(value.as_str().expect("text")));
        }
        command.output().expect("bash starts")
    }

    /// As later steps see it: `name<<END`, lines, `END`.
    fn output(&self, name: &str) -> String {
        let text = fs::read_to_string(self.file("output")).expect("there");
        let (_, rest) = text.split_once(&format!("{name}<<")).unwrap_or_else(|| panic!("{name} is not in {text}"));
        let (end, rest) = rest.split_once('\n').expect("a line");
        rest.split_once(&format!("\n{end}")).expect("an end").0.to_owned()
    }
}

#[test]
fn it_installs_a_release_and_makes_an_image() {
    let job = Job::new(None);
    let steps = job.steps();
    let [install, apply, _, keep] = steps.as_slice() else { panic!("{steps:?}") };
    let installed = job.run(install);
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    assert!(job.file("runner/hotfix/hotfix").is_file());
    fs::write(job.file("hotfix.toml"), "output = 'oci:image'\nbase-image = 'scratch'\n").expect("writable");
    let applied = job.run(apply);
    let stderr = String::from_utf8_lossy(&applied.stderr).into_owned();
    assert!(applied.status.success(), "{stderr}");
    let layout = Layout::open(&job.file("image"), "2");
    assert_eq!(job.output("image"), "team/am:1");
    assert_eq!(job.output("images"), "team/am:1\nteam/am:2");
    assert_eq!(job.output("digest"), layout.manifest_digest);
    assert_eq!(job.output("version"), "4.1.0.10-hf3");
    assert_eq!(job.output("outcome"), "success");
    // What the action gives on is what the step gives.
    for (name, output) in job.action["outputs"].as_mapping().expect("outputs") {
        let name = name.as_str().expect("a name");
        assert_eq!(output["value"].as_str(), Some(format!("${{{{ steps.apply.outputs.{name} }}}}").as_str()));
        job.output(name);
    }
    assert_eq!(apply["id"], "apply");
    assert!(fs::read_to_string(job.file("summary")).expect("there").contains("wso2am"));
    let report = job.filled(keep["with"]["path"].as_str().expect("a path"));
    assert!(job.file(&report).join("report.json").is_file());
    assert_eq!(job.files_with(PASSWORD), Vec::<PathBuf>::new());
}

#[test]
fn the_artifact_has_a_name_that_is_allowed() {
    let mut job = Job::new(None);
    let steps = job.steps();
    let [.., name, keep] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!(keep["with"]["name"], "${{ steps.reports.outputs.name }}");
    assert_eq!((name["id"].as_str(), name["if"].as_str()), (Some("reports"), Some("always()")));
    let cases = [
        ("hotfix-report", "hotfix-report"),
        ("hotfix-report-wso2am-4.1.0.10", "hotfix-report-wso2am-4.1.0.10"),
        ("out/report", "out-report"),
        ("./out/the report/", "out-the report"),
        ("/tmp/report", "-tmp-report"),
        ("a\\b:c\"d<e>f|g*h?i\rj\nk", "a-b-c-d-e-f-g-h-i-j-k"),
        ("$(touch evil)`touch evil`", "--touch evil--touch evil-"),
        (".", "hotfix-report"),
        ("../..", "hotfix-report"),
        ("", "hotfix-report"),
    ];
    for (report, expected) in cases {
        fs::write(job.file("output"), "").expect("writable");
        job.inputs.insert("report", report.to_owned());
        let named = job.run(name);
        assert!(named.status.success(), "{}", String::from_utf8_lossy(&named.stderr));
        assert_eq!(fs::read_to_string(job.file("output")).expect("there"), format!("name={expected}\n"), "{report:?}");
    }
    assert!(!job.file("evil").exists());
}

#[test]
fn what_is_there_already_is_used() {
    let job = Job::new(None);
    fs::create_dir(job.file("mine")).expect("a folder");
    let program = job.file("mine/hotfix");
    fs::File::create(&program).and_then(|mut file| file.write_all(b"#!/bin/sh\n")).expect("writable");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).expect("ours");
    fs::write(job.file("path"), format!("{}\n", job.file("mine").display())).expect("writable");
    assert!(job.run(&job.steps()[0]).status.success());
    assert!(job.releases.requests().is_empty());
}

#[test]
fn another_checksum_ends_it() {
    let job = Job::new(Some(&"1".repeat(64)));
    let installed = job.run(&job.steps()[0]);
    assert!(!installed.status.success());
    let said = String::from_utf8_lossy(&installed.stdout).into_owned() + &String::from_utf8_lossy(&installed.stderr);
    assert!(said.contains(&format!("{}: FAILED", archive_name())), "{said}");
    assert!(!job.file("runner/hotfix").exists());
    assert_eq!(fs::read_to_string(job.file("path")).expect("there"), "");
}

#[test]
fn a_release_without_its_checksum_ends_it() {
    let job = Job::with_checksums(&format!("{}  another-file\n", "0".repeat(64)));
    let installed = job.run(&job.steps()[0]);
    assert!(!installed.status.success());
    assert!(!job.file("runner/hotfix").exists());
    // Also where the job has a file of another name in the list, and it is right.
    let job = Job::with_checksums(&format!("{}  x\n", hex::encode(Sha256::digest(""))));
    assert!(!job.run(&job.steps()[0]).status.success());
    assert!(!job.file("runner/hotfix").exists());
}

#[test]
fn a_failure_is_the_steps() {
    let mut job = Job::new(None);
    job.inputs.insert("hotfixes", "nowhere".to_owned());
    assert!(job.run(&job.steps()[0]).status.success());
    let applied = job.run(&job.steps()[1]);
    assert_eq!(applied.status.code(), Some(4));
    assert_eq!((job.output("outcome"), job.output("image")), ("failure".to_owned(), String::new()));
    assert!(String::from_utf8_lossy(&applied.stderr).contains("::error title=hotfix%3A validate-inputs::"));
}
