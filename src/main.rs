//! The `punchcard` program. Everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    punchcard::cli::main()
}
