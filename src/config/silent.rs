//! Parsing of secrets.

use std::{ffi::OsStr, fmt::Display, marker::PhantomData, str::FromStr};

use clap::{Arg, Command, builder::TypedValueParser, error::ErrorKind};

/// A parser whose errors do not quote what was given, as clap's own do.
pub(super) fn silent<T>() -> Silent<T> {
    Silent(PhantomData)
}

/// What [`silent`] makes.
#[derive(Clone)]
pub(super) struct Silent<T>(PhantomData<fn() -> T>);

impl<T> TypedValueParser for Silent<T>
where
    T: FromStr<Err: Display> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        let parsed = match value.to_str() {
            Some(text) => text.parse::<T>().map_err(|error| error.to_string()),
            None => Err("it is not UTF-8".to_owned()),
        };
        parsed.map_err(|error| {
            let arg = arg.map(ToString::to_string).unwrap_or_default();
            let text = format!("invalid value for '{arg}': {error}\n");
            clap::Error::raw(ErrorKind::ValueValidation, text).with_cmd(command)
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{
        identity::{MasterKey, MasterKeys},
        store::DatabaseUrl,
    };

    #[derive(Debug, Parser)]
    struct Options {
        #[arg(long, value_parser = silent::<DatabaseUrl>())]
        url: Option<DatabaseUrl>,
        #[arg(long, value_parser = silent::<MasterKeys>())]
        key: Option<MasterKeys>,
    }

    fn parse(option: &str, value: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(["rollcall", option, value])
    }

    #[test]
    fn secrets_that_are_wrong_are_not_quoted() {
        let url = parse("--url", "postgres://ana:secret@h/db?nonsense=1").unwrap_err();
        let expected = "error: invalid value for '--url <URL>': unknown option `nonsense`\n";
        assert_eq!(url.to_string(), expected);
        let key = parse("--key", "rcm_secret").unwrap_err();
        let good = MasterKey::generate().unwrap().expose();
        let twice = parse("--key", &format!("{0},{0}", *good)).unwrap_err();
        assert!(!twice.to_string().contains(&*good), "{twice}");
        assert!(
            twice.to_string().contains("'--key <KEY>': the same"),
            "{twice}"
        );
        for error in [url, key] {
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
    }

    #[test]
    fn secrets_that_are_right_are_parsed() {
        assert!(parse("--url", "host=h").unwrap().url.is_some());
        let key = MasterKey::generate().unwrap().expose();
        assert!(parse("--key", &key).unwrap().key.is_some());
    }
}
