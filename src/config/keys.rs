//! The options about keys, and the commands that take them.

use std::path::PathBuf;

use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use humantime::Duration;

use super::{
    check::Error,
    remote::{ConfirmOptions, RemoteOptions},
    silent::silent,
};
use crate::{
    identity::MasterKeys,
    model::signing_key::{Algorithm, Policy},
};

/// The master keys: from a file or the environment.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Master key")]
pub struct MasterKeyOptions {
    /// The file that has the master key; or set ROLLCALL_MASTER_KEY to the key itself.
    /// While one takes the place of another it has both, separated by white space or
    /// commas: the first is used, all are accepted.
    #[arg(long, env = "ROLLCALL_MASTER_KEY_FILE", value_name = "FILE")]
    pub master_key_file: Option<PathBuf>,

    /// The keys themselves. Hidden, since a process list shows a command line.
    #[arg(long, env = "ROLLCALL_MASTER_KEY", hide = true, hide_env_values = true, conflicts_with = "master_key_file", value_parser = silent::<MasterKeys>())]
    pub master_key: Option<MasterKeys>,
}

impl MasterKeyOptions {
    /// The keys, from whichever of the two places was given.
    ///
    /// # Errors
    ///
    /// When neither was given, or the file has no key.
    pub fn load(&self) -> Result<MasterKeys, Error> {
        if let Some(keys) = &self.master_key {
            return Ok(keys.clone());
        }
        let path = self.master_key_file.as_ref().ok_or(Error::NoMasterKey)?;
        let text = std::fs::read_to_string(path).map_err(|source| Error::MasterKeyFile {
            path: path.clone(),
            source,
        })?;
        text.parse().map_err(|source| Error::MasterKey {
            path: path.clone(),
            source,
        })
    }
}

/// Access tokens, and the keys that sign them.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Access tokens")]
pub struct AccessTokenOptions {
    /// How long an access token lives.
    #[arg(
        long,
        env = "ROLLCALL_ACCESS_TOKEN_LIFETIME",
        default_value = "10m",
        value_name = "TIME"
    )]
    pub access_token_lifetime: Duration,

    /// How new signing keys sign. The next key is replaced by one of this algorithm, which
    /// signs once it was published for the lead.
    #[arg(
        long,
        env = "ROLLCALL_SIGNING_ALGORITHM",
        default_value = "EdDSA",
        value_name = "ALGORITHM",
        value_parser = PossibleValuesParser::new(Algorithm::ALL.map(Algorithm::as_str))
            .try_map(|text| text.parse::<Algorithm>())
    )]
    pub signing_algorithm: Algorithm,

    /// For how long a signing key signs; then the next one does.
    #[arg(
        long,
        env = "ROLLCALL_SIGNING_KEY_LIFETIME",
        default_value = "30days",
        value_name = "TIME"
    )]
    pub signing_key_lifetime: Duration,

    /// For how long a signing key is published before it signs. Verifiers may keep the key
    /// set for a third of it, and five minutes at most.
    #[arg(
        long,
        env = "ROLLCALL_SIGNING_KEY_LEAD",
        default_value = "15m",
        value_name = "TIME"
    )]
    pub signing_key_lead: Duration,
}

impl AccessTokenOptions {
    /// How signing keys live, where a token can be renewed for so long.
    #[must_use]
    pub fn policy(&self, renewal: std::time::Duration) -> Policy {
        Policy {
            algorithm: self.signing_algorithm,
            lifetime: *self.signing_key_lifetime,
            lead: *self.signing_key_lead,
            access_token_lifetime: *self.access_token_lifetime,
            renewal,
        }
    }
}

/// Makes and rotates keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Prints a new master key, to be kept in a file or a secret store.
    Generate,
    /// Lists the signing keys, newest first, those of the past too.
    List(RemoteOptions),
    /// Lets the next signing key sign from now on.
    Rotate(RotateKeys),
    /// Seals the signing keys under the first master key of the server again, so that the
    /// others can be taken away.
    Reseal(RemoteOptions),
}

/// The options of `rollcall keys rotate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Keys rotate by themselves; this is for the impatient and for emergencies.

Examples:
  rollcall keys rotate
  rollcall keys rotate --emergency")]
pub struct RotateKeys {
    /// Drops the keys that have signed: they are compromised. Their tokens die at once, and
    /// sessions get new ones with their next refresh. Does not wait for the next key to
    /// have been published for the lead, and asks first.
    #[arg(long)]
    pub emergency: bool,

    /// Whether to ask.
    #[command(flatten)]
    pub confirm: ConfirmOptions,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}
