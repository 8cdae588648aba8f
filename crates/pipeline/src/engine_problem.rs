//! What to do where the engine is not to be had, or fails.

use hotfix_docker::Error;

use crate::plan::BasePlan;
use crate::registry_hint::OTHER_PLATFORM;
use crate::step::{Kind, Problem};

const UNREACHABLE: &str = "the Docker engine cannot be reached";

/// The failure of an engine, in the words of this program.
pub(crate) fn engine_problem(error: Error) -> Problem {
    let (message, hint) = match &error {
        Error::Endpoint { .. } => (
            "the Docker engine cannot be looked for",
            "give DOCKER_HOST, or the context, as unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST",
        ),
        Error::NoSuchContext { .. } | Error::Context { .. } => (
            "the Docker engine cannot be looked for",
            "choose another context (docker context use, DOCKER_CONTEXT), or set DOCKER_HOST",
        ),
        Error::EngineUnreachable { .. } => (
            UNREACHABLE,
            "start it, or set DOCKER_HOST; without an engine, --output oci:DIR writes the image to a folder",
        ),
        Error::EngineForbidden { .. } => (
            UNREACHABLE,
            "join the group that owns the socket (usermod -aG docker USER, then log in anew), or use a rootless engine",
        ),
        Error::EngineSilent { .. } => {
            (UNREACHABLE, "look at the engine (docker version) and at what is between; start it again if it hangs")
        }
        Error::EngineSsh { .. } => (
            UNREACHABLE,
            "make `ssh HOST docker version` work without a question: a key in ssh-agent, a known host, docker over there",
        ),
        Error::EngineTls { .. } => (
            UNREACHABLE,
            "check DOCKER_TLS_VERIFY and ca.pem, cert.pem, key.pem in DOCKER_CERT_PATH, or those of the context",
        ),
        Error::Layer(_) => ("the image could not be put together", "check the pack and the workspace's disk"),
        _ => ("the Docker engine failed", "see what it said; docker info and its log tell more"),
    };
    Problem::new(message, hint).because(error)
}

/// As [`engine_problem`], where no other output would do without an engine.
pub(crate) fn needed_engine_problem(error: Error) -> Problem {
    let is_unreachable = matches!(error, Error::EngineUnreachable { .. });
    let problem = engine_problem(error);
    if is_unreachable { problem.with_hint("start it, or set DOCKER_HOST to where it is") } else { problem }
}

/// Where what an image is made of is damaged, neither the engine nor the disk is to blame.
///
/// # Errors
/// Any other error, as it is.
pub(crate) fn damaged_content(error: Error) -> Result<Problem, Error> {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match error {
        Error::Layer(cause) if matches!(cause.kind(), InvalidData | InvalidInput | UnexpectedEof) => {
            let what = "a file of the product cannot be unpacked";
            Ok(Problem::new(what, "download the pack again: it is damaged").because(cause).of_kind(Kind::Unfit))
        }
        other => Err(other),
    }
}

/// Why `base`, which the user knows as `called`, cannot be had; `hint` is for what has nothing to do with its platform.
pub(crate) fn base_problem(called: &str, base: &BasePlan, what: &str, hint: &str, error: Error) -> Problem {
    let hint = match &error {
        error if error.is_of_platform() => OTHER_PLATFORM,
        _ => hint,
    };
    Problem::new(format!("the {called} {base} {what}"), hint).because(error)
}
