//! Requests, a good one of every RPC among them.

use std::time::Duration;

use futures_util::Stream;
use prost::Message;
use prost_types::FieldMask;
use rollcall::{
    model::{
        audit::Act,
        ids::UserId,
        login::{Login, LoginKind},
    },
    proto::v1,
};
use tonic::{Request, Status};

use super::{Replica, SignedIn};

/// A password that a user may change to.
pub const NEXT_PASSWORD: &str = "copper-lagoon-thistle-58";

/// A user whom requests are about, signed in on two devices or three.
#[derive(Clone, Debug)]
pub struct Subject {
    pub login: String,
    /// Who calls.
    pub laptop: SignedIn,
    /// What is called for.
    pub phone: SignedIn,
    /// What holds one token, where the user has such a thing.
    pub watch: Option<SignedIn>,
    /// With which the password can be reset, where one was issued.
    pub reset_token: String,
}

impl Subject {
    /// An email address that a user with a watch has besides the login.
    pub fn email(&self) -> String {
        format!("{}@example.com", self.login)
    }
}

impl Replica {
    /// Creates a user and signs in on two devices.
    pub async fn subject(&self, login: &str, roles: &[&str]) -> Subject {
        self.create_user(login, roles).await;
        Subject {
            login: login.to_owned(),
            laptop: self.sign_in_on(login, device("laptop")).await,
            phone: self.sign_in_on(login, device("phone")).await,
            watch: None,
            reset_token: String::new(),
        }
    }

    /// Imports users in one stream.
    pub async fn import(
        &self,
        admin: &SignedIn,
        users: impl Stream<Item = v1::ImportUsersRequest> + Send + 'static,
    ) -> Result<v1::ImportUsersResponse, Status> {
        let reply = self.user_admin().import_users(admin.request(users)).await?;
        Ok(reply.into_inner())
    }

    /// Makes a token that resets the password of a user.
    pub async fn reset_token(&self, user_id: &str) -> String {
        let id = UserId(user_id.parse().expect("a UUID"));
        let (act, lifetime) = (Act::of_rollcall(), Duration::from_secs(900));
        let issued = self.identity.issue_password_reset_token(&act, id, lifetime);
        issued.await.expect("issues").0.expose().to_owned()
    }

    /// [`Replica::subject`] with a watch, for every RPC there is.
    pub async fn subject_with_watch(&self, login: &str, roles: &[&str]) -> Subject {
        let subject = self.subject(login, roles).await;
        let watch = Some(self.sign_in_single(login).await);
        let user_id = &subject.laptop.user_id;
        let reset_token = self.reset_token(user_id).await;
        let email = Login::email(&subject.email()).expect("an address");
        let (act, id) = (Act::of_rollcall(), UserId(user_id.parse().expect("a UUID")));
        let added = self.identity.add_login(&act, id, &email, LoginKind::Email);
        added.await.expect("adds");
        Subject {
            watch,
            reset_token,
            ..subject
        }
    }
}

/// A login that nobody has.
pub fn fresh_login() -> String {
    format!("user-{}", uuid::Uuid::now_v7())
}

/// A request of `rpc` about `subject` that is fulfilled for whoever may make it.
pub fn good_request(rpc: &str, subject: &Subject) -> Vec<u8> {
    let user_id = subject.phone.user_id.clone();
    let session_id = subject.phone.session_id.clone();
    let refresh_token = subject.phone.refresh_token.clone();
    match rpc {
        "Audit/ListEvents" => v1::ListEventsRequest::default().encode_to_vec(),
        "Audit/WatchEvents" => v1::WatchEventsRequest::default().encode_to_vec(),
        "Auth/Register" => register().encode_to_vec(),
        "Auth/Authenticate" => bound(&subject.login).encode_to_vec(),
        "Auth/Refresh" => v1::RefreshRequest {
            refresh_token,
            request_id: format!("refresh-of-{session_id}"),
            ..v1::RefreshRequest::default()
        }
        .encode_to_vec(),
        "Auth/Renew" => v1::RenewRequest {
            access_token: watch(subject).access_token.clone(),
            ..v1::RenewRequest::default()
        }
        .encode_to_vec(),
        "Auth/Logout" => v1::LogoutRequest { refresh_token }.encode_to_vec(),
        "Auth/ResetPassword" => v1::ResetPasswordRequest {
            reset_token: subject.reset_token.clone(),
            new_password: NEXT_PASSWORD.to_owned(),
        }
        .encode_to_vec(),
        "Auth/ChangePassword" => change_password().encode_to_vec(),
        "Auth/ListMySessions" => v1::ListMySessionsRequest::default().encode_to_vec(),
        "Auth/RevokeMySession" => v1::RevokeMySessionRequest { session_id }.encode_to_vec(),
        "KeyAdmin/ListSigningKeys" => v1::ListSigningKeysRequest {}.encode_to_vec(),
        // Fulfilled where the next key has been published for its lead.
        "KeyAdmin/RotateSigningKey" => v1::RotateSigningKeyRequest::default().encode_to_vec(),
        "KeyAdmin/ResealSigningKeys" => v1::ResealSigningKeysRequest {}.encode_to_vec(),
        "SessionAdmin/ListSessions" => v1::ListSessionsRequest::default().encode_to_vec(),
        "SessionAdmin/GetSession" => v1::GetSessionRequest { session_id }.encode_to_vec(),
        "SessionAdmin/RevokeSession" => v1::RevokeSessionRequest { session_id }.encode_to_vec(),
        "SessionAdmin/RevokeUserSessions" => v1::RevokeUserSessionsRequest {
            user_id,
            except_session_ids: Vec::new(),
        }
        .encode_to_vec(),
        "SessionAdmin/RevokeSessions" => v1::RevokeSessionsRequest {
            filter: Some(v1::SessionFilter {
                user: Some(v1::session_filter::User::UserId(user_id)),
                ..v1::SessionFilter::default()
            }),
            ..v1::RevokeSessionsRequest::default()
        }
        .encode_to_vec(),
        // Fulfilled once sessions were counted.
        "SessionAdmin/GetSessionStats" => v1::GetSessionStatsRequest {}.encode_to_vec(),
        "UserAdmin/CreateUser" => create_user().encode_to_vec(),
        "UserAdmin/GetUser" => v1::GetUserRequest {
            user: Some(v1::get_user_request::User::UserId(user_id)),
        }
        .encode_to_vec(),
        "UserAdmin/ListUsers" => v1::ListUsersRequest::default().encode_to_vec(),
        "UserAdmin/UpdateUser" => update_user(&user_id).encode_to_vec(),
        "UserAdmin/SetPassword" => v1::SetPasswordRequest {
            user_id,
            new_password: NEXT_PASSWORD.to_owned(),
        }
        .encode_to_vec(),
        "UserAdmin/AddLogin" => v1::AddLoginRequest {
            user_id,
            login: "+49 30 123456".to_owned(),
            kind: v1::LoginKind::Phone.into(),
        }
        .encode_to_vec(),
        "UserAdmin/RemoveLogin" => v1::RemoveLoginRequest {
            user_id,
            login: subject.email(),
        }
        .encode_to_vec(),
        "UserAdmin/IssuePasswordResetToken" => v1::IssuePasswordResetTokenRequest {
            user_id,
            lifetime_seconds: 0,
        }
        .encode_to_vec(),
        "UserAdmin/ImportUsers" => v1::ImportUsersRequest {
            login: fresh_login(),
            ..v1::ImportUsersRequest::default()
        }
        .encode_to_vec(),
        "UserAdmin/ExportUsers" => v1::ExportUsersRequest::default().encode_to_vec(),
        "UserAdmin/DeleteUser" => v1::DeleteUserRequest { user_id }.encode_to_vec(),
        "UserAdmin/UnlockUser" => v1::UnlockUserRequest { user_id }.encode_to_vec(),
        "Verification/GetJwks" => v1::GetJwksRequest {}.encode_to_vec(),
        "Verification/Introspect" => v1::IntrospectRequest {
            token: subject.phone.access_token.clone(),
        }
        .encode_to_vec(),
        "Verification/WatchRevocations" => v1::WatchRevocationsRequest::default().encode_to_vec(),
        other => panic!("{other} has no good request: add one"),
    }
}

pub fn register() -> v1::RegisterRequest {
    v1::RegisterRequest {
        login: fresh_login(),
        password: super::PASSWORD.to_owned(),
        display_name: "Ana".to_owned(),
    }
}

pub fn create_user() -> v1::CreateUserRequest {
    v1::CreateUserRequest {
        login: fresh_login(),
        password: super::PASSWORD.to_owned(),
        display_name: "Ana".to_owned(),
        roles: Vec::new(),
    }
}

/// `message` with an access token.
pub fn bearer<T>(message: T, access_token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {access_token}").parse().expect("ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}

/// A device with this id, or without one.
pub fn device(device_id: &str) -> v1::Device {
    v1::Device {
        device_id: device_id.to_owned(),
        client_id: "test".to_owned(),
        ..v1::Device::default()
    }
}

/// A fresh `request_id`.
pub fn request_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

pub fn authenticate(login: &str) -> v1::AuthenticateRequest {
    v1::AuthenticateRequest {
        login: login.to_owned(),
        password: super::PASSWORD.to_owned(),
        device: Some(device("")),
        ..v1::AuthenticateRequest::default()
    }
}

fn watch(subject: &Subject) -> &SignedIn {
    subject.watch.as_ref().expect("a subject with a watch")
}

/// A sign-in that is bound to its user agent and address.
pub fn bound(login: &str) -> v1::AuthenticateRequest {
    v1::AuthenticateRequest {
        device: Some(v1::Device {
            user_agent: "test/1".to_owned(),
            ip_address: "192.0.2.1".to_owned(),
            ..device("")
        }),
        binding: Some(v1::SessionBinding {
            user_agent: true,
            ip_prefix_length: 24,
            reaction: v1::BindingReaction::Refuse.into(),
        }),
        ..authenticate(login)
    }
}

pub fn change_password() -> v1::ChangePasswordRequest {
    v1::ChangePasswordRequest {
        current_password: super::PASSWORD.to_owned(),
        new_password: NEXT_PASSWORD.to_owned(),
    }
}

pub fn update_user(user_id: &str) -> v1::UpdateUserRequest {
    v1::UpdateUserRequest {
        user: Some(v1::User {
            user_id: user_id.to_owned(),
            display_name: "Ana Pérez".to_owned(),
            ..v1::User::default()
        }),
        update_mask: Some(mask(&["display_name"])),
    }
}

pub fn mask(paths: &[&str]) -> FieldMask {
    FieldMask {
        paths: paths.iter().map(ToString::to_string).collect(),
    }
}
