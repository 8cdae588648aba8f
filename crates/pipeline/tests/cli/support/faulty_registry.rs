//! A way to a registry on which something fails, with a token server of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::faults::Fault;
use super::http::{Answer, Request, Server};

/// The way to `registry` on which requests fail as `fails` says.
pub fn in_front_of(registry: &str, fails: impl Fn(&Request) -> Option<Fault> + Send + Sync + 'static) -> Server {
    let realm: Arc<Mutex<String>> = Arc::default();
    let known = Arc::clone(&realm);
    let own = move |request: &Request| {
        let realm = format!("Bearer realm=\"http://{}/token\",service=\"tests\"", known.lock().expect("fine"));
        match request.address.as_str() {
            "/v2/" => Some(Answer::new(401).header("www-authenticate", realm)),
            token if token.starts_with("/token") => Some(Answer::new(200).body(r#"{"token":"abc","expires_in":300}"#)),
            _ => None,
        }
    };
    let server = Server::with_faults(registry, own, fails);
    realm.lock().expect("fine").clone_from(&server.host);
    server
}

/// `run` for all of `cases`, a few at a time.
pub fn each<T: Sync>(at_once: usize, cases: &[T], run: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    run(case);
                }
            });
        }
    });
}
