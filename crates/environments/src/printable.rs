//! What others have written, shown on a terminal.

/// Text of others, fit for a terminal: control characters and what else could fool one are escaped.
pub fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() || is_invisible(c) { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

/// Direction marks and zero-width characters.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
