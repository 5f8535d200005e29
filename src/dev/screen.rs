//! What `rollcall dev` shows once it runs: what is where, and commands to paste.

mod shell;
#[cfg(test)]
mod tests;

use std::env;
use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::people::{ANA, BEN, CHLOE, OPERATOR, ORDERS, Person};
use crate::{config::ListenAddress, model::ids::SessionId};
use shell::{json, quoted, quoted_path};

const INSTALL_GRPCURL: &str = if cfg!(target_os = "macos") {
    "brew install grpcurl"
} else {
    "go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest"
};

/// What the screen is about.
pub struct Screen<'a> {
    /// Where the server listens.
    pub address: &'a ListenAddress,
    /// The folder of the database's socket.
    pub socket: &'a Path,
    /// Where everything is kept.
    pub folder: &'a Path,
    /// The file that an access token of the operator is kept in.
    pub operator_token: &'a Path,
    /// The operator's password.
    pub operator_password: &'a str,
    /// The password of each demo user.
    pub demo_password: &'a str,
    /// The refresh token of ana's main device.
    pub refresh_token: &'a str,
    /// The `request_id` of its refresh.
    pub request_id: &'a str,
    /// The session of another device of ana's.
    pub other_session: SessionId,
    /// Whether grpcurl is there to run the commands.
    pub has_grpcurl: bool,
}

/// Whether there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    /// Text only.
    Plain,
    /// ANSI colours.
    Colours,
}

impl Palette {
    /// Colours on a terminal that has them, unless `NO_COLOR` asks for none
    /// (<https://no-color.org>).
    pub fn of_stdout() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|value| value == "dumb");
        if io::stdout().is_terminal() && !refused {
            Self::Colours
        } else {
            Self::Plain
        }
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colours => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

impl Screen<'_> {
    /// The whole of it.
    pub fn text(&self, palette: Palette) -> String {
        let mut text = format!(
            "\n  {}  {}\n\n",
            palette.bold("Rollcall is running."),
            palette.faint("Ctrl-C stops it and keeps the data."),
        );
        for (label, value) in self.places() {
            _ = writeln!(text, "  {} {value}", palette.faint(&format!("{label:<10}")));
        }
        text.push('\n');
        for person in [ANA, BEN, CHLOE] {
            _ = writeln!(text, "  {}", devices(&person, palette));
        }
        _ = writeln!(
            text,
            "\n  {}",
            palette.bold("Five commands to paste, in this order:")
        );
        if !self.has_grpcurl {
            _ = writeln!(
                text,
                "  grpcurl is missing; install it with: {INSTALL_GRPCURL}"
            );
        }
        for (number, (title, command)) in (1..).zip(self.commands()) {
            let title = format!("{number}. {title}");
            _ = write!(text, "\n  {}\n\n{command}\n", palette.faint(&title));
        }
        text.push('\n');
        text
    }

    fn places(&self) -> [(&'static str, String); 7] {
        [
            (
                "gRPC",
                format!("{} (no TLS; with reflection)", self.address),
            ),
            (
                "Postgres",
                format!(
                    "psql -h {} -p 5432 -U rollcall rollcall",
                    quoted_path(self.socket)
                ),
            ),
            (
                "Data",
                format!("{} (--fresh throws it away)", self.folder.display()),
            ),
            (
                "Operator",
                format!(
                    "login {}, password {}",
                    OPERATOR.login, self.operator_password
                ),
            ),
            ("Sign in", self.sign_in()),
            (
                "Users",
                format!(
                    "logins {}, {} and {}, password of each {}",
                    ANA.login, BEN.login, CHLOE.login, self.demo_password
                ),
            ),
            (
                "Service",
                format!(
                    "login {}, which may check the tokens of others, the same password",
                    ORDERS.login
                ),
            ),
        ]
    }

    /// How the command line signs in on it.
    fn sign_in(&self) -> String {
        let server = match self.address {
            ListenAddress::Tcp(address) => format!("http://{}", reachable(*address)),
            ListenAddress::Unix(path) => format!("unix:{}", path.display()),
        };
        format!(
            "rollcall login {} --server {}",
            OPERATOR.login,
            quoted(&server)
        )
    }

    /// What each command does, and the command.
    fn commands(&self) -> [(String, String); 5] {
        let auth = "rollcall.v1.Auth";
        let admin = "rollcall.v1.SessionAdmin";
        let (main, other) = (ANA.main.name, ANA.others[0].name);
        let sign_in = format!(
            "{{\"login\": {}, \"password\": {},\n       \
             \"device\": {{\"client_id\": \"web\", \"display_name\": \"New laptop\"}}}}",
            json(ANA.login),
            json(self.demo_password),
        );
        let refresh = format!(
            "{{\"request_id\": {},\n       \"refresh_token\": {}}}",
            json(self.request_id),
            json(self.refresh_token),
        );
        [
            (
                "Sign in as ana on a new device.".to_owned(),
                self.grpcurl(&sign_in, &format!("{auth}/Authenticate")),
            ),
            (
                format!(
                    "Refresh ana's {main}. Pasted again within two minutes, it answers with the\n     \
                     same tokens. With another request_id it is theft: that session ends, no other."
                ),
                self.grpcurl(&refresh, &format!("{auth}/Refresh")),
            ),
            (
                "List ana's devices, as the operator.".to_owned(),
                self.grpcurl_as_operator(
                    &format!("{{\"filter\": {{\"login\": {}}}}}", json(ANA.login)),
                    &format!("{admin}/ListSessions"),
                ),
            ),
            (
                format!("End the session of ana's {other}. Her other devices go on."),
                self.grpcurl_as_operator(
                    &format!("{{\"session_id\": \"{}\"}}", self.other_session),
                    &format!("{admin}/RevokeSession"),
                ),
            ),
            (
                "Ask for the health of a service.".to_owned(),
                self.grpcurl(
                    &format!("{{\"service\": \"{auth}\"}}"),
                    "grpc.health.v1.Health/Check",
                ),
            ),
        ]
    }

    fn grpcurl(&self, body: &str, method: &str) -> String {
        self.grpcurl_with("", body, method)
    }

    fn grpcurl_as_operator(&self, body: &str, method: &str) -> String {
        let token = quoted_path(self.operator_token);
        let header = format!(" -H \"authorization: Bearer $(cat {token})\"");
        self.grpcurl_with(&header, body, method)
    }

    fn grpcurl_with(&self, header: &str, body: &str, method: &str) -> String {
        let body = quoted(body);
        let (unix, target) = match self.address {
            ListenAddress::Tcp(address) => ("", reachable(*address).to_string()),
            ListenAddress::Unix(path) => (" -unix", quoted_path(path)),
        };
        format!("grpcurl -plaintext{unix}{header} \\\n  -d {body} \\\n  {target} {method}")
    }
}

/// A user and the names of the devices.
fn devices(person: &Person, palette: Palette) -> String {
    let names: Vec<&str> = person.devices().map(|gadget| gadget.name).collect();
    format!(
        "{} {:<14} {}",
        palette.faint(&format!("{:<10}", person.login)),
        person.display_name,
        names.join(", ")
    )
}

/// An address to connect to, where one to listen on means any.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
