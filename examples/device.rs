//! A device that signs in once and stays signed in: through restarts, lost replies and
//! outages. Its tokens are in `device.json`.
//!
//! ```text
//! rollcall dev                        # in another terminal; shows logins and passwords
//! ROLLCALL_LOGIN=... ROLLCALL_PASSWORD=... cargo run --example device
//! cargo run --example device          # signed in still
//! ```

use std::{env, error::Error, process::ExitCode, time::Duration};

use rollcall::{
    client::{FileStore, TokenError, TokenSource},
    error_chain,
    proto::v1::{Device, ListMySessionsRequest, auth_client::AuthClient},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error_chain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let url = env::var("ROLLCALL_URL").unwrap_or_else(|_| "http://127.0.0.1:50051".to_owned());
    let tokens = TokenSource::builder(url.clone())
        .store(FileStore::new("device.json"))
        .build()?;
    if let Err(TokenError::SignInAgain(why)) = tokens.access_token().await {
        eprintln!("signing in, since {why}");
        let device = Device {
            display_name: "the example device".to_owned(),
            client_id: "example".to_owned(),
            ..Device::default()
        };
        let (login, password) = (secret("ROLLCALL_LOGIN")?, secret("ROLLCALL_PASSWORD")?);
        tokens.sign_in(&login, &password, device).await?;
    }

    let mut auth = AuthClient::connect(url).await?;
    loop {
        match tokens.access_token().await {
            Ok(token) => {
                let request = token.request(ListMySessionsRequest::default());
                let reply = auth.list_my_sessions(request).await?.into_inner();
                let (id, others) = (reply.current_session_id, reply.sessions.len());
                eprintln!("signed in as session {id}, one of {others} live ones");
            }
            Err(error @ TokenError::TryLater { .. }) => eprintln!("{error}"),
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

/// What only the environment can say.
fn secret(name: &str) -> Result<String, String> {
    let missing = |_| format!("set {name}; `rollcall dev` shows a value for it");
    env::var(name).map_err(missing)
}
