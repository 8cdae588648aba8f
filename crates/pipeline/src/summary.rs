//! `summary.md`: what happened, for people who look at a pipeline's page.

use bytesize::ByteSize;

use crate::report::{Outcome, Report, Status};

impl Report {
    /// The report as Markdown.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| text.push_str(&(line + "\n"));
        let title = self.product.as_ref().map(|product| format!("{} {}", product.name, product.full_version()));
        let outcome = match (self.outcome, &self.image) {
            (Outcome::Failure, _) => "failed",
            (Outcome::Unchanged, _) => "unchanged",
            (Outcome::Success, Some(_)) => "image built",
            (Outcome::Success, None) => "done",
        };
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
