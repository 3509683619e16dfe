//! The machine and the time of a run. Figures mean nothing without them.

use jiff::{Timestamp, Unit};
use serde::Serialize;
use std::{fmt, fs};

/// The machine, and its load when the run ended.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    measured_at: String,
    processor: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
    kafka: &'static str,
    load_average: String,
}

impl Machine {
    /// This machine, now.
    pub(super) fn here() -> Self {
        let system = rustix::system::uname();
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let kilobytes = field(&read("/proc/meminfo"), "MemTotal");
        let kilobytes: Option<u64> = kilobytes.and_then(|size| size.strip_suffix("kB")?.trim().parse().ok());
        let now = Timestamp::now();
        Self {
            measured_at: now.round(Unit::Second).unwrap_or(now).to_string(),
            processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kilobytes.unwrap_or(0) / (1024 * 1024),
            kernel: system.release().to_string_lossy().into_owned(),
            kafka: "Apache Kafka of scripts/kafka.sh, on the same machine",
            load_average: read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { measured_at, processor, cores, memory_gib, kernel, kafka, load_average } = self;
        write!(
            f,
            "{measured_at}, {cores} cores ({processor}), {memory_gib} GiB, Linux {kernel}, {kafka}; load average at the \
             end {load_average}"
        )
    }
}
