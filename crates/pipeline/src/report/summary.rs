//! `summary.md`: what happened, for people who look at a pipeline's page.

use bytesize::ByteSize;

use super::{HotfixReport, ImageReport, Report, Status, StepReport};
use crate::pack::printable;

impl Report {
    /// The report as Markdown.
    pub(crate) fn summary(&self) -> String {
        let mut blocks = vec![format!("# {}: {}", self.title(), self.verdict())];
        if let Some(error) = &self.error {
            let message = markdown(&error.message);
            blocks.push(format!("**{}** failed with exit code {}: {message}", error.step, self.exit_code));
            blocks.push(format!("What to do: {}", markdown(&error.hint)));
        }
        blocks.extend(self.image.as_ref().map(of_image));
        let changes = self.changes.iter().flatten().map(|change| format!("- {}", markdown(change)));
        blocks.push(lines(changes));
        if !self.hotfixes.is_empty() {
            let head = "| hotfix | file | changed | added | removed |\n| ---: | --- | ---: | ---: | ---: |\n";
            blocks.push(head.to_owned() + &lines(self.hotfixes.iter().map(of_hotfix)));
        }
        blocks.push(
            "| step | status | seconds |\n| --- | --- | ---: |\n".to_owned() + &lines(self.steps.iter().map(of_step)),
        );
        if !self.warnings.is_empty() {
            blocks.push("Warnings:".to_owned());
            blocks.push(lines(self.warnings.iter().map(|warning| format!("- {}", markdown(warning)))));
        }
        // Where there is no empty line between, what follows belongs to the list before it.
        blocks.retain(|block| !block.is_empty());
        blocks.join("\n\n") + "\n"
    }
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

fn of_image(image: &ImageReport) -> String {
    let tags = image.tags.iter().map(|tag| format!("- image `{tag}`"));
    let digest = image.digest.iter().map(|digest| format!("- digest `{digest}`"));
    let layer = image.hotfix_layer_bytes.map(|bytes| format!(", hotfix layer of {}", ByteSize(bytes)));
    let base = format!("- on `{}`{}", image.base, layer.unwrap_or_default());
    lines(tags.chain(digest).chain([base]))
}

fn of_hotfix(hotfix: &HotfixReport) -> String {
    let HotfixReport { number, changed, added, removed, .. } = hotfix;
    let did = match hotfix.status {
        Status::Passed => format!("{changed} | {added} | {removed}"),
        Status::Failed => "**failed** | – | –".to_owned(),
        Status::Skipped => "– | – | –".to_owned(),
    };
    format!("| {number} | {} | {did} |", markdown(&hotfix.file))
}

fn of_step(step: &StepReport) -> String {
    let word = step.status.word();
    let status = if step.status == Status::Failed { format!("**{word}**") } else { word.to_owned() };
    format!("| {} | {status} | {:.1} |", step.name, step.seconds)
}

/// Text of others in a table cell or paragraph.
fn markdown(text: &str) -> String {
    let escape = |c: char| match c {
        '|' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '\\' | '#' => vec!['\\', c],
        '&' => "&amp;".chars().collect(),
        other => vec![other],
    };
    let lines: Vec<String> = text.lines().map(printable).collect();
    lines.join(" ").chars().flat_map(escape).collect()
}
