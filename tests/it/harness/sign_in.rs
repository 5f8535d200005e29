//! Users, their sign-ins, and what they do with their tokens.

use rollcall::{
    identity::password::{HashingOptions, PasswordHasher},
    model::{
        audit::Act,
        ids::UserId,
        login::Login,
        password::{Password, PasswordHash},
        role::Roles,
    },
    proto::v1,
    store::users,
};
use tokio::sync::OnceCell;
use tonic::{Request, Status};

use super::{PASSWORD, Replica, authenticate, bearer, device};

/// [`PASSWORD`] as the default options hash it: a hash costs more than all else in most tests.
static PASSWORD_HASH: OnceCell<PasswordHash> = OnceCell::const_new();

async fn hash_password() -> PasswordHash {
    hash(&HashingOptions::default()).await
}

async fn hash(options: &HashingOptions) -> PasswordHash {
    let hasher = PasswordHasher::new(*options).expect("usable options");
    let password = Password::new(PASSWORD).expect("a password");
    hasher.hash(&password).await.expect("hashed")
}

/// A session as its device knows it.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub user_id: String,
    pub session_id: String,
    pub access_token: String,
    pub refresh_token: String,
    pub session: v1::Session,
}

impl SignedIn {
    pub fn new(reply: v1::AuthenticateResponse) -> Self {
        let tokens = reply.tokens.expect("tokens");
        let session = reply.session.expect("a session");
        Self {
            user_id: reply.user_id,
            session_id: session.session_id.clone(),
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            session,
        }
    }

    /// `message` as a request of this session.
    pub fn request<T>(&self, message: T) -> Request<T> {
        bearer(message, &self.access_token)
    }
}

impl Replica {
    /// Creates a user whose password is [`PASSWORD`].
    pub async fn create_user(&self, login: &str, roles: &[&str]) -> UserId {
        let costs = |options: &HashingOptions| (options.memory_kib, options.iterations);
        let password_hash = if costs(&self.hashing) == costs(&HashingOptions::default()) {
            PASSWORD_HASH.get_or_init(hash_password).await.clone()
        } else {
            hash(&self.hashing).await
        };
        self.create_user_with(login, roles, password_hash).await
    }

    /// Creates a user whose hash of [`PASSWORD`] is no other's.
    pub async fn create_user_with_own_hash(&self, login: &str) -> UserId {
        self.create_user_with(login, &[], hash(&self.hashing).await)
            .await
    }

    async fn create_user_with(
        &self,
        login: &str,
        roles: &[&str],
        password_hash: PasswordHash,
    ) -> UserId {
        let new = users::NewUser {
            id: UserId::generate(),
            login: Login::parse(login).expect("a login"),
            password_hash,
            display_name: String::new(),
            roles: Roles::parse(roles.iter().map(ToString::to_string).collect()).expect("roles"),
        };
        let create = async |conn: &mut _| users::create(conn, &Act::of_command_line(), &new).await;
        let created = self.identity.pool().run(create).await.expect("created");
        created.expect("a free login").id
    }

    /// Signs in on a device that has no id.
    pub async fn sign_in(&self, login: &str) -> SignedIn {
        self.sign_in_on(login, device("")).await
    }

    pub async fn sign_in_on(&self, login: &str, device: v1::Device) -> SignedIn {
        let request = v1::AuthenticateRequest {
            login: login.to_owned(),
            password: PASSWORD.to_owned(),
            device: Some(device),
            ..v1::AuthenticateRequest::default()
        };
        self.sign_in_as(request).await
    }

    /// Signs in as a client that holds one token.
    pub async fn sign_in_single(&self, login: &str) -> SignedIn {
        let request = v1::AuthenticateRequest {
            token_mode: v1::TokenMode::Single.into(),
            ..authenticate(login)
        };
        self.sign_in_as(request).await
    }

    pub async fn sign_in_as(&self, request: v1::AuthenticateRequest) -> SignedIn {
        let reply = self.auth().authenticate(request).await.expect("signs in");
        SignedIn::new(reply.into_inner())
    }

    /// Creates an operator and signs in.
    pub async fn admin(&self) -> SignedIn {
        self.create_user("operator", &["admin"]).await;
        self.sign_in("operator").await
    }

    /// Creates a service and signs in.
    pub async fn service(&self) -> SignedIn {
        self.create_user("orders", &["service"]).await;
        self.sign_in("orders").await
    }

    /// Renews an access token.
    pub async fn renew(&self, access_token: &str) -> Result<v1::RenewResponse, Status> {
        let request = v1::RenewRequest {
            access_token: access_token.to_owned(),
            ..v1::RenewRequest::default()
        };
        let reply = self.auth().renew(request).await?;
        Ok(reply.into_inner())
    }

    /// Drops the keys that have signed, with their tokens.
    pub async fn drop_signing_keys(&self) {
        let act = Default::default();
        let rotated = self.identity.rotate_signing_key_in_emergency(&act).await;
        rotated.expect("rotates");
    }

    /// Refreshes with a `request_id`, or without where it is empty.
    pub async fn refresh(
        &self,
        refresh_token: &str,
        request_id: &str,
    ) -> Result<v1::RefreshResponse, Status> {
        let request = v1::RefreshRequest {
            refresh_token: refresh_token.to_owned(),
            request_id: request_id.to_owned(),
            ..v1::RefreshRequest::default()
        };
        let reply = self.auth().refresh(request).await?;
        Ok(reply.into_inner())
    }
}
