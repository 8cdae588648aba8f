//! What happened: kept while a run goes on, written at its end.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use serde::Serialize;
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::changes::Delta;
use crate::hotfix::Hotfix;
use crate::interrupt::Interrupt;
use crate::pack::{Product, ProductPack};
use crate::step::{DONE, Failure, Kind, Problem, Step};

/// How long a stopped step may take to clean up.
const CLEAN_UP: Duration = Duration::from_secs(4);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The image is there.
    Success,
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
    schema: u32,
    /// How the run ended.
    pub outcome: Outcome,
    /// What the process exits with.
    pub exit_code: u8,
    product: Option<Product>,
    pack: Option<PackReport>,
    hotfixes: Vec<HotfixReport>,
    steps: Vec<StepReport>,
    image: Option<ImageReport>,
    error: Option<ErrorReport>,
}

#[derive(Debug, Clone, Serialize)]
struct PackReport {
    file: String,
    sha256: Option<String>,
    bytes: u64,
}

#[derive(Debug, Clone, Serialize)]
struct HotfixReport {
    number: u32,
    file: String,
    sha256: Option<String>,
    bytes: u64,
    changed: usize,
    added: usize,
    removed: usize,
    files: Delta,
}

#[derive(Debug, Clone, Serialize)]
struct StepReport {
    name: Step,
    status: Status,
    seconds: f64,
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
    /// Length of the layer that holds what the hotfixes changed, uncompressed, in bytes.
    pub hotfix_layer_bytes: u64,
}

#[derive(Debug, Clone, Serialize)]
struct ErrorReport {
    step: Step,
    message: String,
    hint: String,
}

/// Runs steps and takes note of how they end.
#[derive(Debug)]
pub struct Recorder {
    report: Report,
    interrupt: Interrupt,
    limit: Duration,
}

impl Recorder {
    /// For a run that `interrupt` can stop, with a bound on each step.
    pub fn new(interrupt: Interrupt, limit: Duration) -> Self {
        let step = |name| StepReport { name, status: Status::Skipped, seconds: 0.0 };
        let report = Report {
            schema: 1,
            outcome: Outcome::Failure,
            exit_code: DONE,
            product: None,
            pack: None,
            hotfixes: Vec::new(),
            steps: Step::ALL.into_iter().map(step).collect(),
            image: None,
            error: None,
        };
        Self { report, interrupt, limit }
    }

    /// A step, or a part of one, that takes no time to speak of.
    ///
    /// # Errors
    /// As `work`.
    pub fn step<T>(&mut self, step: Step, work: impl FnOnce() -> Result<T, Problem>) -> Result<T, Failure> {
        let start = Instant::now();
        let result = work();
        let result = self.interrupt.problem().map_or(result, Err);
        self.note(step, start, result)
    }

    /// Looks ahead whether a later step can work; leaves no mark where it can.
    ///
    /// # Errors
    /// As `work`.
    pub fn check<T>(&mut self, step: Step, work: impl FnOnce() -> Result<T, Problem>) -> Result<T, Failure> {
        match work() {
            Ok(value) => Ok(value),
            Err(problem) => self.note(step, Instant::now(), Err(problem)),
        }
    }

    /// A step that takes time: stopped by the run's interrupt and by its own bound. `work` gets a token and must end
    /// soon after it is cancelled.
    ///
    /// # Errors
    /// As `work`; a stopped or late step fails in that way whatever `work` says.
    pub async fn run<T>(
        &mut self,
        step: Step,
        work: impl AsyncFnOnce(CancellationToken) -> Result<T, Problem>,
    ) -> Result<T, Failure> {
        let start = Instant::now();
        info!("{step}: started");
        let result = self.bounded(step, work).await;
        let value = self.note(step, start, result)?;
        info!("{step}: done in {:.1} s", start.elapsed().as_secs_f64());
        Ok(value)
    }

    /// As [`Recorder::check`], for what takes time.
    ///
    /// # Errors
    /// As [`Recorder::run`].
    pub async fn look_ahead<T>(
        &mut self,
        step: Step,
        work: impl AsyncFnOnce(CancellationToken) -> Result<T, Problem>,
    ) -> Result<T, Failure> {
        let start = Instant::now();
        match self.bounded(step, work).await {
            Ok(value) => Ok(value),
            Err(problem) => self.note(step, start, Err(problem)),
        }
    }

    async fn bounded<T>(
        &self,
        step: Step,
        work: impl AsyncFnOnce(CancellationToken) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        if let Some(problem) = self.interrupt.problem() {
            return Err(problem);
        }
        let token = self.interrupt.child_token();
        let mut work = std::pin::pin!(work(token.clone()));
        let timed_out = tokio::select! {
            // Done is done, even if the signal came a moment before.
            result = &mut work => return result.map_err(|problem| self.interrupt.problem().unwrap_or(problem)),
            () = token.cancelled() => false,
            () = tokio::time::sleep(self.limit) => true,
        };
        token.cancel();
        // The step undoes what it began, or has just been done; if it does neither, it is dropped.
        if let Ok(Ok(value)) = tokio::time::timeout(CLEAN_UP, work).await {
            return Ok(value);
        }
        match self.interrupt.problem() {
            Some(problem) if !timed_out => Err(problem),
            _ => {
                let message = format!("{step} took longer than {}", humantime(self.limit));
                Err(Problem::new(message, "find out what it waited for (-v tells more), or raise --step-timeout")
                    .of_kind(Kind::TimedOut))
            }
        }
    }

    fn note<T>(&mut self, step: Step, start: Instant, result: Result<T, Problem>) -> Result<T, Failure> {
        if let Some(report) = self.report.steps.iter_mut().find(|report| report.name == step) {
            report.seconds += (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
            report.status = if result.is_ok() { Status::Passed } else { Status::Failed };
        }
        result.map_err(|problem| Failure { step, problem })
    }

    /// The pack, as soon as it is known.
    pub fn pack(&mut self, pack: &ProductPack) {
        self.report.product = Some(pack.product.clone());
        let file = pack.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.report.pack = Some(PackReport { file, sha256: None, bytes: pack.bytes });
    }

    /// The hotfixes to be applied, with checksums.
    pub fn inputs(&mut self, pack_sha256: &str, hotfixes: &[Hotfix], sha256: &[String]) {
        if let Some(pack) = &mut self.report.pack {
            pack.sha256 = Some(pack_sha256.to_owned());
        }
        let report = |(hotfix, sha256): (&Hotfix, &String)| HotfixReport {
            number: hotfix.number,
            file: hotfix.file.clone(),
            sha256: Some(sha256.clone()),
            bytes: hotfix.bytes,
            changed: 0,
            added: 0,
            removed: 0,
            files: Delta::default(),
        };
        self.report.hotfixes = hotfixes.iter().zip(sha256).map(report).collect();
    }

    /// What hotfix `number` did.
    pub fn hotfix(&mut self, number: u32, delta: Delta) {
        if let Some(hotfix) = self.report.hotfixes.iter_mut().find(|hotfix| hotfix.number == number) {
            hotfix.changed = delta.changed.len();
            hotfix.added = delta.added.len();
            hotfix.removed = delta.removed.len();
            hotfix.files = delta;
        }
    }

    /// The image, once it is there.
    pub fn image(&mut self, image: ImageReport) {
        self.report.image = Some(image);
    }

    /// The report, once the run has ended.
    pub fn finish(mut self, failure: Option<&Failure>) -> Report {
        self.report.outcome = if failure.is_none() { Outcome::Success } else { Outcome::Failure };
        self.report.exit_code = failure.map_or(DONE, Failure::exit_code);
        self.report.error = failure.map(|failure| ErrorReport {
            step: failure.step,
            message: failure.chain().join(": "),
            hint: failure.problem.hint().to_owned(),
        });
        if failure.is_some() {
            // A failed run leaves no image.
            self.report.image = None;
        }
        self.report
    }
}

fn humantime(limit: Duration) -> String {
    match jiff::SignedDuration::try_from(limit) {
        Ok(limit) => format!("{limit:#}"),
        Err(_) => format!("{} s", limit.as_secs()),
    }
}

impl Report {
    /// Writes `report.json` and `summary.md` into `folder`.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        replace(folder, "report.json", &format!("{}\n", self.json()))?;
        replace(folder, "summary.md", &self.summary())
    }

    /// The report as JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    fn summary(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| text.push_str(&(line + "\n"));
        let title = self.product.as_ref().map(|product| format!("{} {}", product.name, product.full_version()));
        let outcome = if self.outcome == Outcome::Success { "image built" } else { "failed" };
        line(format!("# {}: {outcome}\n", title.unwrap_or_else(|| "hotfix".to_owned())));
        if let Some(error) = &self.error {
            line(format!(
                "**{}** failed with exit code {}: {}\n",
                error.step,
                self.exit_code,
                markdown(&error.message)
            ));
            line(format!("What to do: {}\n", markdown(&error.hint)));
        }
        if let Some(image) = &self.image {
            for tag in &image.tags {
                line(format!("- image `{tag}`"));
            }
            if let Some(digest) = &image.digest {
                line(format!("- digest `{digest}`"));
            }
            line(format!("- on `{}`, hotfix layer of {}\n", image.base, ByteSize(image.hotfix_layer_bytes)));
        }
        if !self.hotfixes.is_empty() {
            line("| hotfix | file | changed | added | removed |\n| ---: | --- | ---: | ---: | ---: |".to_owned());
            for hotfix in &self.hotfixes {
                line(format!(
                    "| {} | {} | {} | {} | {} |",
                    hotfix.number,
                    markdown(&hotfix.file),
                    hotfix.changed,
                    hotfix.added,
                    hotfix.removed
                ));
            }
            line(String::new());
        }
        line("| step | status | seconds |\n| --- | --- | ---: |".to_owned());
        for step in &self.steps {
            let status = match step.status {
                Status::Passed => "passed",
                Status::Failed => "**failed**",
                Status::Skipped => "skipped",
            };
            line(format!("| {} | {status} | {:.1} |", step.name, step.seconds));
        }
        text
    }
}

/// Text of others in a table cell or paragraph.
fn markdown(text: &str) -> String {
    let escape = |c: char| match c {
        '|' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '\\' | '#' => vec!['\\', c],
        '\n' | '\r' => vec![' '],
        other => vec![other],
    };
    text.chars().flat_map(escape).collect()
}

/// Whole or not at all: others read these files.
fn replace(folder: &Path, name: &str, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.persist(folder.join(name)).map(drop).map_err(|error| error.error)
}
