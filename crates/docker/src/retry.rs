//! Once more, where another try can help: a registry that is busy, or a connection that was lost; never where the answer was no.

use std::error::Error as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

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
/// Whoever is silent is asked this often.
const TRIES_OF_SILENCE: u32 = 2;

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
    let mut pause = FIRST_PAUSE;
    let (mut tries, mut silent) = (1, 0);
    loop {
        let error = match work().await {
            Err(error) => error,
            done => return done,
        };
        let Some(Passing { asked_for, is_silence }) = may_pass(&error, also) else { return Err(error) };
        silent += u32::from(is_silence);
        let wait = asked_for.unwrap_or_else(|| pause.mul_f64(0.5 + fastrand::f64()));
        if tries >= TRIES.load(Ordering::Relaxed) || silent >= TRIES_OF_SILENCE || wait > LONGEST_PAUSE {
            return Err(error);
        }
        let reason = error.source().map_or_else(String::new, |source| format!(": {source}"));
        info!("{error}{reason}; once more in {:.1} s", wait.as_secs_f64());
        tokio::time::sleep(wait).await;
        tries += 1;
        pause *= 3;
    }
}

/// A failure of the moment.
struct Passing {
    /// How long the other side asks us to wait.
    asked_for: Option<Duration>,
    is_silence: bool,
}

fn may_pass(error: &Error, also: Option<StatusCode>) -> Option<Passing> {
    match error {
        Error::Registry { source, .. } if source.is::<Damaged>() => {
            Some(Passing { asked_for: None, is_silence: false })
        }
        Error::Registry { source, .. } => {
            let answered: &Answered = source.downcast_ref()?;
            let may_pass = is_of_the_moment(answered.status) || also == Some(answered.status);
            may_pass.then_some(Passing { asked_for: answered.retry_after, is_silence: false })
        }
        Error::RegistryUnreachable { source, .. } => {
            let error: &reqwest::Error = source.downcast_ref()?;
            // Who is not there at all, or not understood, will not be in a moment.
            let may_pass = !error.is_connect() && !error.is_builder() && !error.is_redirect();
            may_pass.then_some(Passing { asked_for: None, is_silence: error.is_timeout() })
        }
        _ => None,
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
