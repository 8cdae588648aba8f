//! Runs steps within their bounds, and keeps what happened for the report.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::changes::Delta;
use crate::checksums::InputDigests;
use crate::hotfix::Hotfix;
use crate::interrupt::Interrupt;
use crate::pack::Product;
use crate::provision::WorkspaceReport;
use crate::report::{ErrorReport, HotfixReport, ImageReport, Outcome, PackReport, Report, Status, StepReport};
use crate::source::Source;
use crate::step::{DONE, Failure, Kind, Problem, Step};

/// How long a stopped step may take to clean up.
const CLEAN_UP: Duration = Duration::from_secs(4);

/// What the log says of where a step begins and ends; who shows that in a way of his own leaves these lines out.
pub const STEP_LINES: &str = "hotfix_pipeline::steps";

/// Is told of steps.
pub trait Observer: std::fmt::Debug + Send + Sync {
    /// One that takes no time to speak of, or a part of it, has passed.
    fn passed(&self, _step: Step) {}
    /// One that takes time begins.
    fn began(&self, step: Step);
    /// It has ended.
    fn ended(&self, step: Step, has_passed: bool, time: Duration);
}

/// Runs steps and takes note of how they end.
#[derive(Debug)]
pub struct Recorder {
    report: Report,
    observers: Vec<Box<dyn Observer>>,
    began: Instant,
    interrupt: Interrupt,
    limit: Duration,
}

impl Recorder {
    /// For a run that `interrupt` can stop, with a bound on each step.
    pub fn new(interrupt: Interrupt, limit: Duration) -> Self {
        let report = Report {
            schema: 1,
            outcome: Outcome::Failure,
            exit_code: DONE,
            started: Timestamp::now(),
            seconds: 0.0,
            made_by: env!("CARGO_PKG_VERSION"),
            product: None,
            pack: None,
            hotfixes: Vec::new(),
            steps: Step::ALL.into_iter().map(not_reached).collect(),
            workspace: None,
            warnings: Vec::new(),
            update_tool_seconds: 0.0,
            changes: None,
            image: None,
            error: None,
        };
        Self { report, observers: Vec::new(), began: Instant::now(), interrupt, limit }
    }

    /// Of a run that has these steps, in place of those from a pack to an image.
    #[must_use]
    pub fn with_steps(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.report.steps = steps.into_iter().map(not_reached).collect();
        self
    }

    /// Tells `observer` too from now on.
    pub fn tell(&mut self, observer: Box<dyn Observer>) {
        self.observers.push(observer);
    }

    /// A step, or a part of one, that takes no time to speak of.
    ///
    /// # Errors
    /// As `work`.
    pub fn step<T>(&mut self, step: Step, work: impl FnOnce() -> Result<T, Problem>) -> Result<T, Failure> {
        let start = Instant::now();
        let result = work();
        let result = self.interrupt.problem().map_or(result, Err);
        if result.is_ok() {
            self.observers.iter().for_each(|observer| observer.passed(step));
        }
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
        self.observers.iter().for_each(|observer| observer.began(step));
        info!(target: STEP_LINES, "{step}: started");
        let result = self.bounded(step, work).await;
        if result.is_ok() {
            info!(target: STEP_LINES, "{step}: done in {:.1} s", start.elapsed().as_secs_f64());
        }
        let time = start.elapsed();
        self.observers.iter().for_each(|observer| observer.ended(step, result.is_ok(), time));
        self.note(step, start, result)
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
            Err(problem) if matches!(problem.kind, Kind::Interrupted(_)) => {
                self.note(self.reached(), start, Err(problem))
            }
            Err(problem) => self.note(step, start, Err(problem)),
        }
    }

    /// The step that was at work last: looking ahead to later ones is a matter of the inputs.
    fn reached(&self) -> Step {
        let begun = self.report.steps.iter().filter(|step| step.start.is_some());
        begun.map(|step| step.name).filter(|step| *step > Step::ValidateSequence).max().unwrap_or(Step::ValidateInputs)
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
        let seconds = rounded(start.elapsed());
        let since = rounded(start.saturating_duration_since(self.began));
        let status = if result.is_ok() { Status::Passed } else { Status::Failed };
        match self.report.steps.iter_mut().find(|report| report.name == step) {
            Some(report) => {
                report.start.get_or_insert(since);
                (report.seconds, report.status) = (report.seconds + seconds, status);
            }
            // One that most such runs do without; where it was.
            None => {
                let place = self.report.steps.iter().rposition(|step| step.start.is_some()).map_or(0, |last| last + 1);
                self.report.steps.insert(place, StepReport { name: step, status, start: Some(since), seconds });
            }
        }
        result.map_err(|problem| Failure { step, problem })
    }

    /// The product and where it comes from, as soon as it is known.
    pub fn source(&mut self, source: &Source) {
        self.report.product = Some(source.product().clone());
        self.report.pack = Some(PackReport { file: source.name(), sha256: None, bytes: source.bytes() });
    }

    /// The product where it is one that is unpacked, as it stands; it comes from no pack.
    pub fn installed(&mut self, product: Option<Product>) {
        self.report.product = product;
        self.report.pack = None;
    }

    /// The hotfixes to be applied, with checksums.
    pub fn inputs(&mut self, hotfixes: &[Hotfix], digests: &InputDigests) {
        if let Some(pack) = &mut self.report.pack {
            pack.sha256 = Some(digests.pack.clone());
        }
        let report = |(hotfix, sha256): (&Hotfix, &String)| HotfixReport {
            number: hotfix.number,
            file: hotfix.file.clone(),
            sha256: Some(sha256.clone()),
            bytes: hotfix.bytes,
            status: Status::Skipped,
            changed: 0,
            added: 0,
            removed: 0,
            files: Delta::default(),
        };
        self.report.hotfixes = hotfixes.iter().zip(&digests.hotfixes).map(report).collect();
    }

    /// How the product got into the workspace.
    pub fn workspace(&mut self, workspace: WorkspaceReport) {
        self.report.workspace = Some(workspace);
    }

    /// How long the update tool was at work.
    pub fn update_tool(&mut self, busy: Duration) {
        self.report.update_tool_seconds = rounded(busy);
    }

    /// What hotfix `number` did.
    pub fn hotfix(&mut self, number: u32, delta: Delta) {
        if let Some(hotfix) = self.report.hotfixes.iter_mut().find(|hotfix| hotfix.number == number) {
            hotfix.status = Status::Passed;
            hotfix.changed = delta.changed.len();
            hotfix.added = delta.added.len();
            hotfix.removed = delta.removed.len();
            hotfix.files = delta;
        }
    }

    /// What is not as in the image that is there.
    pub fn changes(&mut self, changes: Vec<String>) {
        self.report.changes = Some(changes);
    }

    /// The image, once it is there.
    pub fn image(&mut self, image: ImageReport) {
        self.report.image = Some(image);
    }

    /// The report, once the run has ended.
    pub fn finish(mut self, failure: Option<&Failure>) -> Report {
        let is_unchanged = self.report.changes.as_ref().is_some_and(Vec::is_empty);
        self.report.outcome = match failure {
            Some(_) => Outcome::Failure,
            None if is_unchanged => Outcome::Unchanged,
            None => Outcome::Success,
        };
        self.report.exit_code = failure.map_or(DONE, Failure::exit_code);
        self.report.error = failure.map(|failure| ErrorReport {
            step: failure.step,
            message: failure.chain().join(": "),
            hint: failure.problem.hint().to_owned(),
        });
        if let Some(failure) = failure {
            // A failed run leaves no image.
            self.report.image = None;
            let mut open = self.report.hotfixes.iter_mut().filter(|hotfix| hotfix.status == Status::Skipped);
            if let (Step::ApplyHotfixes, Some(hotfix)) = (failure.step, open.next()) {
                hotfix.status = Status::Failed;
            }
        }
        self.report.seconds = rounded(self.began.elapsed());
        self.report
    }
}

fn not_reached(name: Step) -> StepReport {
    StepReport { name, status: Status::Skipped, start: None, seconds: 0.0 }
}

/// In seconds, to the millisecond.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

fn humantime(limit: Duration) -> String {
    match jiff::SignedDuration::try_from(limit) {
        Ok(limit) => format!("{limit:#}"),
        Err(_) => format!("{} s", limit.as_secs()),
    }
}
