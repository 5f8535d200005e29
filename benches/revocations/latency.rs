//! From a revoke that answered to a verifier of another replica that refuses.

use std::time::{Duration, Instant};

use rollcall::{
    client::Verifier,
    proto::v1::{RevokeSessionRequest, session_admin_client::SessionAdminClient},
};
use tokio::time::sleep;
use tokio_postgres::NoTls;

use crate::{
    percentile,
    replica::{AUDIENCE, ISSUER, LOGIN, PASSWORD, Replica, SignedIn},
};

const REVOKES: u32 = 300;
/// Without a word to the other replicas each takes longer.
const UPDATES: u32 = 100;
/// How often the verifier is asked.
const ASK: Duration = Duration::from_millis(1);

pub async fn measure(revoking: &Replica, other: &Replica, database: &str) {
    let verifier = Verifier::builder(other.url.clone())
        .issuer(ISSUER)
        .audience(AUDIENCE)
        .sign_in(LOGIN, PASSWORD)
        .connect()
        .await
        .expect("connects");
    let operator = revoking.sign_in().await;
    let mut admin = SessionAdminClient::new(revoking.channel());
    let mut revoked = Vec::new();
    for number in 0..REVOKES {
        let victim = victim(revoking, &verifier, number).await;
        let session_id = victim.session_id.clone();
        let request = operator.request(RevokeSessionRequest { session_id });
        admin.revoke_session(request).await.expect("revokes");
        revoked.push(until_refused(&verifier, &victim).await);
    }
    report("RevokeSession", revoked);

    let (client, connection) = tokio_postgres::connect(database, NoTls)
        .await
        .expect("connects");
    tokio::spawn(connection);
    let mut updated = Vec::new();
    for number in 0..UPDATES {
        let victim = victim(revoking, &verifier, number).await;
        // No server hears of it but by looking.
        let update = format!(
            "UPDATE sessions SET revoked_at = now(), end_reason = 'REVOKED' WHERE id = '{}'",
            victim.session_id
        );
        client.batch_execute(&update).await.expect("updates");
        updated.push(until_refused(&verifier, &victim).await);
    }
    report("an UPDATE that notifies nobody", updated);
}

/// A session that the verifier still takes, at a moment that has nothing to do with the
/// looks of the servers.
async fn victim(replica: &Replica, verifier: &Verifier, number: u32) -> SignedIn {
    let victim = replica.sign_in().await;
    // Steps of a number without a factor in common with the interval meet every phase.
    sleep(Duration::from_millis((u64::from(number) * 97) % 250)).await;
    verifier
        .verify(&victim.access_token)
        .expect("is good before");
    victim
}

async fn until_refused(verifier: &Verifier, victim: &SignedIn) -> Duration {
    let answered = Instant::now();
    while verifier.verify(&victim.access_token).is_ok() {
        sleep(ASK).await;
    }
    answered.elapsed()
}

fn report(what: &str, mut samples: Vec<Duration>) {
    let count = samples.len();
    let of = |percent| percentile(&mut samples, percent).as_millis();
    let [median, most, max] = [50, 99, 100].map(of);
    println!("from {what} on one replica to the refusal by a verifier of another");
    println!("{count} times: median {median} ms, p99 {most} ms, at most {max} ms (to 2 ms)");
}
