//! What stands below each command's flags in its help.

pub(super) const EXAMPLES: &str = "\
Examples:
  lunamoth run scripts/quickstart.lua                        the tutorial's script
  lunamoth run load.lua -H http://127.0.0.1:8080 -u 200 -r 20 -t 5m
  lunamoth check load.lua                                    each task once, shown in full
  lunamoth new load                                          load.lua, a script to start from
  lunamoth master --scripts scripts                          waits for workers and a start
  lunamoth worker --master 127.0.0.1:5557 --scripts scripts  makes load for that master
  lunamoth swarm -u 200 -r 20 -t 5m --wait                   starts a run on that master

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
  lunamoth run load.lua --web                                the API and its page on 127.0.0.1:8089 as long as it runs
  lunamoth run load.lua -T read -E slow --set tenant=blue --config load.toml

Exit codes: 0 passed, 1 a request failed (no thresholds stated), 2 bad use, 3 the run could not be finished or collected,
4 --strict: the generator was at fault, 70 a bug of ours, 99 a threshold failed, 130 Ctrl-C before any verdict.";

pub(super) const FIND_EXAMPLES: &str = "\
Examples:
  lunamoth find load.lua --keep \"p(99) < 200ms\"
  lunamoth find load.lua --keep \"p(99) < 200ms\" --from 50/s --to 10000/s
  lunamoth find load.lua --keep \"p(95) < 1s\" --keep \"http_req_failed: rate < 0.1%\" --hold 30s --confirm 2m --json curve.json
  lunamoth find load.lua --keep \"http_req_duration{name:/cart}: p(99) < 300ms\"
  lunamoth find load --keep \"p(99) < 200ms\" --url http://MASTER:8089      by the workers of a master, with the script in its own folder

Rates are of iterations, each a task of a user. A condition without a metric looks at http_req_duration_due, the time from the moment at which a
request was due, so that waiting in line shows; `rate` at http_req_failed. Whatever is to be kept, fewer than 1 % of the requests fail (unless a
condition on http_req_failed says otherwise), and iterations find a user. The scenario's own load, warm-up and thresholds are left aside; its
setup and teardown are done for each hold. The rate doubles until it breaks; then holds in between narrow it down, and longer ones confirm both ends.

Exit codes: 0 a rate holds, 2 bad use, 99 not even the lowest one does, 130 interrupted; what is known by then is printed.";

pub(super) const AB_EXAMPLES: &str = "\
Examples:
  lunamoth ab load.lua --a https://shop.example --b https://next.shop.example -u 50 -t 2m
  lunamoth ab load.lua --a http://127.0.0.1:8001 --b http://127.0.0.1:8002 --rate 200/s -t 1m --limit \"p(99) +5%\" --limit \"failures +0.5%\"
  lunamoth ab load.lua --a http://old --b http://new --markdown comment.md --junit junit.xml --json ab.json
  lunamoth ab load.lua --a http://old --b http://old -t 1m   no difference: how much of one the same target shows

Both sides are asked in the same seconds: of each four iterations two go to A and two to B, in an order drawn from the seed, so that a machine or a
network that is slow for a while is so for both. Each side has users of its own, with cookies, connections and `self` apart; on_start, setup and
teardown are done on each. Where users alternate (a ramp, iterations), user 7 is one on A and one on B, of which only one works at a time, and -u counts
it once. What is relative to the scenario's host goes to A or B; URLs that lead elsewhere stay as they are, and are counted but not compared. The
scenario's thresholds are left aside. Entries are called alike on both sides; in the JSON, CSV and HTML reports they bear the tag `ab`.

The figures, intervals and limits are those of `lunamoth compare`. At least 8 s are needed for any judgement, a minute for a few percent.

Exit codes: 0 no limit is broken, 2 bad use or nothing to compare, 4 --strict: the generator was at fault, 99 a limit is broken, 130 interrupted before
anything could be judged.";

pub(super) const COMPARE_EXAMPLES: &str = "\
Examples:
  lunamoth run load.lua --json base.json                     before the change
  lunamoth run load.lua --json new.json                      after it
  lunamoth compare base.json new.json
  lunamoth compare base.json new.json --limit \"p(99) +5%\" --limit \"rate -5%\" --limit \"failures +0.5%\"
  lunamoth compare base.json new.json --limit \"avg +10ms\" --markdown comment.md --junit junit.xml
  lunamoth compare last.json new.json --limit \"p(95) +10%\" --update       each night: the first run is the base, then each that keeps the limits

Each figure has a 95 % interval, by a block bootstrap over the run's seconds. A difference is called one where it surely exceeds 1 % (of failures
0.1 percentage points), all figures judged together: at most one comparison of equal runs in twenty says that anything differs. Runs of a minute
and more see changes of a few percent; less than 8 s are not judged.

Exit codes: 0 no limit is broken, 2 bad use or no report, 99 a limit is broken.";

pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  lunamoth check load.lua
  lunamoth check load.lua -H http://127.0.0.1:8080 -T read --set tenant=blue

Exit codes: 0 all is well, 1 a request or a check failed, 2 bad use or an error of the script.";

pub(super) const MASTER_EXAMPLES: &str = "\
Examples:
  lunamoth master --scripts scripts                          for workers on the same machine
  LUNAMOTH_SECRET=... lunamoth master --scripts scripts --state state --path-prefix /locust
  lunamoth master --scripts scripts --web-token-file token.txt --web-cert web.pem --web-key web.key
  lunamoth master --scripts scripts --expect-workers 3 --autostart -u 300 -r 30 -t 5m

DIR holds `main.lua` or a single script; --script names another.
Without a secret master and workers stay on one machine; `lunamoth secret` makes one, and a web token as well.
Browsers log in with the token; programs send `Authorization: Bearer TOKEN`.

Exit codes: 0 passed, 1 a request failed (no thresholds stated), 2 bad use, 3 the run could not be finished or collected (such as
with a worker that was lost), 4 --strict: the generator was at fault, 70 a bug of ours, 99 a threshold failed, 130 Ctrl-C before any verdict.";

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

pub(super) const SWARM_EXAMPLES: &str = "\
Examples:
  lunamoth swarm                                             the script's own load on the master of this machine
  lunamoth swarm -u 200 -r 20 -t 5m --wait                   as a step of a pipeline: the exit code is the verdict
  LUNAMOTH_WEB_TOKEN=... lunamoth swarm --url https://load.example/locust -u 50 -H https://shop.example

During a run -u, -r and -t re-target it.

Exit codes: 0 done, 1 the master declines, 2 bad use, 3 the master cannot be reached or does not let you in.
With --wait also: 1 a request failed (no thresholds stated), 3 the run could not be finished or collected, 99 a threshold failed, 130 Ctrl-C while waiting; the run goes on then.";

pub(super) const STOP_EXAMPLES: &str = "\
Examples:
  lunamoth stop
  lunamoth stop --url http://127.0.0.1:8089/locust --wait    until the last user is done

Exit codes: as those of `lunamoth swarm`.";

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  lunamoth status
  lunamoth status --watch
  lunamoth status --url https://load.example/locust --web-token-file token.txt --json

Exit codes: 0 the master has answered, 2 bad use, 3 it cannot be reached or does not let you in.";

pub(super) const REPORT_EXAMPLES: &str = "\
Examples:
  lunamoth report > run.json                                 what --json of the master would write
  lunamoth report --html > run.html                          what --html would
  kubectl exec deployment/lunamoth-master -- /lunamoth report --html > run.html

A master that has begun no run since its own start gives the report that its predecessor left in --state.

Exit codes: 0 it is printed, 1 there is none, 2 bad use, 3 the master cannot be reached or does not let you in.";

pub(super) const RESET_EXAMPLES: &str = "\
Examples:
  lunamoth reset                                             such as after the ramp, so that the numbers are those of the full load

Exit codes: as those of `lunamoth swarm`.";

pub(super) const TUI_EXAMPLES: &str = "\
Examples:
  lunamoth tui --url http://127.0.0.1:8089
  LUNAMOTH_WEB_TOKEN=... lunamoth tui --url https://load.example/locust --ca-file ca.pem";

pub(super) const METRICS_EXAMPLES: &str = "\
Examples:
  lunamoth metrics
  lunamoth metrics | less

Exit codes: 0.";
