//! Images of ours in the engine: which there are, and which of them nobody needs any more.

mod lineage;
mod places;

use std::collections::{BTreeMap, BTreeSet};

use hotfix_docker::engine::Engine;
use hotfix_docker::inventory::Held;
use hotfix_docker::reference::{ImageRef, RepositoryRef};
use hotfix_environments::labels::{Holding, Rank};
use jiff::Timestamp;
use serde::Serialize;

/// Every image of ours has it.
const OURS: &str = "hotfix.fingerprint";

/// An image of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stocked {
    /// Its id in the engine.
    pub id: String,
    /// Its names; none where another image has taken them over.
    pub names: Vec<String>,
    /// `wso2am`.
    pub product: String,
    /// `4.1.0.10-hf3`.
    pub version: String,
    /// How late it is by what it holds.
    #[serde(skip)]
    pub rank: Rank,
    /// When it last got a name; none where the engine does not know.
    pub tagged: Option<Timestamp>,
    /// Length of its layers in bytes; those that it has in common with others count for each.
    pub bytes: u64,
    /// Why it is to stay, whatever its age; none where nothing speaks for it.
    pub needed: Option<String>,
}

/// What becomes of the images of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pruning {
    /// Those that go, or would.
    pub removed: Vec<Stocked>,
    /// Those that the engine did not let go, with what it said.
    pub failed: Vec<(Stocked, String)>,
    /// Those that stay although they are older than those to be kept.
    pub needed: Vec<Stocked>,
    /// How many of the newest stay.
    pub kept: usize,
}

/// All images of ours in the engine, those that got their names last first, and those of which it does not know when last, with what holds the latest first; only those in `repositories`, where any are given.
///
/// # Errors
/// Where the engine does not answer properly.
pub async fn list(engine: &Engine, repositories: &[RepositoryRef]) -> hotfix_docker::Result<Vec<Stocked>> {
    let mut stock = stock(&engine.images_with(OURS).await?);
    stock.retain(|image| repositories.is_empty() || image.names.iter().any(|name| is_in(name, repositories)));
    Ok(stock)
}

/// Removes all but the `keep` newest images of each of `repositories` (of all, where none are given), and those without a name; never one that is needed. With `dry_run`
/// nothing is removed.
///
/// # Errors
/// Where the engine does not answer properly. An image that it does not let go is none.
pub async fn prune(
    engine: &Engine,
    repositories: &[RepositoryRef],
    keep: usize,
    dry_run: bool,
) -> hotfix_docker::Result<Pruning> {
    let (old, kept) = old(list(engine, repositories).await?, repositories, keep);
    let (needed, old): (Vec<_>, Vec<_>) = old.into_iter().partition(|image| image.needed.is_some());
    let mut pruning = Pruning { removed: Vec::new(), failed: Vec::new(), needed, kept };
    for image in old {
        match if dry_run { Ok(()) } else { remove(engine, &image).await } {
            Ok(()) => pruning.removed.push(image),
            Err(error) => {
                let said = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                pruning.failed.push((image, said));
            }
        }
    }
    Ok(pruning)
}

/// By its names, one after the other, so that one that it got meanwhile is left to whoever gave it.
async fn remove(engine: &Engine, image: &Stocked) -> hotfix_docker::Result<()> {
    for name in &image.names {
        let reference: ImageRef = name.parse()?;
        engine.remove_tag(&reference, &image.id).await?;
    }
    if image.names.is_empty() { engine.remove(&image.id).await } else { Ok(()) }
}

fn stock(held: &[Held]) -> Vec<Stocked> {
    let mut stock: Vec<Stocked> = held.iter().filter_map(|image| stocked(image, held)).collect();
    stock.sort_by(|a, b| (b.tagged, &b.rank, &a.names).cmp(&(a.tagged, &a.rank, &b.names)));
    stock
}

fn stocked(image: &Held, all: &[Held]) -> Option<Stocked> {
    let holding = Holding::in_labels(&image.labels)?;
    Some(Stocked {
        id: image.id.clone(),
        names: image.names.clone(),
        version: holding.image_version(),
        rank: holding.rank(),
        product: holding.product,
        tagged: image.tagged.and_then(|time| Timestamp::try_from(time).ok()),
        bytes: image.bytes,
        needed: needed(image, all),
    })
}

/// What speaks for an image, if anything does.
fn needed(image: &Held, all: &[Held]) -> Option<String> {
    if !image.containers.is_empty() {
        return Some(format!("used by {}", image.containers.join(", ")));
    }
    if lineage::is_somebodys(image, all) {
        return Some("somebody has built it on an image of hotfix's".to_owned());
    }
    if let Some(upper) = all.iter().find(|other| lineage::is_on(other, image)) {
        let name = upper.names.first().unwrap_or(&upper.id);
        return Some(format!("{name} is built on it"));
    }
    let repositories: BTreeSet<&str> = image.names.iter().map(|name| repository(name)).collect();
    (repositories.len() > 1).then(|| format!("it is called {}", image.names.join(" and ")))
}

fn is_in(name: &str, repositories: &[RepositoryRef]) -> bool {
    name.parse().is_ok_and(|name| repositories.iter().any(|repository| repository.has(&name)))
}

/// A name without its tag or digest.
fn repository(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// All but the `keep` newest of each of `repositories` (of each there is, where none are given), and those without a name; and how many stay as the newest. Those that
/// may be as new as one that stays are among the old ones, with that as what speaks for them.
fn old(stock: Vec<Stocked>, repositories: &[RepositoryRef], keep: usize) -> (Vec<Stocked>, usize) {
    let mut by_repository: BTreeMap<&str, Vec<&Stocked>> = BTreeMap::new();
    for image in &stock {
        let names = image.names.iter().filter(|name| repositories.is_empty() || is_in(name, repositories));
        let counted: BTreeSet<&str> = names.map(|name| repository(name)).collect();
        counted.into_iter().for_each(|repository| by_repository.entry(repository).or_default().push(image));
    }
    let (mut kept, mut unsure) = (BTreeSet::new(), BTreeMap::new());
    for (place, images) in &by_repository {
        for same in places::newest(images, keep) {
            let name = same[0].names.iter().find(|name| repository(name) == *place).unwrap_or(&same[0].id);
            kept.insert(same[0].id.clone());
            unsure.extend(same[1..].iter().map(|image| (image.id.clone(), name.clone())));
        }
    }
    let mut old = stock;
    old.retain(|image| !kept.contains(&image.id));
    for image in &mut old {
        let than = unsure.get(&image.id);
        let why = than.map(|name| format!("the engine does not know whether it is older than {name}"));
        image.needed = image.needed.take().or(why);
    }
    (old, kept.len())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn image(id: &str, names: &[&str], tagged: u64) -> Held {
        let labels = [
            ("hotfix.product", "wso2am"),
            ("hotfix.version", "4.1.0"),
            ("hotfix.update-level", "10"),
            ("hotfix.pack-sha256", "p"),
            ("hotfix.applied", "[]"),
            (OURS, "f"),
        ];
        Held {
            id: id.to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            tagged: Some(UNIX_EPOCH + Duration::from_secs(tagged)),
            digests: Vec::new(),
            bytes: 1,
            layers: vec!["base".to_owned(), id.to_owned()],
            history: vec!["hotfix: a.zip".to_owned(), "base".to_owned()],
            containers: Vec::new(),
        }
    }

    /// One whose time the engine does not know.
    fn unknown(id: &str, names: &[&str], (version, level, hotfixes): (&str, u32, u32)) -> Held {
        let applied = (1..=hotfixes).map(|number| format!(r#"{{"number":{number},"file":"f","sha256":"s"}}"#));
        let applied = format!("[{}]", applied.collect::<Vec<_>>().join(","));
        let mut held = Held { tagged: None, ..image(id, names, 0) };
        let own = [("version", version), ("update-level", &level.to_string()), ("applied", &applied)];
        held.labels.extend(own.map(|(key, value)| (format!("hotfix.{key}"), value.to_owned())));
        held
    }

    fn pruned(held: &[Held], keep: usize) -> (Vec<String>, Vec<String>) {
        let (old, _) = old(stock(held), &[], keep);
        let (needed, old): (Vec<_>, Vec<_>) = old.into_iter().partition(|image| image.needed.is_some());
        let ids = |images: Vec<Stocked>| images.into_iter().map(|image| image.id).collect();
        (ids(old), ids(needed))
    }

    #[test]
    fn the_newest_of_each_repository_stay() {
        let held = [
            image("1", &["a:1"], 10),
            image("2", &["a:2", "a:latest"], 30),
            image("3", &["a:3"], 20),
            image("4", &["localhost:5000/a:1"], 5),
            image("5", &[], 40),
        ];
        assert_eq!(pruned(&held, 2).0, ["5", "1"]);
        assert_eq!(pruned(&held, 1).0, ["5", "3", "1"]);
        assert_eq!(pruned(&held, 0).0, ["5", "2", "3", "1", "4"]);
        assert_eq!(pruned(&held, 9).0, ["5"]);
    }

    #[test]
    fn names_elsewhere_do_not_count() {
        let held = [image("1", &["b:1"], 1), image("2", &["a:2", "b:2"], 2), image("3", &["a:3"], 3)];
        let ids = |repository: &str| {
            let repository: RepositoryRef = repository.parse().expect("valid");
            let (old, kept) = old(stock(&held), &[repository], 1);
            (old.into_iter().map(|image| image.id).collect::<Vec<_>>(), kept)
        };
        // Whoever lists images of one repository only gets those.
        assert_eq!(ids("b"), (vec!["3".to_owned(), "1".to_owned()], 1));
        assert_eq!(ids("a"), (vec!["2".to_owned(), "1".to_owned()], 1));
    }

    #[test]
    fn where_a_time_is_not_known_what_they_hold_counts() {
        let held = [
            unknown("level", &["a:1"], ("4.1.0", 10, 0)),
            unknown("version", &["a:2"], ("4.10.0", 1, 0)),
            unknown("hotfixes", &["a:3"], ("4.1.0", 9, 10)),
            unknown("fewer", &["a:4"], ("4.1.0", 9, 9)),
            // The last one to get a name, as far as that is known.
            Held { tagged: image("", &[], 9).tagged, ..unknown("clean", &["a:5"], ("4.1.0", 9, 0)) },
            // Its repository has no other.
            unknown("elsewhere", &["b:1"], ("4.0.0", 1, 0)),
        ];
        for (keep, stay) in [(0, vec![]), (1, vec!["version"]), (2, vec!["version", "level"])] {
            let (old, needed) = pruned(&held, keep);
            assert!(needed.is_empty(), "{needed:?}");
            assert_eq!(old.contains(&"elsewhere".to_owned()), keep == 0);
            let is_there = |id: &&str| !old.contains(&(*id).to_owned());
            let all = ["version", "level", "hotfixes", "fewer", "clean"];
            assert_eq!(all.into_iter().filter(is_there).collect::<Vec<_>>(), stay);
        }
        assert_eq!(pruned(&held, 4).0, ["clean"]);
    }

    #[test]
    fn where_nothing_tells_which_is_newer_both_stay_or_go() {
        let three = ("4.1.0", 10, 3);
        let held = [
            unknown("x", &["a:x"], three),
            unknown("y", &["a:y"], three),
            unknown("two", &["a:2"], ("4.1.0", 10, 2)),
            unknown("one", &["a:1"], ("4.1.0", 10, 1)),
        ];
        let (old, kept) = old(stock(&held), &[], 2);
        let why = old.iter().map(|image| (image.id.as_str(), image.needed.as_deref()));
        let unsure = "the engine does not know whether it is older than a:x";
        assert_eq!(why.collect::<Vec<_>>(), [("y", Some(unsure)), ("one", None)]);
        assert_eq!(kept, 2);
        assert_eq!(pruned(&held, 0).0, ["x", "y", "two", "one"]);

        let known = |at: u64, image: &Held| Held { tagged: self::image("", &[], at).tagged, ..image.clone() };
        let both = [known(1, &held[0]), known(2, &held[1]), held[2].clone()];
        assert_eq!(pruned(&both, 1), (vec!["x".to_owned(), "two".to_owned()], vec![]), "their times are known");
    }

    #[test]
    fn products_are_not_newer_than_each_other() {
        let mut other = unknown("is", &["a:is"], ("7.0.0", 1, 0));
        other.labels.insert("hotfix.product".to_owned(), "wso2is".to_owned());
        let held = [other, unknown("am", &["a:am"], ("4.1.0", 10, 1)), unknown("old", &["a:old"], ("4.1.0", 10, 0))];
        assert_eq!(pruned(&held, 1), (vec!["old".to_owned()], vec![]));
    }

    #[test]
    fn what_somebody_needs_stays() {
        let mut used = image("used", &["a:1"], 1);
        used.containers = vec!["web".to_owned()];
        let elsewhere = image("elsewhere", &["a:2", "b:2"], 2);
        let mut below = image("below", &["a:3"], 3);
        below.labels.insert(OURS.to_owned(), "g".to_owned());
        let mut above = image("above", &["company:1"], 4);
        above.labels = below.labels.clone();
        above.layers = ["base", "below", "theirs"].map(str::to_owned).to_vec();
        let mut derived = image("derived", &["company:2"], 5);
        derived.history = ["RUN x", "hotfix: a.zip", "base"].map(str::to_owned).to_vec();
        let held = [used, elsewhere, below, above, derived];
        let (old, needed) = pruned(&held, 0);
        assert!(old.is_empty(), "{old:?}");
        assert_eq!(needed, ["derived", "above", "below", "elsewhere", "used"]);
        let why = |id: &str| {
            let stock = stock(&held);
            stock.into_iter().find(|image| image.id == id).expect("there").needed.expect("a reason")
        };
        assert_eq!(why("used"), "used by web");
        assert_eq!(why("elsewhere"), "it is called a:2 and b:2");
        assert_eq!(why("below"), "company:1 is built on it");
    }

    /// With a fingerprint of its own, and with `more` on what `lower` has.
    fn on(lower: &Held, id: &str, more: &str) -> Held {
        let mut upper = image(id, &[&format!("a:{id}")], 1);
        upper.labels.insert(OURS.to_owned(), id.to_owned());
        upper.layers = lower.layers.iter().cloned().chain([id.to_owned()]).collect();
        upper.history = [more.to_owned()].into_iter().chain(lower.history.iter().cloned()).collect();
        upper
    }

    fn reasons(held: &[Held]) -> Vec<Option<String>> {
        held.iter().map(|image| needed(image, held)).collect()
    }

    #[test]
    fn what_shares_the_layer_of_the_product_is_not_built_on_it() {
        let clean = image("clean", &["a:clean"], 1);
        let fixed = on(&clean, "fixed", "hotfix: hf-1.zip");
        assert_eq!(reasons(&[clean.clone(), fixed.clone()]), [None, None]);
        let derived = on(&fixed, "derived", "RUN x");
        let somebodys = Some("somebody has built it on an image of hotfix's".to_owned());
        let needed = [None, Some("a:derived is built on it".to_owned()), somebodys.clone()];
        assert_eq!(reasons(&[clean.clone(), fixed.clone(), derived.clone()]), needed);
        assert_eq!(reasons(&[clean, derived]), [None, somebodys], "the one with hotfixes is gone");
    }

    #[test]
    fn what_is_built_on_one_of_ours_needs_it_whoever_built_it() {
        let mut clean = image("clean", &["a:clean"], 1);
        clean.digests = vec!["sha256:d".to_owned()];
        let on_it = |upper: &Held| reasons(&[clean.clone(), upper.clone()]);
        let built = |name: &str| Some(format!("a:{name} is built on it"));
        for base in ["clean", "sha256:d"] {
            let mut upper = on(&clean, "upper", "hotfix: hf-1.zip");
            upper.labels.insert("org.opencontainers.image.base.digest".to_owned(), base.to_owned());
            assert_eq!(on_it(&upper), [built("upper"), None], "by us");
            upper.layers.clone_from(&clean.layers);
            upper.history.clone_from(&clean.history);
            assert_eq!(on_it(&upper), [built("upper"), None], "without a hotfix");
        }
        let mut settings = on(&clean, "settings", "ENV A=b");
        settings.layers.clone_from(&clean.layers);
        assert_eq!(on_it(&settings)[0], built("settings"));
        let mut unknown = Held { history: Vec::new(), ..on(&clean, "unknown", "") };
        assert_eq!(on_it(&unknown)[0], built("unknown"), "it has the same hotfixes, and more");
        unknown.labels.insert("hotfix.applied".to_owned(), "[1]".to_owned());
        assert_eq!(on_it(&unknown), [None, None]);
    }

    #[test]
    fn what_has_not_our_labels_is_none_of_ours() {
        let mut other = image("other", &["a:1"], 1);
        other.labels.remove("hotfix.product");
        assert!(stock(&[other]).is_empty());
    }
}
