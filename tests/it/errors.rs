//! Every error of the flows as callers see it.

use std::{collections::BTreeSet, fmt::Write, time::Duration};

use rollcall::{
    grpc::status,
    identity::{
        Error, RateLimit,
        password::{HashError, UnusableHash},
    },
    model::{password::Weakness, session::EndReason, session_limits::SessionLimit},
    proto::v1::ErrorReason,
    store,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::harness::{reason, violated_fields};

/// What no caller may read.
const CAUSE: &str = "cause-for-the-log";

/// Declares the rows, and a match without a wildcard: a variant without a row does not
/// compile.
macro_rules! rows {
    ($($variant:pat => [$($error:expr),+ $(,)?],)+) => {
        fn rows() -> Vec<Error> {
            vec![$($($error),+),+]
        }

        #[expect(dead_code, reason = "it only has to compile")]
        fn every_variant_has_a_row(error: &Error) {
            match error {
                $($variant => {})+
            }
        }
    };
}

rows! {
    Error::InvalidCredentials => [Error::InvalidCredentials],
    Error::RateLimited { .. } => [
        rate_limited(RateLimit::Login),
        rate_limited(RateLimit::Address),
    ],
    Error::SessionLimitReached(_) => [
        Error::SessionLimitReached(SessionLimit::User),
        Error::SessionLimitReached(SessionLimit::Client),
    ],
    Error::AccessTokenInvalid => [Error::AccessTokenInvalid],
    Error::AccessTokenExpired => [Error::AccessTokenExpired],
    Error::RefreshTokenInvalid => [Error::RefreshTokenInvalid],
    Error::RefreshTokenReused => [Error::RefreshTokenReused],
    Error::SessionEnded(_) => [
        Error::SessionEnded(None),
        Error::SessionEnded(Some(EndReason::LoggedOut)),
        Error::SessionEnded(Some(EndReason::RevokedByUser)),
        Error::SessionEnded(Some(EndReason::RevokedByAdmin)),
        Error::SessionEnded(Some(EndReason::Replaced)),
        Error::SessionEnded(Some(EndReason::TokenReused)),
        Error::SessionEnded(Some(EndReason::PasswordChanged)),
        Error::SessionEnded(Some(EndReason::UserDisabled)),
        Error::SessionEnded(Some(EndReason::UserDeleted)),
        Error::SessionEnded(Some(EndReason::BindingBroken)),
        Error::SessionEnded(Some(EndReason::Displaced)),
    ],
    Error::GenerationAhead => [Error::GenerationAhead],
    Error::RequestIdRepeated => [Error::RequestIdRepeated],
    Error::RefreshedTooOften { .. } => [Error::RefreshedTooOften {
        retry_after: Duration::from_millis(300),
    }],
    Error::SessionBindingBroken => [Error::SessionBindingBroken],
    Error::AdminRequired => [Error::AdminRequired],
    Error::ServiceRequired => [Error::ServiceRequired],
    Error::CallerNotAllowed => [Error::CallerNotAllowed],
    Error::RecentSignInRequired => [Error::RecentSignInRequired],
    Error::SessionNotFound => [Error::SessionNotFound],
    Error::UserNotFound => [Error::UserNotFound],
    Error::LoginTaken => [Error::LoginTaken],
    Error::LoginNotFound => [Error::LoginNotFound],
    Error::LoginFixed => [Error::LoginFixed],
    Error::TooManyLogins => [Error::TooManyLogins],
    Error::PasswordResetTokenInvalid => [Error::PasswordResetTokenInvalid],
    Error::RegistrationDisabled => [Error::RegistrationDisabled],
    Error::WeakPassword(_) => [
        Error::WeakPassword(Weakness::TooShort { min: 15 }),
        Error::WeakPassword(Weakness::Guessable),
    ],
    Error::TooManyWatchers => [Error::TooManyWatchers],
    Error::WatchLagged => [Error::WatchLagged],
    Error::NextKeyTooNew(_) => [Error::NextKeyTooNew(Duration::from_secs(700))],
    Error::Conflict => [Error::Conflict],
    Error::NotReady => [Error::NotReady],
    Error::Hash(_) => [
        HashError::Busy.into(),
        HashError::Unusable(UnusableHash::Parameters).into(),
        HashError::Memory.into(),
        HashError::Random.into(),
        HashError::Stopped.into(),
    ],
    Error::Store(_) => [
        store::Error::Unavailable(CAUSE.into()).into(),
        store::Error::Conflict(CAUSE.into()).into(),
        store::Error::Deadline(CAUSE.into()).into(),
        store::Error::Corrupt { what: CAUSE.to_owned() }.into(),
        store::Error::Setup(CAUSE.into()).into(),
        store::Error::Unexpected(CAUSE.into()).into(),
    ],
    Error::Crypto(_) => [Error::Crypto(CAUSE)],
    Error::Stopped => [Error::Stopped],
    Error::WrongMasterKey { .. } => [Error::WrongMasterKey { kid: CAUSE.to_owned() }],
    Error::Signing(_) => [Error::Signing(jsonwebtoken::errors::ErrorKind::InvalidToken.into())],
}

fn rate_limited(limit: RateLimit) -> Error {
    Error::RateLimited {
        limit,
        retry_after: Duration::from_millis(700),
    }
}

#[test]
fn every_error_has_its_code_reason_and_advice() {
    let mut table = String::new();
    for error in rows() {
        line(&mut table, &format!("{error:?}"), &error.into());
    }
    for (name, status) in answers_without_a_flow() {
        line(&mut table, name, &status);
    }
    insta::assert_snapshot!(table);
}

#[test]
fn every_reason_of_the_proto_is_an_answer_to_something() {
    let flows = rows().into_iter().map(Status::from).collect::<Vec<_>>();
    let others = answers_without_a_flow().map(|(_, status)| status);
    let seen: BTreeSet<_> = flows.iter().chain(&others).map(reason).collect();
    let declared = (1..).map_while(|number| ErrorReason::try_from(number).ok());
    let declared: BTreeSet<_> = declared
        .map(|reason| reason.as_str_name().replace("ERROR_REASON_", ""))
        .collect();
    assert_eq!(seen, declared);
}

#[test]
fn failure_of_the_server_shows_a_fixed_text_and_not_its_cause() {
    for error in rows() {
        let status = Status::from(error);
        let shown = format!("{status:?}");
        assert!(!shown.contains(CAUSE), "{shown}");
        if status.code() == Code::Internal {
            assert_eq!(status.message(), "internal error");
        }
    }
}

/// What is answered before or around the flows.
fn answers_without_a_flow() -> [(&'static str, Status); 5] {
    [
        ("undecodable", status::undecodable("why")),
        ("deadline_exceeded", status::deadline_exceeded()),
        ("unavailable", status::unavailable()),
        ("internal", status::internal()),
        ("invalid_argument", status::invalid_argument(Vec::new())),
    ]
}

fn line(table: &mut String, name: &str, status: &Status) {
    let details = status.get_error_details();
    let mut advice = String::new();
    if let Some(retry) = details.retry_info() {
        let delay = retry.retry_delay.expect("RetryInfo has a delay");
        advice = format!(" retry in {delay:?}");
    }
    let mut metadata: Vec<_> = details
        .error_info()
        .map(|info| &info.metadata)
        .into_iter()
        .flatten()
        .map(|(key, value)| format!(" {key}={value}"))
        .collect();
    metadata.sort();
    if details.bad_request().is_some() {
        metadata.push(format!(" {:?}", violated_fields(status)));
    }
    let (code, reason) = (status.code(), reason(status));
    writeln!(
        table,
        "{name}: {code:?} {reason}{}{advice}",
        metadata.concat()
    )
    .expect("a String");
}
