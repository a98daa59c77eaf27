//! The process's own vitals: processor time, throttling by the cgroup, memory. Read from the kernel, once a second.
//!
//! Owns the reading and the parsing of the kernel's files; what a person is told of them is the snapshot's.

use std::fs;
use std::time::Duration;

/// What the kernel says of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Processor time since the process began, user and system.
    pub cpu: Duration,
    /// How long the cgroup has kept its processes from running, since the cgroup began; zero where there is no limit.
    pub throttled: Duration,
    /// Resident memory of the process, in bytes.
    pub memory_bytes: u64,
}

impl Vitals {
    /// Reads all of them; what cannot be read is zero.
    #[must_use]
    pub fn read() -> Self {
        Self { cpu: cpu_time(), throttled: throttled_time(), memory_bytes: resident_bytes() }
    }
}

/// How many cores the cgroup and the affinity mask allow, at least 1.
#[must_use]
pub fn allowed_cores() -> usize {
    // The standard library reads the affinity mask and the quota of cgroups v1 and v2.
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How much memory this process may use: the machine's, or less where a cgroup says so. `None` where the kernel does not tell.
#[must_use]
pub fn allowed_memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| parse_total(&text));
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok())
        .and_then(|text| text.trim().parse::<u64>().ok());
    machine.into_iter().chain(group).min()
}

/// `MemTotal` of `/proc/meminfo`, which is in KiB.
fn parse_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Raises the soft limit of open descriptors to the hard one; returns the limit in force, if the kernel tells it.
#[must_use]
pub fn raise_descriptor_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid, writable rlimit for the whole call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return None;
    }
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
    // SAFETY: `raised` is a valid rlimit for the whole call.
    let is_raised = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0;
    Some(if is_raised { raised.rlim_cur } else { limit.rlim_cur })
}

/// Processor time of the calling thread; `None` where the system does not tell.
#[must_use]
pub fn thread_time() -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable for the whole call.
    let is_read = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) } == 0;
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    is_read.then(|| Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0)))
}

fn cpu_time() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is a writable rusage for the whole call.
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) } != 0 {
        return Duration::ZERO;
    }
    // SAFETY: all bit patterns of an rusage are valid; it was zeroed, then filled by the kernel.
    let usage = unsafe { usage.assume_init() };
    duration_of(usage.ru_utime) + duration_of(usage.ru_stime)
}

fn duration_of(time: libc::timeval) -> Duration {
    Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0)) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
}

fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    // SAFETY: `sysconf` reads no memory of ours.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * page
}

fn throttled_time() -> Duration {
    ["/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat"]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok())
        .map_or(Duration::ZERO, |text| parse_throttled(&text))
}

/// `throttled_usec` of cgroup v2, `throttled_time` (nanoseconds) of v1.
fn parse_throttled(text: &str) -> Duration {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find_map(|(key, value)| {
            let value = value.trim().parse().ok()?;
            match key {
                "throttled_usec" => Some(Duration::from_micros(value)),
                "throttled_time" => Some(Duration::from_nanos(value)),
                _ => None,
            }
        })
        .unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_generations_of_cgroups_tell_the_throttled_time() {
        assert_eq!(parse_throttled("usage_usec 5\nnr_throttled 2\nthrottled_usec 1500\n"), Duration::from_micros(1500));
        assert_eq!(parse_throttled("nr_periods 1\nnr_throttled 0\nthrottled_time 2000\n"), Duration::from_micros(2));
        assert_eq!(parse_throttled(""), Duration::ZERO);
    }

    #[test]
    fn the_machines_memory_is_read_in_bytes() {
        assert_eq!(parse_total("MemTotal:        8000 kB\nMemFree: 1 kB\n"), Some(8_192_000));
        assert_eq!(parse_total("MemFree: 1 kB\n"), None);
        assert!(allowed_memory().is_some_and(|bytes| bytes > 100_000_000));
    }

    #[test]
    fn this_process_has_used_time_and_memory() {
        let mut spun = 0_u64;
        while cpu_time() == Duration::ZERO {
            spun = spun.wrapping_add(1);
        }
        assert!(Vitals::read().memory_bytes > 100_000, "{spun}");
    }
}
