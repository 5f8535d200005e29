//! `rollcall users`.

mod change;
mod first;
mod import;

use prost_types::FieldMask;
use zeroize::Zeroizing;

use super::{
    Failure, filter, pages,
    remote::{Remote, ask, export},
    terminal::{self, Progress},
    text::{count, number, plain},
};
use crate::{
    config::{CreateUser, ExportUsers, Format, ListUsers, OneUser, Users},
    dev::random_text,
    proto::v1,
};

pub(super) async fn users(command: Users) -> Result<(), Failure> {
    match command {
        Users::List(options) => list(&options).await,
        Users::Get(options) => get(&options).await,
        Users::Create(options) => create(&options).await,
        Users::CreateFirst(options) => Ok(first::create(*options).await?),
        Users::Update(options) => change::update(&options).await,
        Users::Enable(options) => change::enable(&options).await,
        Users::Disable(options) => change::disable(&options).await,
        Users::SetPassword(options) => change::set_password(&options).await,
        Users::Unlock(options) => change::unlock(&options).await,
        Users::Delete(options) => change::delete(&options).await,
        Users::Import(options) => import::import(&options).await,
        Users::Export(options) => export_users(&options).await,
        Users::IssueResetToken(options) => change::issue_reset_token(&options).await,
        Users::AddLogin(options) => change::add_login(&options).await,
        Users::RemoveLogin(options) => change::remove_login(&options).await,
    }
}

async fn list(options: &ListUsers) -> Result<(), Failure> {
    let most = options.limit.most(options.remote.output);
    ask(&options.remote, async |remote, output| {
        let filter = filter::users(&options.filter);
        pages::show(output, most, async |page| {
            let request = v1::ListUsersRequest {
                filter: Some(filter.clone()),
                page_size: page.size,
                page_token: page.token,
            };
            let list = async |request| remote.users().list_users(request).await;
            let reply = remote.call(request, list).await?;
            Ok((reply.users, reply.next_page_token))
        })
        .await?;
        Ok(())
    })
    .await
}

async fn get(options: &OneUser) -> Result<(), Failure> {
    ask(&options.remote, async |remote, output| {
        let user = remote.user(&options.user).await?;
        let reply = v1::GetUserResponse { user: Some(user) };
        output.record(&reply, reply.user.as_ref())
    })
    .await
}

async fn create(options: &CreateUser) -> Result<(), Failure> {
    let given = terminal::given_password(&options.password)?;
    if given.is_none() && options.remote.output == Format::Json {
        return Err(Failure::Usage(
            "--output json has no place for a generated password: give one with \
             --password-stdin or --password-file"
                .to_owned(),
        ));
    }
    let password = match &given {
        Some(password) => password.clone(),
        None => generate_password()?,
    };
    ask(&options.remote, async |remote, output| {
        let request = v1::CreateUserRequest {
            login: options.login.clone(),
            password: password.to_string(),
            display_name: options.display_name.clone(),
            roles: options.roles.clone(),
        };
        let create = async |request| remote.users().create_user(request).await;
        let reply = remote.call(request, create).await?;
        if given.is_some() {
            return output.record(&reply, reply.user.as_ref());
        }
        let user = reply.user.unwrap_or_default();
        say_created(&user.login, &user.user_id);
        output.line(&password)
    })
    .await
}

/// A password that nobody has chosen.
fn generate_password() -> Result<Zeroizing<String>, Failure> {
    random_text().map_err(|error| Failure::Other(error.into()))
}

/// What stands above a generated password.
fn say_created(login: &str, user_id: &str) {
    eprintln!("created user {} ({})", plain(login), plain(user_id));
    eprintln!("the password, shown this once:");
}

async fn export_users(options: &ExportUsers) -> Result<(), Failure> {
    export(&options.session, async |remote, output| {
        let request = v1::ExportUsersRequest {
            filter: Some(filter::users(&options.filter)),
        };
        let export = async |request| remote.users().export_users(request).await;
        let mut stream = remote.open_stream(request, export).await?;
        let (mut progress, mut written) = (Progress::begin(), 0);
        while let Some(message) = stream.message().await? {
            output.json_lines(&message.users)?;
            written += message.users.len() as u64;
            progress.tell(|| format!("{} users", number(written)));
        }
        Ok(())
    })
    .await
}

fn mask(path: &str) -> FieldMask {
    FieldMask {
        paths: vec![path.to_owned()],
    }
}

/// How a change that ends sessions is told.
fn ended(what: &str, user: &v1::User, sessions: u32) -> String {
    let login = plain(&user.login);
    format!(
        "{what} {login}; {} ended",
        count(sessions.into(), "session")
    )
}

/// Asks the server for a user, and the person before something is done to it.
async fn confirmed(
    remote: &Remote,
    confirm: crate::config::ConfirmOptions,
    user: &str,
    question: impl FnOnce(&str) -> String,
) -> Result<v1::User, Failure> {
    terminal::require(confirm)?;
    let user = remote.user(user).await?;
    terminal::confirm(confirm, &question(&plain(&user.login)))?;
    Ok(user)
}
