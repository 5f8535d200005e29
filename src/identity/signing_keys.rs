//! The keys that sign access tokens: in memory open, in the database sealed.

use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::{
    digest,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

use super::{Error, MasterKey, master_key::SealKey};
use crate::{
    model::access_token::VerifyingKey,
    store::{
        Pool,
        signing_keys::{SealedKey, find_active, insert_active_if_none},
    },
};

/// The `alg` of new keys (RFC 8037).
const ED25519: &str = "EdDSA";

/// The keys of this process, which learns them from the database.
pub(super) struct SigningKeys {
    seal_key: SealKey,
    ring: RwLock<Option<Arc<Keyring>>>,
}

/// The keys at one moment.
pub(super) struct Keyring {
    active: SigningKey,
}

/// A key pair.
pub(super) struct SigningKey {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    pub(super) encoding: EncodingKey,
    pub(super) verifying: VerifyingKey,
}

impl Keyring {
    /// The key that signs.
    pub(super) fn active(&self) -> &SigningKey {
        &self.active
    }

    /// The key that a token names.
    pub(super) fn find(&self, kid: &str) -> Option<&VerifyingKey> {
        (self.active.kid == kid).then_some(&self.active.verifying)
    }
}

impl SigningKeys {
    pub(super) fn new(master_key: &MasterKey) -> Self {
        Self {
            seal_key: master_key.seal_key(),
            ring: RwLock::new(None),
        }
    }

    /// The keys, once they were loaded.
    pub(super) fn ring(&self) -> Result<Arc<Keyring>, Error> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.clone().ok_or(Error::NotReady)
    }

    /// Loads the active key. Where there is none it makes one, and then loads whichever
    /// replica's came first.
    pub(super) async fn load(&self, pool: &Pool) -> Result<(), Error> {
        let find = async |conn: &mut _| find_active(conn).await;
        let stored = match pool.run(find).await? {
            Some(stored) => stored,
            None => {
                let made = self.generate()?;
                let insert = async |conn: &mut _| insert_active_if_none(conn, &made).await;
                if pool.run(insert).await? {
                    tracing::info!(kid = made.kid, "made the first signing key");
                }
                pool.run(find).await?.ok_or(Error::Conflict)?
            }
        };
        let active = self.open(&stored)?;
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        *ring = Some(Arc::new(Keyring { active }));
        Ok(())
    }

    fn generate(&self) -> Result<SealedKey, Error> {
        let private = Ed25519KeyPair::generate()?.to_pkcs8()?;
        let public_key = public_half(private.as_ref())?;
        let kid = thumbprint(&public_key);
        Ok(SealedKey {
            sealed_private: self.seal_key.seal(&context(&kid), private.as_ref())?,
            kid,
            algorithm: ED25519.to_owned(),
            public_key,
        })
    }

    fn open(&self, stored: &SealedKey) -> Result<SigningKey, Error> {
        let private = self
            .seal_key
            .open(&context(&stored.kid), &stored.sealed_private)
            .ok_or_else(|| Error::WrongMasterKey {
                kid: stored.kid.clone(),
            })?;
        // The public half comes from what was sealed: a changed row verifies nothing.
        let public_key = public_half(&private)?;
        Ok(SigningKey {
            kid: stored.kid.clone(),
            algorithm: Algorithm::EdDSA,
            encoding: EncodingKey::from_ed_der(&private),
            verifying: VerifyingKey::new(Algorithm::EdDSA, DecodingKey::from_ed_der(&public_key)),
        })
    }
}

fn public_half(pkcs8: &[u8]) -> Result<Vec<u8>, Error> {
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8)
        .map_err(|_| Error::Crypto("a signing key is not an Ed25519 key pair"))?;
    Ok(pair.public_key().as_ref().to_vec())
}

/// The thumbprint of an Ed25519 key (RFC 7638, RFC 8037 appendix A.3).
fn thumbprint(public_key: &[u8]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public_key);
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, jwk.as_bytes()))
}

fn context(kid: &str) -> Vec<u8> {
    format!("rollcall signing key {ED25519} {kid}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprint_is_that_of_rfc_8037() {
        let public_key = URL_SAFE_NO_PAD
            .decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
            .unwrap();
        assert_eq!(
            thumbprint(&public_key),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }
}
