//! Bytes sent to engine and registry, counted by proxies in front of both.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::bench::{Bench, progress};
use crate::chapter::Chapter;
use crate::child;
use crate::engine::Engine;
use crate::figures::bytes;
use crate::hotfix::Hotfix;
use crate::inputs::Backup;
use crate::proxy::{self, Counter};
use crate::registry::Registry;
use crate::script::{Script, remove_image};
use crate::table::Table;

/// What may be sent: so many times the compressed changes, and so many bytes.
const FACTOR: f64 = 1.1;
const MORE: f64 = 65536.0;

/// An engine and a registry with a proxy in front of each.
#[derive(Debug)]
pub struct Counted<'a> {
    engine: &'a Engine,
    registry: Registry,
    to_engine: Counter,
    to_registry: Counter,
    /// The engine, by its proxy, as in `DOCKER_HOST`.
    pub host: String,
    /// The registry, by its proxy, as in an image's name.
    port: u16,
}

/// Bytes sent by one run.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// To the engine, by whoever asks it.
    pub to_engine: u64,
    /// To the registry, by the engine.
    pub to_registry: u64,
}

impl<'a> Counted<'a> {
    /// Starts registry and proxies; `folder` is there.
    ///
    /// # Errors
    /// Where the engine is not at a socket, or no registry is here.
    pub fn new(engine: &'a Engine, folder: &Path) -> Result<Self> {
        let socket = folder.join("engine.sock");
        let to_engine = proxy::in_front_of_socket(&engine.socket()?, &socket)?;
        let registry = Registry::start(&folder.join("registry"))?;
        let (to_registry, address) = proxy::in_front_of_port(registry.address)?;
        let host = format!("unix://{}", socket.display());
        Ok(Self { engine, registry, to_engine, to_registry, host, port: address.port() })
    }

    /// A name for an image of this run, in the registry.
    pub fn name(&self, name: &str) -> String {
        format!("127.0.0.1:{}/{}", self.port, self.engine.name(name))
    }

    /// Bytes since the last call.
    pub fn sent(&self) -> Sent {
        Sent { to_engine: self.to_engine.take(), to_registry: self.to_registry.take() }
    }

    /// What may be sent for a pushed image, whose topmost layer holds the changes.
    ///
    /// # Errors
    /// Where the registry has no such image.
    pub fn bound(&self, digest: &str) -> Result<f64> {
        Ok(FACTOR * self.registry.top_layer_bytes(digest)? as f64 + MORE)
    }
}

/// Inputs of both ways.
struct Inputs {
    pack: PathBuf,
    hotfixes: PathBuf,
    earlier: PathBuf,
    base: String,
}

/// Measures it.
///
/// # Errors
/// Where a run fails.
pub fn measure(bench: &Bench) -> Result<Chapter> {
    let mut chapter = Chapter::new("Bytes sent");
    let Some(engine) = &bench.engine else {
        chapter.text("**Not measured: no engine was there.**");
        return Ok(chapter);
    };
    let counted = match Counted::new(engine, bench.work()) {
        Ok(counted) => counted,
        Err(error) => {
            progress(&format!("ABSENT {error:#}: bytes are not counted"));
            chapter.text(format!("**Not measured: {error:#}.**"));
            return Ok(chapter);
        }
    };
    let shape = bench.full_shape();
    let inputs = Inputs {
        pack: bench.inputs.pack(shape, Backup::None)?,
        hotfixes: bench.inputs.three_hotfixes(shape, 2_000_000)?,
        earlier: bench.inputs.three_hotfixes(shape, 1_000_000)?,
        base: engine.base(bench.work())?,
    };
    chapter.text(format!(
        "Three hotfixes of 2 MB on the pack {}, pushed to a registry; counted by proxies in front of engine and registry, requests \
         and headers included. In a warm run, engine and registry have what a run with other hotfixes left there.",
        shape.words()
    ));
    let mut table = Table::new(["run", "to the engine", "to the registry"]);
    let mut row = |what: &str, sent: Sent| {
        table.row([what, &bytes(sent.to_engine as f64), &bytes(sent.to_registry as f64)]);
        sent
    };
    if let Some(script) = &bench.script {
        row("the script's way, and `docker push`, warm", by_hand(&counted, script, &inputs)?);
    }
    let ours = ours(&counted, &bench.hotfix.through(&counted.host), &inputs)?;
    row("hotfix, cold", ours.cold);
    let warm = row("hotfix, warm", ours.warm);
    let bound = counted.bound(&ours.digest)?;
    table.row(["1.1 × the compressed changes + 64 KiB", &bytes(bound), &bytes(bound)]);
    chapter.table(table);
    chapter.at_most("bytes sent to the engine, warm", Some(warm.to_engine as f64), bound, bytes);
    chapter.at_most("bytes sent to the registry, warm", Some(warm.to_registry as f64), bound, bytes);
    Ok(chapter)
}

/// The script, as often as it takes for the registry to have all that it can use again.
fn by_hand(counted: &Counted, script: &Script, inputs: &Inputs) -> Result<Sent> {
    let mut sent = counted.sent();
    for (name, hotfixes) in [("earlier", &inputs.earlier), ("now", &inputs.hotfixes)] {
        progress(&format!("bytes of the script's way: {name}"));
        let image = counted.name(&format!("by-hand:{name}"));
        counted.sent();
        script.run(&inputs.pack, hotfixes, &inputs.base, &image, &counted.host)?;
        let mut push = counted.engine.docker(["push", "--quiet", &image]);
        child::run(push.env("DOCKER_HOST", &counted.host))?;
        sent = counted.sent();
        remove_image(counted.engine, &image)?;
    }
    Ok(sent)
}

/// What hotfix sent, and the digest of what it pushed at last.
struct Ours {
    cold: Sent,
    warm: Sent,
    digest: String,
}

fn ours(counted: &Counted, hotfix: &Hotfix, inputs: &Inputs) -> Result<Ours> {
    progress("bytes of hotfix");
    hotfix.forget()?;
    counted.sent();
    let run = |name: &str, hotfixes: &Path| {
        let tag = counted.name(&format!("ours:{name}"));
        let arguments = ["--base-image", &inputs.base, "--tag", &tag, "--push"];
        let applied = hotfix.apply(&inputs.pack, hotfixes, &arguments)?;
        let digest = applied.digest().context("the report names no digest")?.to_owned();
        Ok::<_, anyhow::Error>((counted.sent(), tag, digest))
    };
    let (cold, earlier, _) = run("earlier", &inputs.earlier)?;
    let (warm, now, digest) = run("now", &inputs.hotfixes)?;
    counted.engine.remove(&earlier)?;
    counted.engine.remove(&now)?;
    Ok(Ours { cold, warm, digest })
}
