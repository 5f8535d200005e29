//! Roles: names that access tokens carry and services interpret.

/// The role that lets a user call the admin services.
pub const ADMIN: &str = "admin";

/// The role that lets a service ask about the tokens of others.
pub const SERVICE: &str = "service";

/// The most roles that a user can have.
pub const MAX_ROLES: usize = 32;

/// The most characters of a role.
pub const MAX_LENGTH: usize = 64;

/// The roles of a user: sorted, each once, each well formed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles(Vec<String>);

/// Why some texts are not the roles of a user.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RolesError {
    /// More than [`MAX_ROLES`].
    #[error("must be at most {MAX_ROLES} roles")]
    TooMany,
    /// The role at this index has characters that no role has, or is too long.
    #[error("must be 1 to {MAX_LENGTH} characters of a-z 0-9 . _ : - and begin with a letter")]
    Malformed(usize),
}

impl Roles {
    /// Sorts and checks `names`; the index in an error counts from 0.
    ///
    /// # Errors
    ///
    /// When there are too many or one is malformed.
    pub fn parse(mut names: Vec<String>) -> Result<Self, RolesError> {
        if names.len() > MAX_ROLES {
            return Err(RolesError::TooMany);
        }
        if let Some(index) = names.iter().position(|name| !is_role(name)) {
            return Err(RolesError::Malformed(index));
        }
        names.sort_unstable();
        names.dedup();
        Ok(Self(names))
    }

    /// Those of an operator, and nothing else.
    #[must_use]
    pub fn operator() -> Self {
        Self(vec![ADMIN.to_owned()])
    }

    /// Takes roles that were stored, and were checked before.
    #[must_use]
    pub fn from_stored(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Whether the admin services are open to these roles.
    #[must_use]
    pub fn include_admin(&self) -> bool {
        self.0.iter().any(|name| name == ADMIN)
    }

    /// Whether these roles may ask about the tokens of others.
    #[must_use]
    pub fn include_service(&self) -> bool {
        self.include_admin() || self.0.iter().any(|name| name == SERVICE)
    }

    /// The names, sorted.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The names, sorted.
    #[must_use]
    pub fn into_names(self) -> Vec<String> {
        self.0
    }
}

fn is_role(name: &str) -> bool {
    name.len() <= MAX_LENGTH
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b':' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(names: &[&str]) -> Result<Roles, RolesError> {
        Roles::parse(names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn roles_are_sorted_and_deduplicated() {
        let roles = parse(&["support", "admin", "support"]).unwrap();
        assert_eq!(roles.names(), ["admin", "support"]);
        assert!(roles.include_admin());
    }

    #[test]
    fn malformed_role_is_named_by_its_index() {
        for bad in ["", "Admin", "1st", "a b", "ä", &"a".repeat(65)] {
            assert_eq!(
                parse(&["ok", bad]),
                Err(RolesError::Malformed(1)),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn roles_over_the_limit_are_refused() {
        assert_eq!(parse(&["r"; MAX_ROLES + 1]), Err(RolesError::TooMany));
    }
}
