//! The id of the call that a task works on: in its errors, its reply and its log.

use uuid::Uuid;

/// The metadata that carries it, in and out.
pub const HEADER: &str = "x-request-id";

/// The most characters of an id that a caller gives.
const MAX_LENGTH: usize = 128;

tokio::task_local! {
    /// The id of the call at hand.
    pub static CURRENT: String;
}

/// The id that the caller gave, when it is one, or a new one.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "its time orders log lines")]
pub fn choose(given: Option<&http::HeaderValue>) -> String {
    given
        .and_then(|value| value.to_str().ok())
        .filter(|id| is_request_id(id))
        .map_or_else(|| Uuid::now_v7().to_string(), ToOwned::to_owned)
}

fn is_request_id(id: &str) -> bool {
    (1..=MAX_LENGTH).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

/// The id of the call at hand; empty outside of one.
#[must_use]
pub fn current() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn good_id_is_kept_and_a_bad_one_replaced() {
        let choose = |id: &str| choose(Some(&HeaderValue::from_bytes(id.as_bytes()).unwrap()));
        assert_eq!(choose("abc-123"), "abc-123");
        for bad in ["", "with space", "\u{e9}", &"a".repeat(129)] {
            assert_ne!(choose(bad), bad);
        }
    }
}
