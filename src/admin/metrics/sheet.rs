//! Families of metrics, written down in the text formats that Prometheus reads.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::session::Distribution;

/// Names and values of labels.
pub(super) type Labels = Vec<(&'static str, String)>;

/// What there is to be told at one moment.
#[derive(Debug, Default)]
pub(super) struct Sheet(Vec<Family>);

#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    series: Vec<(Labels, Value)>,
}

#[derive(Debug)]
enum Value {
    Count(f64),
    Level(f64),
    Times(Distribution),
}

impl Sheet {
    /// What rises only. The name goes without `_total`, which the formats add.
    pub(super) fn counter(
        &mut self,
        name: &'static str,
        help: &'static str,
        series: impl IntoIterator<Item = (Labels, f64)>,
    ) {
        self.add(name, help, series, Value::Count);
    }

    /// What goes up and down.
    pub(super) fn gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        series: impl IntoIterator<Item = (Labels, f64)>,
    ) {
        self.add(name, help, series, Value::Level);
    }

    /// Durations by size.
    pub(super) fn times(
        &mut self,
        name: &'static str,
        help: &'static str,
        series: impl IntoIterator<Item = (Labels, Distribution)>,
    ) {
        self.add(name, help, series, Value::Times);
    }

    fn add<T>(
        &mut self,
        name: &'static str,
        help: &'static str,
        series: impl IntoIterator<Item = (Labels, T)>,
        value: impl Fn(T) -> Value,
    ) {
        let series: Vec<_> = series.into_iter().map(|(labels, number)| (labels, value(number))).collect();
        if !series.is_empty() {
            self.0.push(Family { name, help, series });
        }
    }

    /// As OpenMetrics 1.0.
    pub(super) fn open_metrics(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &registry);
        text
    }

    /// As text of version 0.0.4, which calls a counter what its series are called, and knows neither units nor an
    /// end.
    pub(super) fn classic(self) -> String {
        let mut text = String::new();
        let counters: Vec<String> = self
            .0
            .iter()
            .filter(|family| family.is_counter())
            .map(|family| format!(" {} ", family.name))
            .collect();
        for line in self.open_metrics().lines().filter(|line| *line != "# EOF") {
            let counter = counters.iter().find(|name| line.starts_with('#') && line.contains(name.as_str()));
            match counter {
                Some(name) => {
                    text.push_str(&line.replacen(name.as_str(), &format!(" {}_total ", name.trim()), 1))
                }
                None => text.push_str(line),
            }
            text.push('\n');
        }
        text
    }
}

impl Collector for Sheet {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.0 {
            let metric = encoder.encode_descriptor(family.name, family.help, None, family.kind())?;
            family.encode(metric)?;
        }
        Ok(())
    }
}

impl Family {
    fn is_counter(&self) -> bool {
        matches!(self.series.first(), Some((_, Value::Count(_))))
    }

    fn kind(&self) -> MetricType {
        match self.series.first() {
            Some((_, Value::Count(_))) => MetricType::Counter,
            Some((_, Value::Times(_))) => MetricType::Histogram,
            _ => MetricType::Gauge,
        }
    }

    fn encode(&self, mut metric: MetricEncoder<'_>) -> fmt::Result {
        for (labels, value) in &self.series {
            let mut series = metric.encode_family(labels)?;
            match value {
                Value::Count(count) => series.encode_counter::<NoLabelSet, _, f64>(count, None)?,
                Value::Level(level) => series.encode_gauge(level)?,
                Value::Times(times) => {
                    let sizes: Vec<_> = times.sizes().collect();
                    series.encode_histogram::<NoLabelSet>(
                        times.sum_seconds(),
                        times.count(),
                        &sizes,
                        None,
                    )?;
                }
            }
        }
        Ok(())
    }
}

/// A count as a metric's value.
#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating point; beyond 2^53 nobody counts by ones"
)]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

/// The same of what is in memory.
pub(super) fn count(number: usize) -> f64 {
    float(number as u64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sheet() -> Sheet {
        let mut sheet = Sheet::default();
        let of = |server: &str| vec![("server", server.to_owned())];
        sheet.counter("calls", "Calls.", [(of("a\"b"), 3.0)]);
        sheet.gauge("calls_open", "Open ones.", [(of("a"), 1.0), (of("b"), 0.0)]);
        let mut times = Distribution::default();
        times.observe(Duration::from_millis(2));
        sheet.times("call_seconds", "How long.", [(of("a"), times)]);
        sheet.gauge("nothing", "Of which there is nothing.", []);
        sheet
    }

    #[test]
    fn open_metrics_is_as_its_specification_has_it() {
        let text = sheet().open_metrics();
        assert!(text.contains("# TYPE calls counter\ncalls_total{server=\"a\\\"b\"} 3.0\n"), "{text}");
        assert!(text.contains("call_seconds_bucket{le=\"0.0025\",server=\"a\"} 1\n"), "{text}");
        assert!(text.contains("call_seconds_bucket{le=\"+Inf\",server=\"a\"} 1\n"), "{text}");
        assert!(text.ends_with("# EOF\n") && !text.contains("nothing"), "{text}");
    }

    #[test]
    fn the_older_format_calls_a_counter_what_its_series_are_called() {
        let text = sheet().classic();
        assert!(text.contains("# TYPE calls_total counter\ncalls_total{server=\"a\\\"b\"} 3.0\n"), "{text}");
        assert!(text.contains("# TYPE calls_open gauge\n"), "{text}");
        assert!(!text.contains("EOF"), "{text}");
    }
}
