//! Checks the signatures of JSON Web Tokens with the cryptography that TLS has, so that the program has one.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey};
use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use signature::Verifier;

/// For [`CryptoProvider::install_default`]. It signs nothing.
pub(super) static RING: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

#[allow(clippy::trivially_copy_pass_by_ref, reason = "it is how the crate calls it")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let key = key.try_get_as_bytes()?;
    Ok(match algorithm {
        Algorithm::HS256 => Box::new(Hs256(hmac::Key::new(hmac::HMAC_SHA256, key))),
        Algorithm::RS256 => Box::new(PublicKey::new(Algorithm::RS256, &RSA_PKCS1_2048_8192_SHA256, key)),
        Algorithm::ES256 => Box::new(PublicKey::new(Algorithm::ES256, &ECDSA_P256_SHA256_FIXED, key)),
        _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
    })
}

struct Hs256(hmac::Key);

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        hmac::verify(&self.0, message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

struct PublicKey {
    algorithm: Algorithm,
    key: UnparsedPublicKey<Vec<u8>>,
}

impl PublicKey {
    fn new(algorithm: Algorithm, verification: &'static dyn VerificationAlgorithm, key: &[u8]) -> Self {
        Self { algorithm, key: UnparsedPublicKey::new(verification, key.to_vec()) }
    }
}

impl Verifier<Vec<u8>> for PublicKey {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.key.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for PublicKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
