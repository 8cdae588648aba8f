//! One run of `hotfix` in a world of its own: folders for inputs, home and temporary files, and a journal of the update
//! tool. Everything that a run must leave alone is compared afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use update_tool_sim::samples::sample_hotfixes;
use update_tool_sim::{Call, HotfixBuilder, PackBuilder, ToolBehaviour, calls};
use walkdir::WalkDir;

pub const USERNAME: &str = "jo.doe@example.org";
/// With characters that every escaping rule of the world cares about.
pub const PASSWORD: &str = "p~a/s+s w?ö'\"$%\\rd";

pub struct Scenario {
    folder: TempDir,
    pack: PathBuf,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    input: Option<String>,
    pub(super) under: Vec<String>,
}

impl Scenario {
    /// A good pack, three good hotfixes, credentials in the environment, and an OCI layout as output.
    pub fn new() -> Self {
        let scenario = Self::empty().with_pack(|pack| pack);
        sample_hotfixes(scenario.hotfixes(), "wso2am", "4.1.0", 10);
        scenario
    }

    /// The same inputs, to the byte, in a world of its own.
    pub fn like(other: &Self) -> Self {
        let scenario = Self::empty();
        for folder in ["packs", "hotfixes"] {
            for entry in fs::read_dir(other.path(folder)).expect("there").filter_map(Result::ok) {
                fs::copy(entry.path(), scenario.path(folder).join(entry.file_name())).expect("copied");
            }
        }
        scenario
    }

    /// The same without pack and hotfixes.
    pub fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("scenario ~#").tempdir().expect("a folder");
        for name in ["packs", "hotfixes", "home", "tmp"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let environment = [("UPDATE_TOOL_USERNAME", USERNAME), ("UPDATE_TOOL_PASSWORD", PASSWORD)];
        let environment = environment.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let pack = folder.path().join("packs/wso2am-4.1.0.10.zip");
        Self { folder, pack, arguments: Vec::new(), environment: environment.into(), input: None, under: Vec::new() }
    }

    pub fn with_pack(mut self, build: impl FnOnce(PackBuilder) -> PackBuilder) -> Self {
        let tool = self.tool();
        self.pack = build(PackBuilder::new("wso2am", "4.1.0").level(10).tool(tool)).write_to(self.path("packs"));
        self
    }

    pub fn with_tool(self, behave: impl FnOnce(&mut ToolBehaviour)) -> Self {
        let mut tool = self.tool();
        behave(&mut tool);
        self.with_pack(|pack| pack.tool(tool))
    }

    /// The usual tool, which writes its journal.
    pub fn tool(&self) -> ToolBehaviour {
        ToolBehaviour { journal: Some(self.path("journal")), ..ToolBehaviour::default() }
    }

    /// In place of the pack, the path (from the scenario's folder) that the run is given.
    pub fn with_pack_path(mut self, path: impl AsRef<Path>) -> Self {
        self.pack = self.folder.path().join(path);
        self
    }

    /// In place of the pack, an image that holds the product: `image:` and this name.
    pub fn with_image(mut self, name: &str) -> Self {
        self.pack = format!("image:{name}").into();
        self
    }

    pub fn with_hotfix(self, number: u32, build: impl FnOnce(HotfixBuilder) -> HotfixBuilder) -> Self {
        build(HotfixBuilder::new("wso2am", "4.1.0", 10, number)).write_to(self.hotfixes());
        self
    }

    pub fn without_hotfixes(self) -> Self {
        fs::remove_dir_all(self.hotfixes()).expect("there");
        fs::create_dir(self.hotfixes()).expect("gone");
        self
    }

    pub fn with_file(self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("in the scenario")).expect("a folder");
        fs::write(path, bytes).expect("writable");
        self
    }

    /// Without any engine: it is looked for where there is none.
    pub fn without_engine(self) -> Self {
        let nowhere = format!("unix://{}", self.path("no-engine.sock").display());
        self.env("DOCKER_HOST", &nowhere)
    }

    pub fn args<I: Into<String>>(mut self, arguments: impl IntoIterator<Item = I>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.environment.insert(key.to_owned(), value.to_owned());
        self
    }

    pub fn without_credentials(mut self) -> Self {
        self.environment.retain(|key, _| !key.starts_with("UPDATE_TOOL_"));
        self
    }

    pub fn input(mut self, text: &str) -> Self {
        self.input = Some(text.to_owned());
        self
    }

    /// Started by another command, such as one that takes rights away.
    pub fn under<I: Into<String>>(mut self, command: impl IntoIterator<Item = I>) -> Self {
        self.under = command.into_iter().map(Into::into).collect();
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn hotfixes(&self) -> PathBuf {
        self.path("hotfixes")
    }

    pub fn pack(&self) -> &Path {
        &self.pack
    }

    /// What the update tool was called with, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        calls(&self.path("journal"))
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn report(&self) -> serde_json::Value {
        serde_json::from_str(&self.text("report/report.json")).expect("JSON")
    }

    /// `hotfix apply` with the scenario's pack and hotfixes; into `oci:image` from scratch unless told otherwise.
    pub fn apply(&self) -> Run<'_> {
        self.run(&self.apply_arguments())
    }

    pub fn apply_arguments(&self) -> Vec<String> {
        let mut arguments = vec!["apply".to_owned()];
        arguments.extend(self.inputs());
        if !self.arguments.iter().any(|argument| argument == "--output") {
            arguments.extend(["--output".to_owned(), "oci:image".to_owned()]);
        }
        arguments.extend(self.arguments.iter().cloned());
        arguments
    }

    pub fn plan(&self) -> Run<'_> {
        let mut arguments = vec!["plan".to_owned()];
        arguments.extend(self.inputs());
        arguments.extend(self.arguments.iter().cloned());
        self.run(&arguments)
    }

    /// Pack and hotfixes as paths from the scenario's folder, where the run is started.
    fn inputs(&self) -> [String; 2] {
        let pack = self.pack.strip_prefix(self.folder.path()).unwrap_or(&self.pack);
        [pack.to_str().expect("UTF-8").to_owned(), "hotfixes".to_owned()]
    }

    pub fn run<S: AsRef<str>>(&self, arguments: &[S]) -> Run<'_> {
        let before = self.snapshot();
        let child = self.spawn(arguments);
        let output = child.wait_with_output().expect("it ends");
        Run::new(self, output, before)
    }

    /// For folders that hold what cannot be read, such as pipes: what was left is not looked at.
    pub fn run_without_reading_files<S: AsRef<str>>(&self, arguments: &[S]) -> Run<'_> {
        let output = self.spawn(arguments).wait_with_output().expect("it ends");
        Run::new(self, output, Snapshot::new())
    }

    /// A pack whose update tool is a shell script: `$1` is the command, `$home` the product, where it
    /// works.
    pub fn with_script(self, script: &str) -> Self {
        let text = format!("#!/bin/sh\nset -e\ncd ..\nhome=.\n{script}\n");
        let tool = format!("bin/{}", update_tool_sim::tool_file_name());
        self.with_pack(|pack| pack.without_tool().file_with_mode(&tool, text, 0o755))
    }

    pub fn spawn<S: AsRef<str>>(&self, arguments: &[S]) -> Child {
        self.spawn_in("", arguments)
    }

    /// In a folder of the scenario.
    pub fn run_in<S: AsRef<str>>(&self, folder: &str, arguments: &[S]) -> Run<'_> {
        let before = self.snapshot();
        let output = self.spawn_in(folder, arguments).wait_with_output().expect("it ends");
        Run::new(self, output, before)
    }

    fn spawn_in<S: AsRef<str>>(&self, folder: &str, arguments: &[S]) -> Child {
        let mut command = self.command(arguments);
        command.current_dir(self.path(folder));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("piped");
        if let Some(input) = &self.input {
            stdin.write_all(input.as_bytes()).expect("it reads");
        }
        child
    }

    /// To be started in the scenario's folder and surroundings.
    pub fn command<S: AsRef<str>>(&self, arguments: &[S]) -> Command {
        let mut words = self.under.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_hotfix")]);
        let mut command = Command::new(words.next().expect("one at least"));
        command.args(words).args(arguments.iter().map(AsRef::as_ref)).current_dir(self.folder.path());
        for key in ["UPDATE_TOOL_USERNAME", "UPDATE_TOOL_PASSWORD", "NO_COLOR"] {
            command.env_remove(key);
        }
        command.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp"));
        command.env("DOCKER_CONFIG", self.path("home")).envs(&self.environment);
        command
    }

    /// Starts `apply` and waits until `ready` is true of the scenario.
    pub fn start_apply_until(&self, ready: impl Fn(&Self) -> bool) -> Child {
        let mut arguments = vec!["apply".to_owned()];
        arguments.extend(self.inputs());
        arguments.extend(self.arguments.iter().cloned());
        let child = self.spawn(&arguments);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !ready(self) {
            assert!(Instant::now() < deadline, "the run did not get there in a minute");
            std::thread::sleep(Duration::from_millis(2));
        }
        child
    }

    /// After a child of [`Scenario::start_apply_until`] was asked to stop.
    pub fn ended(&self, child: Child, before: &Snapshot) -> Run<'_> {
        let output = child.wait_with_output().expect("it ends");
        Run::new(self, output, before.clone())
    }

    /// Every file outside the journal and the cache, with its content.
    pub fn snapshot(&self) -> Snapshot {
        let is_left_alone = |path: &str| {
            let may_change = ["journal", "packs/wso2am-4.1.0.10.download", "home/.cache"];
            !may_change.iter().any(|prefix| path.starts_with(prefix))
        };
        Self::snapshot_if(self.folder.path(), is_left_alone)
    }

    /// Every file in `folder`, with its content.
    pub fn snapshot_of(folder: &Path) -> Snapshot {
        Self::snapshot_if(folder, |_| true)
    }

    fn snapshot_if(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> Snapshot {
        let files = WalkDir::new(folder).min_depth(1).sort_by_file_name().into_iter().filter_map(Result::ok);
        let inner = |path: &Path| path.strip_prefix(folder).expect("inside").to_string_lossy().into_owned();
        let files = files.map(|entry| (inner(entry.path()), entry)).filter(|(path, _)| is_wanted(path));
        files.map(|(path, entry)| (path, fs::read(entry.path()).unwrap_or_default())).collect()
    }
}

pub type Snapshot = BTreeMap<String, Vec<u8>>;

/// How a run ended.
pub struct Run<'a> {
    scenario: &'a Scenario,
    pub code: Option<i32>,
    /// What ended it, where it did not end itself.
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    before: Snapshot,
}

impl<'a> Run<'a> {
    fn new(scenario: &'a Scenario, output: std::process::Output, before: Snapshot) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        Self {
            scenario,
            code: output.status.code(),
            signal,
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            before,
        }
    }

    /// Beside others in the same scenario, whose processes and files are not its own.
    #[track_caller]
    pub fn succeeds_beside_others(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        assert_eq!(
            self.scenario.snapshot().keys().filter(|path| path.starts_with("tmp/")).count(),
            0,
            "the workspace is still there"
        );
        self.leaves_no_process()
    }

    /// Exit code, one line that starts with `error:` and the step, something to do next, and nothing left behind.
    #[track_caller]
    pub fn fails(self, code: i32, step: &str) -> Self {
        let run = self.fails_with(code);
        assert!(run.stderr.contains(&format!("error: {step}: ")), "{}", run.stderr);
        run.leaves_nothing()
    }

    /// For what has no steps.
    #[track_caller]
    pub fn fails_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        let errors = self.stderr.lines().filter(|line| line.starts_with("error:")).count();
        assert_eq!(errors, 1, "{}", self.stderr);
        assert!(self.stderr.lines().any(|line| line.starts_with("  next: ")), "{}", self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "{words:?} is not in:\n{}", self.stderr);
        self
    }

    #[track_caller]
    pub fn does_not_say(self, words: &str) -> Self {
        assert!(
            !self.stderr.contains(words) && !self.stdout.contains(words),
            "{words:?} is in:\n{}{}",
            self.stdout,
            self.stderr
        );
        self
    }

    #[track_caller]
    pub fn prints(self, expected: &str) -> Self {
        assert_eq!(self.stdout, expected, "{}", self.stderr);
        self
    }

    /// Folders as they were before, but for a report that was asked for.
    #[track_caller]
    pub fn leaves_nothing(self) -> Self {
        let mut after = self.scenario.snapshot();
        after.retain(|path, _| !path.starts_with("report"));
        let mut before = self.before.clone();
        before.retain(|path, _| !path.starts_with("report"));
        let names = |snapshot: &Snapshot| snapshot.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&before), names(&after), "{}", self.stderr);
        assert!(before == after, "a file was changed");
        self.leaves_no_process()
    }

    /// Nothing that works in the scenario's folder is still running.
    #[track_caller]
    pub fn leaves_no_process(self) -> Self {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let left = processes_in(self.scenario.folder.path());
            if left.is_empty() {
                return self;
            }
            assert!(Instant::now() < deadline, "still running: {left:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Processes whose working folder is in `folder`, or was before it was removed.
fn processes_in(folder: &Path) -> Vec<String> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let lives_there = |path: &PathBuf| fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    let processes = processes.filter_map(Result::ok).map(|entry| entry.path()).filter(lives_there);
    processes.map(|path| fs::read_to_string(path.join("cmdline")).unwrap_or_default()).collect()
}
