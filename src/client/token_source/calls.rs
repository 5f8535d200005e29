//! The calls that a source makes.

use std::time::Duration;

use tonic::{Status, transport::Channel};
use zeroize::Zeroizing;

use super::{TokenError, Tokens};
use crate::{
    client::endpoint::in_time,
    proto::v1::{self, auth_client::AuthClient},
};

/// How long a call may take. What it did after that is not known, and is asked again.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Who signs in.
pub(super) struct Account {
    login: String,
    password: Zeroizing<String>,
    device: v1::Device,
}

impl Account {
    pub(super) fn new(login: &str, password: &str, device: v1::Device) -> Self {
        Self {
            login: login.to_owned(),
            password: Zeroizing::new(password.to_owned()),
            device,
        }
    }
}

pub(super) struct Calls {
    auth: AuthClient<Channel>,
    user_agent: String,
}

impl Calls {
    pub(super) fn new(channel: Channel, user_agent: String) -> Self {
        Self {
            auth: AuthClient::new(channel),
            user_agent,
        }
    }

    /// Refreshes: the same request, whoever sends it.
    pub(super) async fn refresh(&self, tokens: &Tokens) -> Result<Tokens, TokenError> {
        let request = v1::RefreshRequest {
            refresh_token: tokens.refresh_token.to_string(),
            request_id: tokens
                .request_id
                .as_ref()
                .map(|id| id.to_string())
                .unwrap_or_default(),
            user_agent: self.user_agent.clone(),
            ..v1::RefreshRequest::default()
        };
        let mut auth = self.auth.clone();
        let reply = in_time(CALL_TIMEOUT, auth.refresh(request)).await;
        tokens_of(reply.map_err(TokenError::of)?.tokens, tokens.begun_at)
    }

    pub(super) async fn authenticate(
        &self,
        account: &Account,
    ) -> Result<v1::TokenPair, TokenError> {
        let mut device = account.device.clone();
        if device.user_agent.is_empty() {
            device.user_agent.clone_from(&self.user_agent);
        }
        let request = v1::AuthenticateRequest {
            login: account.login.clone(),
            password: account.password.to_string(),
            device: Some(device),
            ..v1::AuthenticateRequest::default()
        };
        let mut auth = self.auth.clone();
        let reply = in_time(CALL_TIMEOUT, auth.authenticate(request)).await;
        let reply = reply.map_err(|status| TokenError::of_sign_in(status, &account.login))?;
        Ok(reply.tokens.unwrap_or_default())
    }

    pub(super) async fn log_out(&self, tokens: &Tokens) -> Result<(), TokenError> {
        let request = v1::LogoutRequest {
            refresh_token: tokens.refresh_token.to_string(),
        };
        let mut auth = self.auth.clone();
        in_time(CALL_TIMEOUT, auth.logout(request))
            .await
            .map_err(TokenError::of)?;
        Ok(())
    }
}

/// The tokens of an answer, or why it is none.
pub(super) fn tokens_of(pair: Option<v1::TokenPair>, asked_at: i64) -> Result<Tokens, TokenError> {
    pair.and_then(|pair| Tokens::new(pair, asked_at))
        .ok_or_else(|| {
            let status = Status::failed_precondition("there is no pair of tokens");
            TokenError::Refused(Box::new(status))
        })
}
