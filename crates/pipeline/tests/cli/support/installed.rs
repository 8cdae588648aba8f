//! A product that is unpacked as on a server, with a user whose home the update tool uses, and data of that user's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use update_tool_sim::samples::{sample_hotfixes, sample_updates};
use update_tool_sim::{PackBuilder, ToolBehaviour, change_behaviour, tool_file_name};
use walkdir::WalkDir;

use super::scenario::{PASSWORD, Run, Scenario, USERNAME};

pub struct Installed {
    pub scenario: Scenario,
    /// From the scenario's folder, where commands are run.
    pub home: String,
}

/// The user that others are in tests.
const SOMEBODY: u32 = 12345;
/// What every pack has there.
pub const README: &str = "bin/README.txt";
pub const SETTINGS: &str = "repository/conf/deployment.toml";
/// What users put into a product, with the folders of the vendor's list.
pub const OWN: [(&str, &str); 6] = [
    ("repository/deployment/server/synapse-configs/default/api/mine.xml", "<api name=\"mine\"/>\n"),
    ("repository/tenants/1/axis2services/a.aar", "a service\n"),
    ("repository/resources/security/mine.jks", "a key store\n"),
    ("repository/database/WSO2AM_DB.mv.db", "a database\n"),
    ("repository/components/lib/driver.jar", "a driver\n"),
    ("repository/components/dropins/handler.jar", "a bundle\n"),
];

impl Installed {
    /// API Manager at level 10, with three hotfixes at hand, and updates to 15 and 20.
    pub fn new() -> Self {
        Self::with_tool(|_| {})
    }

    pub fn with_tool(behave: impl FnOnce(&mut ToolBehaviour)) -> Self {
        let scenario = Scenario::empty().without_engine();
        let mut tool = ToolBehaviour { updates: sample_updates(), ..scenario.tool() };
        behave(&mut tool);
        let installed = Self::in_scenario(scenario, "wso2am", "4.1.0", |pack| pack.tool(tool));
        sample_hotfixes(installed.scenario.hotfixes(), "wso2am", "4.1.0", 10);
        installed
    }

    /// Another product, at level 10.
    pub fn of(product: &str, version: &str, build: impl FnOnce(PackBuilder) -> PackBuilder) -> Self {
        Self::in_scenario(Scenario::empty().without_engine(), product, version, build)
    }

    fn in_scenario(
        scenario: Scenario,
        product: &str,
        version: &str,
        build: impl FnOnce(PackBuilder) -> PackBuilder,
    ) -> Self {
        let pack = PackBuilder::new(product, version).level(10).tool_run_bit(true);
        let scenario = scenario.with_pack(|_| build(pack));
        let file = fs::File::open(scenario.pack()).expect("a pack");
        let mut zip = zip::ZipArchive::new(file).expect("a zip");
        zip.extract(scenario.path("servers")).expect("it unpacks");
        Self { scenario, home: format!("servers/{product}-{version}") }
    }

    pub fn path(&self, inner: &str) -> PathBuf {
        self.scenario.path(&self.home).join(inner)
    }

    pub fn put(&self, inner: &str, text: &str) {
        let path = self.path(inner);
        fs::create_dir_all(path.parent().expect("in the product")).expect("a folder");
        fs::write(path, text).expect("written");
    }

    /// Data of the user's own, in every folder of the vendor's list but the logs.
    pub fn with_own_data(self) -> Self {
        OWN.iter().for_each(|(path, text)| self.put(path, text));
        self
    }

    pub fn text(&self, inner: &str) -> String {
        fs::read_to_string(self.path(inner)).unwrap_or_else(|error| panic!("{inner}: {error}"))
    }

    /// With its update tool behaving otherwise from now on.
    pub fn set_tool(&self, change: impl FnOnce(&mut ToolBehaviour)) {
        change_behaviour(&self.path("bin").join(tool_file_name()), change);
    }

    /// The product, and all that is beside it, of another user, as whom `hotfix` is run from now on.
    pub fn of_somebody_else(self) -> Self {
        for entry in WalkDir::new(self.scenario.path("")).into_iter().filter_map(Result::ok) {
            std::os::unix::fs::lchown(entry.path(), Some(SOMEBODY), Some(SOMEBODY)).expect("root may");
        }
        let user = format!("{SOMEBODY}");
        let scenario = self.scenario.under(["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"]);
        Self { scenario, home: self.home }
    }

    /// Waits until the update tool was called so many times.
    pub fn wait_for_calls(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.scenario.calls().len() < count {
            assert!(Instant::now() < deadline, "the tool was not called");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Names of the backups beside the product.
    pub fn backups(&self) -> Vec<String> {
        let beside = fs::read_dir(self.scenario.path("servers")).expect("there").filter_map(Result::ok);
        let names = beside.map(|entry| entry.file_name().into_string().expect("UTF-8"));
        let mut backups: Vec<String> = names.filter(|name| name.ends_with(".tar.zst")).collect();
        backups.sort();
        backups
    }

    /// The update tool, run by the user as the vendor says.
    pub fn tool(&self, arguments: &[&str]) {
        let mut command = Command::new(self.path("bin").join(tool_file_name()));
        command.args(arguments).current_dir(self.path("bin")).env("HOME", self.scenario.path("home"));
        command.env("UPDATE_TOOL_USERNAME", USERNAME).env("UPDATE_TOOL_PASSWORD", PASSWORD);
        let output = loop {
            match command.output() {
                // A process that another test has just started still has the file open, as it was written, for a moment.
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => continue,
                output => break output.expect("it starts"),
            }
        };
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// With the first hotfixes applied.
    pub fn with_hotfixes(self, count: u32) -> Self {
        for number in 1..=count {
            let zip = self.scenario.hotfixes().join(format!("wso2am-4.1.0.10-hf-{number}.zip"));
            self.tool(&["apply-hotfix", zip.to_str().expect("UTF-8")]);
        }
        self
    }

    /// Level and number of hotfixes, as the tool's records have them.
    pub fn standing(&self) -> (String, usize) {
        let config: serde_json::Value = serde_json::from_str(&self.text("updates/config.json")).expect("JSON");
        let hotfixes = config["hotfixes"].as_array().map_or(0, Vec::len);
        (config["update-level"].as_str().expect("text").to_owned(), hotfixes)
    }

    /// What the update tool was called with since `before` calls, without credentials.
    pub fn calls_since(&self, before: usize) -> Vec<String> {
        self.scenario.calls()[before..].iter().map(|call| call.arguments.join(" ")).collect()
    }

    /// `hotfix …`, where HOME stands for the product's folder.
    pub fn run(&self, words: &str) -> Run<'_> {
        let words: Vec<&str> = words.split(' ').map(|word| if word == "HOME" { &self.home } else { word }).collect();
        self.scenario.run(&words)
    }

    pub fn json(&self, words: &str) -> serde_json::Value {
        let run = self.run(&format!("{words} --format json"));
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", run.stdout, run.stderr))
    }

    /// Every file of the product that is neither the update tool's own nor ours, with its checksum.
    pub fn files(&self) -> BTreeMap<String, String> {
        let home = self.path("");
        let files = WalkDir::new(&home).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
        let inner = |path: &std::path::Path| path.strip_prefix(&home).expect("inside").to_string_lossy().into_owned();
        let files = files.map(|entry| (inner(entry.path()), entry));
        let is_products = |path: &str| {
            let tools = ["bin/wso2update", "updates/", "bin/.update-tool", ".hotfix"];
            !tools.iter().any(|start| path.starts_with(start))
        };
        let checksum = |path: &std::path::Path| hex::encode(Sha256::digest(fs::read(path).expect("readable")));
        files.filter(|(path, _)| is_products(path)).map(|(path, entry)| (path, checksum(entry.path()))).collect()
    }
}
