//! Metrics of the process: its start, memory and CPU time.
//!
//! They are read from Linux' `/proc` at each scrape. On other systems only the start is known.

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};
use std::{fmt, fs};

/// Ticks a second in `/proc/self/stat`: `USER_HZ`, 100 on every architecture that this runs on (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// Start, memory and CPU time. Each service registers this once.
#[derive(Debug)]
pub struct ProcessMetrics {
    started_at: Timestamp,
}

impl ProcessMetrics {
    /// The metrics of a service that starts now.
    #[must_use]
    pub fn of_service_started_now() -> Self {
        Self { started_at: Timestamp::now() }
    }
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let started_at = ConstGauge::new(self.started_at.as_duration().as_secs_f64());
        let help = "Unix time at which the service started";
        write(&mut encoder, "start_time", help, Unit::Seconds, &started_at)?;
        if let Some(bytes) = resident_memory() {
            let bytes = ConstGauge::new(bytes);
            write(
                &mut encoder,
                "resident_memory",
                "Memory that the process has in RAM",
                Unit::Bytes,
                &bytes,
            )?;
        }
        if let Some(seconds) = cpu_time() {
            let seconds = ConstCounter::new(seconds);
            write(&mut encoder, "cpu", "CPU time of the process, user and system", Unit::Seconds, &seconds)?;
        }
        Ok(())
    }
}

fn write(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Unit,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, Some(&unit), metric.metric_type())?)
}

/// In bytes.
fn resident_memory() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// In seconds, since the process began.
fn cpu_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name stands in parentheses and may have spaces; the state follows, then numbers from ppid on.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::{encoding::text, registry::Registry};

    fn samples() -> Vec<(String, f64)> {
        let mut registry = Registry::with_prefix("service");
        registry.register_collector(Box::new(ProcessMetrics::of_service_started_now()));
        let mut text = String::new();
        text::encode(&mut text, &registry).unwrap();
        let samples =
            text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
        samples.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn start_memory_and_cpu_time_are_those_of_this_process() {
        let before = samples();
        let names: Vec<_> = before.iter().map(|(name, _)| name.as_str()).collect();
        let expected =
            ["service_start_time_seconds", "service_resident_memory_bytes", "service_cpu_seconds_total"];
        assert_eq!(names, expected);
        let now = Timestamp::now().as_duration().as_secs_f64();
        assert!((now - before[0].1).abs() < 5.0, "{before:?}");

        let ballast = std::hint::black_box(vec![1_u8; 64 * 1024 * 1024]);
        let began = std::time::Instant::now();
        while samples()[2].1 < before[2].1 + 0.05 {
            assert!(began.elapsed().as_secs() < 20, "CPU time does not pass");
        }
        assert!(samples()[1].1 > before[1].1 + 50e6, "64 MiB more are in RAM");
        drop(ballast);
    }
}
