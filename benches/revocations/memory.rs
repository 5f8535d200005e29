//! What watchers that hear nothing cost in the server's memory.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    replica::Replica,
    watchers::{connect, subscribe},
};

const CONNECTIONS: usize = 25;
const SUBSCRIBERS: usize = 5_000;
/// How long to let the server come to rest.
const REST: Duration = Duration::from_secs(2);

pub async fn measure(replica: &Replica) {
    let operator = replica.sign_in().await;
    // A sign-in hashes, and the memory for that is kept; the caller's check connects.
    drop(subscribe(&[replica.channel()], 100, &operator).await);
    sleep(REST).await;
    let before = replica.resident();
    let channels = [(); CONNECTIONS].map(|()| replica.channel());
    connect(&channels).await;
    sleep(REST).await;
    let connected = replica.resident();
    let watches = subscribe(&channels, SUBSCRIBERS, &operator).await;
    sleep(REST).await;
    let subscribed = replica.resident();
    let per_connection = connected.saturating_sub(before) / CONNECTIONS as u64;
    let per_watcher = subscribed.saturating_sub(connected) / watches.len() as u64;
    println!("{SUBSCRIBERS} idle watchers on {CONNECTIONS} connections: resident memory");
    println!("of the server before  {:8} KiB", before / 1024);
    println!("of the server with    {:8} KiB", subscribed / 1024);
    println!("per connection        {per_connection:8} bytes");
    println!("per watcher        {per_watcher:8} bytes beside that");
}
