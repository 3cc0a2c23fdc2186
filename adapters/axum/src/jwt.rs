//! Self-contained credentials: JSON Web Tokens, verified locally.

mod algorithm;
mod key_error;
mod key_set;
mod keys;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use grove_engine::SystemClock;
use grove_engine::{Clock, Session};
use jsonwebtoken::crypto::rust_crypto;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Header, Validation, decode, decode_header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use self::algorithm::Algorithm;
pub use self::key_error::JwtKeyError;
pub use self::key_set::JwtKeySet;
pub use self::keys::JwtKeys;

use crate::authenticate::{Authenticating, Authenticator};
use crate::refusal::Refusal;
use crate::upgrade_request::UpgradeRequest;

/// Default of [`Jwt::leeway`].
const LEEWAY: Duration = Duration::from_secs(30);

/// Default of [`Jwt::cookie`].
const COOKIE: &str = "session";

/// The longest token that is accepted. Real ones have a few KB at most.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The reason for the observers when a time cannot be read.
const MALFORMED_TIME: &str = "a time is malformed";

/// The latest time that a token may contain: the end of the year 9999.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// What a token must contain to be accepted. There are no defaults: each field is a decision.
#[derive(Clone, Debug)]
pub struct JwtRules {
    /// The issuer: the token's `iss` must be this.
    pub issuer: String,
    /// The audience: the token's `aud` must be this, or a list that contains it.
    pub audience: String,
    /// The signature algorithms. List those that the issuer uses and no others.
    pub algorithms: Vec<Algorithm>,
}

/// An authenticator for JSON Web Tokens.
///
/// The token is taken from `?token=`, else from `Authorization: Bearer`, else from a cookie. It is accepted when
///
/// - its algorithm is one of [`JwtRules::algorithms`] and matches the key: `none` never does, and a public key is never
///   used as a secret;
/// - its `kid` names a key of the [`JwtKeys`], and the signature was made with that key. Keys in the token itself
///   (`jwk`, `jku`, `x5c`) are ignored, and a token that requires extensions (`crit`) is refused;
/// - its `iss`, `aud` and `exp` are present and valid, and its `nbf`, if present, is in the past.
///
/// Then the application's function turns its claims into a session. All other tokens get a 401 that does not say why;
/// the observers learn the reason from [`Event::Refused`](grove_engine::Event::Refused). The token itself is never
/// logged.
///
/// The token's `iat`, if present, is the session's time of issue: an older token of the same session never replaces the
/// claims and the expiry of a newer one (see [`Session::with_issued_at`]).
///
/// The session expires with the token: at `exp` plus the leeway, so that a token accepted at the last moment does not end
/// its session at once. The function may set an earlier expiry.
///
/// ```
/// use grove_axum::{Algorithm, Jwt, JwtKeySet, JwtRules};
/// use grove_engine::Session;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Claims {
///     sub: String,
///     sid: String,
///     org: Option<String>,
/// }
///
/// # fn main() -> Result<(), grove_axum::JwtKeyError> {
/// let keys = JwtKeySet::new().with_secret("2026-01", b"at least 32 bytes, known to the issuer too")?;
/// let rules = JwtRules {
///     issuer: "https://id.example".to_owned(),
///     audience: "desk".to_owned(),
///     algorithms: vec![Algorithm::HS256],
/// };
/// let authenticator = Jwt::new(keys, rules, |claims: Claims| {
///     Ok(Session::new(claims.sid)
///         .with_user(claims.sub)
///         .with_attribute("org", claims.org.unwrap_or_default()))
/// });
/// # let _ = authenticator;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Jwt {
    keys: JwtKeys,
    rules: JwtRules,
    leeway: Duration,
    cookie_name: String,
    clock: Arc<dyn Clock>,
    session: Box<SessionFn>,
}

/// The application's function, behind a step that deserializes its claims.
type SessionFn = dyn Fn(Map<String, Value>) -> Result<Session, Refusal> + Send + Sync;

impl Jwt {
    /// Accepts tokens that are signed with one of `keys` and comply with `rules`; `session` turns claims into a session.
    ///
    /// A token is refused when its claims cannot be deserialized into `session`'s parameter, or when `session` refuses
    /// it.
    ///
    /// # Panics
    ///
    /// If no algorithm is listed, or the issuer or audience is empty.
    #[track_caller]
    pub fn new<C, F>(keys: impl Into<JwtKeys>, rules: JwtRules, session: F) -> Self
    where
        C: DeserializeOwned,
        F: Fn(C) -> Result<Session, Refusal> + Send + Sync + 'static,
    {
        assert!(!rules.algorithms.is_empty(), "name the algorithms that the issuer signs with");
        assert!(!rules.issuer.is_empty() && !rules.audience.is_empty(), "name the issuer and the audience");
        // Otherwise the library could not choose if another crate enabled its other backend. An earlier choice of the
        // application stays.
        let _ = rust_crypto::DEFAULT_PROVIDER.install_default();
        let session = move |claims| {
            let claims = serde_json::from_value(Value::Object(claims));
            session(claims.map_err(|_| refused("the token's claims are not those that the application needs"))?)
        };
        let clock = Arc::new(SystemClock::new());
        Self {
            keys: keys.into(),
            rules,
            leeway: LEEWAY,
            cookie_name: COOKIE.to_owned(),
            clock,
            session: Box::new(session),
        }
    }

    /// The cookie from which the token is taken if it is nowhere else. Default `session`.
    pub fn cookie(mut self, name: impl Into<String>) -> Self {
        self.cookie_name = name.into();
        self
    }

    /// The largest accepted difference between the issuer's clock and this machine's. Default 30 s.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// The source of the time; in tests, the engine's clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn session_of(&self, request: &UpgradeRequest) -> Result<Session, Refusal> {
        let token = request.nonempty_credential(&self.cookie_name).ok_or_else(|| refused("there is no token"))?;
        let claims = self.verify(&token)?;
        let (expiry, issued) = (self.expiry(&claims)?, time_claim(&claims, "iat")?);
        let session = (self.session)(claims)?;
        let expiry = session.expires_at().map_or(expiry, |earlier| earlier.min(expiry));
        let session = session.with_expiry(expiry);
        Ok(match issued {
            Some(issued) => session.with_issued_at(issued),
            None => session,
        })
    }

    /// The claims of a token whose signature, issuer and audience are valid.
    fn verify(&self, token: &str) -> Result<Map<String, Value>, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(refused("the token is too long"));
        }
        let header = decode_header(token).map_err(|_| refused("the token's header or algorithm is not known"))?;
        let Header { alg, kid, crit, .. } = header;
        if !self.rules.algorithms.iter().any(|allowed| alg == (*allowed).into()) {
            return Err(refused("the token's algorithm is not allowed"));
        }
        if crit.is_some() {
            return Err(refused("the token requires extensions"));
        }
        let kid = kid.ok_or_else(|| refused("the token names no key"))?;
        let key = self.keys.find(&kid).ok_or_else(|| refused("the token names a key that is not known"))?;
        if !key.allows(alg) {
            return Err(refused("the token's algorithm does not match its key"));
        }
        let token = decode::<Map<String, Value>>(token, &key.key, &self.validation(alg));
        let claims = token.map_err(|error| refused(reason(&error)))?.claims;
        // The library also accepts a list, which the specification does not allow (RFC 7519, 4.1.1).
        match claims.get("iss") {
            Some(Value::String(issuer)) if *issuer == self.rules.issuer => Ok(claims),
            _ => Err(refused("the token is from another issuer")),
        }
    }

    /// What the library checks. Times are not included: they are compared with our own clock.
    fn validation(&self, algorithm: jsonwebtoken::Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.rules.issuer]);
        validation.set_audience(&[&self.rules.audience]);
        validation.set_required_spec_claims(&["iss", "aud"]);
        validation.validate_exp = false;
        validation
    }

    /// When a token that is valid now expires.
    fn expiry(&self, claims: &Map<String, Value>) -> Result<SystemTime, Refusal> {
        let expires = time_claim(claims, "exp")?.ok_or_else(|| refused("the token has no `exp`"))?;
        let expiry = expires.checked_add(self.leeway).ok_or_else(|| refused(MALFORMED_TIME))?;
        let now = self.clock.wall();
        if now >= expiry {
            return Err(refused("the token has expired"));
        }
        match time_claim(claims, "nbf")? {
            Some(starts) if starts > now + self.leeway => Err(refused("the token is not valid yet")),
            _ => Ok(expiry),
        }
    }
}

impl Authenticator for Jwt {
    fn authenticate(&self, request: UpgradeRequest) -> Authenticating {
        std::future::ready(self.session_of(&request)).boxed()
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("keys", &self.keys)
            .field("rules", &self.rules)
            .field("leeway", &self.leeway)
            .field("cookie_name", &self.cookie_name)
            .finish_non_exhaustive()
    }
}

fn refused(reason: &'static str) -> Refusal {
    Refusal::unauthorized().because(reason)
}

/// The time that a claim of this name gives, if it is there.
fn time_claim(claims: &Map<String, Value>, name: &str) -> Result<Option<SystemTime>, Refusal> {
    claims.get(name).map(|claim| time(claim).ok_or_else(|| refused(MALFORMED_TIME))).transpose()
}

/// The time that a claim gives in seconds since 1970, possibly with a fraction.
fn time(claim: &Value) -> Option<SystemTime> {
    let seconds = claim.as_f64().filter(|seconds| (0.0..=LAST_SECOND).contains(seconds))?;
    UNIX_EPOCH.checked_add(Duration::from_secs_f64(seconds))
}

/// The reason for the observers when the library rejects a token. The library's own messages could contain parts of it.
fn reason(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::InvalidSignature => "the token's signature is invalid",
        ErrorKind::InvalidIssuer => "the token is from another issuer",
        ErrorKind::InvalidAudience => "the token is for another audience",
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "iss" => "the token has no `iss`",
            _ => "the token has no `aud`",
        },
        _ => "the token is malformed",
    }
}
