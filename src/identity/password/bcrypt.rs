//! bcrypt in its modular-crypt form: `$2b$<cost>$<22 characters of salt><31 of hash>`, also
//! with `$2a$` and `$2y$`, which are the same for passwords of UTF-8.
//!
//! bcrypt hashes the first 72 bytes of a password and cannot tell what follows. The whole
//! password counts from the first sign-in on, when it is hashed anew.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bcrypt::bcrypt;
use zeroize::Zeroizing;

use super::UnusableHash;
use crate::model::password::Password;

const MIN_COST: u32 = 4;
/// Two more would take longer than a second or two.
const MAX_COST: u32 = 14;
const SALT_CHARACTERS: usize = 22;
const SALT: usize = 16;
const OUTPUT: usize = 23;
/// How much of a password counts.
const TAKEN: usize = 72;

/// The work of one of the 2^cost rounds.
const WORK_OF_ROUND: u64 = 64;

/// Salts that are not of OpenBSD's making may have stray bits at the end, which count
/// nowhere.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::BCRYPT,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// A hash that is safe to execute.
pub(super) struct Stored {
    cost: u32,
    salt: [u8; SALT],
    output: [u8; OUTPUT],
}

impl Stored {
    /// Reads the modular-crypt form: `None` where it is of another algorithm.
    pub(super) fn parse(stored: &str) -> Option<Result<Self, UnusableHash>> {
        let known = ["$2a$", "$2b$", "$2y$"];
        let rest = known
            .iter()
            .find_map(|prefix| stored.strip_prefix(prefix))?;
        Some(Self::parse_rest(rest))
    }

    fn parse_rest(rest: &str) -> Result<Self, UnusableHash> {
        let malformed = UnusableHash::Malformed;
        let (cost, rest) = rest.split_once('$').ok_or(malformed)?;
        let (salt, output) = rest.split_at_checked(SALT_CHARACTERS).ok_or(malformed)?;
        let decode = |text: &str| BASE64.decode(text).map_err(|_| malformed);
        let salt = decode(salt)?.try_into().map_err(|_| malformed)?;
        let output = decode(output)?.try_into().map_err(|_| malformed)?;
        let two_digits = cost.len() == 2 && cost.bytes().all(|b| b.is_ascii_digit());
        let cost = cost
            .parse()
            .ok()
            .filter(|cost| two_digits && (MIN_COST..=MAX_COST).contains(cost));
        Ok(Self {
            cost: cost.ok_or(UnusableHash::Parameters)?,
            salt,
            output,
        })
    }

    /// In Argon2's KiB times passes.
    pub(super) fn work(&self) -> u64 {
        WORK_OF_ROUND << self.cost
    }

    /// Whether `password` gives the same hash, compared in constant time. Never for one
    /// with a NUL, where other implementations end it.
    pub(super) fn matches(&self, password: &Password) -> bool {
        let password = password.expose().as_bytes();
        let taken = password.len().min(TAKEN);
        let mut ended = Zeroizing::new([0; TAKEN]);
        ended[..taken].copy_from_slice(&password[..taken]);
        let computed = bcrypt(self.cost, self.salt, &ended[..TAKEN.min(taken + 1)]);
        let same = verify_slices_are_equal(&computed[..OUTPUT], &self.output).is_ok();
        same && !password.contains(&0)
    }
}
