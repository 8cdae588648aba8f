//! Work that would hold up the threads which serve everything else.

use tokio_util::sync::CancellationToken;

use crate::step::Problem;

/// Does `work` on a thread of its own.
///
/// # Errors
/// As `work`.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // A panic is a defect of ours and is reported as one.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// As [`blocking`], for work that cannot be stopped: whoever asks for that does not wait for its end.
///
/// # Errors
/// As `work`; where `cancel` was cancelled.
pub async fn unless_cancelled<T: Send + 'static>(
    cancel: &CancellationToken,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::select! {
        done = blocking(work) => done,
        () = cancel.cancelled() => Err(Problem::new("the work was stopped", "run the same command again")),
    }
}
