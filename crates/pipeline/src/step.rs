//! The steps of a run, what can go wrong in them, and the exit codes that follow.

use std::fmt;

use serde::Serialize;

use crate::interrupt::Signal;

/// Exit code of a run that did what it was asked to.
pub const DONE: u8 = 0;
/// Exit code of a defect in this program.
pub const DEFECT: u8 = 1;
/// Exit code of a command line that cannot be understood.
pub const USAGE: u8 = 2;
/// Exit code of a step that ran out of time.
pub const TIMED_OUT: u8 = 10;
/// Exit code of a condition that was to be checked and does not hold.
pub const CONDITION: u8 = 11;
/// Exit code of an image or a pack that does not hold what was asked for.
pub const NO_PRODUCT: u8 = 4;

/// A step of the pipeline, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Operating system and processor.
    ValidateOs,
    /// Pack, folder, credentials, names, free disk.
    ValidateInputs,
    /// Numbers without gap or double, each for this product.
    ValidateSequence,
    /// The pack into the workspace.
    ExtractPack,
    /// The update tool, ready to be used.
    InitializeUpdateTool,
    /// The hotfixes, one by one.
    ApplyHotfixes,
    /// The image.
    BuildImage,
    /// The image to its registry.
    PushImage,
    /// What users keep in a server's folders, before it is changed.
    BackUp,
    /// The hotfixes of a server, back to its update level.
    RevertHotfixes,
    /// A server to another update level.
    UpdateProduct,
}

impl Step {
    /// The steps from a pack to an image, in order.
    pub const ALL: [Self; 8] = [
        Self::ValidateOs,
        Self::ValidateInputs,
        Self::ValidateSequence,
        Self::ExtractPack,
        Self::InitializeUpdateTool,
        Self::ApplyHotfixes,
        Self::BuildImage,
        Self::PushImage,
    ];

    /// The steps of a server to another update level, in order.
    const MIGRATION: [Self; 6] = [
        Self::ValidateOs,
        Self::ValidateInputs,
        Self::BackUp,
        Self::InitializeUpdateTool,
        Self::RevertHotfixes,
        Self::UpdateProduct,
    ];

    /// The steps of a migration, and those of the image of the new level where one is wanted: that has no hotfixes.
    pub fn of_migration(with_image: bool) -> Vec<Self> {
        let of_image = [Self::ValidateSequence, Self::BuildImage, Self::PushImage];
        Self::MIGRATION.into_iter().chain(of_image.into_iter().filter(|_| with_image)).collect()
    }

    /// The name in logs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::ValidateOs => "validate-os",
            Self::ValidateInputs => "validate-inputs",
            Self::ValidateSequence => "validate-sequence",
            Self::ExtractPack => "extract-pack",
            Self::InitializeUpdateTool => "initialize-update-tool",
            Self::ApplyHotfixes => "apply-hotfixes",
            Self::BuildImage => "build-image",
            Self::PushImage => "push-image",
            Self::BackUp => "back-up",
            Self::RevertHotfixes => "revert-hotfixes",
            Self::UpdateProduct => "update-product",
        }
    }

    /// The exit code of a run in which this step failed in its usual way.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::ValidateOs => 3,
            Self::ValidateInputs | Self::ExtractPack | Self::BackUp => 4,
            Self::ValidateSequence => 5,
            Self::InitializeUpdateTool | Self::ApplyHotfixes | Self::RevertHotfixes | Self::UpdateProduct => 6,
            Self::BuildImage => 8,
            Self::PushImage => 9,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// In which way a step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In the way that its exit code stands for.
    Failed,
    /// What it is to work on is not as it must be.
    Unfit,
    /// The update tool found conflicts.
    Conflict,
    /// It took longer than `--step-timeout`.
    TimedOut,
    /// Somebody asked us to stop.
    Interrupted(Signal),
}

/// What is wrong, and what to do next. A step makes it; the pipeline adds which step.
#[derive(Debug)]
pub struct Problem {
    /// In which way the step failed.
    pub kind: Kind,
    message: String,
    hint: String,
    source: Option<anyhow::Error>,
}

impl Problem {
    /// A failure of the usual kind: what failed and on which file, and what to do next.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, message: message.into(), hint: hint.into(), source: None }
    }

    /// With what caused it.
    #[must_use]
    pub fn because(mut self, source: impl Into<anyhow::Error>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Of another kind.
    #[must_use]
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// With something else to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// What to do next.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Message and causes, a line each.
    pub fn chain(&self) -> Vec<String> {
        let mut lines = vec![self.to_string()];
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let line = cause.to_string();
            // Foreign errors often repeat what they wrap; once is enough.
            if lines.last().is_none_or(|last| !last.contains(&line)) {
                lines.push(line);
            }
            source = cause.source();
        }
        lines
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}

/// A failed run: which step, and what was wrong.
#[derive(Debug)]
pub struct Failure {
    /// The step that failed.
    pub step: Step,
    /// What was wrong.
    pub problem: Problem,
}

impl Failure {
    /// The exit code of the run.
    pub fn exit_code(&self) -> u8 {
        match self.problem.kind {
            Kind::Failed => self.step.exit_code(),
            Kind::Unfit => Step::ValidateInputs.exit_code(),
            Kind::Conflict => 7,
            Kind::TimedOut => TIMED_OUT,
            Kind::Interrupted(signal) => signal.exit_code(),
        }
    }

    /// Message and causes, a line each.
    pub fn chain(&self) -> Vec<String> {
        self.problem.chain()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.problem)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_table() {
        let codes: Vec<(&str, u8)> = Step::ALL.iter().map(|step| (step.name(), step.exit_code())).collect();
        assert_eq!(
            codes,
            [
                ("validate-os", 3),
                ("validate-inputs", 4),
                ("validate-sequence", 5),
                ("extract-pack", 4),
                ("initialize-update-tool", 6),
                ("apply-hotfixes", 6),
                ("build-image", 8),
                ("push-image", 9)
            ]
        );
    }

    #[test]
    fn the_kind_of_failure_goes_before_the_step() {
        let code =
            |kind| Failure { step: Step::ApplyHotfixes, problem: Problem::new("m", "h").of_kind(kind) }.exit_code();
        let kinds = [
            Kind::Failed,
            Kind::Unfit,
            Kind::Conflict,
            Kind::TimedOut,
            Kind::Interrupted(Signal::Hup),
            Kind::Interrupted(Signal::Int),
            Kind::Interrupted(Signal::Term),
        ];
        assert_eq!(kinds.map(code), [6, 4, 7, 10, 129, 130, 143]);
    }
}
