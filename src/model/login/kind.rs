//! Kinds of logins, and what makes a name an email address or a telephone number.

use time::OffsetDateTime;

/// What kind of name a login is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginKind {
    /// A name that a user was created with.
    Username,
    /// An email address.
    Email,
    /// A telephone number.
    Phone,
}

impl LoginKind {
    const ALL: [Self; 3] = [Self::Username, Self::Email, Self::Phone];

    /// How the database names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Username => "USERNAME",
            Self::Email => "EMAIL",
            Self::Phone => "PHONE",
        }
    }

    /// What the database names so.
    #[must_use]
    pub fn from_stored(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A name that a user has to sign in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLogin {
    /// The name as it was typed.
    pub login: String,
    /// What kind of name it is.
    pub kind: LoginKind,
    /// When the user got it.
    pub created_at: OffsetDateTime,
}

/// Whether a matched form looks like `local@domain`: something before the last `@`, and
/// behind it names that dots separate.
pub(super) fn is_email(key: &str) -> bool {
    let Some((local, domain)) = key.rsplit_once('@') else {
        return false;
    };
    let label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    let plain = |c: char| c == '.' || c == '-' || !c.is_ascii() || c.is_ascii_alphanumeric();
    !local.is_empty() && domain.chars().all(plain) && domain.split('.').all(label)
}

/// A telephone number in its international form (E.164): `+` and 7 to 15 digits, which
/// spaces and hyphens may separate; `None` for anything else.
pub(super) fn phone_key(typed: &str) -> Option<String> {
    let rest = typed.strip_prefix('+')?;
    if !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let key = without_separators(typed)?;
    (7..=15).contains(&(key.len() - 1)).then_some(key)
}

/// What begins a telephone number; `None` for what cannot.
pub(super) fn phone_prefix(typed: &str) -> Option<String> {
    let key = without_separators(typed)?;
    key.starts_with('+').then_some(key)
}

fn without_separators(typed: &str) -> Option<String> {
    let known = |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-');
    let one_plus = typed.matches('+').count() <= 1;
    (one_plus && typed.chars().all(known)).then(|| typed.replace([' ', '-'], ""))
}
