//! Key pairs of either algorithm. The private half is PKCS#8 (RFC 5958).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use zeroize::Zeroizing;

use crate::{
    identity::Error,
    model::{jwk::Jwk, signing_key::Algorithm},
    store::signing_keys::{Sealed, SealedKey},
};

const NO_KEY_PAIR: Error = Error::Crypto("a signing key is no key pair of its algorithm");

/// The private half of a new pair.
pub(super) fn generate(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, Error> {
    let private = match algorithm {
        Algorithm::EdDsa => Ed25519KeyPair::generate()?.to_pkcs8()?.as_ref().to_vec(),
        Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?
            .to_pkcs8v1()?
            .as_ref()
            .to_vec(),
    };
    Ok(Zeroizing::new(private))
}

/// The public half of a private one: 32 bytes, or a point of 65.
pub(super) fn public_half(algorithm: Algorithm, private: &[u8]) -> Result<Vec<u8>, Error> {
    match algorithm {
        Algorithm::EdDsa => {
            let pair = Ed25519KeyPair::from_pkcs8(private).map_err(|_| NO_KEY_PAIR)?;
            Ok(pair.public_key().as_ref().to_vec())
        }
        Algorithm::Es256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private)
                .map_err(|_| NO_KEY_PAIR)?;
            Ok(pair.public_key().as_ref().to_vec())
        }
    }
}

/// The public half as verifiers get it.
pub(super) fn jwk(algorithm: Algorithm, public_key: &[u8]) -> Result<Jwk, Error> {
    let jwk = match algorithm {
        Algorithm::EdDsa => public_key.try_into().ok().map(Jwk::ed25519),
        Algorithm::Es256 => public_key.try_into().ok().and_then(Jwk::p256),
    };
    jwk.ok_or(NO_KEY_PAIR)
}

/// What the sealed half of a key is bound to.
pub(super) fn context_of(stored: &SealedKey) -> Vec<u8> {
    let key = &stored.key;
    match stored.sealed {
        Sealed::Private(_) => private_context(key.algorithm, &key.kid),
        Sealed::Public(_) => public_context(key.algorithm, &key.kid),
    }
}

/// What a sealed private half is bound to.
pub(super) fn private_context(algorithm: Algorithm, kid: &str) -> Vec<u8> {
    format!("rollcall signing key {algorithm} {kid}").into_bytes()
}

/// What a sealed public half is bound to.
pub(super) fn public_context(algorithm: Algorithm, kid: &str) -> Vec<u8> {
    format!("rollcall public key {algorithm} {kid}").into_bytes()
}
