//! The two ways in which libpq writes connection options, as option and value.

use std::collections::BTreeMap;

use super::database_url::InvalidDatabaseUrl;

/// Options by name; of one that is written twice the last counts.
pub(super) type Options = BTreeMap<String, String>;

/// Every option that is understood; another one is an error, since ignoring it could
/// mean to connect with less protection than was asked for.
const NAMES: [&str; 23] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
    "gssencmode",
];

const UNENCODED: &str = "an `@` where none can be: `/` and `@` in a user name or password \
                         must be percent-encoded";

/// Reads `postgres://...`, `postgresql://...` or `option=value ...`.
///
/// An error never quotes a value. It names an unknown option only where that cannot
/// be a piece of a password that was not quoted or percent-encoded as it should be.
pub(super) fn parse(text: &str) -> Result<Options, InvalidDatabaseUrl> {
    let mut options = match ["postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
    {
        Some(rest) => parse_url(rest)?,
        None => parse_keywords(text)?,
    };
    // As for libpq, an empty value is no value.
    options.retain(|_, value| !value.is_empty());
    Ok(options)
}

fn parse_url(rest: &str) -> Result<Options, InvalidDatabaseUrl> {
    let mut options = Options::new();
    let mut rest = rest;
    if let Some(at) = rest.find(['@', '/'])
        && rest[at..].starts_with('@')
    {
        let (user, password) = rest[..at].split_once(':').unwrap_or((&rest[..at], ""));
        options.insert("user".into(), decode(user)?);
        options.insert("password".into(), decode(password)?);
        rest = &rest[at + 1..];
    }

    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, dbname) = rest.split_once('/').unwrap_or((rest, ""));
    if dbname.contains('@') {
        return Err(InvalidDatabaseUrl::Syntax(UNENCODED));
    }
    options.insert("dbname".into(), decode(dbname)?);
    let (hosts, ports) = split_authority(authority)?;
    options.insert("host".into(), hosts);
    options.insert("port".into(), ports);

    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(InvalidDatabaseUrl::Syntax(
            "an option after the `?` has no value",
        ))?;
        let name = decode(name)?;
        if NAMES.contains(&name.as_str()) {
            options.insert(name, decode(value)?);
        } else if query.contains('@') {
            return Err(InvalidDatabaseUrl::Syntax(UNENCODED));
        } else {
            return Err(InvalidDatabaseUrl::UnknownOption(name));
        }
    }
    Ok(options)
}

/// The hosts and the ports of `host:port,[address]:port,...`, each joined by commas.
fn split_authority(authority: &str) -> Result<(String, String), InvalidDatabaseUrl> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    // The rest of a password with an `@` of its own would be looked up and logged.
    if authority.contains('@') {
        return Err(InvalidDatabaseUrl::Syntax(UNENCODED));
    }
    for entry in authority.split(',') {
        let (host, port) = match entry.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or(InvalidDatabaseUrl::Syntax(
                    "a `[` before an address has no `]` after it",
                ))?;
                (host, rest.strip_prefix(':').unwrap_or(rest))
            }
            None => entry.split_once(':').unwrap_or((entry, "")),
        };
        hosts.push(decode(host)?);
        ports.push(decode(port)?);
    }
    if ports.iter().all(String::is_empty) {
        ports.clear();
    }
    Ok((hosts.join(","), ports.join(",")))
}

fn parse_keywords(text: &str) -> Result<Options, InvalidDatabaseUrl> {
    let mut options = Options::new();
    let mut rest = text.trim_start();
    let mut previous = "";
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or(InvalidDatabaseUrl::Syntax(
            "expected `option=value` or a `postgres://` URL",
        ))?;
        let name = name.trim_end();
        if !NAMES.contains(&name) {
            return Err(
                if previous == "password" || name.contains(char::is_whitespace) {
                    InvalidDatabaseUrl::Syntax(
                        "unknown option; a value that has spaces must stand in single quotes",
                    )
                } else {
                    InvalidDatabaseUrl::UnknownOption(name.to_owned())
                },
            );
        }
        let (value, after) = take_value(after.trim_start())?;
        options.insert(name.to_owned(), value);
        previous = name;
        rest = after.trim_start();
    }
    Ok(options)
}

/// A value, plain or in single quotes, with backslashes resolved, and what follows it.
fn take_value(text: &str) -> Result<(String, &str), InvalidDatabaseUrl> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    if quoted {
        return Err(InvalidDatabaseUrl::Syntax("a single quote is not closed"));
    }
    Ok((value, ""))
}

/// Resolves percent-encoding.
fn decode(text: &str) -> Result<String, InvalidDatabaseUrl> {
    let malformed = InvalidDatabaseUrl::Syntax("a `%` does not stand for a character");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        match digit().zip(digit()) {
            Some((0, 0)) | None => return Err(malformed),
            Some((high, low)) => bytes.extend(u8::try_from(high * 16 + low)),
        }
    }
    String::from_utf8(bytes).map_err(|_| malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_url_gives_every_part_decoded() {
        assert_eq!(
            options(
                "postgresql://an%20a:p%40ss:w@h1:1,[::1]:2,h3/d%62?sslmode=require&options=-c%20a=b"
            ),
            pairs(&[
                ("dbname", "db"),
                ("host", "h1,::1,h3"),
                ("options", "-c a=b"),
                ("password", "p@ss:w"),
                ("port", "1,2,"),
                ("sslmode", "require"),
                ("user", "an a"),
            ])
        );
    }

    #[test]
    fn a_socket_folder_is_given_encoded_or_as_an_option() {
        let expected = pairs(&[("dbname", "db"), ("host", "/run/pg")]);
        assert_eq!(options("postgres://%2Frun%2Fpg/db"), expected);
        assert_eq!(options("postgres:///db?host=/run/pg"), expected);
    }

    #[test]
    fn an_at_sign_after_the_path_begins_is_no_credential() {
        assert_eq!(
            options("postgres://h/db?application_name=a@b"),
            pairs(&[("application_name", "a@b"), ("dbname", "db"), ("host", "h")])
        );
    }

    #[test]
    fn keywords_give_plain_quoted_and_escaped_values() {
        assert_eq!(
            options(r"host=h  user = ana password='it\'s \\ here' dbname=a\ b port=''"),
            pairs(&[
                ("dbname", "a b"),
                ("host", "h"),
                ("password", r"it's \ here"),
                ("user", "ana"),
            ])
        );
    }

    #[test]
    fn an_unknown_option_is_named() {
        for text in [
            "host=h sslmod=disable",
            "postgres://u:secret@h/db?sslmod=disable",
        ] {
            assert_eq!(
                parse(text).unwrap_err().to_string(),
                "unknown option `sslmod`"
            );
        }
    }

    #[test]
    fn errors_never_show_a_piece_of_a_password() {
        for text in [
            "postgres://u:se/cret?se=cret@h/db",
            "postgres://u:se/cret&cret=1?cret=x@h/db",
            "postgres://u:1/secret@h/db",
            "postgres://u:secret%zz@h/db",
            "postgres://u:secret%00@h/db",
            "password=se cret=1 host=h",
            "password=a se cret host=h",
            "password='secret host=h",
            "secret",
        ] {
            let shown = format!("{:?} {0}", parse(text).unwrap_err());
            assert!(!shown.contains("cret"), "{text}: {shown}");
        }
    }
}
