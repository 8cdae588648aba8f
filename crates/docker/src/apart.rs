//! What an engine says during long work, read on a task of its own: a line without end is searched for its end again and again, and
//! whoever waits for it could not even be told to stop.

use std::pin::Pin;
use std::task::{Context, Poll};

use bollard::Docker;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Answers that are read and not yet taken.
const QUEUE: usize = 16;

/// A stream that somebody else reads.
#[derive(Debug)]
pub(crate) struct Apart<T> {
    answers: mpsc::Receiver<T>,
    reader: JoinHandle<()>,
}

/// Asks `docker` and reads its answers on a task of its own, which ends with what is returned.
pub(crate) fn apart<T: Send + 'static>(
    docker: &Docker,
    ask: impl for<'a> FnOnce(&'a Docker) -> BoxStream<'a, T> + Send + 'static,
) -> Apart<T> {
    let (docker, (sender, answers)) = (docker.clone(), mpsc::channel(QUEUE));
    let reader = tokio::spawn(async move {
        let mut stream = ask(&docker);
        while let Some(answer) = stream.next().await {
            if sender.send(answer).await.is_err() {
                return;
            }
        }
    });
    Apart { answers, reader }
}

impl<T> Stream for Apart<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.answers.poll_recv(context)
    }
}

impl<T> Drop for Apart<T> {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
