//! Users who come as a stream, one after another.

use tonic::{Status, Streaming};

use super::super::parse::Fields;
use crate::{
    identity::{Import, Outcome, password::PasswordHasher},
    model::{ids::UserId, password::PasswordHash},
    proto::v1,
    store::users::{ImportedUser, NewUser},
};

const MAX_FURTHER_LOGINS: usize = 9;

/// Imports users as they come, and says what became of them.
pub(super) async fn run(
    mut import: Import,
    mut users: Streaming<v1::ImportUsersRequest>,
) -> Result<v1::ImportUsersResponse, Status> {
    while let Some(request) = users.message().await? {
        match parse(request) {
            Ok(user) => import.take(user).await?,
            Err((field, description)) => import.refuse(field, description),
        }
    }
    Ok(answer(import.finish().await?))
}

fn answer(outcome: Outcome) -> v1::ImportUsersResponse {
    let failures = outcome.failures.into_iter();
    v1::ImportUsersResponse {
        imported_user_count: outcome.imported,
        existing_user_count: outcome.existing,
        failed_user_count: outcome.failed,
        failures: failures
            .map(|failure| v1::ImportFailure {
                index: failure.index,
                field: failure.field,
                description: failure.description,
            })
            .collect(),
    }
}

/// The user of a message, or the first field that is wrong and what is wrong with it.
fn parse(request: v1::ImportUsersRequest) -> Result<ImportedUser, (String, String)> {
    let mut fields = Fields::default();
    let login = fields.login("login", &request.login);
    let password_hash = parse_hash(&mut fields, &request.password_hash);
    let display_name = fields.display_name("display_name", &request.display_name);
    let roles = fields.roles("roles", request.roles);
    let mut further_logins = Vec::new();
    let own = login.as_ref().map(|login| login.key().to_owned());
    let mut keys: Vec<String> = own.into_iter().collect();
    if request.additional_logins.len() > MAX_FURTHER_LOGINS {
        fields.reject(
            "additional_logins",
            format!("must be at most {MAX_FURTHER_LOGINS}"),
        );
    }
    for (at, further) in request
        .additional_logins
        .iter()
        .take(MAX_FURTHER_LOGINS)
        .enumerate()
    {
        let field = format!("additional_logins[{at}].login");
        let kind_field = format!("additional_logins[{at}].kind");
        let parsed = fields.further_login(&field, &further.login, &kind_field, further.kind);
        let Some((login, kind)) = parsed else {
            continue;
        };
        // One that the user has already needs not be added.
        if !keys.iter().any(|key| key == login.key()) {
            keys.push(login.key().to_owned());
            further_logins.push((login, kind));
        }
    }
    if let Some(first) = fields.into_first() {
        return Err(first);
    }
    let missing = || ("login".to_owned(), "is required".to_owned());
    Ok(ImportedUser {
        user: NewUser {
            id: UserId::generate(),
            login: login.ok_or_else(missing)?,
            display_name,
            roles,
            password_hash,
        },
        disabled: request.disabled,
        further_logins,
    })
}

/// A hash of another system; none where the user has no password until one is set.
fn parse_hash(fields: &mut Fields, text: &str) -> PasswordHash {
    if text.is_empty() {
        return PasswordHash::none();
    }
    PasswordHasher::import(text).unwrap_or_else(|error| {
        fields.reject("password_hash", error.to_string());
        PasswordHash::none()
    })
}
