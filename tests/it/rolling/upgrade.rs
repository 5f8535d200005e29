//! The schema of this release under the release before it, which goes on meanwhile.

use std::{fs, path::Path};

use rollcall::{error_chain, proto::v1, store};

use super::{
    Load, Worker,
    previous::{PreviousRelease, User},
};
use crate::harness::{Database, Replica, request_id};

/// The last step of the previous release.
const PREVIOUS: &str = "2026-11-25-000400";
const WORKERS: usize = 4;

/// A database as the previous release has left it.
async fn previous_schema() -> Database {
    let database = Database::create_empty().await;
    let steps = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let steps = fs::read_dir(steps).expect("a folder").map(|entry| {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name");
        (name, entry.path().join("up.sql"))
    });
    let mut steps: Vec<_> = steps
        .filter(|(name, up)| &name[..PREVIOUS.len().min(name.len())] <= PREVIOUS && up.exists())
        .collect();
    steps.sort();
    assert!(
        steps
            .last()
            .is_some_and(|(name, _)| name.starts_with(PREVIOUS))
    );

    let client = database.connect().await;
    let versions = "CREATE TABLE __diesel_schema_migrations (version varchar(50) PRIMARY KEY, \
         run_on timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP)";
    client.batch_execute(versions).await.expect("is empty");
    for (name, up) in steps {
        let up = fs::read_to_string(up).expect("SQL");
        client.batch_execute(&up).await.expect("runs");
        let (version, _) = name.split_once('_').expect("a version");
        let version = version.replace('-', "");
        let ran = format!("INSERT INTO __diesel_schema_migrations VALUES ('{version}')");
        client.batch_execute(&ran).await.expect("is told");
    }
    database
}

impl Worker for PreviousRelease {
    async fn round(&mut self) {
        let user = User::create(self).await;
        let session = user.open("phone").await;
        user.refresh(session).await;
        let session = user.open("phone").await;
        assert_eq!(user.listed().await, 1);
        user.revoke(session).await;
        let stolen = user.open("laptop").await;
        user.incidents(stolen).await;
        assert_eq!(user.listed().await, 0);
        user.delete().await;
    }

    async fn last(&mut self) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn previous_release_goes_on_while_its_schema_is_migrated_and_beside_this_release() {
    let database = previous_schema().await;
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(PreviousRelease::connect(&database).await);
    }
    let load = Load::of(workers);
    load.go_on().await;

    let url = database.url().parse().expect("a URL");
    let ran = loop {
        match store::migrate(&url).await {
            // It gives up rather than hold the others up, and is to be run again.
            Err(error) if error_chain(&error).contains("lock timeout") => {}
            ran => break ran.expect("migrates under load"),
        }
    };
    assert!(!ran.is_empty());
    load.go_on().await;

    let replica = Replica::start(&database, &["--no-migrate"]).await;
    replica.create_user("ana", &[]).await;
    let phone = replica.sign_in("ana").await;
    let refreshed = replica.refresh(&phone.refresh_token, &request_id()).await;
    refreshed.expect("this release refreshes beside it");
    load.go_on().await;
    load.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_of_the_previous_release_is_listed_and_ended_by_this_one() {
    let database = previous_schema().await;
    let previous = PreviousRelease::connect(&database).await;
    let user = User::create(&previous).await;
    let session = user.open("phone").await;
    user.refresh(session).await;

    let replica = Replica::start(&database, &[]).await;
    let operator = replica.admin().await;
    let mut admin = replica.session_admin();
    let list = v1::ListSessionsRequest {
        filter: Some(v1::SessionFilter {
            device_id: "phone".to_owned(),
            ..v1::SessionFilter::default()
        }),
        ..v1::ListSessionsRequest::default()
    };
    let listed = admin.list_sessions(operator.request(list));
    let listed = listed.await.expect("lists").into_inner().sessions;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].session_id, session.to_string());
    assert_eq!(listed[0].generation, 2);

    let revoke = v1::RevokeUserSessionsRequest {
        user_id: user.id.to_string(),
        ..v1::RevokeUserSessionsRequest::default()
    };
    let revoked = admin.revoke_user_sessions(operator.request(revoke));
    let revoked = revoked.await.expect("ends").into_inner();
    assert_eq!(revoked.revoked_session_count, 1);
    assert_eq!(user.listed().await, 0);
}

/// It cannot read such a row where it meets one, which it does only if it is asked for
/// sessions that have ended, or by the token of one.
#[tokio::test(flavor = "multi_thread")]
async fn end_that_the_previous_release_does_not_know_is_in_none_of_its_lists_of_live_sessions() {
    let database = previous_schema().await;
    let previous = PreviousRelease::connect(&database).await;
    let url = database.url().parse().expect("a URL");
    store::migrate(&url).await.expect("migrates");
    let user = User::create(&previous).await;
    let displaced = user.open("phone").await;
    user.open("laptop").await;
    let displace = format!(
        "UPDATE sessions SET revoked_at = now(), end_reason = 'DISPLACED' WHERE id = '{displaced}'"
    );
    database.sql(&displace).await;
    assert_eq!(user.listed().await, 1);
}
