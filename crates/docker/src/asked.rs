//! Questions that an engine answers at once: bounded in time, and asked again where the connection was lost.

use std::time::Duration;

use bollard::errors::Error as DockerError;

use crate::engine::Engine;
use crate::retry::Tries;
use crate::{Error, Result};

/// An engine under load takes its time; one that is silent for so long hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

impl Engine {
    /// What the engine answers to `ask`, which does no harm when done twice; `action` goes after "could not".
    ///
    /// # Errors
    /// [`Error::Engine`], or [`Error::EngineSilent`].
    pub(crate) async fn asked<T, F: Future<Output = Result<T, DockerError>>>(
        &self,
        action: &str,
        ask: impl Fn() -> F,
    ) -> Result<T> {
        let mut tries = Tries::default();
        loop {
            let error = match tokio::time::timeout(ANSWER_LIMIT, ask()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => Error::engine(action)(error),
                Err(_) => Error::EngineSilent { endpoint: self.endpoint().to_owned(), seconds: ANSWER_LIMIT.as_secs() },
            };
            tries.again(error).await?;
        }
    }
}

/// `None` in place of what there is none of.
pub(crate) fn found<T>(answer: Result<T, DockerError>) -> Result<Option<T>, DockerError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(DockerError::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    use super::*;
    use crate::endpoint::{Endpoint, Route};

    /// An engine that answers the first request, and no other; how many there were is counted.
    async fn silent_engine(socket: &std::path::Path) -> (Engine, Arc<AtomicUsize>) {
        let listener = UnixListener::bind(socket).expect("a socket");
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut client, _)) = listener.accept().await {
                if count.fetch_add(1, Ordering::SeqCst) == 0 {
                    let asked = client.read(&mut [0; 1024]).await.expect("it asks");
                    assert!(asked > 0);
                    client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK").await.expect("it reads");
                }
                open.push(client);
            }
        });
        let endpoint = Endpoint { address: "unix://x".to_owned(), route: Route::Unix(socket.to_owned()) };
        (Engine::at(endpoint).await.expect("it answers once"), asked)
    }

    #[tokio::test]
    async fn an_engine_that_hangs_is_not_waited_for_for_ever() {
        let folder = tempfile::tempdir().expect("a folder");
        let (engine, asked) = silent_engine(&folder.path().join("engine.sock")).await;
        tokio::time::pause();
        let error = engine.inspect("image").await.expect_err("it says nothing");
        assert!(matches!(error, Error::EngineSilent { seconds: 120, .. }), "{error}");
        assert_eq!(asked.load(Ordering::SeqCst), 2, "once more would be another two minutes");
    }
}
