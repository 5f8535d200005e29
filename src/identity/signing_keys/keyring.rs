//! The keys at one moment, open.

use std::collections::HashMap;

use jsonwebtoken::{Algorithm as JwtAlgorithm, EncodingKey};

use super::{SigningKeys, pair};
use crate::{
    identity::{
        Error,
        master_keys::{Opened, SealKeys},
    },
    model::{access_token::VerifyingKey, jwk::Jwk, signing_key::Algorithm},
    store::signing_keys::{Published, Sealed, SealedKey},
};

/// The keys at one moment.
pub(in crate::identity) struct Keyring {
    active: ActiveKey,
    verifying: HashMap<String, VerifyingKey>,
    /// Of keys that are not published any more.
    former: HashMap<String, VerifyingKey>,
    jwks: Vec<Jwk>,
}

/// The key that signs.
pub(in crate::identity) struct ActiveKey {
    pub(in crate::identity) kid: String,
    pub(in crate::identity) algorithm: JwtAlgorithm,
    pub(in crate::identity) encoding: EncodingKey,
}

impl Keyring {
    /// The key that signs.
    pub(in crate::identity) fn active(&self) -> &ActiveKey {
        &self.active
    }

    /// The key that a token names.
    pub(in crate::identity) fn find(&self, kid: &str) -> Option<&VerifyingKey> {
        self.verifying.get(kid)
    }

    /// The key that a token names which may have expired long ago, and is to be renewed.
    pub(in crate::identity) fn find_former(&self, kid: &str) -> Option<&VerifyingKey> {
        self.find(kid).or_else(|| self.former.get(kid))
    }

    /// The public halves, oldest key first.
    pub(in crate::identity) fn jwks(&self) -> &[Jwk] {
        &self.jwks
    }
}

impl SigningKeys {
    /// The ring of what is published; `None` where nothing signs.
    pub(super) fn open_all(
        &self,
        published: &Published,
        former: &[SealedKey],
    ) -> Result<Option<Keyring>, Error> {
        let (mut active, mut verifying, mut jwks) = (None, HashMap::new(), Vec::new());
        for stored in &published.keys {
            let algorithm = stored.key.algorithm;
            let (jwk, key) = self.verifying(stored)?;
            if stored.key.is_active() {
                let private = self.seal_keys.open_key(stored)?.secret;
                active = Some(ActiveKey {
                    kid: stored.key.kid.clone(),
                    algorithm: jwt_algorithm(algorithm),
                    encoding: encoding(algorithm, &private),
                });
            }
            verifying.insert(stored.key.kid.clone(), key);
            jwks.push(jwk);
        }
        Ok(active.map(|active| Keyring {
            active,
            verifying,
            former: self.open_former(former),
            jwks,
        }))
    }

    /// Those that open: one whose master key has been taken away renews nothing more.
    fn open_former(&self, former: &[SealedKey]) -> HashMap<String, VerifyingKey> {
        let open = |stored: &SealedKey| {
            let (jwk, key) = self.verifying(stored).ok()?;
            Some((jwk.kid, key))
        };
        former.iter().filter_map(open).collect()
    }

    fn verifying(&self, stored: &SealedKey) -> Result<(Jwk, VerifyingKey), Error> {
        let jwk = pair::jwk(stored.key.algorithm, &self.public_key(stored)?)?;
        let key = jwk.verifying_key();
        let key = key.ok_or(Error::Crypto("a signing key verifies nothing"))?;
        Ok((jwk, key))
    }

    /// The public half, from what was sealed: a row that somebody changed or added
    /// verifies nothing.
    pub(super) fn public_key(&self, stored: &SealedKey) -> Result<Vec<u8>, Error> {
        let half = self.seal_keys.open_key(stored)?.secret;
        match stored.sealed {
            Sealed::Private(_) => pair::public_half(stored.key.algorithm, &half),
            Sealed::Public(_) => Ok(half.to_vec()),
        }
    }
}

impl SealKeys {
    /// The half of a key that was sealed.
    pub(super) fn open_key(&self, stored: &SealedKey) -> Result<Opened, Error> {
        let (Sealed::Private(sealed) | Sealed::Public(sealed)) = &stored.sealed;
        let opened = self.open(&pair::context_of(stored), sealed);
        opened.ok_or_else(|| Error::WrongMasterKey {
            kid: stored.key.kid.clone(),
        })
    }
}

fn jwt_algorithm(algorithm: Algorithm) -> JwtAlgorithm {
    match algorithm {
        Algorithm::EdDsa => JwtAlgorithm::EdDSA,
        Algorithm::Es256 => JwtAlgorithm::ES256,
    }
}

fn encoding(algorithm: Algorithm, private: &[u8]) -> EncodingKey {
    match algorithm {
        Algorithm::EdDsa => EncodingKey::from_ed_der(private),
        Algorithm::Es256 => EncodingKey::from_ec_der(private),
    }
}
