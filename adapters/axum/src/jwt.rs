//! Credentials that speak for themselves: JSON Web Tokens, verified without asking anybody.

mod key_set;
mod keys;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use grove_engine::clock::system::SystemClock;
use grove_engine::{Clock, Session};
use jsonwebtoken::crypto::rust_crypto;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Header, Validation, decode, decode_header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use self::key_set::{JwksError, JwtKeySet};
pub use self::keys::JwtKeys;
pub use jsonwebtoken::{Algorithm, DecodingKey};

use crate::authenticate::{Authenticating, Authenticator};
use crate::refusal::Refusal;
use crate::upgrade_request::UpgradeRequest;

/// How far the clocks of the issuer and of this machine may be apart unless [`Jwt::leeway`] says otherwise.
const LEEWAY: Duration = Duration::from_secs(30);

/// The cookie that holds the token unless [`Jwt::cookie`] says otherwise.
const COOKIE: &str = "session";

/// No token is longer. Real ones have a few KB at most.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The last second that a time in a token may name: the end of the year 9999.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// What a token must say to be accepted. There are no defaults: each field is a decision.
#[derive(Clone, Debug)]
pub struct JwtRules {
    /// Who issued it: its `iss` must be this.
    pub issuer: String,
    /// For whom it is: its `aud` must be this, or a list with this in it.
    pub audience: String,
    /// How it may be signed. Name what the issuer uses and nothing else.
    pub algorithms: Vec<Algorithm>,
}

/// An authenticator for JSON Web Tokens.
///
/// The token is taken from `?token=`, else from `Authorization: Bearer`, else from a cookie. It is accepted when
///
/// - its algorithm is one of [`JwtRules::algorithms`] and fits the key: `none` never is, and a public key is never a
///   secret;
/// - its `kid` names a key of the [`JwtKeys`], and the signature is of that key. What the token says of keys itself
///   (`jwk`, `jku`, `x5c`) is ignored, and a token that demands extensions (`crit`) is refused;
/// - its `iss`, `aud` and `exp` are there and right, and its `nbf`, if it has one, is over.
///
/// Then the application's function makes a session of its claims. All other tokens get a 401 that does not say why; the
/// observers are told in [`Event::Refused`](grove_engine::Event::Refused). The token itself goes nowhere.
///
/// The session expires when the token does: at `exp` plus the leeway, so that whoever is let in at the last moment is
/// not thrown out at once. The function may give it an earlier expiry.
///
/// ```
/// use grove_axum::{Algorithm, DecodingKey, Jwt, JwtKeySet, JwtKeys, JwtRules};
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
/// let secret = DecodingKey::from_secret(b"at least 32 bytes, known to the issuer too");
/// let keys = JwtKeys::from(JwtKeySet::new().key("2026-01", secret));
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
/// ```
#[must_use]
pub struct Jwt {
    keys: JwtKeys,
    rules: JwtRules,
    leeway: Duration,
    cookie_name: String,
    clock: Arc<dyn Clock>,
    session: Box<SessionOf>,
}

/// The application's function, behind a step that reads what it wants from the claims.
type SessionOf = dyn Fn(Map<String, Value>) -> Result<Session, Refusal> + Send + Sync;

impl Jwt {
    /// Accepts tokens that are signed by one of `keys` and keep to `rules`; `session` says whose session a token is for.
    ///
    /// A token whose claims do not fit `session`'s parameter is refused. So is one for which `session` says so.
    ///
    /// # Panics
    ///
    /// If no algorithm is allowed, or the issuer or audience is empty.
    #[track_caller]
    pub fn new<C, F>(keys: impl Into<JwtKeys>, rules: JwtRules, session: F) -> Self
    where
        C: DeserializeOwned,
        F: Fn(C) -> Result<Session, Refusal> + Send + Sync + 'static,
    {
        assert!(!rules.algorithms.is_empty(), "name the algorithms that the issuer signs with");
        assert!(!rules.issuer.is_empty() && !rules.audience.is_empty(), "name the issuer and the audience");
        // Otherwise the library could not choose if another crate asked it for its other backend. Another choice that
        // the application has made before stays.
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

    /// Takes the token from this cookie if it is nowhere else. Default `session`.
    pub fn cookie(mut self, name: impl Into<String>) -> Self {
        self.cookie_name = name.into();
        self
    }

    /// How far the clocks of the issuer and of this machine may be apart. Default 30 s.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Where time comes from; the engine's clock, in tests.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn session_of(&self, request: &UpgradeRequest) -> Result<Session, Refusal> {
        let token = request.secret(&self.cookie_name).ok_or_else(|| refused("there is no token"))?;
        let claims = self.verify(&token)?;
        let ends = self.lifetime(&claims)?;
        let session = (self.session)(claims)?;
        let ends = session.expires_at().map_or(ends, |earlier| earlier.min(ends));
        Ok(session.with_expiry(ends))
    }

    /// The claims of a token whose signature, issuer and audience are right.
    fn verify(&self, token: &str) -> Result<Map<String, Value>, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(refused("the token is too long"));
        }
        let header = decode_header(token).map_err(|_| refused("the token's header or algorithm is not known"))?;
        let Header { alg, kid, crit, .. } = header;
        if !self.rules.algorithms.contains(&alg) {
            return Err(refused("the token's algorithm is not allowed"));
        }
        if crit.is_some() {
            return Err(refused("the token demands extensions"));
        }
        let kid = kid.ok_or_else(|| refused("the token names no key"))?;
        let key = self.keys.find(&kid).ok_or_else(|| refused("the token names a key that is not known"))?;
        if !key.fits(alg) {
            return Err(refused("the token's algorithm is not its key's"));
        }
        let token = decode::<Map<String, Value>>(token, &key.key, &self.validation(alg));
        token.map(|token| token.claims).map_err(|error| refused(reason(&error)))
    }

    /// What the library is to look at. Times are not among it: they are compared with our own clock.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.rules.issuer]);
        validation.set_audience(&[&self.rules.audience]);
        validation.set_required_spec_claims(&["iss", "aud"]);
        validation.validate_exp = false;
        validation
    }

    /// When a token that is good now ceases to be.
    fn lifetime(&self, claims: &Map<String, Value>) -> Result<SystemTime, Refusal> {
        let malformed = || refused("a time is malformed");
        let time = |name: &str| claims.get(name).map(|claim| time(claim).ok_or_else(malformed)).transpose();
        let expires = time("exp")?.ok_or_else(|| refused("the token has no `exp`"))?;
        let ends = expires.checked_add(self.leeway).ok_or_else(malformed)?;
        let now = self.clock.wall();
        if now >= ends {
            return Err(refused("the token has expired"));
        }
        match time("nbf")? {
            Some(starts) if starts > now + self.leeway => Err(refused("the token is not valid yet")),
            _ => Ok(ends),
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

/// The time that a claim names in seconds since 1970, whole or not.
fn time(claim: &Value) -> Option<SystemTime> {
    let seconds = claim.as_f64().filter(|seconds| (0.0..=LAST_SECOND).contains(seconds))?;
    UNIX_EPOCH.checked_add(Duration::from_secs_f64(seconds))
}

/// What observers are told of a token that the library refuses. The library's own words could hold parts of it.
fn reason(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::InvalidSignature => "the token's signature is wrong",
        ErrorKind::InvalidIssuer => "the token is from another issuer",
        ErrorKind::InvalidAudience => "the token is for another audience",
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "iss" => "the token has no `iss`",
            _ => "the token has no `aud`",
        },
        _ => "the token is malformed",
    }
}
