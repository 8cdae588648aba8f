//! Bytes sent to engine and registry.

use hotfix_bench::inputs::{Backup, Inputs, Shape};
use hotfix_bench::sections::bytes::Counted;

use crate::support::{World, engine, skip};

const SHAPE: Shape = Shape::Bytes(20_000_000);

#[test]
fn a_warm_run_sends_what_the_hotfixes_changed_and_little_more() {
    let Some(engine) = engine() else { return };
    let world = World::new(None);
    let counted = match Counted::new(&engine, world.folder()) {
        Ok(counted) => counted,
        Err(error) => return skip(&format!("{error:#}")),
    };
    let hotfix = world.hotfix.through(&counted.host);
    let inputs = Inputs::new(&world.path("inputs")).expect("a folder");
    let pack = inputs.pack(SHAPE, Backup::None).expect("a pack");
    let base = engine.base(world.folder()).expect("a base image");
    let run = |name: &str, bytes_each: u64| {
        let tag = counted.name(&format!("ours:{name}"));
        let hotfixes = inputs.hotfixes(SHAPE, 3, bytes_each).expect("hotfixes");
        counted.sent();
        let applied = hotfix.apply(&pack, &hotfixes, &["--base-image", &base, "--tag", &tag, "--push"]);
        let digest = applied.expect("it works").digest().expect("a digest").to_owned();
        (counted.sent(), counted.bound(&digest).expect("it is in the registry"))
    };
    let (cold, _) = run("earlier", 100_000);
    assert!(cold.to_engine > 20_000_000 && cold.to_registry > 10_000_000, "is anything counted? {cold:?}");
    let (warm, bound) = run("now", 300_000);
    assert!((900_000.0..1_500_000.0).contains(&bound), "three hotfixes of 300 kB allow {bound} bytes");
    assert!(warm.to_engine as f64 <= bound, "{} bytes to the engine, of at most {bound}", warm.to_engine);
    assert!(warm.to_registry as f64 <= bound, "{} bytes to the registry, of at most {bound}", warm.to_registry);
}
