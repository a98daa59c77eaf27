// What a snapshot shows, part by part. Each view has an `element`, `update(snapshot)` and, for its tab, `count(snapshot)`.

const entryKey = (entry) => `${entry.method}\u0000${entry.name}`;

class Tiles {
  constructor() {
    this.element = h("dl.card.tiles", { "aria-label": "Key figures" });
    for (const [key, name] of [["rps", "Requests/s"], ["failures", "Failed"], ["p50", "Median"], ["p95", "95th percentile"], ["users", "Users"], ["workers", "Workers"], ["clock", "Elapsed"], ["thresholds", "Thresholds"]]) {
      const tile = { number: h("span"), unit: h("small"), sub: h("dd.sub"), box: h("div.tile") };
      tile.box.append(h("dt", null, name), h("dd", null, tile.number, tile.unit), tile.sub);
      this[key] = tile;
      this.element.append(tile.box);
    }
  }

  set(tile, number, unit, sub, tone) {
    setText(tile.number, number);
    setText(tile.unit, unit);
    setText(tile.sub, sub);
    setClass(tile.box, `tile${tone ? ` ${tone}` : ""}`);
  }

  update(snapshot) {
    const { total } = snapshot;
    const isOver = !isActive(snapshot.state);
    const rate = isOver ? total.requests_per_s : total.current_requests_per_s;
    this.set(this.rps, format.rate(rate), "", `${format.count(total.requests)} in all`);
    this.set(this.failures, format.percent(total.fail_ratio), total.fail_ratio == null ? "" : "%", `${format.count(total.failures)} of ${format.count(total.requests)}`, total.failures ? "bad" : "");
    const [p50, p95] = isOver ? [total.p50_ms, total.p95_ms] : [snapshot.current_p50_ms, snapshot.current_p95_ms];
    const span = isOver ? "whole run" : "last 10 s";
    this.set(this.p50, ...format.time(p50), span);
    const fromDue = total.due_p99_ms == null ? "" : `, from due ${format.timeText(total.due_p99_ms)}`;
    this.set(this.p95, ...format.time(p95), isOver || fromDue ? `p99 ${format.timeText(total.p99_ms)}${fromDue}` : span);
    const goal = snapshot.goal_users && snapshot.goal_users !== snapshot.target_users ? `, to ${format.count(snapshot.goal_users)}` : "";
    const due = snapshot.iterations.rate_wanted;
    this.set(this.users, format.count(snapshot.users), "", due == null ? `of ${format.count(snapshot.target_users)} wanted${goal}` : `for ${format.rate(due)} iterations/s due`);
    const away = snapshot.workers.filter((worker) => worker.state === "missing").length;
    const here = snapshot.workers.filter((worker) => !isAway(worker)).length;
    const cores = snapshot.generator.cpu_cores;
    this.set(this.workers, format.count(here), "", away ? `${away} missing` : cores == null ? "" : `${format.number(cores, cores < 1 ? 2 : cores < 10 ? 1 : 0)} cores busy`, away ? "bad" : here ? "" : "warn");
    const planned = snapshot.planned_s;
    const { begun, total: iterations } = snapshot.iterations;
    const progress = iterations == null ? "" : `${format.count(begun)} of ${format.count(iterations)} iterations`;
    const open = progress || (isActive(snapshot.state) ? "until stopped" : began(snapshot.started_at_unix_ms));
    this.set(this.clock, format.clock(snapshot.elapsed_s), "", planned ? [`of ${format.clock(planned)}`, progress].filter(Boolean).join(" · ") : open);
    this.judge(snapshot.thresholds, isOver || total.requests > 0);
  }

  /** Before the first answer every threshold fails for want of one, which is no news. */
  judge(thresholds, isKnown) {
    const failing = thresholds.filter((threshold) => !threshold.passed).length;
    if (!thresholds.length) this.set(this.thresholds, NONE, "", "none stated");
    else if (!isKnown) this.set(this.thresholds, format.count(thresholds.length), "", "no answer yet");
    else if (failing) this.set(this.thresholds, format.count(failing), `of ${format.count(thresholds.length)}`, failing === 1 ? "fails" : "fail", "bad");
    else this.set(this.thresholds, format.count(thresholds.length), `of ${format.count(thresholds.length)}`, thresholds.length === 1 ? "holds" : "hold", "good");
  }
}

/** The time of day at which a run began. */
function began(unixMs) {
  return unixMs ? `began ${new Date(unixMs).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" })}` : " ";
}

/** What a reader of the numbers must know, before the numbers. */
class Notices {
  constructor() {
    this.element = h("div.notices", { role: "status" });
    this.shown = "";
  }

  update(snapshot) {
    const notices = [];
    for (const hole of snapshot.holes) {
      notices.push(["bad", "Numbers lost", `Worker ${hole.worker} was lost before its numbers were in: ${format.clock(hole.from_s)} to ${format.clock(hole.to_s)} of the run are incomplete.`]);
    }
    for (const overlap of snapshot.overlaps) {
      const end = overlap.to_s === null ? "now" : format.clock(overlap.to_s);
      notices.push(["warn", "Load ran twice", `${format.plural(overlap.users, "user")} of worker ${overlap.worker}, out of reach, ran elsewhere too: ${format.clock(overlap.from_s)} to ${end}.`]);
    }
    for (const worker of snapshot.workers) {
      if (worker.state === "missing") notices.push(["bad", "Worker missing", `${worker.host || worker.id} has said nothing for ${format.clock(worker.silence_s)}.`]);
      if (worker.state === "differs") notices.push(["bad", "Script differs", `${worker.host || worker.id} has another version of the script than the master, and gets no users until they agree.`]);
    }
    const { generator } = snapshot;
    const warmup = snapshot.warmup;
    if (warmup) {
      const text = `${format.plural(warmup.total.requests, "request")} of the run's first ${format.clock(warmup.end_s)} ${warmup.over ? "are" : "so far are"} the warm-up's: charts show them; tables, totals and thresholds do not count them.`;
      notices.push(["info", warmup.over ? "Warm-up" : "Warming up", text]);
    }
    if (generator.unsound_s > 0) {
      const share = snapshot.total.requests > 0 ? `, ${format.percent(generator.unsound_requests / snapshot.total.requests)} % of the requests` : "";
      const why = generator.unsound.map((one) => `${one.worker || "the generator"} ${one.words} (${[`${one.seconds} s from ${format.clock(one.from_s)} to ${format.clock(one.to_s)}`, ...one.holds.map((hold) => hold.words)].join(", ")})`);
      const text = `${format.plural(generator.unsound_s, "second")}${share}: shaded in the charts, and not the target's numbers alone: ${why.join("; ")}`;
      notices.push(["warn", "Generator at fault", text]);
    }
    if (generator.local_failures > 0) {
      notices.push(["warn", "Generator exhausted", `${format.plural(generator.local_failures, "request")} could not be made for want of descriptors, ports or buffers. They are not held against the target.`]);
    }
    if (snapshot.total.cut > 0) {
      notices.push(["info", "Cut off", `${format.plural(snapshot.total.cut, "request")} ended with their users. They are no failures, and no time of theirs is counted.`]);
    }
    if (snapshot.aborted) notices.push(["bad", "Ended by the script", `${snapshot.aborted}`]);
    if (snapshot.misuse) notices.push(["bad", "Failed", `The run came to nothing: ${snapshot.misuse}.`]);
    if (snapshot.unfinished) notices.push(["bad", "Incomplete", `The run could not be finished or collected: ${snapshot.unfinished}.`]);
    else if (snapshot.complete === false) notices.push(["bad", "Incomplete", "The run ended before all numbers of its workers were in."]);
    for (const warning of snapshot.warnings) notices.push(["warn", "Note", warning]);
    // Most are of one second; that a silence grows by the second is no reason to read the list out again.
    const key = JSON.stringify(notices);
    if (key === this.shown) return;
    this.shown = key;
    const shown = notices.slice(0, 8).map(([tone, title, text]) => h(`div.notice.${tone}`, null, h("b", null, title), h("span", null, text)));
    if (notices.length > 8) shown.push(h("div.notice.info", null, h("b", null, "More"), `${notices.length - 8} further notices; the Workers tab has all of them.`));
    this.element.replaceChildren(...shown);
  }
}

const failTone = (item) => (item.failures > 0 ? "bad" : "dim");

function entryColumns(open) {
  const ms = (name, key, extra) => ({ name, unit: "ms", kind: "num", key: (entry) => entry[key], text: (entry) => format.ms(entry[key]), ...extra });
  const open_ = open && {
    node: (row) => h("button.link", { type: "button", click: () => open(row.item), title: "Show the whole entry" }),
    fill: (button, entry) => setText(button, entry.method || entry.name !== "Total" ? entry.name : "All entries"),
  };
  return [
    { name: "Name", kind: "grow", key: (entry) => entry.name, text: (entry) => (entry.method || entry.name !== "Total" ? entry.name : "All entries"), ...open_ },
    { name: "Method", kind: "method", key: (entry) => entry.method, text: (entry) => entry.method },
    { name: "Requests", kind: "num", key: (entry) => entry.requests, text: (entry) => format.count(entry.requests) },
    { name: "Cut", kind: "num", key: (entry) => entry.cut, text: (entry) => format.count(entry.cut), when: (total) => total && total.cut > 0 },
    { name: "Failed", kind: "num", key: (entry) => entry.failures, text: (entry) => format.count(entry.failures), tone: failTone },
    { name: "Failed", unit: "%", kind: "num", key: (entry) => entry.fail_ratio, text: (entry) => format.percent(entry.fail_ratio), tone: failTone },
    ms("p50", "p50_ms"),
    ms("p90", "p90_ms"),
    ms("p95", "p95_ms"),
    ms("p99", "p99_ms"),
    ...["p50", "p95", "p99", "max"].map((mark) => ({ ...ms(mark === "max" ? "Max" : mark, `due_${mark}_ms`), unit: "ms from due", when: (total) => total && total.due_p50_ms != null })),
    ms("Mean", "avg_ms"),
    ms("Min", "min_ms", { tone: () => "dim" }),
    ms("Max", "max_ms", { tone: () => "dim" }),
    { name: "Now", unit: "req/s", kind: "num", key: (entry) => entry.current_requests_per_s, text: (entry) => format.rate(entry.current_requests_per_s) },
    { name: "Mean", unit: "req/s", kind: "num", key: (entry) => entry.requests_per_s, text: (entry) => format.rate(entry.requests_per_s) },
    { name: "Body", unit: "mean", kind: "num", key: (entry) => entry.avg_body_bytes, text: (entry) => entry.avg_body_bytes == null ? "" : format.bytes(entry.avg_body_bytes), tone: () => "dim" },
  ];
}

class Statistics {
  constructor({ open, isReport }) {
    this.filter = h("input", { type: "search", placeholder: "Filter by name or method", "aria-label": "Filter the entries", input: () => this.show() });
    this.said = h("span", { "aria-live": "polite" });
    const columns = entryColumns(open).filter((column) => !(isReport && column.name === "Now"));
    this.table = new Table({ label: "Statistics by entry", columns, id: entryKey, sort: 0, pinned: true, empty: emptyState("No requests yet", "Each method and name gets a row with its first answer.") });
    this.element = h("div", null, h("div.tools", null, this.filter, this.said), this.table.element);
  }

  count(snapshot) {
    return [snapshot.entries.length, ""];
  }

  update(snapshot) {
    this.snapshot = snapshot;
    this.show();
  }

  show() {
    const { entries, total } = this.snapshot;
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = words.length ? entries.filter((entry) => words.every((word) => `${entry.method} ${entry.name}`.toLowerCase().includes(word))) : entries;
    setText(this.said, words.length ? `${shown.length} of ${format.plural(entries.length, "entry").replace("entrys", "entries")}` : "");
    this.table.update(shown, entries.length ? total : null);
  }
}

class Failures {
  constructor() {
    this.table = new Table({
      label: "Failures",
      id: (error) => [error.method, error.name, error.kind, error.message].join("\u0000"),
      sort: 0,
      isDescending: true,
      columns: [
        { name: "Count", kind: "num", key: (error) => error.occurrences, text: (error) => format.count(error.occurrences), tone: () => "bad" },
        { name: "Kind", key: (error) => error.kind, text: (error) => error.kind },
        { name: "Method", kind: "method", key: (error) => error.method, text: (error) => error.method },
        { name: "Name", kind: "grow", key: (error) => error.name, text: (error) => error.name },
        { name: "Message", kind: "wrap", key: (error) => error.message, text: (error) => error.message },
        { name: "First", unit: "at", kind: "num", key: (error) => error.first_seen_s, text: (error) => format.clock(error.first_seen_s), tone: () => "dim" },
        { name: "Last", unit: "at", kind: "num", key: (error) => error.last_seen_s, text: (error) => format.clock(error.last_seen_s), tone: () => "dim" },
      ],
      empty: emptyState("No failures", "A request fails without an answer, with a status of 400 or more, or when the script says so."),
    });
    this.element = this.table.element;
  }

  count(snapshot) {
    return [snapshot.errors.length, "bad"];
  }

  update(snapshot) {
    this.table.update(snapshot.errors);
  }
}

class Exceptions {
  constructor({ isReport }) {
    this.isReport = isReport;
    this.list = h("div");
    this.items = new Map();
    this.empty = emptyState("No exceptions", "Errors that the script raises come here, with where they came from.");
    this.element = h("div", null, this.list, this.empty);
  }

  count(snapshot) {
    return [snapshot.exceptions.length, "bad"];
  }

  update(snapshot) {
    const keys = new Set();
    for (const exception of snapshot.exceptions) {
      const key = `${exception.message}\u0000${exception.traceback}`;
      keys.add(key);
      let item = this.items.get(key);
      if (!item) {
        item = { count: h("span.count.bad") };
        item.element = h("details.item", { open: this.isReport }, h("summary", null, item.count, h("code", null, exception.message)), h("pre", { tabindex: "0" }, exception.traceback));
        this.items.set(key, item);
        this.list.append(item.element);
      }
      setText(item.count, format.count(exception.count));
    }
    for (const [key, item] of this.items) {
      if (keys.has(key)) continue;
      item.element.remove();
      this.items.delete(key);
    }
    this.empty.hidden = keys.size > 0;
  }
}

class Judgements {
  constructor() {
    const verdict = (passed) => (passed ? "✓ holds" : "✕ fails");
    this.thresholds = new Table({
      label: "Thresholds",
      id: (threshold) => `${threshold.metric}\u0000${threshold.condition}`,
      columns: [
        { name: "Result", text: (threshold) => verdict(threshold.passed), key: (threshold) => Number(threshold.passed), tone: (threshold) => (threshold.passed ? "good" : "bad") },
        { name: "Metric", kind: "grow", key: (threshold) => threshold.metric, text: (threshold) => threshold.metric },
        { name: "Condition", key: (threshold) => threshold.condition, text: (threshold) => threshold.condition },
        { name: "Actual", kind: "num", text: (threshold) => threshold.actual },
      ],
      empty: emptyState("No thresholds", "A scenario's thresholds decide whether a run has passed.", 'thresholds = { http_req_duration = { "p(95) < 200ms" } }'),
    });
    const ratio = (check) => (check.passes + check.fails ? check.passes / (check.passes + check.fails) : 0);
    this.checks = new Table({
      label: "Checks",
      id: (check) => check.name,
      columns: [
        { name: "Check", kind: "grow", key: (check) => check.name, text: (check) => check.name },
        { name: "Passed", unit: "%", kind: "num", key: ratio, text: (check) => format.percent(ratio(check)), tone: (check) => (check.fails ? "bad" : "good") },
        {
          name: "Share",
          text: (check) => String(Math.round(ratio(check) * 200)),
          node: () => h("span.meter", { "aria-hidden": "true" }, h("i")),
          fill: (meter, check) => {
            meter.firstChild.style.transform = `scaleX(${ratio(check)})`;
          },
        },
        { name: "Passes", kind: "num", key: (check) => check.passes, text: (check) => format.count(check.passes) },
        { name: "Fails", kind: "num", key: (check) => check.fails, text: (check) => format.count(check.fails), tone: (check) => (check.fails ? "bad" : "dim") },
      ],
      empty: emptyState("No checks", "Checks count what holds without failing a request."),
    });
    this.element = h("div", null, h("h3", null, "Thresholds"), this.thresholds.element, h("h3", null, "Checks"), this.checks.element);
  }

  count(snapshot) {
    const failed = snapshot.thresholds.filter((threshold) => !threshold.passed).length;
    return failed ? [failed, "bad"] : [snapshot.thresholds.length + snapshot.checks.length, ""];
  }

  update(snapshot) {
    this.thresholds.update(snapshot.thresholds);
    this.checks.update(snapshot.checks);
  }
}

/** The load profiles that run side by side: what each wants and what it has. */
class Profiles {
  constructor({ isReport } = {}) {
    const count = (name, key) => ({ name, kind: "num", key: (profile) => profile[key], text: (profile) => (profile[key] === null ? NONE : format.count(profile[key])), tone: (profile) => (profile[key] ? "" : "dim") });
    const state = (profile) => (profile.over ? "over" : this.elapsed_s < profile.begins_s ? `from ${format.clock(profile.begins_s)}` : "running");
    const wants = (profile) => {
      if (profile.total !== null) return `${format.count(profile.begun)} of ${format.count(profile.total)} iterations`;
      if (profile.rate_wanted !== null) return `${format.rate(profile.rate_wanted)} iterations/s`;
      return profile.kind === "users" && !profile.over ? `${format.count(profile.target_users)} users` : profile.kind;
    };
    this.table = new Table({
      label: "Load profiles",
      id: (profile) => profile.name,
      columns: [
        { name: "Profile", kind: "grow", key: (profile) => profile.name, text: (profile) => profile.name },
        ...(isReport ? [] : [{ name: "State", key: state, text: state, tone: (profile) => (profile.over ? "dim" : "") }]),
        { name: "Wants", key: wants, text: wants },
        count("Users", "users"),
        { name: "Iterations/s", kind: "num", key: (profile) => profile.current_iterations_per_s, text: (profile) => (profile.current_iterations_per_s === null ? NONE : format.rate(profile.current_iterations_per_s)) },
        { name: "Iterations", kind: "num", key: (profile) => profile.duration.count, text: (profile) => format.count(profile.duration.count) },
        { name: "p95", unit: "ms", kind: "num", key: (profile) => profile.duration.p95_ms, text: (profile) => (profile.duration.p95_ms === null ? NONE : format.ms(profile.duration.p95_ms)) },
        count("Due", "due"), count("Started", "started"), count("Dropped", "dropped"), count("Lost", "lost"), count("Raised", "raised"),
      ],
    });
    this.elapsed_s = 0;
    this.element = isReport ? this.table.element : h("section.card.section", { "aria-label": "Load profiles", hidden: true }, h("h3", null, "Load profiles"), this.table.element);
  }

  update(snapshot) {
    this.elapsed_s = snapshot.elapsed_s;
    this.table.update(snapshot.profiles);
    this.element.hidden = !snapshot.profiles.length;
  }
}

/** How a worker joins this master; nothing for a run that takes none, and in a report. */
function joinCommand() {
  const app = document.getElementById("app");
  const port = app && app.dataset.workers;
  if (!port) return "";
  const name = location.hostname || "MASTER";
  return `lunamoth worker --master ${name}:${port} --scripts DIR`;
}

const WORKER_TONES = { running: "good", ready: "", preparing: "warn", stopping: "warn", differs: "bad", missing: "bad", left: "dim" };

class Workers {
  constructor() {
    const id = (worker) => worker.id;
    const short = (worker) => worker.id.replace(/([0-9a-f]{6})[0-9a-f]{26}$/, "$1…");
    this.table = new Table({
      label: "Workers",
      id,
      pinned: true,
      columns: [
        { name: "Worker", kind: "grow", key: id, text: short },
        { name: "State", key: (worker) => worker.state, text: (worker) => worker.state, tone: (worker) => WORKER_TONES[worker.state] || "" },
        { name: "Users", kind: "num", key: (worker) => worker.users, text: (worker) => format.count(worker.users) },
        { name: "Lag", unit: "ms", kind: "num", key: (worker) => worker.lag_ms, text: (worker) => format.ms(worker.lag_ms) },
        { name: "CPU", unit: "cores", kind: "num", key: (worker) => worker.cpu_cores, text: (worker) => format.number(worker.cpu_cores, 2), tone: (worker) => (worker.lanes && worker.cpu_cores > worker.lanes * 0.9 ? "warn" : "") },
        { name: "Lanes", kind: "num", key: (worker) => worker.lanes, text: (worker) => format.count(worker.lanes) },
        { name: "Memory", kind: "num", key: (worker) => worker.memory_bytes, text: (worker) => format.bytes(worker.memory_bytes) },
        { name: "Round trip", unit: "ms", kind: "num", key: (worker) => worker.round_trip_ms, text: (worker) => format.ms(worker.round_trip_ms) },
        { name: "Silent", unit: "s", kind: "num", key: (worker) => worker.silence_s, text: (worker) => format.number(worker.silence_s, 1), tone: (worker) => (worker.state !== "left" && worker.silence_s > 3 ? "bad" : "dim") },
        { name: "Share", unit: "%", kind: "num", key: (worker) => worker.slots, text: (worker) => format.percent(worker.slots / 65536), tone: () => "dim" },
        { name: "Script", kind: "grow", key: (worker) => worker.script, text: (worker) => [worker.script, worker.fingerprint.slice(0, 8)].filter(Boolean).join(" · "), tone: () => "dim" },
      ],
      empty: joinCommand() ? emptyState("No workers", "Workers make the load. Start one or more on any machine that reaches this master:", joinCommand()) : emptyState("No workers", "This run's worker is this process itself."),
    });
    const span = (item) => `${format.clock(item.from_s)} – ${item.to_s === null ? "now" : format.clock(item.to_s)}`;
    const place = (item) => `${item.worker}\u0000${item.from_s}`;
    this.holes = new Table({
      label: "Lost numbers",
      id: place,
      columns: [{ name: "Worker", kind: "grow", text: (hole) => hole.worker }, { name: "Lost", text: span, tone: () => "bad" }],
    });
    this.overlaps = new Table({
      label: "Load that ran twice",
      id: place,
      columns: [
        { name: "Worker", kind: "grow", text: (overlap) => overlap.worker },
        { name: "Users", kind: "num", text: (overlap) => format.count(overlap.users) },
        { name: "Twice", text: span, tone: () => "warn" },
      ],
    });
    this.health = h("dl.facts");
    this.facts = {};
    this.holesBox = h("div", { hidden: true }, h("h3", null, "Lost numbers"), this.holes.element);
    this.overlapsBox = h("div", { hidden: true }, h("h3", null, "Load that ran twice"), this.overlaps.element);
    this.healthBox = h("div", null, h("h3", null, "Health of the generator"), this.health);
    this.element = h("div.stack", null, this.table.element, this.holesBox, this.overlapsBox, this.healthBox);
  }

  count(snapshot) {
    const away = snapshot.workers.filter((worker) => worker.state === "missing" || worker.state === "differs").length;
    return away ? [away, "bad"] : [snapshot.workers.filter((worker) => !isAway(worker)).length, ""];
  }

  fact(name, value) {
    if (!this.facts[name]) {
      this.facts[name] = h("dd");
      this.health.append(h("div", null, h("dt", null, name), this.facts[name]));
    }
    setText(this.facts[name], value);
  }

  update(snapshot) {
    this.table.update(snapshot.workers);
    this.holesBox.hidden = !snapshot.holes.length;
    this.overlapsBox.hidden = !snapshot.overlaps.length;
    this.holes.update(snapshot.holes);
    this.overlaps.update(snapshot.overlaps);
    const { generator, repeats } = snapshot;
    this.fact("Unsound seconds", format.count(generator.unsound_s));
    this.fact("Lag, worst of 10 s", format.timeText(generator.lag_recent_max_ms));
    this.fact("Lag, p99 of the run", generator.lag.count ? format.timeText(generator.lag.p99_ms) : NONE);
    this.fact("Processor", generator.cpu_cores == null ? NONE : `${format.number(generator.cpu_cores, 2)} cores`);
    this.fact("Throttled", format.timeText(generator.throttled_ms));
    this.fact("Unpacking", format.timeText(generator.unpacking_ms));
    this.fact("Memory", format.bytes(generator.memory_bytes));
    this.fact("Requests it could not make", format.count(generator.local_failures));
    this.fact("Reports dropped as repeats", format.count(repeats));
  }
}

function trendColumns(name) {
  const ms = (title, key) => ({ name: title, unit: "ms", kind: "num", key: (trend) => trend[key], text: (trend) => (trend.count ? format.ms(trend[key]) : NONE) });
  return [
    { name, kind: "grow", key: (trend) => trend.name, text: (trend) => trend.name },
    { name: "Count", kind: "num", key: (trend) => trend.count, text: (trend) => format.count(trend.count) },
    ms("Mean", "avg_ms"), ms("p50", "p50_ms"), ms("p95", "p95_ms"), ms("p99", "p99_ms"), ms("Min", "min_ms"), ms("Max", "max_ms"),
  ];
}

const trendTable = (label, name, empty) => new Table({ label, columns: trendColumns(name), id: (trend) => trend.name, empty });

class Metrics {
  constructor({ isReport }) {
    this.isReport = isReport;
    const plain = (value) => (value === null || value === undefined ? NONE : value.toLocaleString("en-US", { maximumFractionDigits: 3 }));
    const number = (name, key) => ({ name, kind: "num", key: (metric) => metric[key], text: (metric) => plain(metric[key]) });
    this.metrics = new Table({
      label: "The script's metrics",
      id: (metric) => metric.name,
      columns: [
        { name: "Metric", kind: "grow", key: (metric) => metric.name, text: (metric) => metric.name },
        { name: "Kind", key: (metric) => metric.kind, text: (metric) => metric.kind, tone: () => "dim" },
        { name: "Value", kind: "num", key: (metric) => metric.value, text: (metric) => (metric.kind === "rate" && metric.value !== null ? `${format.percent(metric.value)} %` : plain(metric.value)) },
        { name: "Count", kind: "num", key: (metric) => metric.count, text: (metric) => (metric.count ? format.count(metric.count) : NONE) },
        number("Min", "min"), number("p50", "p50"), number("p95", "p95"), number("p99", "p99"), number("Max", "max"),
      ],
      empty: emptyState("No metrics of the script's own", "Counters, gauges, rates and trends that the script keeps come here."),
    });
    this.groups = trendTable("Groups", "Group", emptyState("No groups", "Groups time several requests as one."));
    this.iterations = trendTable("Iterations", "Iterations");
    this.phases = trendTable("Phases of all requests", "Phase", emptyState("No requests yet", "Phases say where a request's time goes."));
    this.told = h("p.told");
    this.parts = [["metrics", "Metrics of the script"], ["groups", "Groups"], ["iterations", "Iterations"], ["phases", "Phases"]]
      .map(([key, name]) => [key, h("div", null, h("h3", null, name), this[key].element, key === "iterations" ? this.told : null)]);
    this.element = h("div.stack", null, ...this.parts.map(([, part]) => part));
  }

  count(snapshot) {
    return [snapshot.metrics.length + snapshot.groups.length, ""];
  }

  update(snapshot) {
    this.metrics.update(snapshot.metrics);
    this.groups.update(snapshot.groups);
    const { iterations } = snapshot;
    const ofIterations = [iterations.duration, iterations.duration_due, iterations.lateness, iterations.since_due];
    this.iterations.update(ofIterations.filter((trend) => trend.count || trend === iterations.duration));
    const reasons = Object.entries(iterations.dropped_by_reason).map(([reason, count]) => `${format.count(count)} ${reason}`).join(", ");
    const due = `${format.count(iterations.due)} due: ${format.count(iterations.started)} started, ${format.count(iterations.dropped)} dropped${reasons && ` (${reasons})`}, ${format.count(iterations.lost)} lost · `;
    setText(this.told, (iterations.due ? due : "") + [["raised", "raised an error"], ["interrupted", "interrupted, for their users were to finish"], ["start_failures", "failed starts of users"], ["stop_failures", "failed ends of users"], ["users_dropped", "users dropped"]]
      .filter(([key]) => iterations[key]).map(([key, words]) => `${format.count(iterations[key])} ${words}`).join(" · "));
    this.phases.update(snapshot.phases.filter((phase) => phase.count));
    // A report has no use for what did not happen.
    for (const [key, part] of this.parts) part.hidden = Boolean(this.isReport) && !this[key].items.length;
  }
}

/** One entry with all that is known of it. */
function entryDetail(detail, isWithPhases = true) {
  const facts = h("dl.facts", null, ...[
    ["Requests", format.count(detail.requests)],
    ["Failed", `${format.count(detail.failures)} (${format.percent(detail.fail_ratio)} %)`],
    ["Mean", format.timeText(detail.avg_ms)],
    ["Max", format.timeText(detail.max_ms)],
    ["Received", format.bytes(detail.bytes_in)],
    ["Sent", format.bytes(detail.bytes_out)],
    ...[["Cut off", detail.cut], ["Not sent", detail.not_sent], ["Unanswered", detail.unanswered], ["Sent again", detail.stale_retries]].filter(([, count]) => count).map(([name, count]) => [name, format.count(count)]),
  ].map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
  const marks = detail.percentiles.filter(({ percent }) => [50, 95, 99].includes(percent)).map(({ percent, ms }) => [`p${percent}`, ms]);
  const rows = (label, heads, lines) => h("div.scroll", null, h("table.grid", null, h("caption.sr", null, label),
    h("thead", null, h("tr", null, ...heads.map((head, index) => h(index ? "th.num" : "th", { scope: "col" }, h("span", null, head))))),
    h("tbody", null, ...lines.map((line) => h("tr", null, ...line.map((cell, index) => h(index ? "td.num" : "td", null, cell)))))));
  const parts = [];
  if (detail.percentiles.length) {
    parts.push(h("div", null, h("h3", null, "Percentiles"), rows("Percentiles", ["Percentile", "Within"], detail.percentiles.map(({ percent, ms }) => [`${percent} %`, format.timeText(ms)]))));
  }
  const outcome = [...detail.statuses.map(({ status, count }) => [`HTTP ${status}`, format.count(count)]), ...detail.failures_by_kind.map(({ kind, count }) => [`failed: ${kind}`, format.count(count)])];
  if (outcome.length) parts.push(h("div", null, h("h3", null, "Outcomes"), rows("Outcomes", ["Outcome", "Count"], outcome)));
  const phases = isWithPhases ? detail.phases.filter((phase) => phase.count) : [];
  const all = h("div", null, facts, h("h3", null, "Distribution"), histogram(detail.distribution, marks), h("div.columns.apart", null, ...parts));
  if (phases.length) {
    all.append(h("h3", null, "Phases"), rows("Phases", ["Phase", "Count", "Mean", "Min", "Max"],
      phases.map((phase) => [phase.name.replace("http_req_", ""), format.count(phase.count), ...[phase.avg_ms, phase.min_ms, phase.max_ms].map(format.timeText)])));
  }
  return all;
}
