//! Where symbolic links lead.

use std::collections::VecDeque;

/// The kernel follows no more than these (`path_resolution(7)`).
const MOST_LINKS: usize = 40;

/// Whether a link at `path` in the product leads out of it to `target`, also by way of other links: `link_at` tells where one at a
/// path leads. A link to nowhere, or in a circle, leads nowhere.
pub(crate) fn leads_out<'a>(path: &str, target: &str, link_at: impl Fn(&str) -> Option<&'a str>) -> bool {
    if !is_plain(target) {
        return true;
    }
    let mut at = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let mut rest: VecDeque<&str> = target.split('/').collect();
    let mut links = 1;
    while let Some(part) = rest.pop_front() {
        match part {
            "" | "." => {}
            ".." if at.is_empty() => return true,
            ".." => go_up(&mut at),
            name => {
                if !at.is_empty() {
                    at.push('/');
                }
                at.push_str(name);
                let Some(next) = link_at(&at) else { continue };
                links += 1;
                if !is_plain(next) {
                    return true;
                }
                if links > MOST_LINKS {
                    return false;
                }
                go_up(&mut at);
                next.split('/').rev().for_each(|part| rest.push_front(part));
            }
        }
    }
    false
}

/// To the folder above.
fn go_up(at: &mut String) {
    at.truncate(at.rfind('/').unwrap_or_default());
}

fn is_plain(target: &str) -> bool {
    !target.is_empty() && !target.starts_with('/') && !target.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside_or_lead_out() {
        for (link, target, out) in [
            ("a/b/l", "../c", false),
            ("a/b/l", "../../c", false),
            ("a/b/l", "../../../c", true),
            ("l", "..", true),
            ("l", "x/../..", true),
            ("l", "/etc/passwd", true),
            ("l", "", true),
            ("l", "x\ny", true),
            ("l", "x/y", false),
            // By way of `a/up`, which leads to the product's folder, and `round`, which leads to itself.
            ("l", "a/up/..", true),
            ("l", "a/up/a/up/b", false),
            ("a/l", "up/../x", true),
            ("l", "round/../..", false),
            ("l", "etc/passwd", true),
        ] {
            let link_at = |path: &str| match path {
                "a/up" => Some(".."),
                "round" => Some("round"),
                "etc" => Some("/etc"),
                _ => None,
            };
            assert_eq!(leads_out(link, target, link_at), out, "{link} → {target}");
        }
    }
}
