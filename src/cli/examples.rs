//! What stands below each command's flags in its help.

pub(super) const EXAMPLES: &str = "\
Examples:
  lunamoth run scripts/quickstart.lua                        the tutorial's script
  lunamoth run load.lua -H http://127.0.0.1:8080 -u 200 -r 20 -t 5m
  lunamoth check load.lua                                    each task once, shown in full
  lunamoth new load                                          load.lua, a script to start from
  lunamoth master --scripts scripts                          waits for workers and a start
  lunamoth worker --master 127.0.0.1:5557 --scripts scripts  makes load for that master

Every flag is also a variable (LUNAMOTH_USERS=50) and a key in the file of --config (users = 50).";

pub(super) const NEW_EXAMPLES: &str = "\
Examples:
  lunamoth new shop            shop.lua, .luarc.json and .lunamoth/ in this folder
  lunamoth new loads/shop      the same in the folder `loads`

Whatever is there already is left as it is.";

pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  lunamoth run scripts/quickstart.lua
  lunamoth run load.lua -u 200 -r 20 -t 5m --csv results/monday --json results/monday.json
  lunamoth run load.lua -T read -E slow --set tenant=blue --config load.toml

Exit codes: 0 passed, 1 a request failed (no thresholds stated), 2 bad use, 70 a bug of ours, 99 a threshold failed, 130 Ctrl-C before any verdict.";

pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  lunamoth check load.lua
  lunamoth check load.lua -H http://127.0.0.1:8080 -T read --set tenant=blue

Exit codes: 0 all is well, 1 a request or a check failed, 2 bad use or an error of the script.";

pub(super) const MASTER_EXAMPLES: &str = "\
Examples:
  lunamoth master --scripts scripts                          for workers on the same machine
  LUNAMOTH_SECRET=... lunamoth master --scripts scripts --state state --path-prefix /locust
  lunamoth master --scripts scripts --expect-workers 3 --autostart -u 300 -r 30 -t 5m

DIR holds `main.lua` or a single script; --script names another.
Without a secret master and workers stay on one machine; `lunamoth secret` makes one.

Exit codes: 0 passed, 1 a request failed (no thresholds stated), 2 bad use, 3 the cluster was lost, 70 a bug of ours, 99 a threshold failed, 130 Ctrl-C before any verdict.";

pub(super) const WORKER_EXAMPLES: &str = "\
Examples:
  lunamoth worker --master 127.0.0.1:5557 --scripts scripts
  LUNAMOTH_SECRET=... lunamoth worker --master lunamoth-master --scripts /scripts --health :8090
  lunamoth worker --master [2001:db8::7]:6000 --scripts scripts --secret-file secret.txt --once

What the load is and what requests obey is the master's to say.";

pub(super) const TARGET_EXAMPLES: &str = "\
Examples:
  lunamoth target
  lunamoth target --bind :8080                                 for other machines too";

pub(super) const SECRET_EXAMPLES: &str = "\
Examples:
  lunamoth secret > secret.txt                                 for --secret-file
  LUNAMOTH_SECRET=$(lunamoth secret)                           the same as a variable

Master and workers take the same one. To change it without a gap, the next one becomes LUNAMOTH_SECRET and the last one LUNAMOTH_SECRET_PREVIOUS, on every machine.";
