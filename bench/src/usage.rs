//! CPU time and memory of a process, as Linux counts them. On a busy machine these can be compared, and wall time can't.

use anyhow::Context as _;
use std::{collections::BTreeMap, fs, path::Path, time::Duration};

/// CPU time of all threads of a process, in user and kernel mode, in steps of a clock tick (10 ms). The process may have
/// ended, if it is not reaped yet.
///
/// # Errors
/// When there is no such process.
pub(crate) fn cpu_time(process: u32) -> anyhow::Result<Duration> {
    time_in(Path::new(&format!("/proc/{process}/stat")))
}

/// CPU time of a process's present threads by name. Threads with the same name are added up.
///
/// # Errors
/// When there is no such process.
pub(crate) fn cpu_time_by_thread(process: u32) -> anyhow::Result<BTreeMap<String, Duration>> {
    let mut times = BTreeMap::new();
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let folder = thread?.path();
        // A thread may end at any time. Its CPU time is lost then.
        let (Ok(name), Ok(time)) = (fs::read_to_string(folder.join("comm")), time_in(&folder.join("stat")))
        else {
            continue;
        };
        *times.entry(name.trim_end().to_owned()).or_default() += time;
    }
    Ok(times)
}

fn time_in(path: &Path) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
    let ticks = ticks(&stat).with_context(|| format!("{} can't be understood", path.display()))?;
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_nanos(ticks * (1_000_000_000 / per_second.max(1))))
}

/// CPU time of this process.
///
/// # Errors
/// None in practice.
pub(crate) fn own_cpu_time() -> anyhow::Result<Duration> {
    cpu_time(std::process::id())
}

/// Present and peak resident memory of a process, in octets.
///
/// # Errors
/// When there is no such process.
pub(crate) fn memory(process: u32) -> anyhow::Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kilobytes: u64 = line?.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes * 1024)
    };
    field("VmRSS").zip(field("VmHWM")).context("the process has ended")
}

/// Fields 14 and 15 of `/proc/PID/stat` (proc_pid_stat(5)). The name before them may contain spaces and brackets.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_brackets_does_not_move_the_fields() {
        let stat = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 120 34 0 0 20 0 1 0 99";
        assert_eq!(ticks(stat), Some(154));
        assert_eq!(ticks("7 (short) S 1"), None);
    }

    #[test]
    fn this_process_uses_time_and_memory() {
        let began = own_cpu_time().expect("it runs");
        while own_cpu_time().expect("it runs") == began {}
        let (resident, at_most) = memory(std::process::id()).expect("it runs");
        assert!(resident > 100_000 && at_most >= resident, "{resident} {at_most}");
    }
}
