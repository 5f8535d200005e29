//! How many revocations reach many watchers in a second, beside the same messages from
//! a server that only sends.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio_postgres::{Client, NoTls};
use tonic::transport::{Channel, Endpoint};

use crate::{
    bare::Bare,
    replica::{Replica, SignedIn},
    watchers::{Watch, connect, hear, subscribe},
};

const SUBSCRIBERS: usize = 1_000;
const CONNECTIONS: usize = 20;
/// How many sessions one UPDATE ends.
const MASS: usize = 1_000;
const MASSES: usize = 4;
const ROUNDS: usize = 3;

pub async fn measure(replica: &Replica, database: &str) {
    let (client, connection) = tokio_postgres::connect(database, NoTls)
        .await
        .expect("connects");
    tokio::spawn(connection);
    let operator = replica.sign_in().await;
    let channels = [(); CONNECTIONS].map(|()| replica.channel());
    let mut watches = subscribe(&channels, SUBSCRIBERS, &operator).await;
    let (mut told, mut sent) = (Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=ROUNDS {
        let (tell, listening) = tell(&client, watches, &operator).await;
        watches = listening;
        let send = send(&operator).await;
        if round > 0 {
            told.push(tell);
            sent.push(send);
        }
    }
    let (told, sent) = (rate(told), rate(sent));
    println!(
        "{} revocations, {MASS} at once, to {SUBSCRIBERS} watchers on {CONNECTIONS} \
         connections, median of {ROUNDS} rounds",
        MASS * MASSES
    );
    println!("told by the feed      {told:10.0} per second to all together");
    println!("sent by a bare server {sent:10.0} per second");
    println!("ratio                 {:10.2}", told / sent);
}

/// From the first UPDATE to the last watcher that knows all.
async fn tell(client: &Client, watches: Vec<Watch>, operator: &SignedIn) -> (Duration, Vec<Watch>) {
    let insert = format!(
        "INSERT INTO sessions (user_id, id, client_id, display_name, user_agent, created_at, \
           absolute_expires_at, generation, h_current, rotated_at, last_seen_at, \
           last_user_agent, idle_expires_at) \
         SELECT '{}', gen_random_uuid(), 'mass' || n % {MASSES}, '', '', now(), \
           now() + interval '1 day', 0, '\\x00112233445566778899aabbccddeeff', now(), now(), \
           '', now() + interval '1 day' \
         FROM generate_series(1, {}) AS n",
        operator.user_id,
        MASS * MASSES
    );
    client.batch_execute(&insert).await.expect("inserts");
    let started = Instant::now();
    let all = hear_all(watches);
    let end = async {
        for number in 0..MASSES {
            let update = format!(
                "UPDATE sessions SET revoked_at = now(), end_reason = 'REVOKED' \
                 WHERE client_id = 'mass{number}' AND revoked_at IS NULL"
            );
            client.batch_execute(&update).await.expect("updates");
        }
    };
    let (watches, ()) = tokio::join!(all, end);
    (started.elapsed(), watches)
}

/// The same from the bare server, in this process.
async fn send(operator: &SignedIn) -> Duration {
    let (address, go) = Bare::serve(MASSES, MASS);
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
    let channels: [Channel; CONNECTIONS] = [(); CONNECTIONS].map(|()| endpoint.connect_lazy());
    connect(&channels).await;
    let watches = subscribe(&channels, SUBSCRIBERS, operator).await;
    let started = Instant::now();
    go.send_replace(true);
    hear_all(watches).await;
    started.elapsed()
}

/// Each in a task of its own, so that no processor idles.
async fn hear_all(watches: Vec<Watch>) -> Vec<Watch> {
    let hearing = watches.into_iter().map(|mut watch| {
        tokio::spawn(async move {
            hear(&mut watch, MASS * MASSES).await;
            watch
        })
    });
    let heard = join_all(hearing).await.into_iter();
    heard.map(|watch| watch.expect("no panic")).collect()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn rate(mut rounds: Vec<Duration>) -> f64 {
    rounds.sort_unstable();
    (MASS * MASSES * SUBSCRIBERS) as f64 / rounds[rounds.len() / 2].as_secs_f64()
}
