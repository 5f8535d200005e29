//! Text as a shell and as JSON take it.

use std::path::Path;

/// One word of a POSIX shell, which means `text`.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:@_".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// One word that means a path.
pub(super) fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A JSON string.
pub(super) fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const TEXTS: [&str; 8] = [
        "",
        "/var/lib/rollcall",
        "/Users/ana/Library/Application Support",
        "it's",
        r#"{"a": "b\"c\\"}"#,
        "$HOME `id` \\ ! * ~ # ;",
        "two\nlines",
        "żółw",
    ];

    #[test]
    fn shell_takes_a_quoted_text_for_what_it_is() {
        for text in TEXTS {
            let word = quoted(text);
            for script in [
                format!("printf %s {word}"),
                format!("printf %s \"$(printf %s {word})\""),
            ] {
                let printed = Command::new("sh").args(["-c", &script]).output().unwrap();
                assert_eq!(String::from_utf8(printed.stdout).unwrap(), text, "{script}");
            }
        }
    }

    #[test]
    fn plain_words_have_no_quotes() {
        assert_eq!(quoted("127.0.0.1:50051"), "127.0.0.1:50051");
        assert_eq!(quoted_path(Path::new("/a/b.token")), "/a/b.token");
    }
}
