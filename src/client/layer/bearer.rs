//! The token of a request (RFC 6750 section 2.1).

use http::{HeaderMap, header::AUTHORIZATION};

/// The longest token that is looked at, in bytes: many times what any has.
const MAX_TOKEN: usize = 8 * 1024;

/// What a request has of a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bearer<'a> {
    /// A token.
    Token(&'a str),
    /// No `authorization`.
    None,
    /// Another scheme, several, or nothing that could be a token.
    Malformed,
}

pub(super) fn find(headers: &HeaderMap) -> Bearer<'_> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Bearer::None;
    };
    let text = value.to_str().unwrap_or_default();
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Bearer::Malformed,
    };
    if token.is_empty() || token.len() > MAX_TOKEN || values.next().is_some() {
        return Bearer::Malformed;
    }
    Bearer::Token(token)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let values = values.iter();
        values
            .map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn scheme_is_matched_in_any_case() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c"] {
            assert_eq!(find(&headers(&[value])), Bearer::Token("a.b.c"));
        }
    }

    #[test]
    fn no_header_is_no_token_and_anything_odd_is_not_guessed_at() {
        assert_eq!(find(&HeaderMap::new()), Bearer::None);
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN + 1));
        let odd: [&[&str]; 6] = [
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["Basic YTpi"],
            &["Bearer a", "Bearer b"],
            &[&long],
        ];
        for values in odd {
            assert_eq!(find(&headers(values)), Bearer::Malformed, "{values:?}");
        }
    }
}
