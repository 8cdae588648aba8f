//! What happened, for programs, for CI systems and for people.

mod html;
mod junit;
mod summary;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::changes::Delta;
use crate::pack::Product;
use crate::provision::WorkspaceReport;
use crate::step::Step;
use crate::unfinished;

/// A report begins with this name until it is whole.
const UNFINISHED: &str = ".hotfix-report-";

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The image is there.
    Success,
    /// It is there already, made from the same inputs.
    Unchanged,
    /// It is not.
    Failure,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It did what it is for.
    Passed,
    /// It did not.
    Failed,
    /// It was not reached, or there was nothing for it to do.
    Skipped,
}

/// `report.json`, schema 1.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub(crate) schema: u32,
    /// How the run ended.
    pub outcome: Outcome,
    /// What the process exits with.
    pub exit_code: u8,
    /// When the run began.
    pub(crate) started: Timestamp,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Version of the hotfix that ran.
    pub(crate) made_by: &'static str,
    pub(crate) product: Option<Product>,
    pub(crate) pack: Option<PackReport>,
    pub(crate) hotfixes: Vec<HotfixReport>,
    pub(crate) steps: Vec<StepReport>,
    /// How the product got into the workspace.
    pub(crate) workspace: Option<WorkspaceReport>,
    /// What was warned of.
    pub warnings: Vec<String>,
    /// Of the steps' time, what the vendor's update tool took.
    pub(crate) update_tool_seconds: f64,
    /// What was not as in the image that was there; none where nothing was compared.
    pub(crate) changes: Option<Vec<String>>,
    pub(crate) image: Option<ImageReport>,
    pub(crate) error: Option<ErrorReport>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct PackReport {
    pub(crate) file: String,
    pub(crate) sha256: Option<String>,
    pub(crate) bytes: u64,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct HotfixReport {
    pub(crate) number: u32,
    pub(crate) file: String,
    pub(crate) sha256: Option<String>,
    pub(crate) bytes: u64,
    pub(crate) status: Status,
    pub(crate) changed: usize,
    pub(crate) added: usize,
    pub(crate) removed: usize,
    pub(crate) files: Delta,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct StepReport {
    pub(crate) name: Step,
    pub(crate) status: Status,
    /// Seconds since the run began; none where the step was not reached.
    pub(crate) start: Option<f64>,
    pub(crate) seconds: f64,
}

/// What is known of the image.
#[derive(Debug, Clone, Serialize)]
pub struct ImageReport {
    /// Its names.
    pub tags: Vec<String>,
    /// The engine's id of it; the manifest's digest in a layout.
    pub id: String,
    /// Digest of its manifest, where it was pushed or is in a layout.
    pub digest: Option<String>,
    /// Name of its base.
    pub base: String,
    /// Length of the layer that holds what the hotfixes changed, uncompressed, in bytes; none where nothing was made.
    pub hotfix_layer_bytes: Option<u64>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ErrorReport {
    pub(crate) step: Step,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Report {
    /// Writes `report.json`, `summary.md`, `junit.xml` and `report.html` into `folder`: all of them where there is room for all.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut written = Vec::new();
        for (name, text) in self.files() {
            written.push((written_in(folder, &text)?, folder.join(name)));
        }
        // Others read these files, so they are whole or as they were.
        written.into_iter().try_for_each(|(file, path)| file.persist(path).map(drop).map_err(|error| error.error))
    }

    /// How much it takes, in bytes.
    pub fn size(&self) -> u64 {
        self.files().iter().map(|(_, text)| text.len() as u64).sum()
    }

    fn files(&self) -> [(&'static str, String); 4] {
        [
            ("report.json", format!("{}\n", self.json())),
            ("summary.md", self.summary()),
            ("junit.xml", self.junit()),
            ("report.html", self.html()),
        ]
    }

    /// `4.1.0.10-hf3`, once there is such an image.
    pub fn image_version(&self) -> Option<String> {
        let product = self.product.as_ref().filter(|_| self.image.is_some())?;
        Some(crate::plan::image_version(product, self.hotfixes.len()))
    }

    /// What the run was of.
    fn title(&self) -> String {
        let product = self.product.as_ref().map(|product| format!("{} {}", product.name, product.full_version()));
        product.unwrap_or_else(|| "hotfix".to_owned())
    }

    /// Names of the steps that have passed.
    pub fn passed(&self) -> Vec<&'static str> {
        self.steps.iter().filter(|step| step.status == Status::Passed).map(|step| step.name.name()).collect()
    }

    /// How it ended, in words.
    fn verdict(&self) -> &'static str {
        let has_passed = |step: &StepReport| step.name == Step::UpdateProduct && step.status == Status::Passed;
        let is_migrated = self.steps.iter().any(has_passed);
        match (self.outcome, &self.image, &self.changes) {
            (Outcome::Failure, ..) => "failed",
            (Outcome::Success, Some(_), _) if is_migrated => "migrated, image built",
            (Outcome::Success, None, None) if is_migrated => "migrated",
            (Outcome::Unchanged, ..) => "unchanged",
            (Outcome::Success, Some(_), _) => "image built",
            (Outcome::Success, None, Some(_)) => "changed, nothing made",
            (Outcome::Success, None, None) => "nothing to do",
        }
    }

    /// The report as JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// A file in `folder` that has no name of its own yet.
fn written_in(folder: &Path, text: &str) -> io::Result<NamedTempFile> {
    let mut file = unfinished::file_in(folder, UNFINISHED, 0o644)?;
    file.write_all(text.as_bytes())?;
    // Whatever the umask is.
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    Ok(file)
}
