//! The configuration of the server that `rollcall dev` runs.

use std::ffi::OsString;
use std::path::Path;

use clap::{Args, Command, FromArgMatches, builder::Resettable};

use crate::config::{ListenAddress, Serve};

/// What `rollcall serve` would be given, with its defaults for everything else. The
/// environment, which may well be set up for a real deployment, does not count.
///
/// # Errors
///
/// When `database_url` is not one.
pub fn serve(
    listen: &ListenAddress,
    database_url: &str,
    master_key_file: &Path,
) -> Result<Serve, clap::Error> {
    let issuer = match listen {
        ListenAddress::Tcp(address) => format!("http://{address}"),
        ListenAddress::Unix(_) => "http://localhost".to_owned(),
    };
    let arguments: [OsString; 16] = [
        "--database-url".into(),
        database_url.into(),
        "--master-key-file".into(),
        master_key_file.into(),
        "--listen".into(),
        listen.to_string().into(),
        "--issuer".into(),
        issuer.into(),
        "--registration".into(),
        // Nobody's load balancer has to be told, and who pressed Ctrl-C waits.
        "--drain-pause".into(),
        "0s".into(),
        "--drain-limit".into(),
        "2s".into(),
        // Scripts walk through generations faster than any client does.
        "--refresh-min-interval".into(),
        "0s".into(),
        "--no-migrate".into(),
    ];
    let matches = command().try_get_matches_from(arguments)?;
    Serve::from_arg_matches(&matches)
}

fn command() -> Command {
    Serve::augment_args(Command::new("dev").no_binary_name(true))
        .mut_args(|arg| arg.env(Resettable::Reset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(listen: &str) -> Serve {
        let listen = listen.parse().unwrap();
        serve(&listen, "postgresql:///rollcall?host=/s", Path::new("/k")).unwrap()
    }

    #[test]
    fn defaults_are_those_of_serve_and_make_sense() {
        let config = parse("127.0.0.1:50051");
        config.validate().unwrap();
        assert_eq!(config.identity.issuer, "http://127.0.0.1:50051");
        assert!(config.identity.registration);
        assert!(config.tls.files().is_none());
        assert_eq!(config.identity.audience, "rollcall");
        assert_eq!(
            parse("unix:/a b/c").listen.address.to_string(),
            "unix:/a b/c"
        );
    }

    #[test]
    fn environment_does_not_count() {
        for arg in command().get_arguments() {
            assert_eq!(arg.get_env(), None, "{}", arg.get_id());
        }
    }
}
