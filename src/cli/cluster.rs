//! The groups of flags that only master and worker take.

use clap::Args;

use super::flags::add;
use crate::config::{Layer, Setting};

#[derive(Debug, Args)]
pub(super) struct FolderFlags {
    /// The folder with the scripts
    #[arg(long, value_name = "DIR")]
    scripts: Option<String>,
    /// The folder with the scripts' data files, where they do not lie beside them
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Which of them runs, where a start names none [default: main.lua, or the only one]
    #[arg(short = 'f', long, value_name = "NAME")]
    script: Option<String>,
    /// Read the cluster's secret from this file, in place of the variable LUNAMOTH_SECRET
    #[arg(long, value_name = "FILE")]
    secret_file: Option<String>,
}

impl FolderFlags {
    pub(super) fn fill(self, layer: &mut Layer) {
        add(layer, Setting::Scripts, self.scripts);
        add(layer, Setting::Data, self.data);
        add(layer, Setting::Script, self.script);
        add(layer, Setting::SecretFile, self.secret_file);
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Master")]
pub(super) struct MasterOnlyFlags {
    /// Where workers come in (UDP); a port alone is all interfaces with a secret, this machine without one [default: :5557]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<String>,
    /// How many ready workers --autostart waits for [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    expect_workers: Option<String>,
    /// How long --autostart waits for them; the exit code is 3 then [default: 5m]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    expect_workers_timeout: Option<String>,
    /// Start a run as soon as the expected workers are ready, and end with its verdict
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    autostart: Option<String>,
    /// Serve only while no other master answers at this name, which leads to all of them: two would share the workers
    #[arg(long, value_name = "HOST:PORT")]
    sole: Option<String>,
    /// Keep the journal of runs in this folder [default: nothing is kept on disk]
    #[arg(long, value_name = "DIR")]
    state: Option<String>,
    /// Stop a run that workers bring to a restarted master, instead of going on with it
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_adopt: Option<String>,
    /// What SIGTERM does to a run: stop it, or leave it to the next master (handover) [default: stop]
    #[arg(long, value_name = "MODE")]
    on_term: Option<String>,
    /// What changed scripts are for: the next run, or the running test as well, whose users take them over between two iterations (live)
    /// [default: next]
    #[arg(long, value_name = "MODE")]
    reload: Option<String>,
    /// Start although workers have other scripts than the master
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_script_skew: Option<String>,
    /// How long a start waits for workers to have the master's scripts [default: 90s]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    skew_timeout: Option<String>,
    /// What workers do while they have no master: continue by the plan, or pause [default: continue]
    #[arg(long, value_name = "MODE")]
    orphan: Option<String>,
    /// How long workers without a master make load, and how long they then keep their numbers [default: 60s]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    orphan_timeout: Option<String>,
    /// Write the table to the log as well, each print interval
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    print_stats: Option<String>,
    /// Show the terminal UI; the master goes on when it is left
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    tui: Option<String>,
    /// Serve the terminal UI over ssh here; a port alone is all interfaces [default: nowhere]
    #[arg(long, value_name = "ADDRESS")]
    ssh: Option<String>,
    /// Let in over ssh who has one of the keys in this file; command="view" before a key lets it look only
    #[arg(long, value_name = "FILE")]
    ssh_authorized_keys: Option<String>,
    /// Be known to ssh clients by the private key in this file [default: one is made, and kept with --state]
    #[arg(long, value_name = "FILE")]
    ssh_host_key: Option<String>,
}

impl MasterOnlyFlags {
    pub(super) fn fill(self, layer: &mut Layer) {
        add(layer, Setting::Bind, self.bind);
        add(layer, Setting::ExpectWorkers, self.expect_workers);
        add(layer, Setting::ExpectWorkersTimeout, self.expect_workers_timeout);
        add(layer, Setting::Autostart, self.autostart);
        add(layer, Setting::Sole, self.sole);
        add(layer, Setting::State, self.state);
        add(layer, Setting::NoAdopt, self.no_adopt);
        add(layer, Setting::OnTerm, self.on_term);
        add(layer, Setting::Reload, self.reload);
        add(layer, Setting::AllowScriptSkew, self.allow_script_skew);
        add(layer, Setting::SkewTimeout, self.skew_timeout);
        add(layer, Setting::Orphan, self.orphan);
        add(layer, Setting::OrphanTimeout, self.orphan_timeout);
        add(layer, Setting::PrintStats, self.print_stats);
        add(layer, Setting::Tui, self.tui);
        add(layer, Setting::Ssh, self.ssh);
        add(layer, Setting::SshAuthorizedKeys, self.ssh_authorized_keys);
        add(layer, Setting::SshHostKey, self.ssh_host_key);
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Worker")]
pub(super) struct WorkerOnlyFlags {
    /// Where the master is: a name or an address (IPv6 in brackets), and its port unless that is 5557
    #[arg(long, value_name = "HOST:PORT")]
    master: Option<String>,
    /// Serve /healthz, /readyz and /metrics here; a port alone is all interfaces [default: nowhere]
    #[arg(long, value_name = "ADDRESS")]
    health: Option<String>,
    /// End after the first run
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    once: Option<String>,
    /// How long requests in flight may take once this worker is asked to end [default: 10s]
    #[arg(short = 's', long, value_name = "TIME", allow_negative_numbers = true)]
    stop_timeout: Option<String>,
}

impl WorkerOnlyFlags {
    pub(super) fn fill(self, layer: &mut Layer) {
        add(layer, Setting::Master, self.master);
        add(layer, Setting::Health, self.health);
        add(layer, Setting::Once, self.once);
        add(layer, Setting::StopTimeout, self.stop_timeout);
    }
}
