//! How operators find events among many.

use prost_types::Timestamp;
use rollcall::proto::v1::{self, EventKind, TimeRange};

use super::{list, of_kinds};
use crate::{
    harness::{Harness, SignedIn, violated_fields},
    statements::{plan, sent},
};

/// 100,000 events of the last 1,000 minutes: of a thousand users and ten thousand sessions,
/// by ten operators, of three kinds.
const CROWD: &str = "
    INSERT INTO audit_events (user_id, id, session_id, created_at, kind, detail, actor_id,
                              actor_session_id)
      SELECT md5('u' || n % 1000)::uuid,
             (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
               || right(md5('e' || n), 19))::uuid,
             md5('s' || n % 10000)::uuid, at,
             CASE n % 100 WHEN 0 THEN 'USER_UPDATED' WHEN 1 THEN 'REFRESH_TOKEN_REUSED'
               ELSE 'SESSION_ENDED' END,
             '{\"reason\": \"LOGGED_OUT\"}',
             CASE WHEN n % 10 = 0 THEN md5('a' || n / 10 % 10)::uuid END,
             CASE WHEN n % 10 = 0 THEN md5('as')::uuid END
      FROM generate_series(1, 100000) AS n,
           LATERAL (SELECT date_trunc('minute', now()) - n / 100 * interval '1 minute'
                           - interval '2 minutes' AS at) AS t;
    ANALYZE audit_events";

/// How many events a filter finds, over all pages of 1,000.
async fn count(it: &Harness, admin: &SignedIn, filter: &v1::EventFilter) -> usize {
    let (mut count, mut page_token) = (0, String::new());
    let mut last: Option<String> = None;
    loop {
        let request = admin.request(v1::ListEventsRequest {
            filter: Some(filter.clone()),
            page_size: 1_000,
            page_token,
        });
        let reply = it.audit().list_events(request).await.expect("lists");
        let page = reply.into_inner();
        for event in &page.events {
            assert!(last.as_ref().is_none_or(|last| event.event_id < *last));
            last = Some(event.event_id.clone());
        }
        count += page.events.len();
        if page.next_page_token.is_empty() {
            return count;
        }
        page_token = page.next_page_token;
    }
}

async fn id(it: &Harness, name: &str) -> String {
    it.scalar(&format!("SELECT md5('{name}')::uuid::text"))
        .await
}

/// From some minutes before the crowd was inserted to others.
async fn minutes(it: &Harness, from: i64, to: i64) -> Option<TimeRange> {
    let now: i64 = it
        .scalar(
            "SELECT extract(epoch FROM max(created_at) + interval '2 minutes')::bigint \
             FROM audit_events WHERE actor_session_id = md5('as')::uuid",
        )
        .await;
    let at = |minutes: i64| {
        Some(prost_types::Timestamp {
            seconds: now - minutes * 60,
            nanos: 0,
        })
    };
    Some(TimeRange {
        start_time: at(from),
        end_time: at(to),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_filter_finds_its_events_among_100_000_by_an_index() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.sql("DELETE FROM audit_events").await;
    let client = it.database.connect().await;
    client.batch_execute(CROWD).await.expect("inserts");
    let none = v1::EventFilter::default;
    let theft = EventKind::RefreshTokenReused;
    let rare = of_kinds(&[EventKind::UserUpdated, theft]);
    let filters = [
        (
            v1::EventFilter {
                user_id: id(&it, "u7").await,
                ..none()
            },
            100,
        ),
        (
            v1::EventFilter {
                session_id: id(&it, "s7").await,
                ..none()
            },
            10,
        ),
        (
            v1::EventFilter {
                actor_user_id: id(&it, "a7").await,
                create_time: minutes(&it, 101, 1).await,
                ..none()
            },
            100,
        ),
        (of_kinds(&[theft]), 1_000),
        (rare.clone(), 2_000),
        (
            v1::EventFilter {
                create_time: minutes(&it, 12, 2).await,
                ..rare
            },
            20,
        ),
        (
            v1::EventFilter {
                create_time: minutes(&it, 12, 2).await,
                ..none()
            },
            1_000,
        ),
        (
            v1::EventFilter {
                user_id: id(&it, "u1").await,
                ..of_kinds(&[theft])
            },
            100,
        ),
    ];
    for (filter, expected) in &filters {
        assert_eq!(count(&it, &admin, filter).await, *expected, "{filter:?}");
    }
    client
        .batch_execute("SET plan_cache_mode = force_generic_plan")
        .await
        .expect("sets");
    let lists = sent(&client, LISTS).await;
    assert!(lists.len() >= filters.len(), "{lists:?}");
    for query in lists {
        let plan = plan(&client, &query).await;
        assert!(!plan.contains("Seq Scan"), "{query}\n{plan}");
        assert!(plan.contains("Index"), "{query}\n{plan}");
    }
}

/// What the lists have sent.
const LISTS: &str = "dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
     AND query LIKE 'SELECT \"audit_events\"%'";

#[tokio::test(flavor = "multi_thread")]
async fn range_is_from_its_start_to_before_its_end_by_the_microsecond() {
    // Otherwise the purge takes what is so old.
    let it = Harness::with(&["--audit-retention", "36500days"]).await;
    let admin = it.admin().await;
    it.sql(
        "INSERT INTO audit_events (user_id, id, created_at, kind, detail) VALUES \
         ('01234567-89ab-7def-8123-456789abcdef', '018bcfe5-687b-7000-8000-000000000000', \
          to_timestamp(0) + 1700000000123 * interval '1 ms' + interval '400 us', \
          'USER_LOCKED', '{}')",
    )
    .await;
    let at = |micros: i32| {
        Some(Timestamp {
            seconds: 1_700_000_000,
            nanos: 123_000_000 + micros * 1_000,
        })
    };
    for (start_time, end_time, expected) in [
        (at(400), None, 1),
        (at(401), None, 0),
        (at(0), at(400), 0),
        (at(0), at(401), 1),
    ] {
        let filter = v1::EventFilter {
            create_time: Some(TimeRange {
                start_time,
                end_time,
            }),
            ..of_kinds(&[EventKind::UserLocked])
        };
        let events = list(&it, &admin, filter.clone()).await.expect("lists");
        assert_eq!(events.len(), expected, "{filter:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn page_token_of_another_filter_is_refused() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let page = async |filter, page_token| {
        let request = v1::ListEventsRequest {
            filter: Some(filter),
            page_size: 1,
            page_token,
        };
        it.audit().list_events(admin.request(request)).await
    };
    let first = page(v1::EventFilter::default(), String::new()).await;
    let token = first.expect("lists").into_inner().next_page_token;
    assert!(!token.is_empty());
    let other = of_kinds(&[EventKind::UserCreated]);
    let refused = page(other, token.clone()).await.expect_err("another");
    assert_eq!(violated_fields(&refused), ["page_token"]);
    let next = page(v1::EventFilter::default(), token).await;
    assert_eq!(next.expect("lists").into_inner().events.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn filter_has_32_kinds_at_most() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let kinds = |count| of_kinds(&vec![EventKind::UserCreated; count]);
    list(&it, &admin, kinds(32)).await.expect("lists");
    let refused = list(&it, &admin, kinds(33)).await.expect_err("too many");
    assert_eq!(violated_fields(&refused), ["filter.kinds"]);
}
