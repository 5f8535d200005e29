//! The dashboard and the alerts name only metrics and labels that exist, and each says what to
//! do.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::scrape::{PORT, Scrape, scrape, start};
use crate::{
    harness::{Harness, request_id},
    tls::Behind,
};

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A server that has been called, so that what appears with the first occurrence is there.
async fn used() -> (Harness, Scrape) {
    let it = start(&["--superseded-access-tokens", "deny"]).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    for _ in 0..2 {
        let _ = it.refresh(&phone.refresh_token, &request_id()).await;
    }
    // What only a minute's purge would tell.
    it.identity
        .metrics()
        .purge()
        .succeeded(rollcall::metrics::PurgedTable::Sessions);
    let mut scraped = scrape(&it).await;
    let with_tls = Behind::mutual(&PORT, "orders.internal").await;
    let with_tls = scrape(&with_tls.replica).await;
    scraped.families.extend(with_tls.families);
    scraped.samples.extend(with_tls.samples);
    (it, scraped)
}

/// The names of metrics in an expression, and each label that it selects by with its value.
fn named(expression: &str) -> (BTreeSet<String>, Vec<(String, String)>) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut names = BTreeSet::new();
    for part in expression.split(|c| !is_part(c)) {
        if part.starts_with("rollcall_") {
            names.insert(part.to_owned());
        }
    }
    let mut labels = Vec::new();
    for group in expression.split('{').skip(1) {
        let group = group.split('}').next().expect("a group");
        for selector in group.split(',') {
            let (label, value) = selector.split_once('=').expect("a selector");
            let value = value.trim_matches(|c| "~\"".contains(c));
            labels.push((
                label.trim_end_matches('!').trim().to_owned(),
                value.to_owned(),
            ));
        }
    }
    (names, labels)
}

/// That an expression asks only for what a scrape has.
fn assert_exists(scraped: &Scrape, expression: &str) {
    let (names, labels) = named(expression);
    let known: BTreeSet<&str> = scraped.names().into_iter().collect();
    for name in &names {
        assert!(
            known.contains(&**name),
            "{name} of {expression} does not exist"
        );
    }
    for (label, value) in labels {
        let written = format!("{label}=\"");
        let of_them = |series: &&String| names.iter().any(|name| series.starts_with(&**name));
        let mut series = scraped.samples.keys().filter(of_them);
        let is_target = label == "job" || label == "instance";
        let exists = is_target || series.any(|series| series.contains(&written));
        assert!(exists, "no series of {expression} has the label {label}");
        let one_value = !value.contains(['.', '*', '|', '$']);
        if one_value && !is_target && label != "code" {
            let pair = format!("{label}=\"{value}\"");
            let mut series = scraped.samples.keys().filter(of_them);
            assert!(
                series.any(|it| it.contains(&pair)),
                "{pair} of {expression}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboard_asks_for_metrics_that_exist_and_says_what_to_do() {
    let (_it, scraped) = used().await;
    let dashboard: Value =
        serde_json::from_str(&file("deploy/grafana/rollcall.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut asked = 0;
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = &panel["title"];
        let description = panel["description"].as_str().unwrap_or_default();
        assert!(description.len() > 40, "{title} does not say what to do");
        for target in panel["targets"].as_array().expect("targets") {
            assert_exists(&scraped, target["expr"].as_str().expect("an expression"));
            asked += 1;
        }
    }
    assert!(asked >= 20, "{asked}");
}

/// The value of every `key:` in YAML that has one a line, and of folded ones the lines below.
fn values(yaml: &str, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = yaml.lines().peekable();
    let indent = |line: &str| line.len() - line.trim_start().len();
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start().trim_start_matches("- ");
        let Some(value) = trimmed.strip_prefix(&format!("{key}: ")) else {
            continue;
        };
        let mut value = value.to_owned();
        if value == ">-" {
            value.clear();
            while let Some(more) = lines.next_if(|next| indent(next) > indent(line)) {
                value.push_str(more.trim());
                value.push(' ');
            }
        }
        found.push(value.trim().to_owned());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_ask_for_metrics_that_exist_and_each_has_its_runbook() {
    let (_it, scraped) = used().await;
    let alerts = file("deploy/prometheus/alerts.yaml");
    assert!(!alerts.contains('\t'));
    let names = values(&alerts, "alert");
    assert!(names.len() >= 10, "{names:?}");
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    for key in ["expr", "severity", "summary", "runbook"] {
        let values = values(&alerts, key);
        assert_eq!(values.len(), names.len(), "each alert has its {key}");
        assert!(values.iter().all(|value| !value.is_empty()), "{key}");
    }
    for expression in values(&alerts, "expr") {
        assert!(expression.contains("rollcall"), "{expression}");
        assert_exists(&scraped, &expression);
    }
}
