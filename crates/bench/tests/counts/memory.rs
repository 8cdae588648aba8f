//! Peak memory.

use hotfix_bench::inputs::{Backup, Inputs, Shape};

use crate::support::World;

const SHAPE: Shape = Shape::Bytes(60_000_000);
const BOUND: u64 = 64 * 1024 * 1024;

#[test]
fn a_run_needs_little_memory_cold_and_warm() {
    let world = World::new(None);
    let inputs = Inputs::new(&world.path("inputs")).expect("a folder");
    let pack = inputs.pack(SHAPE, Backup::None).expect("a pack");
    let hotfixes = inputs.hotfixes(SHAPE, 3, 2_000_000).expect("hotfixes");
    for run in ["cold", "warm"] {
        let layout = format!("oci:{}", world.path(run).display());
        let applied =
            world.hotfix.apply(&pack, &hotfixes, &["--base-image", "scratch", "--output", &layout]).expect("it works");
        assert!(applied.peak_bytes <= BOUND, "{run}: {} bytes, of at most {BOUND}", applied.peak_bytes);
    }
}
