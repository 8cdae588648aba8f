//! Once more, where another try can help: a registry that is busy, or a connection that was lost; never where the answer was no.

use std::error::Error as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use bollard::errors::Error as DockerError;
use http::header::{HeaderMap, RETRY_AFTER};
use reqwest::StatusCode;
use tracing::info;

use crate::transport::{Answered, Damaged};
use crate::{Error, Result};

/// How often something is tried where nothing else is set.
pub const USUAL_TRIES: u32 = 5;
/// Waited after the first failure; three times as long after each other one, and up to half of it more or less, so that those who
/// failed together do not come back together.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longer pauses are not waited for, even where the other side asks for one.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What takes long is tried this often: whoever is silent, or tries again himself.
const COSTLY_TRIES: u32 = 2;

/// In what an engine passes on of a registry that says no.
const NO_IN_WORDS: [&str; 7] =
    ["not found", "unknown", "not exist", "unauthorized", "authentication required", "denied", "forbidden"];

static TRIES: AtomicU32 = AtomicU32::new(USUAL_TRIES);

/// How often something is tried from now on, in this process; 1 is once and never again.
pub fn set_tries(tries: u32) {
    TRIES.store(tries.max(1), Ordering::Relaxed);
}

/// Does `work` again as long as it fails in a way that may pass.
pub(crate) async fn tried<T>(work: impl AsyncFn() -> Result<T>) -> Result<T> {
    tried_also_on(None, work).await
}

/// The same, where another answer may pass too.
pub(crate) async fn tried_also_on<T>(also: Option<StatusCode>, work: impl AsyncFn() -> Result<T>) -> Result<T> {
    tried_if(|error| may_pass(error, also), work).await
}

/// The same for a push or a pull by an engine, which itself tries again what it sends, but not everything.
pub(crate) async fn tried_by_engine<T>(work: impl AsyncFn() -> Result<T>) -> Result<T> {
    let may_pass = |error: &Error| {
        let Error::Engine { source, .. } = error else { return None };
        let may_pass = match source {
            // The registry's answer, as text only.
            DockerError::DockerStreamError { error } => {
                let said = error.to_lowercase();
                !NO_IN_WORDS.iter().any(|word| said.contains(word))
            }
            other => engine_may_answer(other),
        };
        may_pass.then_some(Passing { asked_for: None, is_costly: true })
    };
    tried_if(may_pass, work).await
}

async fn tried_if<T>(may_pass: impl Fn(&Error) -> Option<Passing>, work: impl AsyncFn() -> Result<T>) -> Result<T> {
    let mut tries = Tries::default();
    loop {
        match work().await {
            Err(error) => tries.again_after(may_pass(&error), error).await?,
            done => return done,
        }
    }
}

/// What was tried so far.
pub(crate) struct Tries {
    tries: u32,
    costly: u32,
    pause: Duration,
}

impl Default for Tries {
    fn default() -> Self {
        Self { tries: 1, costly: 0, pause: FIRST_PAUSE }
    }
}

impl Tries {
    /// Waits until it is time to try again.
    ///
    /// # Errors
    /// `error`, where another try does not help or there were enough.
    pub(crate) async fn again(&mut self, error: Error) -> Result<()> {
        self.again_after(may_pass(&error, None), error).await
    }

    async fn again_after(&mut self, passing: Option<Passing>, error: Error) -> Result<()> {
        let Some(Passing { asked_for, is_costly }) = passing else { return Err(error) };
        self.costly += u32::from(is_costly);
        let wait = asked_for.unwrap_or_else(|| self.pause.mul_f64(0.5 + fastrand::f64()));
        if self.tries >= TRIES.load(Ordering::Relaxed) || self.costly >= COSTLY_TRIES || wait > LONGEST_PAUSE {
            return Err(error);
        }
        let reason = error.source().map_or_else(String::new, |source| format!(": {source}"));
        info!("{error}{reason}; once more in {:.1} s", wait.as_secs_f64());
        tokio::time::sleep(wait).await;
        self.tries += 1;
        self.pause *= 3;
        Ok(())
    }
}

/// A failure of the moment.
struct Passing {
    /// How long the other side asks us to wait.
    asked_for: Option<Duration>,
    /// Whether each try takes long.
    is_costly: bool,
}

fn may_pass(error: &Error, also: Option<StatusCode>) -> Option<Passing> {
    match error {
        Error::Registry { source, .. } if source.is::<Damaged>() => Some(Passing { asked_for: None, is_costly: false }),
        Error::Registry { source, .. } => {
            let answered: &Answered = source.downcast_ref()?;
            let may_pass = is_of_the_moment(answered.status) || also == Some(answered.status);
            may_pass.then_some(Passing { asked_for: answered.retry_after, is_costly: false })
        }
        Error::RegistryUnreachable { source, .. } => {
            let error: &reqwest::Error = source.downcast_ref()?;
            // Who is not there at all, or not understood, will not be in a moment.
            let may_pass = !error.is_connect() && !error.is_builder() && !error.is_redirect();
            may_pass.then_some(Passing { asked_for: None, is_costly: error.is_timeout() })
        }
        Error::Engine { source, .. } => {
            engine_may_answer(source).then_some(Passing { asked_for: None, is_costly: false })
        }
        _ => None,
    }
}

/// Whether the way to the engine has failed, not the engine: what that says with 500 is its last word.
fn engine_may_answer(error: &DockerError) -> bool {
    match error {
        DockerError::DockerResponseServerError { status_code, .. } => {
            matches!(status_code, 408 | 429 | 502 | 503 | 504)
        }
        DockerError::IOError { .. }
        | DockerError::HyperResponseError { .. }
        | DockerError::JsonDataError { .. }
        | DockerError::JsonSerdeError { .. } => true,
        _ => false,
    }
}

/// Too many at once, somebody behind who does not answer, two who write the same.
pub(crate) fn is_of_the_moment(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// What the other side asks us to wait: seconds, or a date (RFC 9110, 10.2.3).
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn answered(status: u16, retry_after: Option<Duration>) -> Error {
        let status = StatusCode::from_u16(status).expect("a status");
        let answered = Answered { status, message: String::new(), retry_after };
        Error::Registry { registry: "r".to_owned(), action: "a".to_owned(), source: answered.into() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_five_times_and_no_is_no() {
        for (status, expected) in
            [(408, 5), (429, 5), (500, 5), (502, 5), (503, 5), (504, 5), (401, 1), (403, 1), (404, 1), (400, 1)]
        {
            let tries = Cell::new(0);
            let work = async || {
                tries.set(tries.get() + 1);
                Err::<(), _>(answered(status, None))
            };
            tried(work).await.expect_err("it always fails");
            assert_eq!(tries.get(), expected, "{status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_other_side_can_ask_for_a_pause_within_reason() {
        for (asked, expected) in [(7, 2), (61, 1)] {
            let tries = Cell::new(0);
            let began = tokio::time::Instant::now();
            let work = async || {
                tries.set(tries.get() + 1);
                if tries.get() == 2 { Ok(()) } else { Err(answered(429, Some(Duration::from_secs(asked)))) }
            };
            assert_eq!(tried(work).await.is_ok(), expected == 2);
            assert_eq!(tries.get(), expected, "{asked}");
            assert_eq!(began.elapsed().as_secs(), if expected == 2 { asked } else { 0 });
        }
    }

    #[test]
    fn seconds_and_dates_are_understood() {
        let of = |text: &'static str| {
            retry_after(&[(RETRY_AFTER, http::HeaderValue::from_static(text))].into_iter().collect())
        };
        assert_eq!(of("3"), Some(Duration::from_secs(3)));
        assert_eq!(of("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(of("soon"), None);
    }
}
