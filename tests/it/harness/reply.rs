//! What replies and errors say.

use rollcall::proto::v1;
use tonic::Status;
use tonic_types::StatusExt;

/// The refresh token of a reply.
pub fn successor(reply: &v1::RefreshResponse) -> &str {
    &reply.tokens.as_ref().expect("tokens").refresh_token
}

/// The `reason` of an error's ErrorInfo.
pub fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("every error has ErrorInfo");
    assert_eq!(info.domain, "rollcall");
    info.reason.clone()
}

/// The fields that an error names.
pub fn violated_fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let bad = details.bad_request().expect("BadRequest");
    bad.field_violations
        .iter()
        .map(|v| v.field.clone())
        .collect()
}

/// The claims of an access token, whoever signed it.
pub fn claims(access_token: &str) -> serde_json::Value {
    jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(access_token)
        .expect("a JWT")
        .claims
}

/// A value of the metadata of an error's ErrorInfo; empty where there is none.
pub fn metadata(status: &Status, key: &str) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("every error has ErrorInfo");
    info.metadata.get(key).cloned().unwrap_or_default()
}

/// Whether an error says when to try again.
pub fn says_when_to_retry(status: &Status) -> bool {
    let details = status.get_error_details();
    details
        .retry_info()
        .is_some_and(|info| info.retry_delay.is_some())
}

/// The `end_reason` of an error that says that a session has ended.
pub fn end_reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("every error has ErrorInfo");
    assert_eq!(info.reason, "SESSION_ENDED", "{status:?}");
    info.metadata
        .get("end_reason")
        .expect("an end_reason")
        .clone()
}
