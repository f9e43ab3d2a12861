//! What a process costs, from `/proc`. Systems without it have no figures.

use std::fmt::{Display, Write as _};
use std::fs;

use rustix::process::{Resource, getrlimit};

/// The kernel reports CPU time in this many ticks a second on every architecture it shows to programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// The metrics that every process should have, under the names that every dashboard knows, as Prometheus text.
pub(super) fn describe() -> String {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bytes = |field| Some(status_kib(&status, field)? * 1024.0);
    // Whoever counts has the folder open.
    let open = fs::read_dir("/proc/self/fd").ok().map(|files| files.count().saturating_sub(1));
    let started = fs::read_to_string("/proc/stat").ok().and_then(|machine| started_at(&stat, &machine));
    let mut text = String::new();
    add(&mut text, "process_cpu_seconds_total", "counter", "CPU time used", cpu_s(&stat));
    add(&mut text, "process_resident_memory_bytes", "gauge", "Memory in use", bytes("VmRSS:"));
    add(&mut text, "process_virtual_memory_bytes", "gauge", "Addresses in use", bytes("VmSize:"));
    add(&mut text, "process_open_fds", "gauge", "Open files and connections", open);
    let most = getrlimit(Resource::Nofile).current;
    add(&mut text, "process_max_fds", "gauge", "Files and connections that may be open", most);
    add(&mut text, "process_start_time_seconds", "gauge", "When it was started", started);
    text
}

fn add(text: &mut String, name: &str, kind: &str, help: &str, value: Option<impl Display>) {
    if let Some(value) = value {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}.\n# TYPE {name} {kind}\n{name} {value}");
    }
}

/// A size in the text of `/proc/…/status`, in KiB.
pub(crate) fn status_kib(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// CPU time in the text of `/proc/…/stat`, in seconds.
pub(crate) fn cpu_s(stat: &str) -> Option<f64> {
    // utime and stime are the 14th and 15th.
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS_PER_SECOND)
}

/// When a process was started, in seconds since the epoch.
fn started_at(stat: &str, machine: &str) -> Option<f64> {
    let booted: f64 = machine.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(booted + field(stat, 22)? / TICKS_PER_SECOND)
}

/// The n-th field from 1. The second one is the program's name in brackets and may hold anything.
fn field(stat: &str, nth: usize) -> Option<f64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(nth - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_found_whatever_the_program_is_called() {
        let stat = "42 (a) b (c) S 1 1 1 0 -1 4194304 10 0 0 0 150 50 0 0 20 0 4 0 100 7 8";
        assert_eq!(cpu_s(stat), Some(2.0));
        assert_eq!(started_at(stat, "cpu 1\nbtime 1000\n"), Some(1_001.0));
        let status = "Name:\tx\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n";
        assert_eq!(status_kib(status, "VmRSS:"), Some(102_400.0));
        assert_eq!(status_kib(status, "VmSize:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_costs_something() {
        let text = describe();
        for name in
            ["cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"]
        {
            let line = text.lines().find(|line| line.starts_with(&format!("process_{name} ")));
            let value: f64 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
            assert!(value > 0.0 || name == "cpu_seconds_total", "{name} {value}");
        }
    }
}
