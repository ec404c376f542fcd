//! The process's metrics, in the text form of Prometheus.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Encoder as _, Gauge, TextEncoder};
use std::time::{SystemTime, UNIX_EPOCH};

/// Metrics could not be written or registered.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// All registered metrics as text.
pub fn gather() -> Result<String, MetricsError> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&prometheus::gather(), &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Registers memory and start time of the process. To be called once.
pub fn register_process_metrics() -> Result<(), MetricsError> {
    let started = Gauge::new(
        "process_start_time_seconds",
        "Start of the process, in seconds since the Unix epoch",
    )?;
    started.set(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64()),
    );
    prometheus::register(Box::new(started))?;
    register_gauge("process_resident_memory_bytes", "Resident memory", resident_bytes)
}

/// Registers a gauge that is read when somebody asks for it; while it cannot be read, it keeps its value.
pub fn register_gauge(
    name: &str,
    help: &str,
    read: impl Fn() -> Option<f64> + Send + Sync + 'static,
) -> Result<(), MetricsError> {
    let gauge = Gauge::new(name, help)?;
    prometheus::register(Box::new(ReadGauge {
        gauge,
        read: Box::new(read),
    }))?;
    Ok(())
}

struct ReadGauge {
    gauge: Gauge,
    read: Box<dyn Fn() -> Option<f64> + Send + Sync>,
}

impl Collector for ReadGauge {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if let Some(value) = (self.read)() {
            self.gauge.set(value);
        }
        self.gauge.collect()
    }
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_when_asked() {
        register_process_metrics().unwrap();
        let text = gather().unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("process_resident_memory_bytes "))
            .unwrap();
        let bytes: f64 = line.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(bytes > 100_000.0, "{line}");
    }
}
