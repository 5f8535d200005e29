//! The options of every command that asks a running server.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Which server, and how to reach it.
#[derive(Clone, Debug, Args)]
pub struct ServerOptions {
    /// The server: a URL, or unix:PATH. With `https` its certificate is checked.
    #[arg(
        long,
        env = "ROLLCALL_SERVER",
        default_value = "http://127.0.0.1:50051",
        value_name = "URL",
        help_heading = "Server"
    )]
    pub server: String,

    /// The certificates to trust, in PEM, instead of the system's.
    #[arg(
        long,
        env = "ROLLCALL_CA",
        value_name = "FILE",
        help_heading = "Server"
    )]
    pub ca: Option<PathBuf>,

    /// The certificate to show the server, in PEM, with those that signed it.
    #[arg(
        long,
        env = "ROLLCALL_CLIENT_CERTIFICATE",
        value_name = "FILE",
        requires = "client_key",
        help_heading = "Server"
    )]
    pub client_certificate: Option<PathBuf>,

    /// The private key of the certificate, in PEM.
    #[arg(
        long,
        env = "ROLLCALL_CLIENT_KEY",
        value_name = "FILE",
        requires = "client_certificate",
        help_heading = "Server"
    )]
    pub client_key: Option<PathBuf>,
}

/// Which server, and as whom.
#[derive(Clone, Debug, Args)]
pub struct SessionOptions {
    /// The server.
    #[command(flatten)]
    pub server: ServerOptions,

    /// The file that keeps the tokens of `rollcall login`. Default: one for each server, in
    /// $XDG_STATE_HOME/rollcall or ~/.local/state/rollcall.
    #[arg(
        long,
        env = "ROLLCALL_CREDENTIALS",
        value_name = "FILE",
        help_heading = "Server"
    )]
    pub credentials: Option<PathBuf>,

    /// Sends passwords and tokens without TLS to another machine, too, where whoever is in
    /// between can read them.
    #[arg(long, env = "ROLLCALL_INSECURE", help_heading = "Server")]
    pub insecure: bool,
}

/// How a result is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs: the messages of the protos, one a line.
    Json,
}

/// A command that asks a server and shows the answer.
#[derive(Clone, Debug, Args)]
pub struct RemoteOptions {
    /// Which server, and as whom.
    #[command(flatten)]
    pub session: SessionOptions,

    /// How to show the result: a table for people, or JSON for programs, the messages of
    /// the protos, a line for each item of a list.
    #[arg(
        long,
        value_enum,
        env = "ROLLCALL_OUTPUT",
        default_value = "table",
        value_name = "FORMAT",
        hide_possible_values = true,
        help_heading = "Output"
    )]
    pub output: Format,
}

/// How much of a list.
#[derive(Clone, Copy, Debug, Args)]
pub struct LimitOptions {
    /// The most items; 0 for all. Default: 100 in a table, all in JSON.
    #[arg(long, value_name = "N", help_heading = "Output")]
    pub limit: Option<u64>,
}

impl LimitOptions {
    /// The most items; `None` for all.
    #[must_use]
    pub fn most(&self, format: Format) -> Option<u64> {
        let default = match format {
            Format::Table => 100,
            Format::Json => 0,
        };
        Some(self.limit.unwrap_or(default)).filter(|limit| *limit > 0)
    }
}

/// Where a password comes from, where it is not asked for.
#[derive(Clone, Debug, Args)]
pub struct PasswordSource {
    /// Reads the password from standard input.
    #[arg(long, conflicts_with = "password_file")]
    pub password_stdin: bool,

    /// Reads the password from a file.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// Goes on without asking.
#[derive(Clone, Copy, Debug, Args)]
pub struct ConfirmOptions {
    /// Does it without asking. Required where there is no terminal to ask on.
    #[arg(long)]
    pub yes: bool,
}

/// The options of `rollcall login`.
#[derive(Debug, Args)]
// Of the password to sign in with alone: what is in the environment is not meant for others.
#[command(mut_arg("password_file", |file| file.env("ROLLCALL_PASSWORD_FILE")))]
#[command(after_help = "\
Examples:
  rollcall login ana --server https://id.example.com
  rollcall login ops-bot --password-file /run/secrets/ops-bot

The session is refreshed by itself while it is used; `rollcall logout` ends it. Only its
owner can read the file. The session of an earlier login with the same file is ended.")]
pub struct Login {
    /// Who signs in. Asked for where it is missing.
    #[arg(value_name = "LOGIN", env = "ROLLCALL_LOGIN")]
    pub login: Option<String>,

    /// The password. Default: asked for on the terminal.
    #[command(flatten)]
    pub password: PasswordSource,

    /// Which server.
    #[command(flatten)]
    pub session: SessionOptions,
}

/// The options of `rollcall health`.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs no sign-in.

Examples:
  rollcall health --server unix:/run/rollcall/rollcall.sock
  rollcall health --service rollcall.v1.Auth --timeout 1s")]
pub struct Health {
    /// Which service: rollcall.v1.Auth, for example. Default: the server as a whole.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub service: String,

    /// How long to wait.
    #[arg(long, value_name = "TIME", default_value = "3s")]
    pub timeout: humantime::Duration,

    /// Which server.
    #[command(flatten)]
    pub server: ServerOptions,
}
