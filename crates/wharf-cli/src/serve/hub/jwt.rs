//! JSON Web Tokens (RFC 7519): who a client is and what it may do, signed by somebody who knows.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::options::{JwtKey, JwtOptions};
use super::permissions::{Grant, MemberName, Name, Permissions};
use super::signatures::RING;
use crate::serve::secret::Secret;

/// Reads the tokens that are signed with one key.
pub(super) struct Jwt {
    key: DecodingKey,
    validation: Validation,
}

/// What a token says.
#[derive(Deserialize)]
struct Claims {
    /// Seconds since 1970, not always whole (RFC 7519 §2).
    exp: f64,
    sub: Option<MemberName>,
    #[serde(default)]
    wharf: Permissions,
}

/// Why a token does not count. Nothing of the token is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    #[error("the token is unknown")]
    Unknown,
    #[error("the token is no JSON Web Token with the claims that are needed")]
    Malformed,
    #[error("the token is signed otherwise than is configured")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token is of another issuer")]
    Issuer,
    #[error("the token is for another member than the connection is")]
    OtherMember,
}

/// How far clocks of those who sign may be ahead, or behind.
const LEEWAY: Duration = Duration::from_secs(10);

/// As long as what it gives (RFC 7518 §3.2).
const LEAST_SECRET: usize = 32;

/// An uncompressed point of the curve P-256.
const P256_POINT: usize = 65;

impl Jwt {
    /// Reads the key's file.
    ///
    /// # Errors
    /// In one line, what is wrong with it.
    pub(super) fn read(options: &JwtOptions) -> Result<Self, String> {
        let (key, algorithm) = match &options.key {
            JwtKey::Secret(path) => {
                let secret = Secret::read(path, LEAST_SECRET)?;
                (DecodingKey::from_secret(secret.reveal().as_bytes()), Algorithm::HS256)
            }
            JwtKey::Public(path) => public_key(path)?,
        };
        // Where it is installed already, it is the same.
        let _ = RING.install_default();
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY.as_secs();
        validation.validate_nbf = true;
        let mut required = vec!["exp"];
        if let Some(audience) = &options.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        if let Some(issuer) = &options.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        Ok(Self { key, validation })
    }

    /// What the holder of this token may do.
    pub(super) fn grant(&self, token: &Secret) -> Result<Grant, TokenError> {
        let token = jsonwebtoken::decode::<Claims>(token.reveal(), &self.key, &self.validation);
        let Claims { exp, sub, wharf } = token.map_err(|error| reason(error.kind()))?.claims;
        let name = sub.map_or(Name::Nameless, Name::Fixed);
        Ok(Grant { permissions: wharf, name, expires: instant(exp) })
    }
}

/// That of RSA or of the curve P-256.
fn public_key(path: &Path) -> Result<(DecodingKey, Algorithm), String> {
    let shown = path.display();
    let pem = std::fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    if let Ok(key) = DecodingKey::from_rsa_pem(&pem) {
        return Ok((key, Algorithm::RS256));
    }
    match DecodingKey::from_ec_pem(&pem) {
        Ok(key) if key.try_get_as_bytes().is_ok_and(|point| point.len() == P256_POINT) => {
            Ok((key, Algorithm::ES256))
        }
        _ => Err(format!("{shown} has no public key of RSA or of the curve P-256, in PEM")),
    }
}

/// `None`: so far away that it never comes.
fn instant(seconds_since_1970: f64) -> Option<Instant> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = Duration::try_from_secs_f64(seconds_since_1970).ok()?.saturating_sub(since_1970);
    Instant::now().checked_add(left)
}

const fn reason(error: &ErrorKind) -> TokenError {
    match error {
        ErrorKind::ExpiredSignature => TokenError::Expired,
        ErrorKind::ImmatureSignature => TokenError::NotYetValid,
        ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => TokenError::Signature,
        ErrorKind::InvalidAudience => TokenError::Audience,
        ErrorKind::InvalidIssuer => TokenError::Issuer,
        _ => TokenError::Malformed,
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").field("algorithms", &self.validation.algorithms).finish_non_exhaustive()
    }
}
