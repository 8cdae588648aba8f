//! Secrets out of text that others wrote, in the forms in which programs tend to print them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

const REPLACEMENT: &str = "***";
/// Shorter texts stand in ordinary words; replacing them would garble the output and hide nothing.
const SHORTEST: usize = 4;

/// Replaces secrets. Debug does not show them.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a form that contains another is replaced whole.
    forms: Vec<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} forms)", self.forms.len())
    }
}

impl Redactor {
    /// From now on `secret` is replaced too: as it is, and as in JSON, URLs, XML, base64, hexadecimal digits
    /// and shell quotes. Of base64 only what stands for itself is known, not what is part of a longer text.
    pub fn add(&mut self, secret: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        self.forms.extend(forms(secret));
        self.forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        self.forms.dedup();
    }

    /// `text` with every known secret replaced.
    pub fn redact(&self, text: &str) -> String {
        self.forms.iter().fold(text.to_owned(), |text, form| text.replace(form, REPLACEMENT))
    }
}

/// `secret` in every form in which programs tend to write it.
pub(crate) fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let json = &json[1..json.len() - 1];
    let html_safe_json = json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
    let url = percent_encoded(secret);
    let mut forms = vec![secret.to_owned(), json.to_owned(), json.replace('/', "\\/"), html_safe_json];
    forms.extend([secret.replace('\'', r"'\''"), xml_escaped(secret), hex::encode(secret)]);
    forms.extend([lower_case_escapes(&url), url.replace("%20", "+"), url.replace("%2F", "/"), url]);
    forms.extend([STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].map(|engine| engine.encode(secret)));
    forms.sort_unstable();
    forms.dedup();
    forms
}

fn xml_escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&apos;")
}

/// `%2F` as `%2f`, the rest as it is.
fn lower_case_escapes(url: &str) -> String {
    let mut parts = url.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (digits, rest) = part.split_at(part.len().min(2));
        format!("{text}%{}{rest}", digits.to_lowercase())
    })
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_replaced() {
        let secret = r#"p"a's/wörd +"#;
        let mut redactor = Redactor::default();
        redactor.add(secret);
        let forms = [
            secret.to_owned(),
            "p%22a%27s%2fw%c3%b6rd%20%2b".to_owned(),
            "p%22a%27s%2Fw%C3%B6rd+%2B".to_owned(),
            r#"p\"a's\/wörd +"#.to_owned(),
            "p&quot;a&apos;s/wörd +".to_owned(),
            r#"p\"a's/wörd +"#.to_owned(),
            "p%22a%27s%2Fw%C3%B6rd%20%2B".to_owned(),
            STANDARD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
        ];
        for form in forms {
            assert_eq!(redactor.redact(&format!("<{form}>")), "<***>", "{form}");
        }
    }

    #[test]
    fn words_are_not_garbled_by_tiny_secrets() {
        let mut redactor = Redactor::default();
        redactor.add("a");
        assert_eq!(redactor.redact("banana"), "banana");
        redactor.add("secret");
        assert!(!format!("{redactor:?}").contains("secret"));
    }
}
