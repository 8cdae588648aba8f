//! What a registry wants to see before it answers: nothing, a password, or a token of its token server. Described in
//! "Token Authentication Specification" and "Token Authentication Implementation" of the distribution project.

use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::Result;
use crate::auth::Credentials;
use crate::reference::ImageRef;
use crate::transport::{self, Access, READ_LIMIT, content, damaged, denied, is_loopback, lost, refused, unexpected};

/// How long a token lives whose server does not say.
const USUAL_LIFE: Duration = Duration::from_secs(60);
/// Longer than any run; what a server says can be more than a clock can count.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// Larger ones are no tokens.
const LARGEST_ANSWER: u64 = 1 << 20;
const CLIENT: &str = "hotfix";

/// How a registry wants to be asked.
#[derive(Debug, PartialEq, Eq)]
pub enum Challenge {
    /// No password, or as the first request says it.
    Plain,
    /// With a token from there.
    Token {
        /// Address of the token server.
        realm: String,
        /// What the registry is called there.
        service: Option<String>,
    },
}

impl Challenge {
    /// What an answer says of it.
    pub fn in_answer(headers: &HeaderMap) -> Self {
        let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenges = values.filter_map(|value| http_auth::parse_challenges(value).ok()).flatten();
        let bearer = challenges.into_iter().find(|challenge| challenge.scheme.eq_ignore_ascii_case("bearer"));
        let parameter = |name: &str| {
            let found = bearer.as_ref()?.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some(found.1.to_unescaped())
        };
        match parameter("realm") {
            Some(realm) => Self::Token { realm, service: parameter("service") },
            None => Self::Plain,
        }
    }
}

/// Who we are, in the way that one registry wants it.
#[derive(Debug)]
pub(crate) struct Authorization {
    reference: ImageRef,
    credentials: Credentials,
    access: Access,
    challenge: Challenge,
    scopes: Vec<String>,
    token: Mutex<Option<Token>>,
}

struct Token {
    text: String,
    good_until: Instant,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Authorization {
    /// For `access` to the repository of `reference`, and to read in `others` of the same registry; `answer` is what
    /// the registry said to somebody whom it does not know.
    pub(crate) fn new(
        reference: &ImageRef,
        credentials: &Credentials,
        access: Access,
        others: &[&str],
        answer: &HeaderMap,
    ) -> Self {
        let scope = |repository: &str, access: Access| format!("repository:{repository}:{}", access.scope());
        let mut scopes = vec![scope(reference.repository(), access)];
        scopes.extend(others.iter().map(|other| scope(other, Access::Pull)));
        Self {
            reference: reference.clone(),
            credentials: credentials.clone(),
            access,
            challenge: Challenge::in_answer(answer),
            scopes,
            token: Mutex::new(None),
        }
    }

    /// Says in `request` who we are, with a token that is still good.
    ///
    /// # Errors
    /// Where the token server is not to be had, or gives us none.
    pub(crate) async fn apply(&self, request: RequestBuilder) -> Result<RequestBuilder> {
        match (&self.credentials, &self.challenge) {
            (Credentials::RegistryToken(token), _) => Ok(request.bearer_auth(token)),
            (Credentials::Password { username, password }, Challenge::Plain) => {
                Ok(request.basic_auth(username, Some(password)))
            }
            (_, Challenge::Token { realm, service }) => {
                Ok(request.bearer_auth(self.token(realm, service.as_deref()).await?))
            }
            (Credentials::Anonymous | Credentials::IdentityToken(_), Challenge::Plain) => Ok(request),
        }
    }

    async fn token(&self, realm: &str, service: Option<&str>) -> Result<String> {
        let mut known = self.token.lock().await;
        if let Some(token) = known.as_ref().filter(|token| Instant::now() < token.good_until) {
            return Ok(token.text.clone());
        }
        let asked_at = Instant::now();
        let answer = self.ask(realm, service).await?;
        let (text, life) = answer
            .into_token()
            .ok_or_else(|| denied(&self.reference, self.access, "its token server gave no token"))?;
        // Renewed early: it has to be good when the request arrives.
        *known = Some(Token { text: text.clone(), good_until: asked_at + life.mul_f32(0.8) });
        Ok(text)
    }

    async fn ask(&self, realm: &str, service: Option<&str>) -> Result<TokenAnswer> {
        let action = "get a token from its token server";
        let (realm, host) = self.token_server(realm)?;
        let http = transport::client(&host, Some(READ_LIMIT))?;
        let mut form: Vec<(&str, &str)> = service.map(|service| ("service", service)).into_iter().collect();
        let joined = self.scopes.join(" ");
        let request = match &self.credentials {
            Credentials::IdentityToken(token) => {
                form.extend([("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", token)]);
                form.push(("scope", &joined));
                http.post(realm).form(&form)
            }
            Credentials::Password { username, password } => {
                form.push(("account", username));
                form.extend(self.scopes.iter().map(|scope| ("scope", scope.as_str())));
                http.get(realm).query(&form).basic_auth(username, Some(password))
            }
            Credentials::Anonymous | Credentials::RegistryToken(_) => {
                form.extend(self.scopes.iter().map(|scope| ("scope", scope.as_str())));
                http.get(realm).query(&form)
            }
        };
        let answer = request.send().await.map_err(|error| lost(&host, error))?;
        if !answer.status().is_success() {
            return Err(refused(&self.reference, self.access, action, answer).await);
        }
        let bytes = content(answer, LARGEST_ANSWER, &host).await?.unwrap_or_default();
        // What serde says could hold a piece of the token.
        serde_json::from_slice(&bytes).map_err(|_| damaged(&self.reference, action, "its answer is not understood"))
    }

    /// The address of the token server and its host. Passwords go there, so it must be a safe place.
    fn token_server(&self, realm: &str) -> Result<(Url, String)> {
        let action = "say where its tokens are";
        let url = Url::parse(realm)
            .map_err(|error| unexpected(&self.reference, action, format!("'{realm}' is no address: {error}")))?;
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        if url.scheme() != "https" && !is_loopback(&host) {
            let reason = format!("its token server {host} does not use TLS, so it gets no credentials");
            return Err(unexpected(&self.reference, action, reason));
        }
        Ok((url, host))
    }
}

/// What a token server says.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl TokenAnswer {
    /// A token that can be sent, and how long it is good; `None` where there is none.
    pub fn into_token(self) -> Option<(String, Duration)> {
        let is_one = |text: &String| !text.is_empty() && HeaderValue::from_str(text).is_ok();
        let text = self.token.filter(is_one).or(self.access_token.filter(is_one))?;
        let life = self.expires_in.map_or(USUAL_LIFE, Duration::from_secs);
        Some((text, life.min(LONGEST_LIFE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(values: &[&'static str]) -> Challenge {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
        }
        Challenge::in_answer(&headers)
    }

    #[test]
    fn a_token_that_lives_forever_is_a_token() {
        let answer = || serde_json::from_str::<TokenAnswer>(r#"{"token":"t","expires_in":18446744073709551615}"#);
        let (text, life) = answer().expect("an answer").into_token().expect("a token");
        assert_eq!((text.as_str(), Instant::now().checked_add(life).is_some()), ("t", true));
    }

    #[test]
    fn what_cannot_be_sent_is_no_token() {
        let token = |text: &str| serde_json::from_str::<TokenAnswer>(text).expect("an answer").into_token();
        for none in [r#"{}"#, r#"{"token":""}"#, r#"{"token":"a\nb"}"#, r#"{"access_token":null}"#] {
            assert_eq!(token(none), None, "{none}");
        }
        let other = token(r#"{"token":"","access_token":"a"}"#);
        assert_eq!(other, Some(("a".to_owned(), USUAL_LIFE)));
    }

    #[test]
    fn a_token_server_is_found_in_any_spelling() {
        for values in [
            &["Bearer realm=\"https://t.example/a?b=c,d\",service=\"s p\""][..],
            &["bearer Service=\"s p\", Realm=\"https://t.example/a?b=c,d\", scope=\"x\""],
            &["Basic realm=\"x\"", "Bearer realm=\"https://t.example/a?b=c,d\",service=\"s p\""],
        ] {
            let Challenge::Token { realm, service } = challenge(values) else { panic!("{values:?}") };
            assert_eq!((realm.as_str(), service.as_deref()), ("https://t.example/a?b=c,d", Some("s p")));
        }
        for values in [&["Basic realm=\"x\""][..], &[], &["Bearer"], &["\"nonsense"]] {
            assert!(matches!(challenge(values), Challenge::Plain), "{values:?}");
        }
    }
}
