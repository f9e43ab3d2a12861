//! The `punchcard` program. Everything it does is in the library.

use std::process::ExitCode;

/// Events make many small, short-lived allocations on a few threads, which is what mimalloc is built for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    punchcard::cli::main()
}
