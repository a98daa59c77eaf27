//! Parses, runs, and maps an error to an exit code.

use std::process::ExitCode;

use lunamoth::cli::Command;

#[global_allocator]
static ALLOCATOR: lunamoth::allocator::Allocator = lunamoth::allocator::Allocator;

/// jemalloc's options. A lane frees what Lua's collector sweeps by the thousand, and takes as much anew: by default a thread's cache is much smaller
/// than that, and is trimmed after each 64 KiB besides, which was a twenty-fifth of the instructions of a request. It costs some hundred KiB a lane.
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_OPTIONS: &[u8; 81] = b"tcache_gc_incr_bytes:4194304,lg_tcache_nslots_mul:4,tcache_nslots_small_max:2000\0";

fn main() -> ExitCode {
    lunamoth::app::end_early();
    // Whoever builds TLS of its own names its provider; what asks a master takes the process's. It is installed once, so that this succeeds.
    drop(rustls::crypto::ring::default_provider().install_default());
    match Command::parse(std::env::args_os()) {
        Ok(command) => lunamoth::app::run(command).into(),
        Err(no_command) => no_command.print().into(),
    }
}
