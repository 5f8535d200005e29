//! What an error of Rollcall's says (AIP-193), read; and written, for the layer.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{error_chain, proto::v1::ErrorReason};

/// What one is told who has no access token, or none that is taken.
pub(super) const TOKEN_REQUIRED: &str =
    "a valid access token is required as `authorization: Bearer`";

/// The domain of Rollcall's reasons.
const DOMAIN: &str = "rollcall";

/// The reason that Rollcall gives in an error; `None` where somebody else made it, a proxy
/// for example.
pub(crate) fn reason(status: &Status) -> Option<ErrorReason> {
    let details = status.get_error_details();
    let info = details.error_info()?;
    if info.domain != DOMAIN {
        return None;
    }
    ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason))
}

/// The value of `key` in the metadata of an error's ErrorInfo.
pub(super) fn metadata(status: &Status, key: &str) -> Option<String> {
    let details = status.get_error_details();
    details.error_info()?.metadata.get(key).cloned()
}

/// After how long Rollcall asks to be tried again.
pub(crate) fn retry_delay(status: &Status) -> Option<Duration> {
    let details = status.get_error_details();
    details.retry_info()?.retry_delay
}

/// Whether the same call may succeed later: the failure is of the moment, or of the way
/// there, and says nothing of what was asked.
pub(super) fn is_passing(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Internal
            | Code::Unknown
            | Code::Cancelled
    )
}

/// What a status says or what caused it, in one line. A transport error says only that it is
/// one; its causes say the rest.
pub(crate) fn text(status: &Status) -> String {
    match std::error::Error::source(status) {
        Some(cause) => error_chain(cause),
        None => status.message().to_owned(),
    }
}

/// The same error, without the headers that came with it.
pub(super) fn without_metadata(status: &Status) -> Status {
    let details = status.details().to_vec().into();
    Status::with_details(status.code(), status.message(), details)
}

/// An error with the details that Rollcall's own have.
pub(super) fn status(
    code: Code,
    reason: ErrorReason,
    message: &str,
    metadata: HashMap<String, String>,
    retry: Option<Duration>,
) -> Status {
    let name = reason.as_str_name();
    let mut details = ErrorDetails::new();
    details.set_error_info(
        name.strip_prefix("ERROR_REASON_").unwrap_or(name),
        DOMAIN,
        metadata,
    );
    if retry.is_some() {
        details.set_retry_info(retry);
    }
    Status::with_error_details(code, message, details)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(domain: &str) -> Status {
        let mut details = ErrorDetails::with_retry_info(Some(Duration::from_millis(1_500)));
        details.set_error_info("HASHING_BUSY", domain, HashMap::new());
        Status::with_error_details(Code::ResourceExhausted, "busy", details)
    }

    #[test]
    fn reason_and_delay_are_read_from_the_details() {
        let status = busy("rollcall");
        assert_eq!(reason(&status), Some(ErrorReason::HashingBusy));
        assert_eq!(retry_delay(&status), Some(Duration::from_millis(1_500)));
        assert!(is_passing(&status));
    }

    #[test]
    fn reason_of_another_domain_and_an_error_without_details_have_none() {
        assert_eq!(reason(&busy("elsewhere")), None);
        let bare = Status::unauthenticated("a proxy says no");
        assert_eq!(reason(&bare), None);
        assert_eq!(retry_delay(&bare), None);
        assert!(!is_passing(&bare));
    }

    #[test]
    fn written_error_reads_the_same() {
        let retry = Some(Duration::from_secs(1));
        let metadata = HashMap::from([("role".to_owned(), "admin".to_owned())]);
        let status = status(
            Code::Unavailable,
            ErrorReason::Unavailable,
            "",
            metadata,
            retry,
        );
        assert_eq!(reason(&status), Some(ErrorReason::Unavailable));
        assert_eq!(retry_delay(&status), retry);
        assert_eq!(super::metadata(&status, "role").as_deref(), Some("admin"));
    }
}
