//! What a process costs, from `/proc`. Systems without it have no figures.

use std::fs;

use crate::telemetry::process::{cpu_s, status_kib};

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
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?;
        Some(status_kib(&status, field)? / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_memory() {
        assert!(Process::this().rss_mib() > Some(1.0));
        assert!(Process::this().cpu_s().is_some());
    }
}
