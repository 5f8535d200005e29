//! Sign-ins, refreshes, thefts and ends of sessions.

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::kinds::{Counters, Label, kinds};

kinds! {
    /// What became of a refresh or a renewal.
    RefreshVerdict in "verdict" {
        /// The session has a new generation.
        Rotated = "rotated",
        /// The same request again: it got the same successor.
        Repeated = "repeated",
        /// Two parties hold the token: the session was to be ended.
        Reused = "reused",
        /// The session has ended or expired.
        Ended = "ended",
        /// A genuine token of a session whose row is gone.
        Unknown = "unknown",
        /// Not a token of this deployment.
        Invalid = "invalid",
        /// Sooner than `--refresh-min-interval` allows.
        TooOften = "too_often",
        /// From elsewhere than the session is bound to.
        BindingBroken = "binding_broken",
        /// The request id made the token: a client that never changes it.
        RequestIdRepeated = "request_id_repeated",
        /// The token is newer than the row: the database lost a commit.
        Ahead = "ahead",
        /// A failure of the server or the database, which says nothing of the token.
        Failed = "failed",
    }
}

kinds! {
    /// How a stolen token showed, as its audit event says.
    TheftKind in "reuse" {
        /// The right request, but after the replay window.
        Late = "LATE",
        /// Two refreshes of one generation.
        Fork = "FORK",
        /// A generation further back than any retry reaches.
        Ancestor = "ANCESTOR",
        /// Two refreshes of one generation, one of them lost by the database.
        ForkAcrossLostCommit = "FORK_ACROSS_LOST_COMMIT",
    }
}

kinds! {
    /// What became of a sign-in.
    SignInOutcome in "outcome" {
        /// A session was opened.
        SignedIn = "signed_in",
        /// No such user, a wrong password, or a disabled or locked user.
        InvalidCredentials = "invalid_credentials",
        /// Too many for the login or from the address lately.
        Limited = "limited",
        /// As many passwords waited as may.
        Busy = "busy",
        /// The user has as many sessions as are allowed.
        Full = "full",
        /// A failure of the server or the database.
        Failed = "failed",
    }
}

kinds! {
    /// What a call had too many of.
    RateLimit in "limit" {
        /// Sign-ins, registrations and password resets from one address.
        Address = "address",
        /// Sign-ins with one login.
        Login = "login",
    }
}

/// Sign-ins, refreshes, thefts and ends of sessions.
#[derive(Clone)]
pub struct SessionMetrics {
    refreshes: Counters,
    thefts: Counters,
    sign_ins: Counters,
    limited: Counters,
    ended: Family<Label, Counter>,
}

impl Default for SessionMetrics {
    fn default() -> Self {
        Self {
            refreshes: Counters::of::<RefreshVerdict>(),
            thefts: Counters::of::<TheftKind>(),
            sign_ins: Counters::of::<SignInOutcome>(),
            limited: Counters::of::<RateLimit>(),
            ended: Family::default(),
        }
    }
}

impl SessionMetrics {
    pub(super) fn registered(self, registry: &mut Registry) -> Self {
        let help = "Refreshes and renewals, by what became of them";
        self.refreshes.register(registry, "refreshes", help);
        let help = "Sessions ended because two parties held their token, by how it showed";
        self.thefts.register(registry, "thefts", help);
        let help = "Sign-ins, by what became of them";
        self.sign_ins.register(registry, "sign_ins", help);
        let help = "Calls refused because there were too many like them, by the limit";
        self.limited.register(registry, "limited", help);
        let help = "Sessions ended by this server, by the reason; not those that expired";
        registry.register("sessions_ended", help, self.ended.clone());
        self
    }

    /// A refresh or renewal had this verdict.
    pub fn refreshed(&self, verdict: RefreshVerdict) {
        self.refreshes.add(verdict, 1);
    }

    /// A session was ended for a theft.
    pub fn theft(&self, kind: TheftKind) {
        self.thefts.add(kind, 1);
    }

    /// A sign-in had this outcome.
    pub fn signed_in(&self, outcome: SignInOutcome) {
        self.sign_ins.add(outcome, 1);
    }

    /// A call was refused by a limit.
    pub fn limited(&self, limit: RateLimit) {
        self.limited.add(limit, 1);
    }

    /// So many sessions were ended, for a reason as the API names it.
    pub fn ended(&self, reason: &'static str, number: usize) {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        self.ended
            .get_or_create(&[("reason", reason)])
            .inc_by(number);
    }
}
