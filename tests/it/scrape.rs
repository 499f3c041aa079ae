//! A gateway that is watched, and what a scrape of its `/metrics` says.

use std::collections::BTreeMap;

use reqwest::Response;
use serde_json::Value;

use crate::gateway::{Gateway, SECRET, with_peers};

pub(crate) const ADMIN_SECRET: &str = "test-secret-of-the-operator";

/// A gateway with an admin listener.
pub(crate) struct Watched {
    pub(crate) gateway: Gateway,
    /// Of the admin listener.
    pub(crate) address: String,
}

/// What `/metrics` said at one moment.
pub(crate) struct Scrape {
    pub(crate) text: String,
    pub(crate) series: Vec<Series>,
}

#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Watched {
    /// With the peers, no rates, and these settings.
    pub(crate) fn start(settings: &str) -> Self {
        Self::start_with(settings, &[])
    }

    /// The same with further variables.
    pub(crate) fn start_with(settings: &str, variables: &[(&str, &str)]) -> Self {
        let settings = with_peers(&format!("{settings}\n[admin]\naddress = \"127.0.0.1:0\"\n"));
        let secrets = [("LOCKGATE_SECRET", SECRET), ("LOCKGATE_ADMIN_SECRET", ADMIN_SECRET)];
        let gateway = Gateway::start_bare(&settings, &[&secrets, variables].concat());
        let log = gateway.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut on = lines.filter(|line| line["message"] == "the admin listener is on");
        let address = on.next().expect("the log says where it is")["address"].as_str().unwrap().to_owned();
        Self { gateway, address }
    }

    pub(crate) async fn get(&self, secret: &str, accept: &str) -> Response {
        let request = crate::client::http().pool_max_idle_per_host(0).build().unwrap();
        let request = request.get(format!("http://{}/metrics", self.address));
        request.bearer_auth(secret).header("accept", accept).send().await.unwrap()
    }

    pub(crate) async fn scrape(&self) -> Scrape {
        let response = self.get(ADMIN_SECRET, "*/*").await;
        assert_eq!(response.status(), 200);
        Scrape::read(response.text().await.unwrap())
    }

    /// Scrapes until this holds.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut(&Scrape) -> bool) -> Scrape {
        let mut last = self.scrape().await;
        let come = async || {
            last = self.scrape().await;
            holds(&last)
        };
        crate::gateway::until_told(what, come).await;
        last
    }
}

impl Scrape {
    /// Label values hold neither quotes nor commas here.
    pub(crate) fn read(text: String) -> Self {
        let series = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (head, value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = head.split_once('{').expect("labels");
            let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
            let labels = labels.map(|label| {
                let (key, value) = label.split_once('=').expect("a label");
                (key.to_owned(), value.trim_matches('"').to_owned())
            });
            Series { name: name.into(), labels: labels.collect(), value: value.parse().expect("a number") }
        });
        Self { series: series.collect(), text: text.clone() }
    }

    /// The series of this name that have these labels, and perhaps others.
    pub(crate) fn all(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Series> {
        let has = |series: &&Series| {
            series.name == name && labels.iter().all(|(key, value)| series.label(key) == Some(value))
        };
        self.series.iter().filter(has).collect()
    }

    /// All of them together.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.all(name, labels).iter().map(|series| series.value).sum()
    }

    /// The values of one label with what each has, zeros left out.
    pub(crate) fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for series in self.all(name, &[]).iter().filter(|series| series.value != 0.0) {
            *sums.entry(series.label(label).unwrap_or_default().to_owned()).or_default() += series.value;
        }
        sums
    }

    /// What rises only, by series.
    pub(crate) fn counters(&self) -> BTreeMap<String, f64> {
        let rises = |series: &&Series| {
            ["_total", "_count", "_sum", "_bucket"].iter().any(|end| series.name.ends_with(end))
        };
        let counters = self.series.iter().filter(rises);
        counters.map(|series| (format!("{}{:?}", series.name, series.labels), series.value)).collect()
    }

    /// The names of its families, as the older format has them.
    pub(crate) fn families(&self) -> Vec<&str> {
        let types = self.text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types.map(|line| line.split(' ').next().unwrap()).collect()
    }
}

impl Series {
    /// The names of its labels.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.labels.keys().map(String::as_str)
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str)
    }
}
