//! Whether the options make sense together.

use std::{io, path::PathBuf, time::Duration};

use super::{AccessTokenOptions, AuthCallers, ListenAddress, Serve, SupersededAccessTokens};
use crate::identity::{MasterKeysError, password::HashingOptionsError};

/// What does not make sense, in the words of the command line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No master key was given.
    #[error(
        "a master key is required: --master-key-file, or ROLLCALL_MASTER_KEY; \
         `rollcall keys generate` prints one"
    )]
    NoMasterKey,
    /// The master key's file cannot be read.
    #[error("the master key file {} cannot be read", path.display())]
    MasterKeyFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The master key's file has no key, or one twice.
    #[error("the master key file {} cannot be used", path.display())]
    MasterKey {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: MasterKeysError,
    },
    /// An option is outside its limits.
    #[error("{option} must be {limit}")]
    OutOfRange {
        /// Which option.
        option: &'static str,
        /// What it must be.
        limit: &'static str,
    },
    /// The hashing options are too weak or too much.
    #[error("the hashing options are refused")]
    Hashing(#[from] HashingOptionsError),
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Serve {
    /// Checks that the options make sense together.
    ///
    /// # Errors
    ///
    /// The first that does not.
    pub fn validate(&self) -> Result<(), Error> {
        self.validate_connections()?;
        self.validate_listen()?;
        self.validate_tls()?;
        self.validate_callers()?;
        self.validate_lifetimes()?;
        self.sign_ins.validate()?;
        self.password.hashing().validate()?;
        let retention = *self.retention.audit_retention;
        require(
            (DAY..=100 * YEAR).contains(&retention),
            "--audit-retention",
            "1day to 100years",
        )?;
        let identity = &self.identity;
        let names = [
            ("--issuer", &identity.issuer),
            ("--audience", &identity.audience),
        ];
        for (option, name) in names {
            require(!name.is_empty(), option, "not empty")?;
        }
        Ok(())
    }

    fn validate_lifetimes(&self) -> Result<(), Error> {
        let identity = &self.identity;
        identity.access_tokens.validate()?;
        let access = *identity.access_tokens.access_token_lifetime;
        let idle = *identity.session_idle_lifetime;
        let absolute = *identity.session_absolute_lifetime;
        require(
            access <= idle,
            "--session-idle-lifetime",
            "no shorter than --access-token-lifetime",
        )?;
        require(
            idle <= absolute,
            "--session-absolute-lifetime",
            "no shorter than --session-idle-lifetime",
        )?;
        require(
            absolute <= 10 * YEAR,
            "--session-absolute-lifetime",
            "at most 10years",
        )?;
        // A repetition answers with the first answer's access token, which must live.
        require(
            *identity.replay_window < access,
            "--replay-window",
            "shorter than --access-token-lifetime",
        )?;
        require(
            *identity.replay_leeway <= *identity.replay_window,
            "--replay-leeway",
            "no longer than --replay-window",
        )?;
        self.validate_refreshes()?;
        self.validate_upkeep()?;
        require(
            *identity.recent_sign_in <= absolute,
            "--recent-sign-in",
            "no longer than --session-absolute-lifetime",
        )
    }

    fn validate_refreshes(&self) -> Result<(), Error> {
        let identity = &self.identity;
        let access = *identity.access_tokens.access_token_lifetime;
        let interval = *identity.refreshing.refresh_min_interval;
        // Who refreshes too early holds a token that lives.
        require(
            interval.is_zero() || interval < access,
            "--refresh-min-interval",
            "shorter than --access-token-lifetime",
        )?;
        // What is refreshed early in the leeway is refused for as long as this.
        require(
            interval.is_zero() || interval < *identity.replay_leeway,
            "--refresh-min-interval",
            "shorter than --replay-leeway",
        )?;
        require(
            *identity.refreshing.superseded_overlap <= access
                || identity.refreshing.superseded_access_tokens == SupersededAccessTokens::Allow,
            "--superseded-overlap",
            "no longer than --access-token-lifetime",
        )
    }

    fn validate_upkeep(&self) -> Result<(), Error> {
        let identity = &self.identity;
        // The revocation feed reads the rows of sessions that ended for as long as that.
        require(
            (HOUR..=10 * YEAR).contains(&*identity.session_retention),
            "--session-retention",
            "1h to 10years",
        )?;
        require(
            *identity.access_tokens.access_token_lifetime <= *identity.session_retention,
            "--session-retention",
            "no shorter than --access-token-lifetime",
        )?;
        require(
            (10 * SECOND..=DAY).contains(&*identity.session_stats_interval),
            "--session-stats-interval",
            "10s to 1day",
        )
    }

    fn validate_connections(&self) -> Result<(), Error> {
        let connections = &self.connections;
        require(
            connections.max_connections.get() >= 2,
            "--max-connections",
            "at least 2",
        )?;
        require_time("--statement-timeout", connections.statement_timeout)?;
        require_time("--connection-timeout", connections.connection_timeout)
    }

    fn validate_listen(&self) -> Result<(), Error> {
        let listen = &self.listen;
        require(
            listen.max_concurrent_streams >= 1,
            "--max-concurrent-streams",
            "at least 1",
        )?;
        require(
            (1..=1_000_000).contains(&listen.max_watchers),
            "--max-watchers",
            "1 to 1000000",
        )?;
        require_time("--request-timeout", listen.request_timeout)?;
        require_time("--keepalive-interval", listen.keepalive_interval)?;
        require_time("--keepalive-timeout", listen.keepalive_timeout)?;
        require(*listen.drain_pause <= DAY, "--drain-pause", "at most 1day")?;
        require(*listen.drain_limit <= DAY, "--drain-limit", "at most 1day")
    }

    fn validate_tls(&self) -> Result<(), Error> {
        let tls = &self.tls;
        let has_certificate = tls.tls_certificate.is_some();
        require(
            !has_certificate || tls.tls_key.is_some(),
            "--tls-certificate",
            "given with --tls-key",
        )?;
        require(
            has_certificate || tls.tls_key.is_none(),
            "--tls-key",
            "given with --tls-certificate",
        )?;
        require(
            has_certificate || tls.tls_client_ca.is_none(),
            "--tls-client-ca",
            "given with --tls-certificate",
        )?;
        require(
            tls.tls_client_ca.is_some() || tls.tls_client_auth.is_none(),
            "--tls-client-auth",
            "given with --tls-client-ca",
        )?;
        // The file of a socket says who may connect, and nobody can listen in.
        require(
            !has_certificate || matches!(self.listen.address, ListenAddress::Tcp(_)),
            "--tls-certificate",
            "left out where --listen is a unix socket",
        )?;
        require_time("--tls-reload-interval", tls.tls_reload_interval)
    }

    fn validate_callers(&self) -> Result<(), Error> {
        let callers = &self.callers;
        let of_use = callers.auth_callers == AuthCallers::Known && self.tls.tls_client_ca.is_some();
        require(
            of_use || callers.auth_caller_sans.is_empty(),
            "--auth-caller-sans",
            "given with --auth-callers known and --tls-client-ca",
        )
    }
}

impl AccessTokenOptions {
    /// Checks that the options make sense together.
    ///
    /// # Errors
    ///
    /// The first that does not.
    pub fn validate(&self) -> Result<(), Error> {
        require(
            (SECOND..=DAY).contains(&*self.access_token_lifetime),
            "--access-token-lifetime",
            "1s to 1day",
        )?;
        // Every replica looks at the keys more often than that, so that none publishes a
        // key when verifiers have no time left to fetch it.
        require(
            (MINUTE..=DAY).contains(&*self.signing_key_lead),
            "--signing-key-lead",
            "1m to 1day",
        )?;
        require(
            (*self.signing_key_lead..=10 * YEAR).contains(&*self.signing_key_lifetime),
            "--signing-key-lifetime",
            "no shorter than --signing-key-lead, and at most 10years",
        )
    }
}

fn require_time(option: &'static str, time: humantime::Duration) -> Result<(), Error> {
    let limit = Duration::from_millis(10)..=DAY;
    require(limit.contains(&*time), option, "10ms to 1day")
}

pub(super) fn require(holds: bool, option: &'static str, limit: &'static str) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::OutOfRange { option, limit })
    }
}
