//! An access token of the operator, in a file, for commands to be pasted at any time.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use super::Error;
use super::folder::{Folder, random_text, write_private};
use super::people::OPERATOR;
use super::seed::{Seeded, sign_in_on_main};
use crate::{
    error_chain,
    identity::{Granted, Identity, Refresh},
    model::{audit::Act, refresh_token::RefreshTokenText},
};

/// How often the token is renewed. It lives ten times as long; so often because a
/// machine that slept, or an operator whose session was ended, waits for the next time.
const RENEWAL: Duration = Duration::from_secs(60);

/// The file and what renews it.
pub struct OperatorToken {
    identity: Identity,
    path: PathBuf,
    password: Zeroizing<String>,
    refresh_token: RefreshTokenText,
}

impl OperatorToken {
    /// Writes the token of the operator's session into its file.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(
        identity: &Identity,
        folder: &Folder,
        password: Zeroizing<String>,
        seeded: &Seeded,
    ) -> Result<Self, Error> {
        let path = folder.operator_token();
        write_private(&path, seeded.operator.access_token.expose())?;
        Ok(Self {
            identity: identity.clone(),
            path,
            password,
            refresh_token: seeded.operator.refresh_token.clone(),
        })
    }

    /// Renews the token for ever. A failure is logged, and the next time tries again.
    pub async fn keep_renewing(mut self) -> Infallible {
        loop {
            tokio::time::sleep(RENEWAL).await;
            if let Err(error) = self.renew().await {
                let error = error_chain(&error);
                tracing::warn!(error, "the operator's access token was not renewed");
            }
        }
    }

    async fn renew(&mut self) -> Result<(), Error> {
        let granted = self.grant().await?;
        write_private(&self.path, granted.access_token.expose())?;
        self.refresh_token = granted.refresh_token;
        Ok(())
    }

    async fn grant(&self) -> Result<Granted, Error> {
        let refresh = Refresh {
            refresh_token: self.refresh_token.expose().to_owned(),
            request_id: Some(random_text()?.to_string()),
            origin: OPERATOR.main.origin(),
        };
        match self
            .identity
            .refresh(&Act::of_command_line(), refresh)
            .await
        {
            Ok(granted) => Ok(granted),
            // The session was ended, as operators may; or it is not known what became
            // of this refresh, and then a session of its own is safe in either case.
            Err(_) => sign_in_on_main(&self.identity, &OPERATOR, &self.password).await,
        }
    }
}
