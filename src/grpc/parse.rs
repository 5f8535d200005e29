//! Requests into types. Every violation is collected, so that a caller learns of all
//! at once; nothing inside checks again.

mod binding;
mod session_filter;

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use time::OffsetDateTime;
use tonic::Status;
use tonic_types::FieldViolation;
use uuid::Uuid;

use super::{source::Source, status::invalid_argument};
use crate::{
    model::{
        ids::{SessionId, UserId},
        login::{Login, LoginKind},
        password::{Password, PasswordPolicy},
        password_reset_token::PasswordResetTokenText,
        role::{Roles, RolesError},
        session::{Device, Origin},
    },
    proto::v1,
    store::sessions::Range,
};

const MAX_DISPLAY_NAME: usize = 128;
const MAX_DEVICE_ID: usize = 128;
const MAX_CLIENT_ID: usize = 64;
const MAX_USER_AGENT: usize = 512;
const MAX_LOOKUP_LOGIN: usize = 512;
const MAX_REFRESH_TOKEN: usize = 256;
const MAX_ACCESS_TOKEN: usize = 8 * 1024;
/// The most violations that an answer names: it travels in headers, and clients end
/// the connection over headers of more than 8 KiB.
const MAX_VIOLATIONS: usize = 20;
const MIN_REQUEST_ID: usize = 22;
const MAX_REQUEST_ID: usize = 128;

/// The violations found so far.
#[derive(Default)]
pub(super) struct Fields {
    violations: Vec<FieldViolation>,
}

impl Fields {
    pub(super) fn reject(&mut self, field: impl Into<String>, description: impl Into<String>) {
        // More would not fit into a reply's metadata, and help nobody.
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations
                .push(FieldViolation::new(field, description));
        }
    }

    /// The first violation, with its field and description.
    pub(super) fn into_first(self) -> Option<(String, String)> {
        let first = self.violations.into_iter().next()?;
        Some((first.field, first.description))
    }

    /// What `build` makes of the parsed fields, or all violations.
    pub(super) fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, Status> {
        if !self.violations.is_empty() {
            return Err(invalid_argument(self.violations));
        }
        // A field that gave nothing has said why.
        build().ok_or_else(|| invalid_argument(Vec::new()))
    }

    /// A login to create.
    pub(super) fn login(&mut self, field: &str, text: &str) -> Option<Login> {
        Login::parse(text)
            .map_err(|error| self.reject(field, error.to_string()))
            .ok()
    }

    /// A login to add: of a kind that can be added.
    pub(super) fn further_login(
        &mut self,
        field: &str,
        text: &str,
        kind_field: &str,
        kind: i32,
    ) -> Option<(Login, LoginKind)> {
        let (parsed, kind) = match v1::LoginKind::try_from(kind) {
            Ok(v1::LoginKind::Email) => (Login::email(text), Some(LoginKind::Email)),
            Ok(v1::LoginKind::Phone) => (Login::phone(text), Some(LoginKind::Phone)),
            Ok(v1::LoginKind::Unspecified | v1::LoginKind::Username) | Err(_) => {
                (Login::parse(text), None)
            }
        };
        let login = parsed.map_err(|error| self.reject(field, error.to_string()));
        if kind.is_none() {
            self.reject(kind_field, "must be LOGIN_KIND_EMAIL or LOGIN_KIND_PHONE");
        }
        login.ok().zip(kind)
    }

    /// The beginning of a login, in the form that is matched; an empty one is none.
    pub(super) fn login_prefix(&mut self, field: &str, text: &str) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        Login::key_of_prefix(text)
            .map_err(|error| self.reject(field, error.to_string()))
            .ok()
    }

    /// A login to look up, which need not be one that can be created.
    pub(super) fn lookup_login(&mut self, field: &str, text: &str) -> Option<String> {
        if text.is_empty() || text.len() > MAX_LOOKUP_LOGIN {
            self.reject(field, format!("must be 1 to {MAX_LOOKUP_LOGIN} bytes"));
            return None;
        }
        Some(text.to_owned())
    }

    /// A password within its byte limit; an empty one is taken, and is a wrong one.
    pub(super) fn password(&mut self, field: &str, text: &str) -> Option<Password> {
        Password::new(text)
            .map_err(|error| self.reject(field, error.to_string()))
            .ok()
    }

    /// A password to set, as far as it can be judged without knowing whose it is.
    pub(super) fn new_password(
        &mut self,
        field: &str,
        text: &str,
        policy: PasswordPolicy,
    ) -> Option<Password> {
        let password = self.password(field, text)?;
        match policy.check_length(&password) {
            Ok(()) => Some(password),
            Err(weakness) => {
                self.reject(field, weakness.to_string());
                None
            }
        }
    }

    pub(super) fn display_name(&mut self, field: &str, text: &str) -> String {
        if text.chars().count() > MAX_DISPLAY_NAME || text.chars().any(is_control) {
            self.reject(
                field,
                format!("must be at most {MAX_DISPLAY_NAME} characters, none of them a control character"),
            );
        }
        text.to_owned()
    }

    pub(super) fn roles(&mut self, field: &str, names: Vec<String>) -> Roles {
        Roles::parse(names).unwrap_or_else(|error| {
            match error {
                RolesError::TooMany => self.reject(field, error.to_string()),
                RolesError::Malformed(at) => {
                    self.reject(format!("{field}[{at}]"), error.to_string());
                }
            }
            Roles::default()
        })
    }

    /// One role to search for; an empty one is none.
    pub(super) fn role(&mut self, field: &str, name: String) -> Option<String> {
        if name.is_empty() {
            return None;
        }
        let parsed =
            Roles::parse(vec![name]).map_err(|error| self.reject(field, error.to_string()));
        parsed.ok()?.into_names().pop()
    }

    pub(super) fn password_reset_token(
        &mut self,
        field: &str,
        text: String,
    ) -> PasswordResetTokenText {
        if text.is_empty() || text.len() > MAX_REFRESH_TOKEN {
            self.reject(field, format!("must be 1 to {MAX_REFRESH_TOKEN} bytes"));
        }
        PasswordResetTokenText::new(text)
    }

    pub(super) fn refresh_token(&mut self, text: String) -> String {
        if text.is_empty() || text.len() > MAX_REFRESH_TOKEN {
            self.reject(
                "refresh_token",
                format!("must be 1 to {MAX_REFRESH_TOKEN} bytes"),
            );
        }
        text
    }

    pub(super) fn access_token(&mut self, field: &str, text: String) -> String {
        if text.is_empty() || text.len() > MAX_ACCESS_TOKEN {
            self.reject(field, format!("must be 1 to {MAX_ACCESS_TOKEN} bytes"));
        }
        text
    }

    pub(super) fn request_id(&mut self, text: String) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        let length = MIN_REQUEST_ID..=MAX_REQUEST_ID;
        if !length.contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
            self.reject(
                "request_id",
                format!("must be {MIN_REQUEST_ID} to {MAX_REQUEST_ID} visible ASCII characters with at least 128 random bits"),
            );
        }
        Some(text)
    }

    pub(super) fn session_id(&mut self, field: &str, text: &str) -> Option<SessionId> {
        self.uuid(field, text).map(SessionId)
    }

    pub(super) fn user_id(&mut self, field: &str, text: &str) -> Option<UserId> {
        self.uuid(field, text).map(UserId)
    }

    fn uuid(&mut self, field: &str, text: &str) -> Option<Uuid> {
        // Only the hyphenated form, since ids are compared as texts by callers.
        let uuid = Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
        if uuid.is_none() {
            self.reject(field, "must be a UUID in its hyphenated form");
        }
        uuid
    }

    /// A device and from where it signs in.
    pub(super) fn device(&mut self, device: Option<v1::Device>, source: Source) -> Option<Device> {
        let Some(device) = device else {
            self.reject("device", "is required");
            return None;
        };
        Some(Device {
            device_id: self.device_id("device.device_id", device.device_id),
            display_name: self.display_name("device.display_name", &device.display_name),
            client_id: self.client_id("device.client_id", device.client_id),
            origin: Origin {
                user_agent: self.user_agent("device.user_agent", &device.user_agent),
                ip_address: source.device(self.ip_address("device.ip_address", &device.ip_address)),
            },
        })
    }

    pub(super) fn device_id(&mut self, field: &str, text: String) -> Option<String> {
        if text.len() > MAX_DEVICE_ID || !text.bytes().all(|b| b.is_ascii_graphic()) {
            self.reject(
                field,
                format!("must be at most {MAX_DEVICE_ID} visible ASCII characters"),
            );
        }
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn client_id(&mut self, field: &str, text: String) -> String {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if !(1..=MAX_CLIENT_ID).contains(&text.len()) || !text.bytes().all(fits) {
            self.reject(
                field,
                format!("must be 1 to {MAX_CLIENT_ID} characters of A-Z a-z 0-9 . _ -"),
            );
        }
        text
    }

    /// A user agent, its control characters escaped so that no log or terminal acts
    /// on them.
    pub(super) fn user_agent(&mut self, field: &str, text: &str) -> String {
        if text.len() > MAX_USER_AGENT {
            self.reject(field, format!("must be at most {MAX_USER_AGENT} bytes"));
            return String::new();
        }
        let mut escaped = String::with_capacity(text.len());
        for c in text.chars() {
            if is_control(c) {
                escaped.extend(c.escape_unicode());
            } else {
                escaped.push(c);
            }
        }
        escaped
    }

    pub(super) fn ip_address(&mut self, field: &str, text: &str) -> Option<IpAddr> {
        if text.is_empty() {
            return None;
        }
        let address = text.parse::<IpAddr>();
        if address.is_err() {
            self.reject(field, "must be an IPv4 or IPv6 address");
        }
        address.ok().map(|address| address.to_canonical())
    }

    /// A prefix in CIDR form, or one address.
    pub(super) fn ip_prefix(&mut self, field: &str, text: &str) -> Option<IpNet> {
        if text.is_empty() {
            return None;
        }
        let prefix = text.parse::<IpNet>().ok();
        let prefix = prefix.or_else(|| {
            text.parse::<IpAddr>()
                .ok()
                .map(|ip| IpNet::from(ip.to_canonical()))
        });
        if prefix.is_none() {
            self.reject(field, "must be an address or a prefix in CIDR form");
        }
        prefix.map(|prefix| canonical(prefix.trunc()))
    }

    /// A text to search for, within the limits of a name; an empty one searches for
    /// nothing.
    pub(super) fn search(&mut self, field: &str, text: &str) -> Option<String> {
        let text = self.display_name(field, text);
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn time_range(&mut self, field: &str, range: Option<v1::TimeRange>) -> Range {
        let Some(range) = range else {
            return Range::default();
        };
        let start = self.timestamp(&format!("{field}.start_time"), range.start_time);
        let end = self.timestamp(&format!("{field}.end_time"), range.end_time);
        if let (Some(start), Some(end)) = (start, end)
            && start >= end
        {
            self.reject(field, "start_time must be before end_time");
        }
        Range { start, end }
    }

    fn timestamp(
        &mut self,
        field: &str,
        time: Option<prost_types::Timestamp>,
    ) -> Option<OffsetDateTime> {
        let time = time?;
        let parsed = OffsetDateTime::from_unix_timestamp(time.seconds).ok();
        let nanos = u32::try_from(time.nanos).ok();
        let parsed = parsed.zip(nanos).and_then(|(seconds, nanos)| {
            let exact = seconds.replace_nanosecond(nanos).ok()?;
            (1..=9999).contains(&exact.year()).then_some(exact)
        });
        if parsed.is_none() {
            self.reject(field, "must be a time between the years 1 and 9999");
        }
        parsed
    }
}

/// Whether a character acts on a terminal or a line of text rather than being read:
/// also what breaks lines or turns the direction of writing.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A prefix of IPv4 addresses in IPv6's clothes as what it means: addresses are stored
/// like that.
fn canonical(prefix: IpNet) -> IpNet {
    let IpNet::V6(six) = prefix else {
        return prefix;
    };
    let four = six.addr().to_ipv4_mapped();
    let length = six.prefix_len().checked_sub(96);
    let four = four
        .zip(length)
        .and_then(|(four, length)| Ipv4Net::new(four, length).ok());
    four.map_or(prefix, IpNet::V4)
}
