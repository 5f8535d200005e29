//! Texts as a terminal may show them: of others, and of numbers, times and enums.

use std::fmt::Write;

use prost_types::Timestamp;

/// Whether a terminal would do something else with the character than show it: control
/// characters, and what changes the direction of text.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text with such characters escaped, as in `\u{1b}`.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_active(c) {
            _ = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// JSON with such characters escaped as JSON has it; those below U+0020 are already.
pub(super) fn plain_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if is_active(c) {
            _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A text of `most` characters at most, the last of which says that there were more.
pub(super) fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(most.saturating_sub(1)).collect();
            kept + "…"
        }
    }
}

/// As RFC 3339 has it, in whole seconds of UTC.
pub(super) fn time(time: Option<&Timestamp>) -> String {
    let whole = |time: &Timestamp| Timestamp { nanos: 0, ..*time }.to_string();
    time.map_or_else(|| "-".to_owned(), whole)
}

/// `12345` as `12,345`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 session`, `12,345 sessions`.
pub(super) fn count(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", number(count))
}

/// The value of an enum in words: `SESSION_STATE_LIVE` of `SessionState` is `live`.
pub(super) fn word(value: &str, prefix: &str) -> String {
    let value = value.strip_prefix(prefix).unwrap_or(value);
    value.to_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_upon_is_escaped() {
        let nasty = "a\u{1b}[2J\u{9b}31m\u{202e}\u{61c}é\n";
        assert_eq!(
            plain(nasty),
            "a\\u{1b}[2J\\u{9b}31m\\u{202e}\\u{61c}é\\u{a}"
        );
        let json = serde_json::to_string(nasty).unwrap();
        let shown = plain_json(&json);
        assert!(!shown.chars().any(is_active), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), nasty);
    }

    #[test]
    fn numbers_are_grouped_and_texts_clipped() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(count(1, "session"), "1 session");
        assert_eq!(clipped("ééé", 3), "ééé");
        assert_eq!(clipped("éééé", 3), "éé…");
    }

    #[test]
    fn time_is_in_whole_seconds_and_absent_is_a_dash() {
        let at = Timestamp {
            seconds: 1_700_000_001,
            nanos: 999_999_999,
        };
        assert_eq!(time(Some(&at)), "2023-11-14T22:13:21Z");
        assert_eq!(time(None), "-");
    }
}
