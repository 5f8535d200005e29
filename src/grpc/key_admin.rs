//! The service `KeyAdmin`.

use tonic::{Request, Response, Status};

use super::{act::act, caller::bearer, convert};
use crate::{
    identity::Identity,
    proto::v1::{self, key_admin_server::KeyAdmin},
};

/// Serves `KeyAdmin`.
#[derive(Clone, Debug)]
pub struct KeyAdminService {
    identity: Identity,
}

impl KeyAdminService {
    /// The service over the flows.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity }
    }
}

#[tonic::async_trait]
impl KeyAdmin for KeyAdminService {
    async fn list_signing_keys(
        &self,
        request: Request<v1::ListSigningKeysRequest>,
    ) -> Result<Response<v1::ListSigningKeysResponse>, Status> {
        self.identity.admin(bearer(request.metadata())?).await?;
        let keys = self.identity.list_signing_keys().await?;
        Ok(Response::new(v1::ListSigningKeysResponse {
            signing_keys: keys.into_iter().map(convert::signing_key).collect(),
        }))
    }

    async fn rotate_signing_key(
        &self,
        request: Request<v1::RotateSigningKeyRequest>,
    ) -> Result<Response<v1::RotateSigningKeyResponse>, Status> {
        let act = act(&request);
        let caller = self.identity.admin(bearer(request.metadata())?).await?;
        let act = act.by(caller.actor());
        let active = if request.get_ref().emergency {
            self.identity.rotate_signing_key_in_emergency(&act).await?
        } else {
            self.identity.rotate_signing_key(&act).await?
        };
        Ok(Response::new(v1::RotateSigningKeyResponse {
            signing_key: Some(convert::signing_key(active)),
        }))
    }

    async fn reseal_signing_keys(
        &self,
        request: Request<v1::ResealSigningKeysRequest>,
    ) -> Result<Response<v1::ResealSigningKeysResponse>, Status> {
        let act = act(&request);
        let caller = self.identity.admin(bearer(request.metadata())?).await?;
        let act = act.by(caller.actor());
        let done = self.identity.reseal_signing_keys(&act).await?;
        let count = |keys: usize| u32::try_from(keys).unwrap_or(u32::MAX);
        Ok(Response::new(v1::ResealSigningKeysResponse {
            resealed_key_count: count(done.resealed),
            current_key_count: count(done.unchanged),
        }))
    }
}
