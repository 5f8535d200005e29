//! Tokens with one thing wrong each. Those of [`Forge::bad_for_all`] are bad for whoever
//! checks access tokens (RFC 9068), whichever library it is done with; the others only for
//! Rollcall, which is stricter than it has to be, and knows what its own claims must be.

mod claims;
mod headers;

use serde_json::Value;

use super::mint::Mint;
use crate::harness::SignedIn;

/// A token, and what is wrong with it.
pub(super) type Forged = (String, String);

/// The key of a deployment, a key of an intruder that has the same `kid`, and a session
/// whose access token is to be changed.
pub(super) struct Forge {
    pub(super) mint: Mint,
    intruder: Mint,
    pub(super) session: SignedIn,
}

impl Forge {
    pub(super) fn new(mint: Mint, session: SignedIn) -> Self {
        Self {
            intruder: mint.intruder(),
            mint,
            session,
        }
    }

    /// What nobody may take.
    pub(super) fn bad_for_all(&self, other: &SignedIn) -> Vec<Forged> {
        let corpus = [
            self.algorithms(),
            self.intruders(),
            self.headers(),
            self.required_claims(),
            self.wrong_claims(),
            self.parts(other),
            self.flipped_signatures(),
        ];
        corpus.into_iter().flatten().collect()
    }

    /// The token as it is, signed again.
    pub(super) fn untouched(&self) -> String {
        self.with_claims(|_| {})
    }

    fn with_claims(&self, change: impl FnOnce(&mut Value)) -> String {
        self.mint.with_claims(&self.session, change)
    }

    fn with_claim(&self, (name, value): (&str, Value)) -> Forged {
        let what = format!("{name} {value}");
        (what, self.with_claims(|claims| claims[name] = value))
    }

    fn with_header(&self, (name, value): (&str, Value)) -> Forged {
        let what = format!("{name} {value}");
        let change = |header: &mut Value| header[name] = value;
        (what, self.mint.with_header(&self.session, change))
    }
}

/// Takes a member away.
fn remove(object: &mut Value, name: &str) {
    object.as_object_mut().expect("an object").remove(name);
}
