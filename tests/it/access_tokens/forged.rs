//! Tokens with one thing wrong each are let in nowhere: by no RPC, not by Renew, Introspect
//! or a verifier.

use rollcall::{
    client::{Verifier, VerifyError},
    proto::v1::{IntrospectRequest, IntrospectResponse},
};

use super::{
    corpus::{Forge, Forged},
    mint::Mint,
    present,
};
use crate::{
    client::patient,
    harness::{Harness, PASSWORD, SignedIn, Subject, good_request, reason, rpcs},
};

/// A deployment, whoever tells good tokens from bad ones there, and the forge of an
/// operator's tokens.
pub(super) struct World {
    pub(super) it: Harness,
    pub(super) forge: Forge,
    pub(super) subject: Subject,
    service: SignedIn,
    verifier: Verifier,
}

/// RPCs that take no access token as who calls.
const PUBLIC: [&str; 7] = [
    "Register",
    "Authenticate",
    "Refresh",
    "Renew",
    "Logout",
    "ResetPassword",
    "GetJwks",
];

/// An operator whose access token could be renewed by itself.
async fn single_token_admin(it: &Harness) -> SignedIn {
    it.create_user("operator", &["admin"]).await;
    it.sign_in_single("operator").await
}

impl World {
    pub(super) async fn new() -> Self {
        let it = Harness::start().await;
        let admin = single_token_admin(&it).await;
        let service = it.service().await;
        // One that opened its feed again would send a statement.
        let verifier = patient(Verifier::builder(format!("http://{}", it.address)))
            .issuer("https://id.test")
            .audience("rollcall")
            .sign_in("orders", PASSWORD)
            .connect();
        Self {
            forge: Forge::new(Mint::of(&it).await, admin),
            subject: it.subject_with_watch("ana", &[]).await,
            verifier: verifier.await.expect("connects"),
            service,
            it,
        }
    }

    /// Asserts that every call that takes an access token, Renew, Introspect and a verifier
    /// refuse these, and that none of them is worth a statement but that for the service
    /// that introspects.
    pub(super) async fn refuse(&self, corpus: Vec<Forged>) {
        let untouched = self.forge.untouched();
        present(&self.it, &untouched)
            .await
            .expect("only what is changed is refused");
        assert!(self.introspect(&untouched).await.active);
        self.verifier.verify(&untouched).expect("is good");
        let rpcs: Vec<_> = rpcs()
            .into_iter()
            .map(|(rpc, _)| (good_request(&rpc, &self.subject), rpc))
            .filter(|(_, rpc)| !PUBLIC.iter().any(|name| rpc.ends_with(name)))
            .collect();
        assert!(rpcs.len() >= 13);
        let before = self.it.database.statements().await;
        let mut introspected = 0;
        for (what, token) in corpus {
            for (request, rpc) in &rpcs {
                let result = self.it.call(rpc, request.clone(), Some(&token)).await;
                let refused = result.expect_err(&format!("{rpc} lets in {what}"));
                assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID", "{rpc} of {what}");
            }
            self.verifier_refuses(&what, &token);
            // These have the token as a field, which must not be empty.
            if token.is_empty() {
                continue;
            }
            let refused = self.it.renew(&token).await;
            let refused = refused.expect_err(&format!("Renew takes {what}"));
            assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID", "Renew of {what}");
            let inactive = IntrospectResponse::default();
            assert_eq!(self.introspect(&token).await, inactive, "{what}");
            introspected += 1;
        }
        let statements = self.it.database.statements().await - before;
        assert_eq!(statements, introspected);
        let renewed = self.it.renew(&untouched).await;
        renewed.expect("only what is changed is refused");
    }

    pub(super) fn verifier_refuses(&self, what: &str, token: &str) {
        let refused = self.verifier.verify(token);
        let refused = refused.expect_err(&format!("the verifier takes {what}"));
        assert!(
            matches!(refused, VerifyError::Invalid(_)),
            "{what}: {refused}"
        );
    }

    async fn introspect(&self, token: &str) -> IntrospectResponse {
        let request = self.service.request(IntrospectRequest {
            token: token.to_owned(),
        });
        let reply = self.it.verification().introspect(request).await;
        reply.expect("answers").into_inner()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn algorithm_none_and_the_public_key_as_a_secret_are_refused() {
    let world = World::new().await;
    world.refuse(world.forge.algorithms()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_of_an_intruder_is_refused_wherever_the_header_points() {
    let world = World::new().await;
    world.refuse(world.forge.intruders()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn header_with_anything_else_than_it_must_have_is_refused_though_the_key_is_right() {
    let world = World::new().await;
    world.refuse(world.forge.headers()).await;
    world.refuse(world.forge.spellings()).await;
}
