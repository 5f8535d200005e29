//! The operations port as Prometheus and a supervisor read it: HTTP/1.1, and the text format
//! of OpenMetrics.

use std::{collections::BTreeMap, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Harness, Replica};

/// The option of a server with an operations port.
pub const PORT: [&str; 2] = ["--operations-listen", "127.0.0.1:0"];

/// A server with an operations port and further options.
pub async fn start(options: &[&str]) -> Harness {
    Harness::with(&[&PORT, options].concat()).await
}

/// A reply over HTTP/1.1.
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Asks by GET.
pub async fn get(port: SocketAddr, path: &str) -> Reply {
    ask(port, "GET", path).await
}

pub async fn ask(port: SocketAddr, method: &str, path: &str) -> Reply {
    let mut stream = TcpStream::connect(port).await.expect("connects");
    let request = format!("{method} {path} HTTP/1.1\r\nhost: o.test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("reads");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).expect("a status");
    Reply {
        status: status.parse().expect("a number"),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// The metrics of a server at one moment.
pub async fn scrape(server: &Replica) -> Scrape {
    let reply = get(server.operations(), "/metrics").await;
    assert_eq!(reply.status, 200);
    Scrape::parse(&reply.body)
}

/// A family of metrics: what is said of it.
#[derive(Debug, Default)]
pub struct Family {
    pub help: String,
    pub kind: String,
    pub unit: String,
}

/// One exposition.
#[derive(Debug)]
pub struct Scrape {
    pub families: BTreeMap<String, Family>,
    /// Each sample by its name and labels, as they are written.
    pub samples: BTreeMap<String, f64>,
}

impl Scrape {
    /// Reads the text, and holds it to its rules: families are told of once and before their
    /// samples, no sample comes twice, and there is an end.
    pub fn parse(text: &str) -> Self {
        let text = text.strip_suffix("# EOF\n").expect("an end");
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut samples = BTreeMap::new();
        for line in text.lines() {
            if let Some(told) = line.strip_prefix("# ") {
                let mut words = told.splitn(3, ' ');
                let mut word = || words.next().unwrap_or_default().to_owned();
                let (what, name, value) = (word(), word(), word());
                let family = families.entry(name).or_default();
                let field = match what.as_str() {
                    "HELP" => &mut family.help,
                    "TYPE" => &mut family.kind,
                    "UNIT" => &mut family.unit,
                    other => panic!("{other} is not told of families"),
                };
                assert!(field.is_empty(), "told twice: {line}");
                *field = value;
                continue;
            }
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let family = family_of(&families, series);
            assert!(family.is_some(), "of no family: {line}");
            let value = value.parse().expect("a number");
            let before = samples.insert(series.to_owned(), value);
            assert_eq!(before, None, "twice: {line}");
        }
        Self { families, samples }
    }

    /// The value of a series, which is there.
    pub fn value(&self, series: &str) -> f64 {
        let found = self.samples.get(series);
        *found.unwrap_or_else(|| panic!("{series} is not in {:#?}", self.samples.keys()))
    }

    /// What was counted since an earlier scrape in the counters that begin so.
    pub fn since(&self, earlier: &Self, names: &[&str]) -> BTreeMap<String, f64> {
        let counted = |series: &str| names.iter().any(|name| series.starts_with(name));
        let samples = self.samples.iter().filter(|(series, _)| counted(series));
        samples
            .map(|(series, value)| {
                let before = earlier.samples.get(series).copied().unwrap_or_default();
                (series.clone(), value - before)
            })
            .filter(|(_, change)| *change != 0.0)
            .collect()
    }

    /// The names under which samples can be asked for.
    pub fn names(&self) -> Vec<&str> {
        let name = |series: &'_ String| series.split('{').next().expect("a name").len();
        self.samples.keys().map(|it| &it[..name(it)]).collect()
    }
}

/// The family that a sample belongs to, by the suffixes that its kind allows.
fn family_of<'a>(families: &'a BTreeMap<String, Family>, series: &str) -> Option<&'a Family> {
    let name = series.split('{').next()?;
    let suffixes = [
        ("", "gauge"),
        ("_total", "counter"),
        ("_info", "info"),
        ("_bucket", "histogram"),
        ("_sum", "histogram"),
        ("_count", "histogram"),
    ];
    suffixes.iter().find_map(|(suffix, kind)| {
        let family = families.get(name.strip_suffix(suffix)?)?;
        (family.kind == *kind).then_some(family)
    })
}
