//! What a builder says while it works: lines to show, the instruction it is at, the image in the end.

use std::collections::{HashMap, VecDeque};

use bollard::moby::buildkit::v1::StatusResponse;
use bollard::models::{BuildInfo, BuildInfoAux};

/// Lines kept for the message of a failure.
const TAIL: usize = 12;

/// With these the classic builder colours what an instruction says on stderr.
const COLORS: [&str; 2] = ["\u{1b}[91m", "\u{1b}[0m"];

/// What is known so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The last image that the builder named as a result.
    pub(super) image: Option<String>,
    /// Images that the classic builder made on the way.
    pub(super) intermediate: Vec<String>,
    /// The instruction that failed, or that was begun last.
    pub(super) instruction: Option<String>,
    tail: VecDeque<String>,
    /// Text after the last line break.
    open: HashMap<String, String>,
    /// Names of BuildKit's steps that were told.
    steps: HashMap<String, String>,
}

impl Progress {
    /// Takes note of a message; returns the lines to show for it.
    pub(super) fn note(&mut self, message: BuildInfo) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(text) = message.stream {
            lines = self.lines("", &COLORS.iter().fold(text, |text, color| text.replace(color, "")));
        } else if let (Some(status), None) = (&message.status, &message.progress_detail) {
            lines.push(status.clone());
        }
        for line in &lines {
            self.note_classic(line);
        }
        match message.aux {
            Some(BuildInfoAux::Default(image)) => self.image = image.id.or(self.image.take()),
            Some(BuildInfoAux::BuildKit(status)) => lines.extend(self.note_buildkit(status)),
            None => {}
        }
        lines.retain(|line| !line.trim().is_empty());
        for line in &lines {
            self.tail.push_back(line.clone());
        }
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        lines
    }

    /// The last lines that were shown, and what was said after them without an end of line.
    pub(super) fn last_lines(&self) -> Vec<String> {
        let open = self.open.values().filter(|text| !text.trim().is_empty());
        self.tail.iter().chain(open).cloned().collect()
    }

    fn note_classic(&mut self, line: &str) {
        if line.to_ascii_lowercase().starts_with("step ") {
            self.instruction = Some(line.to_owned());
        }
        // Podman's arrow and ids are shorter by one.
        let arrow = line.trim().strip_prefix("--").map(|rest| rest.trim_start_matches('-'));
        let image = arrow.and_then(|rest| rest.strip_prefix("> ")).filter(|id| (11..=12).contains(&id.len()));
        let image = image.filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        self.intermediate.extend(image.map(str::to_owned));
    }

    fn note_buildkit(&mut self, status: StatusResponse) -> Vec<String> {
        let mut lines = Vec::new();
        for step in status.vertexes {
            if step.started.is_some() && !self.steps.contains_key(&step.digest) {
                lines.push(step.name.clone());
                self.steps.insert(step.digest.clone(), step.name.clone());
            }
            if !step.error.is_empty() {
                self.instruction = Some(step.name);
            }
        }
        for log in status.logs {
            lines.extend(self.lines(&log.vertex, &String::from_utf8_lossy(&log.msg)));
        }
        lines
    }

    /// The lines that `text` completes.
    fn lines(&mut self, source: &str, text: &str) -> Vec<String> {
        let open = self.open.entry(source.to_owned()).or_default();
        open.push_str(text);
        let Some(end) = open.rfind('\n') else { return Vec::new() };
        let rest = open.split_off(end + 1);
        let complete = std::mem::replace(open, rest);
        complete.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(messages: &[&str]) -> (Progress, Vec<String>) {
        let mut progress = Progress::default();
        let parse = |text: &&str| serde_json::from_str(text).expect("a message");
        let lines = messages.iter().map(parse).flat_map(|message| progress.note(message)).collect();
        (progress, lines)
    }

    #[test]
    fn the_classic_builders_lines_are_put_together() {
        let (progress, lines) = noted(&[
            r#"{"stream":"Step 1/2 : FROM a"}"#,
            r#"{"stream":"\n"}"#,
            r#"{"stream":" ---\u003e 0123456789ab\n"}"#,
            r#"{"stream":"Step 2/2 : RUN false\n ---\u003e Running in 123456789abc\n\u001b[91mout\u001b[0m"}"#,
            r#"{"stream":"\n--\u003e 23456789abc\nopen"}"#,
            r#"{"aux":{"ID":"sha256:1"}}"#,
            r#"{"aux":{"ID":"sha256:2"}}"#,
        ]);
        assert_eq!(
            lines,
            [
                "Step 1/2 : FROM a",
                " ---> 0123456789ab",
                "Step 2/2 : RUN false",
                " ---> Running in 123456789abc",
                "out",
                "--> 23456789abc"
            ]
        );
        assert_eq!(progress.last_lines().last().map(String::as_str), Some("open"));
        assert_eq!(progress.instruction.as_deref(), Some("Step 2/2 : RUN false"));
        assert_eq!(
            (progress.intermediate, progress.image.as_deref()),
            (vec!["0123456789ab".to_owned(), "23456789abc".to_owned()], Some("sha256:2"))
        );
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let text: String = (0..100).map(|number| format!("line {number}\\n")).collect();
        let (progress, lines) = noted(&[&format!(r#"{{"stream":"{text}"}}"#)]);
        assert_eq!((lines.len(), progress.last_lines().first().map(String::as_str)), (100, Some("line 88")));
    }
}
