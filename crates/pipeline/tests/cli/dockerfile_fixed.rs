//! `--dockerfile`: an image whose product is not the one that the hotfixes left never gets a name.

use crate::dockerfile::SIMPLE;
use crate::support::Scenario;
use crate::support::engine;
use crate::support::recipe::Recipe;
use crate::support::vendor::VendorImage;

const FROM_CONTEXT: &str = "takes the whole product from <product>-<version>/ of its build context";

#[test]
fn a_product_without_what_the_hotfixes_added_is_refused() {
    if !engine::is_there() {
        return;
    }
    let only_adds = || {
        let scenario = Scenario::new().without_hotfixes();
        scenario.with_hotfix(1, |hotfix| hotfix.add("bin/new.txt", "1")).with_hotfix(2, |h| h.add("bin/more.txt", "2"))
    };
    let vendor = VendorImage::of(&Scenario::new());
    let recipe = Recipe::with("recipe-adds", &format!("FROM {}\n", vendor.name), only_adds());
    recipe
        .apply()
        .fails(8, "build-image")
        .says("bin/more.txt is not in the image, and the hotfixes changed or added it")
        .says(FROM_CONTEXT);
    recipe.is_not_there();
    Recipe::with("recipe-adds-taken", SIMPLE, only_adds()).apply().succeeds().does_not_say("warning");
    let removed = SIMPLE.to_owned() + "RUN busybox rm /product/bin/README.txt\n";
    let recipe = Recipe::new("recipe-removes", &removed);
    recipe.apply().fails(8, "build-image").says("bin/README.txt is not in the image, and the hotfixes changed");
    recipe.is_not_there();
}

#[test]
fn a_product_of_an_earlier_hotfix_is_refused() {
    if !engine::is_there() {
        return;
    }
    let twice = || {
        let scenario = Scenario::new().without_hotfixes();
        let first =
            |hotfix: update_tool_sim::HotfixBuilder| hotfix.replace("bin/README.txt", "one").add("bin/a.txt", "");
        let second =
            |hotfix: update_tool_sim::HotfixBuilder| hotfix.replace("bin/README.txt", "two").delete("bin/a.txt");
        scenario.with_hotfix(1, first).with_hotfix(2, second)
    };
    let stale = Recipe::with("recipe-stale-first", SIMPLE, twice()).args(["--through", "1"]);
    stale.apply().succeeds();
    let recipe = Recipe::with("recipe-stale", &format!("FROM {}\n", stale.tag), twice());
    recipe.apply().fails(8, "build-image").says("bin/README.txt is in the image as an earlier hotfix left it");
    recipe.is_not_there();
    let undeleted = format!("{SIMPLE}COPY --from={} /product/bin/a.txt /product/bin/a.txt\n", stale.tag);
    let recipe = Recipe::with("recipe-stale-file", &undeleted, twice());
    recipe.apply().fails(8, "build-image").says("bin/a.txt is in the image as an earlier hotfix left it");
    recipe.is_not_there();
}
