//! The ages of keys and certificates. They are told as times, which stay right when nobody
//! can look: `time() - ...` is the age.

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::{
    Seconds, count,
    kinds::{Kind, Label, kinds},
};

kinds! {
    /// Where in its life a published signing key is.
    KeyStateName in "state" {
        /// Published; does not sign yet.
        Next = "next",
        /// Signs.
        Active = "active",
        /// Does not sign any more.
        Retiring = "retiring",
    }
}

kinds! {
    /// Whose certificate.
    Certificate in "certificate" {
        /// That of the listener.
        Listener = "listener",
        /// The earliest to expire of those that clients' certificates must come from.
        ClientCa = "client_ca",
    }
}

/// The published keys in one state. Times are seconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeysAtOnce {
    /// How many.
    pub number: usize,
    /// Since when the oldest of them is in it.
    pub since: Option<f64>,
}

/// Signing keys and certificates.
#[derive(Clone, Default)]
pub struct KeyMetrics {
    keys: Family<Label, Gauge>,
    since: Family<Label, Seconds>,
    due: Family<[(&'static str, &'static str); 0], Seconds>,
    certificates: Family<Label, Seconds>,
}

impl KeyMetrics {
    pub(super) fn registered(self, registry: &mut Registry) -> Self {
        for state in KeyStateName::ALL {
            self.set_keys(*state, KeysAtOnce::default());
        }
        registry.register(
            "signing_keys",
            "Published signing keys by state, as this server knows them",
            self.keys.clone(),
        );
        registry.register_with_unit(
            "signing_key_since_timestamp",
            "Since when the oldest key of a state is in it, since 1970",
            Unit::Seconds,
            self.since.clone(),
        );
        registry.register_with_unit(
            "signing_key_rotation_due_timestamp",
            "When the active key is to be rotated, since 1970",
            Unit::Seconds,
            self.due.clone(),
        );
        registry.register_with_unit(
            "certificate_expiry_timestamp",
            "When a certificate in use expires, since 1970",
            Unit::Seconds,
            self.certificates.clone(),
        );
        self
    }

    /// Takes down the keys in a state.
    pub fn set_keys(&self, state: KeyStateName, keys: KeysAtOnce) {
        let label = [(KeyStateName::LABEL, state.as_str())];
        self.keys.get_or_create(&label).set(count(keys.number));
        match keys.since {
            Some(since) => {
                self.since.get_or_create(&label).set(since);
            }
            None => {
                self.since.remove(&label);
            }
        }
    }

    /// Takes down when the active key is to be rotated, in seconds since 1970.
    pub fn set_rotation_due(&self, at: f64) {
        self.due.get_or_create(&[]).set(at);
    }

    /// Takes down when a certificate expires, in seconds since 1970.
    pub fn set_certificate_expiry(&self, certificate: Certificate, at: f64) {
        let label = [(Certificate::LABEL, certificate.as_str())];
        self.certificates.get_or_create(&label).set(at);
    }
}
