//! Parses, runs, and maps an error to an exit code.

use std::process::ExitCode;

use lunamoth::cli::Command;

/// Half the memory of glibc's allocator for many small users. Its options stay as they are: a larger cache of a thread takes fewer instructions and no less
/// time, since Lua's collector then sweeps blocks in an order that no cache of the processor foresees.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    lunamoth::app::end_early();
    // Whoever builds TLS of its own names its provider; what asks a master takes the process's. It is installed once, so that this succeeds.
    drop(rustls::crypto::ring::default_provider().install_default());
    match Command::parse(std::env::args_os()) {
        Ok(command) => lunamoth::app::run(command).into(),
        Err(no_command) => no_command.print().into(),
    }
}
