//! What others say, as it is shown: a line, and no more than can be read.

/// Characters of a message.
const LONGEST: usize = 1000;
/// Of a list, the first ones stand for the rest.
const MOST_LISTED: usize = 20;

/// A text of others.
pub(crate) fn shown(text: &str) -> String {
    shown_to(LONGEST, text)
}

/// The beginning of a text of others, so many characters of it.
pub(crate) fn shown_to(most: usize, text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
}

/// A list of what others have named.
pub(crate) fn listed<T: ToString>(names: impl ExactSizeIterator<Item = T>) -> String {
    let more = names.len().saturating_sub(MOST_LISTED);
    let names: Vec<String> = names.take(MOST_LISTED).map(|name| shown(&name.to_string())).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_short_and_a_line() {
        assert_eq!(shown("a\nb\u{1b}[2Jc"), "a b [2Jc");
        assert_eq!(shown(&"x".repeat(3_000_000)).len(), LONGEST);
        assert_eq!(listed(["a", "b\r"].iter()), "a, b ");
        let many: Vec<usize> = (0..100).collect();
        assert!(listed(many.iter()).ends_with("18, 19 and 80 more"));
    }
}
