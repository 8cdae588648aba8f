//! `bin/update_tool_setup.sh`, with which newer packs fetch the update tool that they do not contain.

use std::path::Path;

/// What the setup script of a pack does. A folder next to the pack plays the server it downloads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupScript {
    /// Fetches the tool for this machine.
    Works,
    /// Exits 1.
    Fails,
    /// Exits 0 without having fetched anything.
    LeavesNothing,
}

/// Where the script is in a product.
pub(crate) const PATH: &str = "bin/update_tool_setup.sh";

const FETCH: &str = r#"
case "$(uname -s)" in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) echo "no update tool for $(uname -s)" >&2; exit 1 ;;
esac
case "$(uname -m)" in
    x86_64 | amd64) suffix= ;;
    aarch64 | arm64) suffix=_arm64 ;;
    *) echo "no update tool for $(uname -m)" >&2; exit 1 ;;
esac
cd "$(dirname "$0")"
cp "$server/wso2update_$os$suffix" "wso2update_$os$suffix"
"#;

impl SetupScript {
    /// The text of the script, which downloads from `server`.
    pub(crate) fn text(self, server: &Path) -> String {
        let body = match self {
            Self::Works => format!("server={}\n{FETCH}", quoted(server)),
            Self::Fails => "echo 'the download server does not answer' >&2\nexit 1\n".to_owned(),
            Self::LeavesNothing => "echo 'done'\n".to_owned(),
        };
        format!("#!/bin/sh\n# Fetches the update tool for this machine.\nset -eu\n{body}")
    }
}

/// The path as one word of a shell, whatever is in it.
fn quoted(path: &Path) -> String {
    let path = path.to_str().expect("packs of tests are in folders named in UTF-8");
    format!("'{}'", path.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_one_word_of_a_shell() {
        assert_eq!(quoted(Path::new("/a b/it's $HOME")), r"'/a b/it'\''s $HOME'");
    }
}
