//! Containers that killed runs have left: each says in a label whose it is, and goes once that process is gone.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use tracing::{debug, info};

use crate::engine::Engine;

/// Whose a container is.
pub(crate) const OWNER: &str = "hotfix.owner";
/// What belongs to a machine that is not this one can be in use for as long, and no longer.
const LONGEST_SECONDS: i64 = 24 * 60 * 60;

/// This process, so that no other is taken for it: by the machine's start, its namespace, its number and its own start.
pub(crate) fn this_process() -> String {
    let place = place().unwrap_or_else(|| "unknown".to_owned());
    format!("{place}/{}/{}", std::process::id(), started("self").unwrap_or_default())
}

/// The machine since its start, and the namespace in which numbers of processes mean something; `None` where that is not told.
fn place() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), namespace.display()))
}

/// When a process was started, in ticks since the machine was; the 22nd field of its stat (`proc_pid_stat(5)`).
fn started(pid: &str) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.to_owned())
}

/// Removes those whose run is gone. What cannot be removed is left to the next run.
pub async fn remove(engine: &Engine) {
    let filters = HashMap::from([("label", vec![OWNER])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = match engine.docker.list_containers(Some(options)).await {
        Ok(found) => found,
        Err(error) => return debug!(%error, "containers that killed runs may have left are not known"),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs().cast_signed());
    for container in found.iter().filter(|container| is_stranded(container, now)) {
        let Some(id) = &container.id else { continue };
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match engine.docker.remove_container(id, Some(options)).await {
            Ok(()) => info!("the container {id}, which a run that was killed has left, is removed"),
            Err(error) => debug!(%error, id, "a container that a killed run has left cannot be removed"),
        }
    }
}

fn is_stranded(container: &ContainerSummary, now: i64) -> bool {
    let Some(owner) = container.labels.as_ref().and_then(|labels| labels.get(OWNER)) else { return false };
    let process = place().and_then(|place| owner.strip_prefix(&place)?.strip_prefix('/')?.split_once('/'));
    match process {
        Some((pid, start)) => started(pid).as_deref() != Some(start),
        None => container.created.is_some_and(|created| created + LONGEST_SECONDS < now),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn of(owner: &str, created: i64) -> ContainerSummary {
        let labels = HashMap::from([(OWNER.to_owned(), owner.to_owned())]);
        ContainerSummary { labels: Some(labels), created: Some(created), ..ContainerSummary::default() }
    }

    #[test]
    fn what_somebody_uses_stays() {
        let day = LONGEST_SECONDS;
        assert!(!is_stranded(&of(&this_process(), 0), 10 * day));
        assert!(!is_stranded(&of("another/machine/7/7", 0), day));
        assert!(!is_stranded(&ContainerSummary::default(), 10 * day));
    }

    #[test]
    fn what_nobody_uses_goes() {
        let place = place().expect("Linux");
        let another = format!("{place}/{}/1", std::process::id());
        let gone = format!("{place}/4194305/1");
        assert!(is_stranded(&of(&another, 0), 0) && is_stranded(&of(&gone, 0), 0));
        assert!(is_stranded(&of("another/machine/7/7", 0), LONGEST_SECONDS + 1));
    }
}
