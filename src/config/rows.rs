//! The settings that stay on the machine where they were said, a row each. Those that travel in the plan stand in `plan/settings.rs`, in
//! the same form, which is explained there.
//!
//! A row's doc comment is the help of its flag. What a value means beyond its row is in `meaning`, how it is read in `values`.

/// Gives all rows to the macro `$of`: these in braces, then those of the plan.
macro_rules! all_settings {
    ($of:ident) => {
        crate::plan::run_settings! { $of {
            /// Read settings from this TOML file; flags and LUNAMOTH_* variables come before it
            Config(config): Option<PathBuf> = None => (General, Path(values::any_path), "FILE", "load.toml");

            /// The folder with the scripts
            Scripts(scripts): Option<PathBuf> = None => (Folder, Path(values::path), "DIR", "scripts");
            /// The folder with the scripts' data files, where they do not lie beside them
            Data(data): Option<PathBuf> = None => (Folder, Path(values::path), "DIR", "data");
            /// Which of them runs, where a start names none [default: main.lua, or the only one]
            Script(script): Option<PathBuf> = None => (Folder, Path(values::path), "NAME", "scripts/quickstart.lua", short: Some('f'));
            /// Read the cluster's secret from this file, in place of the variable LUNAMOTH_SECRET
            SecretFile(secret_file): Option<PathBuf> = None => (Folder, Path(values::path), "FILE", "secret.txt");

            /// How many users run [default: the scenario's load, else 1]
            Users(users): Option<u32> = None => (Load, Amount(values::positive_number), "N", "50", short: Some('u'));
            /// How many users start per second: 5, 0.5, 30/m [default: 1]
            SpawnRate(spawn_rate): Option<f64> = None =>
                (Load, Amount(values::rate), "RATE", "5", short: Some('r'), alias: Some("hatch-rate"));
            /// How long the run takes, ramp included: 20, 20s, 3m, 1h20m, 2d, 500ms [default: until stopped]
            RunTime(run_time): Option<Duration> = None =>
                (Load, Amount(values::positive_duration), "TIME", "1h20m", short: Some('t'));
            /// How many iterations are due, whether or not a user is free: 500, 500/s, 30/m, 100/h; in place of users
            Rate(rate): Option<Rate> = None =>
                (Load, Amount(values::arrival_rate), "RATE", "500/s", excludes: &["users", "spawn_rate"]);
            /// Multiply every level of the load, the scenario's or this: 0.5, 2, 150% [default: 1]
            Scale(scale): f64 = 1.0 => (Load, Amount(values::factor), "FACTOR", "0.5");
            /// Of a load of several profiles, run only those of these names [default: all]
            Only(only): Vec<String> = Vec::new() => (Load, List(values::profiles), "NAME,...", "browse,buy",
                excludes: &["users", "spawn_rate", "run_time", "rate"]);

            /// The base URL in place of the scenario's, such as http://127.0.0.1:8080; builtin:shop for run and check
            Host(host): Option<String> = None => (Scenario, Text(values::host), "URL", "http://127.0.0.1:8080", short: Some('H'));
            /// Run only tasks that bear one of these tags
            Tags(tags): Vec<String> = Vec::new() => (Scenario, List(values::tags), "TAG,...", "read,write", short: Some('T'));
            /// Leave out tasks that bear one of these tags
            ExcludeTags(exclude_tags): Vec<String> = Vec::new() =>
                (Scenario, List(values::tags), "TAG,...", "slow,admin", short: Some('E'));
            /// What `env(NAME)` answers in the script; may be repeated
            Set(set): BTreeMap<String, String> = BTreeMap::new() => (Scenario, Pairs(values::pair), "NAME=VALUE", "tenant=blue");
            /// Make every random decision repeatable [default: a new seed for each run]
            Seed(seed): Option<u64> = None => (Scenario, Amount(|text| values::whole::<u64>(text, 0, u64::MAX)), "N", "42");

            /// Trust the certificate authorities in this PEM file, besides the usual ones
            CaFile(ca_file): Option<PathBuf> = None => (HttpTrust, Path(values::path), "FILE", "ca.pem");
            /// Threads that make load [default: the cores that the cgroup allows]
            Lanes(lanes): Option<usize> = None => (Lanes, Amount(|text| values::whole::<usize>(text, 1, 1024)), "N", "2");

            /// Do not measure, before the first run, what a request takes of this machine itself
            NoFloor(no_floor): bool = false => (Lanes, Switch(values::switch), "BOOL", "true");

            /// Table and progress line instead of the terminal UI, even on a terminal
            Headless(headless): bool = false => (Screen, Switch(values::switch), "BOOL", "true");
            /// The terminal UI: the default on a terminal, an error without one
            Tui(tui): bool = false => (Screen, Switch(values::switch), "BOOL", "true");
            /// Neither the periodic table nor the progress line; the final report only
            Quiet(quiet): bool = false => (Screen, Switch(values::switch), "BOOL", "true", short: Some('q'));

            /// How often the table is printed [default: 2s]
            PrintInterval(print_interval): Duration = Duration::from_secs(2) =>
                (Report, Amount(values::positive_duration), "TIME", "2s");
            /// Write BASE_stats.csv, BASE_stats_history.csv, BASE_failures.csv and BASE_exceptions.csv, current to the second while the run lasts
            Csv(csv): Option<PathBuf> = None => (Report, Path(values::path), "BASE", "results/monday");
            /// Write everything that was measured, histograms included; `-` is stdout, and tables go to stderr then
            Json(json): Option<PathBuf> = None => (Report, Path(values::path), "FILE", "results/monday.json");
            /// Write a report for people: charts and tables in one HTML file; `-` as for --json
            Html(html): Option<PathBuf> = None => (Report, Path(values::path), "FILE", "results/monday.html");
            /// Write to several places: csv=BASE, json=FILE, html=FILE, jsonl=FILE (a line each second), junit=FILE; may be repeated
            Out(out): Vec<(String, String)> = Vec::new() =>
                (Report, List(values::outputs), "KIND=PLACE,...", "json=results/monday.json,junit=results/junit.xml");
            /// Sum the final report's requests up by these tags of theirs as well, a row for each value
            By(by): Vec<String> = Vec::new() => (Report, List(values::tags), "TAG,...", "kind");
            /// The exit code when a request failed and the scenario states no threshold [default: 1]
            ExitCodeOnError(exit_code_on_error): u8 = 1 => (Report, Amount(|text| values::whole::<u8>(text, 0, 255)), "N", "1");
            /// Exit code 4 where in more than 1 % of the run's seconds the generator was late, held back or out of resources
            Strict(strict): bool = false => (Report, Switch(values::switch), "BOOL", "true");

            /// The form of the log on stderr: text or json [default: text]
            Log(log): LogFormat = LogFormat::Text => (General, Text(|text| values::word(text, &LogFormat::WORDS)), "FORM", "json");
            /// The least level that is logged: error, warn, info, debug, trace [default: info]
            LogLevel(log_level): LogLevel = LogLevel::Info =>
                (General, Text(|text| values::word(text, &LogLevel::WORDS)), "LEVEL", "debug", short: Some('L'), alias: Some("loglevel"));
            /// No colours, even on a terminal
            NoColor(no_color): bool = false => (General, Switch(values::switch), "BOOL", "true");

            /// Where the API and its page are served; a port alone is all interfaces with a secret or a token, this machine without one [default: :8089 for
            /// a master, nowhere for a run]
            Web(web): Option<BindAddress> = None => (Web, Text(BindAddress::parse), "ADDRESS", ":8089", bare: Some(":8089"));
            /// How long page and API still answer when the run of `run --web` or --autostart is over; a signal ends that [default: until a key after the
            /// terminal UI, else not at all]
            Linger(linger): Option<Duration> = None =>
                (Web, Amount(values::parse_duration), "TIME", "60s", alias: Some("web-linger"));
            /// Before every route of the API, such as /locust
            PathPrefix(path_prefix): String = String::new() =>
                (Web, Text(values::path_prefix), "PATH", "/locust", alias: Some("web-base-path"));
            /// Let in who knows the token in this file alone, in place of the variable LUNAMOTH_WEB_TOKEN
            WebTokenFile(web_token_file): Option<PathBuf> = None => (Web, Path(values::path), "FILE", "web-token.txt");
            /// Serve HTTPS with the certificate in this PEM file, which is read again when it changes
            WebCert(web_cert): Option<PathBuf> = None => (Web, Path(values::path), "FILE", "web.pem");
            /// That certificate's key, in a PEM file
            WebKey(web_key): Option<PathBuf> = None => (Web, Path(values::path), "FILE", "web.key");
            /// Names under which browsers reach an API on this machine alone, such as a proxy's
            WebHost(web_host): Vec<String> = Vec::new() =>
                (Web, List(|texts| values::each(texts, values::host_name)), "NAME,...", "load.example,load.example:8443");
            /// Hosts that a start through an API without a token may name, besides the scenario's and that of -H
            AllowHost(allow_host): Vec<String> = Vec::new() =>
                (Web, List(|texts| values::each(texts, values::real_host)), "URL,...", "http://127.0.0.1:8080,https://shop.example");

            /// Where workers come in (UDP); a port alone is all interfaces with a secret, this machine without one [default: :5557]
            Bind(bind): BindAddress = BindAddress { interface: None, port: DEFAULT_MASTER_PORT } =>
                (Master, Text(BindAddress::parse), "ADDRESS", ":5557");
            /// How many ready workers --autostart waits for [default: 1]
            ExpectWorkers(expect_workers): u32 = 1 => (Master, Amount(values::positive_number), "N", "2");
            /// How long --autostart waits for them; the exit code is 3 then [default: 5m]
            ExpectWorkersTimeout(expect_workers_timeout): Duration = Duration::from_secs(300) =>
                (Master, Amount(values::positive_duration), "TIME", "5m");
            /// Start a run as soon as the expected workers are ready, and end with its verdict
            Autostart(autostart): bool = false => (Master, Switch(values::switch), "BOOL", "true");
            /// Serve only while no other master answers at this name, which leads to all of them: two would share the workers
            Sole(sole): Option<MasterAddress> = None => (Master, Text(MasterAddress::parse), "HOST:PORT", "lunamoth-cluster:5557");
            /// Keep the journal of runs in this folder [default: nothing is kept on disk]
            State(state): Option<PathBuf> = None => (Master, Path(values::path), "DIR", "state");
            /// Stop a run that workers bring to a restarted master, instead of going on with it
            NoAdopt(no_adopt): bool = false => (Master, Switch(values::switch), "BOOL", "true");
            /// What SIGTERM does to a run: stop it, or leave it to the next master (handover) [default: stop]
            OnTerm(on_term): OnTerm = OnTerm::Stop => (Master, Text(|text| values::word(text, &OnTerm::WORDS)), "MODE", "handover");
            /// What changed scripts are for: the next run, or the running test as well, whose users take them over between two iterations (live)
            /// [default: next]
            Reload(reload): ReloadMode = ReloadMode::Next =>
                (Master, Text(|text| values::word(text, &ReloadMode::WORDS)), "MODE", "live");
            /// Start although workers have other scripts than the master
            AllowScriptSkew(allow_script_skew): bool = false => (Master, Switch(values::switch), "BOOL", "true");
            /// How long a start waits for workers to have the master's scripts [default: 90s]
            SkewTimeout(skew_timeout): Duration = Duration::from_secs(90) => (Master, Amount(values::parse_duration), "TIME", "90s");
            /// What workers do while they have no master: continue by the plan, or pause [default: continue]
            Orphan(orphan): OrphanMode = OrphanMode::Continue =>
                (Master, Text(|text| values::word(text, &OrphanMode::WORDS)), "MODE", "pause");
            /// How long workers without a master make load, and how long they then keep their numbers [default: 60s]
            OrphanTimeout(orphan_timeout): Duration = Duration::from_secs(60) =>
                (Master, Amount(values::parse_duration), "TIME", "60s");
            /// Write the table to the log as well, each print interval
            PrintStats(print_stats): bool = false => (Master, Switch(values::switch), "BOOL", "true");

            /// Serve the terminal UI over ssh here; a port alone is all interfaces [default: nowhere]
            Ssh(ssh): Option<BindAddress> = None => (Ssh, Text(BindAddress::parse), "ADDRESS", ":2222");
            /// Let in over ssh who has one of the keys in this file; command="view" before a key lets it look only
            SshAuthorizedKeys(ssh_authorized_keys): Option<PathBuf> = None => (Ssh, Path(values::path), "FILE", "authorized_keys");
            /// Be known to ssh clients by the private key in this file [default: one is made, and kept with --state]
            SshHostKey(ssh_host_key): Option<PathBuf> = None => (Ssh, Path(values::path), "FILE", "ssh_host_key");

            /// Where the master is: a name or an address (IPv6 in brackets), and its port unless that is 5557
            Master(master): Option<MasterAddress> = None => (Worker, Text(MasterAddress::parse), "HOST:PORT", "lunamoth-master:5557");
            /// Serve /healthz, /readyz and /metrics here; a port alone is all interfaces [default: nowhere]
            Health(health): Option<BindAddress> = None => (Worker, Text(BindAddress::parse), "ADDRESS", ":8090");
            /// End after the first run
            Once(once): bool = false => (Worker, Switch(values::switch), "BOOL", "true");

            /// The master, with its path prefix where it has one [default: http://127.0.0.1:8089]
            Url(url): Option<String> = None => (Asked, Text(values::real_host), "URL", "http://127.0.0.1:8089/locust");
            /// Where to listen: `:8080`, `8080`, `127.0.0.1:8080`, `[::]:8080` [default: 127.0.0.1:8080]
            TargetBind(target_bind): SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080)) =>
                (Target, Text(values::listen_anywhere), "ADDRESS", "127.0.0.1:8080", long: Some("bind"));
        } }
    };
}

pub(super) use all_settings;
