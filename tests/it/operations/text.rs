//! The text of a scrape: its rules, its names, its buckets.

use std::collections::BTreeMap;

use super::scrape::{Scrape, get, scrape, start};
use crate::harness::{request_id, rpcs};

#[tokio::test(flavor = "multi_thread")]
async fn scrape_is_openmetrics_with_help_and_unit_for_every_name() {
    let it = start(&[]).await;
    let reply = get(it.operations(), "/metrics").await;
    let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(reply.head.contains(kind), "{}", reply.head);
    for (name, family) in Scrape::parse(&reply.body).families {
        assert!(name.starts_with("rollcall_"), "{name}");
        assert!(
            family.help.len() > 10 && family.help.ends_with('.'),
            "{name}"
        );
        assert!(!family.kind.is_empty(), "{name}");
        let is_time = name.ends_with("_seconds");
        assert_eq!(is_time, family.unit == "seconds", "{name}");
        assert!(is_time || family.kind != "histogram", "{name}");
        assert!(!name.ends_with("_total"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_only_grow_and_end_with_the_count() {
    let it = start(&[]).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    it.refresh(&phone.refresh_token, &request_id())
        .await
        .expect("refreshes");
    let scraped = scrape(&it).await;
    let mut histograms: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for (series, value) in &scraped.samples {
        let Some((name, labels)) = series.split_once("_bucket{le=\"") else {
            continue;
        };
        let (bound, labels) = labels.split_once('"').expect("a bound");
        let bound = bound.parse().expect("a number");
        let labels = labels.trim_start_matches(',').trim_end_matches('}');
        let key = format!("{name}_count{{{labels}}}").replace("{}", "");
        histograms.entry(key).or_default().push((bound, *value));
    }
    assert!(histograms.len() > 20, "{:#?}", histograms.keys());
    for (count, mut buckets) in histograms {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{buckets:?}");
        let last = buckets.last().expect("buckets");
        assert_eq!(*last, (f64::INFINITY, scraped.value(&count)), "{count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_is_there_before_its_first_call_and_no_other_ever() {
    let it = start(&[]).await;
    let scraped = scrape(&it).await;
    let before = methods(&scraped);
    for (rpc, _) in rpcs() {
        assert!(before.contains(&format!("rollcall.v1.{rpc}")), "{rpc}");
        let calls = format!("rollcall_calls_total{{method=\"rollcall.v1.{rpc}\",code=\"OK\"}}");
        assert_eq!(scraped.value(&calls), 0.0, "{rpc}");
    }
    assert!(scraped.value("rollcall_feed_lag_seconds") > 0.0);
    for garbage in [
        "Auth/Nothing",
        "Auth/Refresh/",
        "No\u{2b}Such/Method",
        "Auth/",
    ] {
        let refused = it.call(garbage, Vec::new(), None).await;
        refused.expect_err("there is no such method");
    }
    let scraped = scrape(&it).await;
    assert_eq!(methods(&scraped), before);
    let unknown = r#"rollcall_calls_total{method="unknown",code="UNIMPLEMENTED"}"#;
    assert_eq!(scraped.value(unknown), 4.0);
}

/// Every method that calls are counted by, once.
fn methods(scraped: &Scrape) -> Vec<String> {
    let prefix = "rollcall_calls_in_flight{method=\"";
    let series = scraped.samples.keys();
    series
        .filter_map(|it| Some(it.strip_prefix(prefix)?.trim_end_matches("\"}").to_owned()))
        .collect()
}
