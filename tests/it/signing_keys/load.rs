//! Devices that refresh and people who sign in, on two replicas, while something changes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use rollcall::identity::MasterKey;
use tokio::sync::watch;

use super::{refreshed, takes};
use crate::harness::{Database, Replica, patiently};

/// How many devices refresh at once.
const DEVICES: usize = 4;

/// Two texts of master keys.
pub(super) fn master_keys() -> [String; 2] {
    [(); 2].map(|()| {
        let key = MasterKey::generate().expect("random bytes");
        key.expose().to_string()
    })
}

/// Two replicas, each of which can be replaced.
pub(super) struct Fleet {
    pub(super) database: Database,
    replicas: [ArcSwap<Replica>; 2],
}

impl Fleet {
    pub(super) async fn start(options: &[&str]) -> Self {
        let database = Database::create().await;
        let options = Self::options(options);
        let start = async || ArcSwap::from_pointee(Replica::start(&database, &options).await);
        let replicas = [start().await, start().await];
        Self { database, replicas }
    }

    /// People sign in all the time, which is to displace nobody.
    fn options<'a>(options: &[&'a str]) -> Vec<&'a str> {
        [options, &["--max-sessions-per-user=10000"]].concat()
    }

    /// One replica after the other makes place for a new one, and stops once the calls
    /// that it has begun are answered.
    pub(super) async fn replace(&self, options: &[&str]) {
        for place in &self.replicas {
            let replica = Replica::start(&self.database, &Self::options(options)).await;
            place.store(Arc::new(replica));
        }
    }

    pub(super) fn replica(&self, at: usize) -> Arc<Replica> {
        self.replicas[at % 2].load_full()
    }

    /// Both replicas look at the keys.
    pub(super) async fn look(&self) {
        for at in 0..2 {
            let looked = self.replica(at).identity.load_signing_keys().await;
            looked.expect("looks");
        }
    }
}

/// What goes on while something changes.
pub(super) struct Load<'a> {
    fleet: &'a Fleet,
    /// Whether the tokens are expected to be good on both replicas.
    tokens_live: AtomicBool,
    ended: AtomicBool,
    /// How many calls each of the devices, and the people who sign in, have made.
    calls: watch::Sender<[usize; DEVICES + 1]>,
}

impl Load<'_> {
    /// Waits until everybody has called both replicas once more.
    pub(super) async fn goes_on(&self) {
        let mut calls = self.calls.subscribe();
        let before = *calls.borrow_and_update();
        let all = calls.wait_for(|now| now.iter().zip(before).all(|(now, was)| *now >= was + 3));
        patiently("the load goes on", all).await.expect("counts");
    }

    /// Whether the tokens are expected to be good, from now on.
    pub(super) fn expect_live_tokens(&self, live: bool) {
        self.tokens_live.store(live, Ordering::SeqCst);
    }

    async fn device(&self, number: usize) {
        let mut token = self
            .fleet
            .replica(number)
            .sign_in("ana")
            .await
            .refresh_token;
        let mut at = number;
        while !self.ended.load(Ordering::SeqCst) {
            let live = self.tokens_live.load(Ordering::SeqCst);
            let (next, access_token) = refreshed(&self.fleet.replica(at), &token).await;
            self.check(live, &access_token);
            token = next;
            at += 1;
            self.calls.send_modify(|calls| calls[number] += 1);
        }
    }

    async fn people(&self) {
        let mut at = 0;
        while !self.ended.load(Ordering::SeqCst) {
            let live = self.tokens_live.load(Ordering::SeqCst);
            let signed_in = self.fleet.replica(at).sign_in("ana").await;
            self.check(live, &signed_in.access_token);
            at += 1;
            self.calls.send_modify(|calls| calls[DEVICES] += 1);
        }
    }

    /// A token that was made while tokens are expected to be good, is, everywhere.
    fn check(&self, live: bool, access_token: &str) {
        if live && self.tokens_live.load(Ordering::SeqCst) {
            for at in 0..2 {
                takes(&self.fleet.replica(at), access_token).expect("is good everywhere");
            }
        }
    }
}

/// Lets something change while everybody calls, from before it until after it. No call
/// may fail.
pub(super) async fn under_load<T>(fleet: &Fleet, change: impl AsyncFnOnce(&Load<'_>) -> T) -> T {
    fleet.replica(0).create_user("ana", &[]).await;
    let load = Load {
        fleet,
        tokens_live: AtomicBool::new(true),
        ended: AtomicBool::new(false),
        calls: watch::Sender::new([0; DEVICES + 1]),
    };
    let changing = async {
        load.goes_on().await;
        let result = change(&load).await;
        load.goes_on().await;
        load.ended.store(true, Ordering::SeqCst);
        result
    };
    let devices = join_all((0..DEVICES).map(|number| load.device(number)));
    tokio::join!(changing, devices, load.people()).0
}
