//! `summary.md`: what happened, for people who look at a pipeline's page.

use bytesize::ByteSize;

use super::{Outcome, Report, Status};

impl Report {
    /// The report as Markdown.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| text.push_str(&(line + "\n"));
        let outcome = match (self.outcome, &self.image) {
            (Outcome::Failure, _) => "failed",
            (Outcome::Unchanged, _) => "unchanged",
            (Outcome::Success, Some(_)) => "image built",
            (Outcome::Success, None) => "done",
        };
        line(format!("# {}: {outcome}\n", self.title()));
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
            let layer = image.hotfix_layer_bytes.map(|bytes| format!(", hotfix layer of {}", ByteSize(bytes)));
            line(format!("- on `{}`{}\n", image.base, layer.unwrap_or_default()));
        }
        for change in self.changes.iter().flatten() {
            line(format!("- {}", markdown(change)));
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
            let word = step.status.word();
            let status = if step.status == Status::Failed { format!("**{word}**") } else { word.to_owned() };
            line(format!("| {} | {status} | {:.1} |", step.name, step.seconds));
        }
        if !self.warnings.is_empty() {
            line("\nWarnings:\n".to_owned());
            self.warnings.iter().for_each(|warning| line(format!("- {}", markdown(warning))));
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
