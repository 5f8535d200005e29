//! What changes one user.

use prost_types::FieldMask;

use super::{confirmed, ended, mask};
use crate::{
    command::{
        Failure,
        remote::{Remote, ask},
        terminal,
        text::{plain, time},
    },
    config::{
        AddLogin, IssueResetToken, LoginKind, OneUser, OneUserConfirmed, RemoveLogin, SetPassword,
        UpdateUser,
    },
    proto::v1,
};

pub(super) async fn update(options: &UpdateUser) -> Result<(), Failure> {
    ask(&options.remote, async |remote, output| {
        let mut paths = Vec::new();
        if options.display_name.is_some() {
            paths.push("display_name".to_owned());
        }
        if options.no_roles || !options.roles.is_empty() {
            paths.push("roles".to_owned());
        }
        let user = v1::User {
            user_id: remote.user_id(&options.user).await?,
            display_name: options.display_name.clone().unwrap_or_default(),
            roles: options.roles.clone(),
            ..v1::User::default()
        };
        let reply = update_user(remote, user, FieldMask { paths }).await?;
        output.record(&reply, reply.user.as_ref())
    })
    .await
}

pub(super) async fn enable(options: &OneUser) -> Result<(), Failure> {
    ask(&options.remote, async |remote, output| {
        let user = v1::User {
            user_id: remote.user_id(&options.user).await?,
            disabled: false,
            ..v1::User::default()
        };
        let reply = update_user(remote, user, mask("disabled")).await?;
        let login = login(reply.user.as_ref());
        output.sentence(&reply, &format!("enabled {login}"))
    })
    .await
}

pub(super) async fn disable(options: &OneUserConfirmed) -> Result<(), Failure> {
    ask(&options.remote, async |remote, output| {
        let question = |login: &str| format!("Disable {login}, and end all sessions?");
        let user = confirmed(remote, options.confirm, &options.user, question).await?;
        let change = v1::User {
            disabled: true,
            ..user.clone()
        };
        let reply = update_user(remote, change, mask("disabled")).await?;
        let sentence = ended("disabled", &user, reply.revoked_session_count);
        output.sentence(&reply, &sentence)
    })
    .await
}

/// The login of a user, however the command line named the user.
fn login(user: Option<&v1::User>) -> String {
    plain(user.map_or("", |user| &user.login))
}

async fn update_user(
    remote: &Remote,
    user: v1::User,
    mask: FieldMask,
) -> Result<v1::UpdateUserResponse, Failure> {
    let request = v1::UpdateUserRequest {
        user: Some(user),
        update_mask: Some(mask),
    };
    let update = async |request| remote.users().update_user(request).await;
    remote.call(request, update).await
}

pub(super) async fn set_password(options: &SetPassword) -> Result<(), Failure> {
    ask(&options.remote, async |remote, output| {
        let question = |login: &str| format!("Set the password of {login}, and end all sessions?");
        let user = confirmed(remote, options.confirm, &options.user, question).await?;
        let password = match terminal::given_password(&options.password)? {
            Some(password) => password,
            None => terminal::ask_new_password()?,
        };
        let request = v1::SetPasswordRequest {
            user_id: user.user_id.clone(),
            new_password: password.to_string(),
        };
        let set = async |request| remote.users().set_password(request).await;
        let reply = remote.call(request, set).await?;
        let sentence = ended("set the password of", &user, reply.revoked_session_count);
        output.sentence(&reply, &sentence)
    })
    .await
}

pub(super) async fn unlock(options: &OneUser) -> Result<(), Failure> {
    ask(&options.remote, async |remote, output| {
        let request = v1::UnlockUserRequest {
            user_id: remote.user_id(&options.user).await?,
        };
        let unlock = async |request| remote.users().unlock_user(request).await;
        let reply = remote.call(request, unlock).await?;
        let login = login(reply.user.as_ref());
        output.sentence(&reply, &format!("unlocked {login}"))
    })
    .await
}

pub(super) async fn delete(options: &OneUserConfirmed) -> Result<(), Failure> {
    ask(&options.remote, async |remote, output| {
        let question = |login: &str| format!("Delete {login}, and end all sessions?");
        let user = confirmed(remote, options.confirm, &options.user, question).await?;
        let request = v1::DeleteUserRequest {
            user_id: user.user_id.clone(),
        };
        let delete = async |request| remote.users().delete_user(request).await;
        let reply = remote.call(request, delete).await?;
        let sentence = ended("deleted", &user, reply.revoked_session_count);
        output.sentence(&reply, &sentence)
    })
    .await
}

pub(super) async fn issue_reset_token(options: &IssueResetToken) -> Result<(), Failure> {
    let lifetime = options.lifetime.as_secs();
    let Some(lifetime_seconds) = u32::try_from(lifetime).ok().filter(|it| *it > 0) else {
        return Err(Failure::Usage("--lifetime must be 1m to 1day".to_owned()));
    };
    ask(&options.remote, async |remote, output| {
        let request = v1::IssuePasswordResetTokenRequest {
            user_id: remote.user_id(&options.user).await?,
            lifetime_seconds,
        };
        let issue = async |request| remote.users().issue_password_reset_token(request).await;
        let reply = remote.call(request, issue).await?;
        let until = time(reply.expire_time.as_ref());
        eprintln!("the token can be used once, until {until}");
        let token = plain(&reply.reset_token);
        output.sentence(&reply, &token)
    })
    .await
}

pub(super) async fn add_login(options: &AddLogin) -> Result<(), Failure> {
    let kind = match options.kind {
        Some(LoginKind::Email) => v1::LoginKind::Email,
        Some(LoginKind::Phone) => v1::LoginKind::Phone,
        None if options.login.contains('@') => v1::LoginKind::Email,
        None => v1::LoginKind::Phone,
    };
    ask(&options.remote, async |remote, output| {
        let request = v1::AddLoginRequest {
            user_id: remote.user_id(&options.user).await?,
            login: options.login.clone(),
            kind: kind.into(),
        };
        let add = async |request| remote.users().add_login(request).await;
        let reply = remote.call(request, add).await?;
        output.record(&reply, reply.user.as_ref())
    })
    .await
}

pub(super) async fn remove_login(options: &RemoveLogin) -> Result<(), Failure> {
    ask(&options.remote, async |remote, output| {
        let request = v1::RemoveLoginRequest {
            user_id: remote.user_id(&options.user).await?,
            login: options.login.clone(),
        };
        let remove = async |request| remote.users().remove_login(request).await;
        let reply = remote.call(request, remove).await?;
        output.record(&reply, reply.user.as_ref())
    })
    .await
}
