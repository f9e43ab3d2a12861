//! The `punchcard` program. Everything it does is in the library.

use std::process::ExitCode;

/// Events are many small allocations, made on one thread and freed on another: with the C library's allocator they take
/// a fifth of the time. Without huge pages (`no_thp`), which make no difference to speed and take twice the memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    punchcard::cli::main()
}
