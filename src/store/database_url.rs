//! The address of the database, written and meant as libpq does.

use std::{fmt, net::IpAddr, str::FromStr};

use thiserror::Error;
use tokio_postgres::config::SslNegotiation;

use super::{
    conninfo::{self, Options},
    tls::{SslMode, TlsOptions},
};

/// Used where the address says nothing: a server that went away without a word (a
/// failover, a firewall) is noticed within a minute, not after two hours.
const DEFAULTS: [(&str, &str); 5] = [
    ("application_name", "rollcall"),
    ("keepalives_idle", "30"),
    ("keepalives_interval", "10"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "60"),
];

/// Where the database is and how to connect to it: a `postgres://` URL or libpq's
/// `option=value` string, with libpq's options for several hosts
/// (`target_session_attrs`, `load_balance_hosts`) and for TLS (`sslmode`,
/// `sslrootcert`, `sslcert`, `sslkey`).
///
/// It is stricter than libpq in these: options that it does not know are errors; `allow`
/// and `prefer` never check a certificate; an `sslrootcert` that is given must exist;
/// `verify-full` looks for the host in subjectAltName, not in the common name. A client
/// certificate is used when `sslcert` and `sslkey` are given, not by default.
///
/// Its Debug and Display leave the password out. Environment variables such as
/// `PGHOST` and files such as `~/.pgpass` are not read.
#[derive(Clone)]
pub struct DatabaseUrl {
    pub(super) hosts: Vec<Host>,
    /// All that is the same for every host, TLS aside.
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: TlsOptions,
    pub(super) target: TargetSession,
}

/// One server of the list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Host {
    /// A name, an address, or the folder of a unix socket.
    pub(super) name: String,
    /// Where to connect to, when it is not for `name` to say.
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
}

/// What a server must be to be connected to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TargetSession {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    /// A standby, or any server when no standby answers.
    PreferStandby,
}

/// Why a text is no [`DatabaseUrl`]; never shows a value, which may be the password.
#[derive(Debug, Error)]
pub enum InvalidDatabaseUrl {
    /// The text does not have the form of a URL or of options.
    #[error("{0}")]
    Syntax(&'static str),
    /// An option that does not exist or is not supported.
    #[error("unknown option `{0}`")]
    UnknownOption(String),
    /// An option has a value that it cannot have.
    #[error("invalid value for option `{option}`: {reason}")]
    Value {
        /// The option's name.
        option: &'static str,
        /// What it should be.
        reason: &'static str,
    },
    /// An option has a value that the driver refuses; the text names the option.
    #[error("{0}")]
    Refused(String),
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        let mut options = conninfo::parse(text)?;
        for (name, value) in DEFAULTS {
            options
                .entry(name.to_owned())
                .or_insert_with(|| value.to_owned());
        }
        match options.remove("gssencmode").as_deref() {
            None | Some("disable" | "prefer") => {}
            Some(_) => {
                return Err(InvalidDatabaseUrl::Value {
                    option: "gssencmode",
                    reason: "GSSAPI is not supported",
                });
            }
        }
        let url = Self {
            hosts: take_hosts(&mut options)?,
            tls: TlsOptions::take(&mut options)?,
            target: take_target(&mut options)?,
            config: config(options)?,
        };
        let direct = url.config.get_ssl_negotiation() == SslNegotiation::Direct;
        if direct && url.tls.mode < SslMode::Require {
            return Err(InvalidDatabaseUrl::Value {
                option: "sslnegotiation",
                reason: "direct needs sslmode=require, verify-ca or verify-full",
            });
        }
        Ok(url)
    }
}

fn take_hosts(options: &mut Options) -> Result<Vec<Host>, InvalidDatabaseUrl> {
    let mut list = |name| {
        let value = options.remove(name).unwrap_or_default();
        let items = value.split(',').map(str::to_owned);
        items.collect::<Vec<_>>()
    };
    let (mut names, addresses, ports) = (list("host"), list("hostaddr"), list("port"));

    let addresses = addresses
        .iter()
        .map(|address| (!address.is_empty()).then(|| address.parse()).transpose())
        .collect::<Result<Vec<Option<IpAddr>>, _>>()
        .map_err(|_| InvalidDatabaseUrl::Value {
            option: "hostaddr",
            reason: "not an IP address",
        })?;
    let ports = ports
        .iter()
        .map(|port| {
            if port.is_empty() {
                Ok(5432)
            } else {
                port.parse()
            }
        })
        .collect::<Result<Vec<u16>, _>>()
        .map_err(|_| InvalidDatabaseUrl::Value {
            option: "port",
            reason: "not a port number",
        })?;

    // Addresses alone name their servers.
    if names == [""] {
        names = addresses
            .iter()
            .map(|address| {
                address
                    .map(|address| address.to_string())
                    .unwrap_or_default()
            })
            .collect();
    }
    if names.iter().any(String::is_empty) {
        return Err(InvalidDatabaseUrl::Value {
            option: "host",
            reason: "there is no default; give a name, or a socket's folder as in `host=/run/postgresql`",
        });
    }
    if addresses != [None] && addresses.len() != names.len() {
        return Err(InvalidDatabaseUrl::Value {
            option: "hostaddr",
            reason: "there must be as many as hosts",
        });
    }
    if ports.len() != 1 && ports.len() != names.len() {
        return Err(InvalidDatabaseUrl::Value {
            option: "port",
            reason: "there must be one, or as many as hosts",
        });
    }
    Ok(names
        .into_iter()
        .enumerate()
        .map(|(index, name)| Host {
            name,
            address: addresses.get(index).copied().flatten(),
            port: ports.get(index).copied().unwrap_or(ports[0]),
        })
        .collect())
}

fn take_target(options: &mut Options) -> Result<TargetSession, InvalidDatabaseUrl> {
    match options.remove("target_session_attrs").as_deref() {
        None | Some("any") => Ok(TargetSession::Any),
        Some("read-write") => Ok(TargetSession::ReadWrite),
        Some("read-only") => Ok(TargetSession::ReadOnly),
        Some("primary") => Ok(TargetSession::Primary),
        Some("standby") => Ok(TargetSession::Standby),
        Some("prefer-standby") => Ok(TargetSession::PreferStandby),
        Some(_) => Err(InvalidDatabaseUrl::Value {
            option: "target_session_attrs",
            reason: "any, read-write, read-only, primary, standby or prefer-standby",
        }),
    }
}

/// What remains is for the driver, which reads options from a text of its own.
fn config(options: Options) -> Result<tokio_postgres::Config, InvalidDatabaseUrl> {
    let mut text = String::new();
    for (name, value) in options {
        let name = match name.as_str() {
            "keepalives_count" => "keepalives_retries",
            name => name,
        };
        let value = value.replace('\\', r"\\").replace('\'', r"\'");
        text.push_str(&format!("{name}='{value}' "));
    }
    text.parse().map_err(|error: tokio_postgres::Error| {
        let reason = error.into_source().map(|source| source.to_string());
        InvalidDatabaseUrl::Refused(reason.unwrap_or_default())
    })
}

impl Host {
    pub(super) fn is_unix(&self) -> bool {
        self.name.starts_with('/') && self.address.is_none()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = self.config.get_user() {
            write!(f, "{user}@")?;
        }
        for (index, host) in self.hosts.iter().enumerate() {
            write!(f, "{}{host}", if index == 0 { "" } else { "," })?;
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests;
