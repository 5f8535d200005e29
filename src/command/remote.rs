//! The server that a command asks, and the session that it asks in.

use std::{net::IpAddr, time::Duration};

use tonic::{
    Code, Request, Response, Status,
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

use super::{Failure, Output, credentials, text::plain};
use crate::{
    client::{self, FileStore, Tls, TokenSource},
    config::{Format, RemoteOptions, ServerOptions, SessionOptions},
    proto::v1::{
        self, audit_client::AuditClient, auth_client::AuthClient, get_user_request,
        key_admin_client::KeyAdminClient, session_admin_client::SessionAdminClient,
        user_admin_client::UserAdminClient,
    },
};

/// How long a call may take that is not a stream.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A server, and a session on it.
pub(super) struct Remote {
    pub(super) source: TokenSource,
    channel: Channel,
}

/// Asks a server, and shows the answer.
pub(super) async fn ask(
    options: &RemoteOptions,
    work: impl AsyncFnOnce(&Remote, &mut Output) -> Result<(), Failure>,
) -> Result<(), Failure> {
    ask_as(&options.session, options.output, work).await
}

/// Asks a server, and shows the answer as JSON lines.
pub(super) async fn export(
    options: &SessionOptions,
    work: impl AsyncFnOnce(&Remote, &mut Output) -> Result<(), Failure>,
) -> Result<(), Failure> {
    ask_as(options, Format::Json, work).await
}

async fn ask_as(
    options: &SessionOptions,
    format: Format,
    work: impl AsyncFnOnce(&Remote, &mut Output) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let remote = Remote::open(options)?;
    let result = work(&remote, &mut Output::new(format)).await;
    // A refresh that nobody waits for, and that is repeated by the next command only after
    // the replay window, would end the session.
    remote.source.settle().await;
    result
}

impl Remote {
    /// Nothing is asked yet.
    pub(super) fn open(options: &SessionOptions) -> Result<Self, Failure> {
        let endpoint = endpoint(&options.server)?;
        if !options.insecure {
            require_tls(&options.server, &endpoint)?;
        }
        let source = TokenSource::builder(endpoint.clone())
            .store(FileStore::new(credentials::file(options)?))
            .user_agent(credentials::USER_AGENT)
            .build()?;
        Ok(Self {
            source,
            channel: endpoint.connect_lazy(),
        })
    }

    /// Makes a call with an access token; once more with another, where that is refused.
    pub(super) async fn call<T: Clone, R>(
        &self,
        message: T,
        call: impl AsyncFn(Request<T>) -> Result<Response<R>, Status>,
    ) -> Result<R, Failure> {
        let limited = async |mut request: Request<T>| {
            request.set_timeout(CALL_TIMEOUT);
            call(request).await
        };
        self.open_stream(message, limited).await
    }

    /// The same of a stream, which may take as long as it takes.
    pub(super) async fn open_stream<T: Clone, R>(
        &self,
        message: T,
        call: impl AsyncFn(Request<T>) -> Result<Response<R>, Status>,
    ) -> Result<R, Failure> {
        let token = self.source.access_token().await?;
        match call(token.request(message.clone())).await {
            Err(status) if status.code() == Code::Unauthenticated => {
                let token = self.source.replace(&token).await?;
                Ok(call(token.request(message)).await?.into_inner())
            }
            reply => Ok(reply?.into_inner()),
        }
    }

    pub(super) fn auth(&self) -> AuthClient<Channel> {
        AuthClient::new(self.channel.clone())
    }

    pub(super) fn sessions(&self) -> SessionAdminClient<Channel> {
        SessionAdminClient::new(self.channel.clone())
    }

    pub(super) fn users(&self) -> UserAdminClient<Channel> {
        UserAdminClient::new(self.channel.clone())
    }

    pub(super) fn keys(&self) -> KeyAdminClient<Channel> {
        KeyAdminClient::new(self.channel.clone())
    }

    pub(super) fn audit(&self) -> AuditClient<Channel> {
        AuditClient::new(self.channel.clone())
    }

    /// The user with this id or login.
    pub(super) async fn user(&self, user: &str) -> Result<v1::User, Failure> {
        let user = if is_id(user) {
            get_user_request::User::UserId(user.to_owned())
        } else {
            get_user_request::User::Login(user.to_owned())
        };
        let request = v1::GetUserRequest { user: Some(user) };
        let get = async |request| self.users().get_user(request).await;
        let reply = self.call(request, get).await?;
        Ok(reply.user.unwrap_or_default())
    }

    /// The id of the user with this id or login. Asks only for a login.
    pub(super) async fn user_id(&self, user: &str) -> Result<String, Failure> {
        if is_id(user) {
            return Ok(user.to_owned());
        }
        Ok(self.user(user).await?.user_id)
    }
}

/// Whether a text is an id in its hyphenated form, and no login.
fn is_id(text: &str) -> bool {
    text.len() == 36 && Uuid::parse_str(text).is_ok()
}

/// Refuses a server to which a password or a token would go in the clear over a network.
fn require_tls(options: &ServerOptions, endpoint: &Endpoint) -> Result<(), Failure> {
    let uri = endpoint.uri();
    let is_near = options.server.starts_with("unix:")
        || uri.scheme_str() == Some("https")
        || is_loopback(uri.host().unwrap_or_default());
    if is_near {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "--server: `{}` has no TLS, and is not this machine: whoever is in between would read \
         passwords and tokens; use https, or --insecure where nobody can be",
        plain(&options.server)
    )))
}

/// Whether a host of a URL is this machine.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// Where to connect, and what to trust there.
pub(super) fn endpoint(options: &ServerOptions) -> Result<Endpoint, Failure> {
    let address = options.server.clone();
    if options.ca.is_none() && options.client_certificate.is_none() {
        return Ok(client::endpoint::endpoint(address)?);
    }
    let mut tls = Tls::new();
    if let Some(ca) = &options.ca {
        tls = tls.ca_file(ca);
    }
    if let (Some(certificate), Some(key)) = (&options.client_certificate, &options.client_key) {
        tls = tls.identity_files(certificate, key);
    }
    Ok(tls.endpoint(address)?)
}
