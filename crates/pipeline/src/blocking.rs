//! Work that would hold up the threads which serve everything else.

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
