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
