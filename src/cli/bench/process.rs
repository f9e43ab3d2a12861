//! What a process costs, from `/proc`. Systems without it have no figures.

use std::fs;

/// The kernel reports CPU time in this many ticks a second on every architecture it shows to programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process to watch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process(pub(super) u32);

impl Process {
    /// This process.
    pub(super) fn this() -> Self {
        Self(std::process::id())
    }

    /// Memory in use now, in MiB.
    pub(super) fn rss_mib(self) -> Option<f64> {
        self.status("VmRSS:")
    }

    /// The most memory it ever used, in MiB.
    pub(super) fn peak_rss_mib(self) -> Option<f64> {
        self.status("VmHWM:")
    }

    /// CPU time used so far, in seconds.
    pub(super) fn cpu_s(self) -> Option<f64> {
        cpu_s(&fs::read_to_string(format!("/proc/{}/stat", self.0)).ok()?)
    }

    fn status(self, field: &str) -> Option<f64> {
        status_mib(&fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?, field)
    }
}

fn status_mib(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

fn cpu_s(stat: &str) -> Option<f64> {
    // The second field is the program's name in brackets and may hold anything; utime and stime are the 14th and 15th.
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_found_whatever_the_program_is_called() {
        let stat = "42 (a) b (c) S 1 1 1 0 -1 4194304 10 0 0 0 150 50 0 0 20 0 4 0 100";
        assert_eq!(cpu_s(stat), Some(2.0));
        let status = "Name:\tx\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n";
        assert_eq!(status_mib(status, "VmRSS:"), Some(100.0));
        assert_eq!(status_mib(status, "VmHWM:"), Some(200.0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_memory() {
        assert!(Process::this().rss_mib() > Some(1.0));
        assert!(Process::this().cpu_s().is_some());
    }
}
