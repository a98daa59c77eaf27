// The live page: listens to the master, shows what it says, and asks it to act.

class Refused extends Error {
  constructor(problem) {
    super(problem.detail || problem.title || "the master refused");
    this.status = problem.status;
    this.field = problem.field;
  }
}

/** Asks the API. Addresses are relative to the page, so that they hold behind any prefix. */
async function ask(path, method, body) {
  const options = { method: method || "GET", cache: "no-store", headers: { Accept: "application/json" }, signal: AbortSignal.timeout(path === "snapshot" ? 5_000 : 125_000) };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(`api/v1/${path}`, options);
  } catch {
    throw new Refused({ detail: "The master cannot be reached." });
  }
  if (response.status === 401) {
    location.assign("login");
    throw new Refused({ status: 401, detail: "Please log in." });
  }
  const text = await response.text();
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refused({ status: response.status, detail: `The answer of ${response.status} is not the master's; a proxy may have made it.` });
  }
  if (!response.ok) throw new Refused({ status: response.status, ...value });
  return value;
}

const toasts = h("div.toasts", { role: "status", "aria-live": "polite" });
function toast(text, isBad) {
  const element = h(`div.toast${isBad ? ".bad" : ""}`, null, text);
  toasts.append(element);
  while (toasts.children.length > 4) toasts.firstChild.remove();
  setTimeout(() => element.remove(), isBad ? 9000 : 4000);
}

async function act(path) {
  try {
    const { message } = await ask(path, "POST");
    toast(message);
  } catch (error) {
    toast(error.message, true);
  }
}

/** So old are numbers that are no longer those of now, and so long is nobody's answer to be called silence. */
const [OLD_S, SILENT_S] = [3, 10];

/** Snapshots: pushed by the event stream, fetched every two seconds where that does not come through. */
class Feed {
  constructor({ onSnapshot, onLog, onState, onAge }) {
    Object.assign(this, { onSnapshot, onLog, onState, onAge });
    this.heard = 0;
    /** When something new came: a cache on the way may repeat what is old. */
    this.news = performance.now();
    this.listen();
    setInterval(() => this.look(), 2000);
    setInterval(() => this.onAge((performance.now() - this.news) / 1000), 1000);
    document.addEventListener("visibilitychange", () => this.look());
  }

  listen() {
    if (this.stream) this.stream.close();
    this.began = performance.now();
    this.stream = new EventSource("api/v1/events");
    this.stream.addEventListener("snapshot", (event) => {
      this.isStreaming = true;
      this.take(JSON.parse(event.data), true);
    });
    this.stream.addEventListener("log", (event) => this.onLog(JSON.parse(event.data)));
    this.stream.addEventListener("error", () => {
      this.isStreaming = false;
    });
  }

  take(snapshot, isPushed) {
    this.heard = performance.now();
    const isRepeated = isActive(snapshot.state) && snapshot.elapsed_s > 0 && snapshot.elapsed_s === this.elapsed;
    if (isPushed || !isRepeated) {
      this.news = this.heard;
      this.onAge(0);
    }
    this.elapsed = snapshot.elapsed_s;
    this.onState(true);
    this.onSnapshot(snapshot);
  }

  async look() {
    const silent = performance.now() - Math.max(this.heard, this.began);
    // A stream that is open and quiet is looked after, too: something between may have swallowed it.
    if (this.isAsking || document.hidden || silent < (this.isStreaming ? 2900 : 1900)) return;
    this.isAsking = true;
    try {
      this.take(await ask("snapshot"));
    } catch (error) {
      this.onState(false, error.message);
    } finally {
      this.isAsking = false;
    }
    if (!this.isStreaming && this.stream.readyState === EventSource.CLOSED && performance.now() - this.began > 10000) this.listen();
  }
}

/** The run second by second, kept up to date from each snapshot's last points. */
class History {
  constructor(changed) {
    this.points = [];
    this.run = null;
    this.since = null;
    this.changed = changed;
  }

  take(snapshot) {
    const { recent, run } = snapshot;
    const last = this.points[this.points.length - 1];
    const isAnother = run !== this.run || snapshot.counted_since_s !== this.since;
    const hasGap = recent.length > 0 && (last ? recent[0].at_s > last.at_s + last.length_s + 0.5 : recent[0].at_s > (snapshot.counted_since_s || 0) + 0.5);
    const isCoarser = last && recent.length > 0 && recent[recent.length - 1].length_s !== last.length_s;
    this.run = run;
    this.since = snapshot.counted_since_s;
    if (isAnother) this.points = [];
    if (recent.length) this.points = this.points.filter((point) => point.at_s < recent[0].at_s).concat(recent);
    if (isAnother || hasGap || isCoarser) this.load();
  }

  async load() {
    const { run, since } = this;
    if (!run || this.isLoading) return;
    this.isLoading = true;
    try {
      const history = await ask("history");
      // What was asked for before a reset is of no use after it.
      if (history.run === this.run && since === this.since) {
        const end = history.points.length ? history.points[history.points.length - 1].at_s : -1;
        this.points = history.points.concat(this.points.filter((point) => point.at_s > end));
        this.changed();
      }
    } catch {
      // The next gap asks again; what is here is shown.
    } finally {
      this.isLoading = false;
    }
  }
}

class Logs {
  constructor() {
    this.lines = [];
    this.last = 0;
    this.level = h("select", { "aria-label": "Least level", change: () => this.show() }, ...["debug", "info", "warn", "error"].map((level) => h("option", { value: level, selected: level === "info" }, level === "error" ? "errors" : `${level} and above`)));
    this.filter = h("input", { type: "search", placeholder: "Filter lines", "aria-label": "Filter the lines", input: () => this.show() });
    this.follow = h("input", { type: "checkbox", checked: true });
    this.said = h("span.right");
    this.list = h("div.log", { tabindex: "0", role: "log", "aria-live": "off", "aria-label": "Log lines" });
    this.empty = emptyState("No lines yet", "What the master and its workers log comes here as it happens.");
    this.element = h("div", null, h("div.tools", null, this.filter, this.level, h("label.check", null, this.follow, "Follow"), this.said), this.list, this.empty);
  }

  count() {
    return [0, ""];
  }

  async open() {
    this.isOpen = true;
    try {
      const { lines, dropped } = await ask(`logs?after=${this.last}&limit=1000`);
      this.dropped = dropped;
      for (const line of lines) this.add(line);
      this.isKnown = true;
    } catch (error) {
      if (error.status === 404 || error.status === 501) this.empty.replaceChildren(h("b", null, "No log here"), "This master does not serve its log.");
    }
    this.show();
  }

  close() {
    this.isOpen = false;
  }

  add(line) {
    if (line.number <= this.last) return false;
    this.last = line.number;
    this.lines.push(line);
    if (this.lines.length > 2000) this.lines.splice(0, 500);
    return true;
  }

  /** A line of the stream. Before the tab was opened once, the master keeps them for it. */
  take(line) {
    if (!this.isKnown || !this.add(line) || !this.isOpen || document.hidden) return;
    if (this.isAsked) return;
    this.isAsked = true;
    setTimeout(() => {
      this.isAsked = false;
      this.show();
    }, 250);
  }

  show() {
    const rank = { trace: 0, debug: 1, info: 2, warn: 3, error: 4 };
    const least = rank[this.level.value];
    const word = this.filter.value.toLowerCase();
    const wanted = this.lines.filter((line) => (rank[line.level.toLowerCase()] ?? 2) >= least && (!word || `${line.source} ${line.target} ${line.text}`.toLowerCase().includes(word)));
    const shown = wanted.slice(-600);
    this.list.replaceChildren(...shown.map((line) => {
      const level = line.level.toLowerCase();
      const moment = new Date(line.at_unix_ms);
      return h(`div.${level}`, null, h("time", { datetime: moment.toISOString() }, moment.toTimeString().slice(0, 8)), h("span.level", null, level), h("span.from", null, line.source), line.text);
    }));
    this.list.hidden = shown.length === 0;
    this.empty.hidden = shown.length > 0;
    setText(this.said, [wanted.length > shown.length ? `the last ${shown.length} of ${wanted.length}` : format.plural(shown.length, "line"), this.dropped ? `${format.count(this.dropped)} older ones dropped` : ""].filter(Boolean).join(" · "));
    if (this.follow.checked) this.list.scrollTop = this.list.scrollHeight;
  }

  update() {}
}

class Downloads {
  constructor() {
    const link = (href, name, text, file) => h("a", { href, download: file }, name, h("small", null, text));
    this.element = h("div", null, h("div.downloads", null,
      link("stats/report?download=1", "HTML report", "Charts and tables in one file, to keep and to share", "lunamoth-report.html"),
      link("stats/requests/csv", "Statistics", "CSV, a row for each entry", "requests.csv"),
      link("stats/requests_full_history/csv", "History", "CSV, second by second", "history.csv"),
      link("stats/distribution/csv", "Distribution", "CSV, percentiles by entry", "distribution.csv"),
      link("stats/failures/csv", "Failures", "CSV, by kind and message", "failures.csv"),
      link("exceptions/csv", "Exceptions", "CSV, with tracebacks", "exceptions.csv"),
      link("api/v1/snapshot", "Snapshot as JSON", "All that this page shows", "snapshot.json"),
      link("api/v1/history", "History as JSON", "The points of the charts", "history.json")),
    h("h3", null, "To open"),
    h("div.downloads", null, ...[["stats/report", "Report in the browser", "As it is at this moment"], ["api/v1/openapi.json", "API", "OpenAPI 3.1 description, for programs"], ["metrics", "Metrics", "For Prometheus"]]
      .map(([href, name, text]) => h("a", { href, target: "_blank", rel: "noopener" }, name, h("small", null, text)))));
  }

  count() {
    return [0, ""];
  }

  update() {}
}

/** Tabs after the pattern of ARIA: arrows move between them, only the chosen one is in the order of Tab. */
class Tabs {
  constructor(tabs) {
    this.tabs = tabs;
    this.list = h("div.tabs", { role: "tablist", "aria-label": "Details of the run", keydown: (event) => this.move(event) });
    this.element = h("section.card", { "aria-label": "Details" }, this.list);
    for (const tab of tabs) {
      tab.badge = h("span.count", { hidden: true });
      tab.button = h("button", { type: "button", role: "tab", id: `tab-${tab.id}`, "aria-controls": `panel-${tab.id}`, click: () => this.choose(tab) }, tab.name, tab.badge);
      tab.panel = h("div.panel", { role: "tabpanel", id: `panel-${tab.id}`, "aria-labelledby": `tab-${tab.id}`, hidden: true }, tab.view.element);
      this.list.append(tab.button);
      this.element.append(tab.panel);
    }
    this.choose(tabs.find((tab) => `#${tab.id}` === location.hash) || tabs[0], true);
  }

  choose(chosen, isFirst) {
    if (this.chosen === chosen) return;
    if (this.chosen && this.chosen.view.close) this.chosen.view.close();
    this.chosen = chosen;
    for (const tab of this.tabs) {
      const isChosen = tab === chosen;
      tab.button.setAttribute("aria-selected", String(isChosen));
      tab.button.tabIndex = isChosen ? 0 : -1;
      tab.panel.hidden = !isChosen;
    }
    if (chosen.view.open) chosen.view.open();
    if (this.snapshot) chosen.view.update(this.snapshot);
    if (!isFirst) history.replaceState(null, "", `${location.pathname}${location.search}#${chosen.id}`);
  }

  move(event) {
    const at = this.tabs.indexOf(this.chosen);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: this.tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const tab = this.tabs[(to + this.tabs.length) % this.tabs.length];
    this.choose(tab);
    tab.button.focus();
    tab.button.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  update(snapshot) {
    this.snapshot = snapshot;
    for (const tab of this.tabs) {
      const [count, tone] = tab.view.count(snapshot);
      tab.badge.hidden = count === 0;
      setText(tab.badge, format.count(count));
      setClass(tab.badge, `count ${count ? tone : ""}`.trim());
    }
    // What is not seen is not drawn.
    this.chosen.view.update(snapshot);
  }
}

/** The form that starts a run and re-targets one. It stands in the page before the first run, and in a dialog after it. */
class RunForm {
  constructor() {
    const field = (name, label, attributes, hint, size) => {
      this[name] = h("input", { name, id: `field-${name}`, autocomplete: "off", spellcheck: "false", "aria-describedby": hint ? `hint-${name}` : null, ...attributes });
      return h(`div.field${size || ""}`, null, h("label", { for: `field-${name}` }, label), this[name], hint ? h("em", { id: `hint-${name}` }, hint) : null);
    };
    this.hostField = field("host", "Host", { type: "text", inputmode: "url", placeholder: "the script's own" }, null, ".wide");
    this.script = h("select", { name: "script", id: "field-script", change: () => this.hint() });
    this.scripts = [];
    this.scriptField = h("div.field.wide", { hidden: true }, h("label", { for: "field-script" }, "Script"), this.script);
    this.profile = h("select", { name: "profile", id: "field-profile", change: () => this.chooseProfile() });
    this.profileField = h("div.field.wide", { hidden: true }, h("label", { for: "field-profile" }, "Load profile"), this.profile);
    this.fault = h("p.fault", { role: "alert", hidden: true });
    this.submit = h("button.button.primary", { type: "submit" });
    this.cancel = h("button.button", { type: "button", click: () => this.dialog.close() }, "Cancel");
    this.form = h("form", { novalidate: true, submit: (event) => this.send(event) },
      h("div.fields", null, this.scriptField, this.hostField, this.profileField,
        this.usersField = field("users", "Users", { inputmode: "numeric", placeholder: "script's own", input: () => this.hint() }, "at the peak"),
        this.spawnRateField = field("spawn_rate", "Spawn rate", { inputmode: "decimal", placeholder: "script's own" }, "users a second"),
        this.rateField = field("rate", "Rate", { placeholder: "none", input: () => this.hint() }, "iterations a second, or 30/m"),
        field("run_time", "Run time", { placeholder: "script's own" }, "such as 1m30s")),
      this.fault, h("div.foot", null, this.cancel, this.submit));
    this.title = h("h2");
    this.inner = h("div.inner");
    this.dialog = h("dialog", { "aria-label": "Run" }, h("div.head", null, this.title), this.inner);
    document.body.append(this.dialog);
  }

  /** Puts the form into `place` for a first start. */
  stand(place) {
    if (this.form.parentNode === place) return;
    this.prepare(false);
    this.cancel.hidden = true;
    place.append(this.form);
  }

  open(isRetarget, snapshot) {
    this.prepare(isRetarget);
    this.cancel.hidden = false;
    this.inner.append(this.form);
    this.snapshot = snapshot;
    const profiles = isRetarget ? snapshot.profiles : [];
    this.profileField.hidden = profiles.length < 2;
    this.profile.replaceChildren(...profiles.map((profile) => h("option", { value: profile.name }, profile.name)));
    if (isRetarget) this.chooseProfile();
    this.hint();
    setText(this.title, isRetarget ? "Re-target the run" : "Start a run");
    this.dialog.showModal();
    const first = this.usersField.hidden ? this.rate : this.users;
    first.focus();
    first.select();
  }

  /** The profile whose level is to change; nothing where the run's has no name. */
  chosenProfile() {
    return this.snapshot.profiles.find((profile) => profile.name === this.profile.value);
  }

  /** The level that it has stands there to be changed: of arrivals, a rate. */
  chooseProfile() {
    const { snapshot } = this;
    const profile = this.chosenProfile();
    const rate = (profile || snapshot.iterations).rate_wanted;
    const isOpen = rate != null;
    [this.usersField.hidden, this.spawnRateField.hidden, this.rateField.hidden] = [isOpen, isOpen, !isOpen];
    this.rate.value = isOpen ? rate : "";
    this.users.value = isOpen ? "" : profile ? profile.goal_users : snapshot.goal_users || snapshot.target_users;
    if (isOpen) this.spawn_rate.value = "";
    this.hint();
  }

  prepare(isRetarget) {
    this.isRetarget = isRetarget;
    if (!isRetarget) for (const part of [this.usersField, this.spawnRateField, this.rateField]) part.hidden = false;
    if (!isRetarget) this.profileField.hidden = true;
    this.hostField.hidden = isRetarget;
    this.say("");
    setText(this.submit, isRetarget ? "Re-target" : "Start the run");
    this.hint();
    if (isRetarget) this.scriptField.hidden = true;
    else this.loadScripts();
  }

  /** What holds where nothing is typed. */
  hint() {
    const length = (seconds) => (seconds == null ? "until stopped" : format.length(seconds));
    const show = (users, rate, time) => {
      [this.users.placeholder, this.spawn_rate.placeholder, this.run_time.placeholder] = [users, rate, time];
    };
    if (this.isRetarget) {
      // A re-target without a run time leaves the run's end where it is, and one without a rate goes on at the rate that the run has.
      const { snapshot } = this;
      if (!snapshot) return show("", "as before", "as before");
      return show("", snapshot.spawn_rate == null ? "all at once" : String(snapshot.spawn_rate), snapshot.planned_s == null ? "until stopped" : `ends at ${format.clock(snapshot.planned_s)}`);
    }
    const script = this.scripts.find((one) => (this.script.value ? one.name === this.script.value : one.is_default)) || {};
    this.host.placeholder = script.host || "the script names none";
    const { load } = script;
    if (!load) return show("script's own", "script's own", "script's own");
    // Users that are typed replace the scenario's load as a whole.
    if (this.rate.value.trim()) return show("as needed", "as needed", length(load.run_time_of_users_s));
    if (this.users.value.trim()) return show("", String(load.spawn_rate_of_users), length(load.run_time_of_users_s));
    return show(format.count(load.users), load.spawn_rate == null ? "all at once" : String(load.spawn_rate), length(load.run_time_s));
  }

  async loadScripts() {
    try {
      const { scripts } = await ask("scripts");
      this.scripts = scripts;
      this.broken = scripts.find((script) => script.is_default && script.error);
      const before = this.script.value;
      this.script.replaceChildren(...scripts.map((script) => h("option", { value: script.name, selected: before ? script.name === before : script.is_default, disabled: Boolean(script.error), title: script.error || false }, `${script.name}${script.error ? " (does not load)" : ""}`)));
      this.scriptField.hidden = this.isRetarget || scripts.length < 1;
      this.hint();
    } catch {
      this.scriptField.hidden = true;
    }
  }

  say(text, field) {
    this.fault.hidden = !text;
    setText(this.fault, text);
    for (const name of ["host", "users", "spawn_rate", "rate", "run_time"]) {
      if (name === field) this[name].setAttribute("aria-invalid", "true");
      else this[name].removeAttribute("aria-invalid");
    }
    if (field && this[field]) this[field].focus();
  }

  /** What is typed, as JSON; numbers that are none are left to the master, which says so. */
  order() {
    const order = {};
    const number = (text) => (Number.isFinite(Number(text)) ? Number(text) : text);
    for (const name of ["users", "spawn_rate", "rate"]) if (this[name].value.trim()) order[name] = number(this[name].value.trim());
    if (this.run_time.value.trim()) order.run_time = this.run_time.value.trim();
    const profile = this.isRetarget ? this.chosenProfile() : undefined;
    if (profile) order.profile = profile.name;
    if (this.isRetarget) return order;
    if (this.host.value.trim()) order.host = this.host.value.trim();
    if (!this.scriptField.hidden && this.script.value) order.script = this.script.value;
    return order;
  }

  async send(event) {
    event.preventDefault();
    const order = this.order();
    for (const [name, word] of [["users", "users"], ["spawn_rate", "the spawn rate"]]) {
      if (name in order && (typeof order[name] !== "number" || order[name] < 0)) return this.say(`Give ${word} as a number.`, name);
    }
    this.submit.disabled = true;
    this.say("");
    try {
      const { message } = await ask("run", this.isRetarget ? "PATCH" : "POST", order);
      if (this.dialog.open) this.dialog.close();
      toast(message || (this.isRetarget ? "Re-targeted" : "Started"));
    } catch (error) {
      this.say(error.message, error.field);
    } finally {
      this.submit.disabled = false;
    }
  }
}

/** A question before what cannot be undone. */
function confirmed(title, text, word) {
  return new Promise((resolve) => {
    const yes = h("button.button.primary.danger", { type: "button", click: () => dialog.close("yes") }, word);
    const no = h("button.button", { type: "button", click: () => dialog.close("") }, "Cancel");
    const dialog = h("dialog", { "aria-label": title, close: () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    } }, h("div.head", null, h("h2", null, title)), h("div.inner", null, h("p", null, text), h("div.foot", null, no, yes)));
    document.body.append(dialog);
    dialog.showModal();
    no.focus();
  });
}

class Drawer {
  constructor() {
    this.title = h("h2");
    this.inner = h("div.inner");
    const close = h("button.button.icon", { type: "button", "aria-label": "Close", click: () => this.dialog.close() }, picture(PICTURES.close));
    this.dialog = h("dialog.drawer", { "aria-label": "Entry", close: () => {
      this.entry = null;
    }, click: (event) => event.target === this.dialog && this.dialog.close() }, h("div.head", null, this.title, close), this.inner);
    document.body.append(this.dialog);
  }

  open(entry) {
    this.entry = entry;
    this.loaded = 0;
    const isTotal = !entry.method && entry.name === "Total";
    setText(this.title, isTotal ? "All entries" : `${entry.method} ${entry.name}`);
    this.query = isTotal ? "" : `?${new URLSearchParams({ method: entry.method, name: entry.name })}`;
    this.inner.replaceChildren(h("p.empty", null, "Loading…"));
    this.dialog.showModal();
    this.refresh();
  }

  async refresh() {
    if (!this.entry || performance.now() - this.loaded < 3000) return;
    this.loaded = performance.now();
    const { entry } = this;
    try {
      const detail = await ask(`entries/detail${this.query}`);
      if (entry !== this.entry) return;
      const { scrollTop } = this.dialog;
      this.inner.replaceChildren(entryDetail(detail));
      this.dialog.scrollTop = scrollTop;
    } catch (error) {
      if (entry === this.entry) this.inner.replaceChildren(emptyState("Nothing to show", error.message));
    }
  }
}

class Live {
  constructor(root) {
    theme.apply(theme.chosen());
    const button = (kind, icon, word, click) => h(`button.button${kind}`, { type: "button", click }, picture(PICTURES[icon]), word);
    this.badge = h("span.badge", null, "Connecting");
    this.scenario = h("h1.scenario");
    this.host = h("span.host");
    this.start = button(".primary", "play", "New run", () => this.form.open(false, this.snapshot));
    this.retarget = button("", "adjust", "Re-target", () => this.form.open(true, this.snapshot));
    this.pause = button("", "pause", "Pause", () => act("run/pause"));
    this.resume = button("", "play", "Resume", () => act("run/resume"));
    this.stop = button(".danger", "stop", "Stop", () => this.askStop());
    this.reset = h("button.button.icon", { type: "button", title: "Reset the statistics", "aria-label": "Reset the statistics", click: () => this.askReset() }, picture(PICTURES.reset));
    this.progress = h("i");
    this.bar = h("div.progress", { role: "progressbar", "aria-label": "Progress of the run", "aria-valuemin": "0", "aria-valuemax": "100" }, this.progress);
    this.form = new RunForm();
    this.drawer = new Drawer();
    this.heroPlace = h("div");
    this.heroTitle = h("h2");
    this.heroHint = h("p");
    this.hero = h("section.card.hero", { hidden: true }, h("div", null, h("div.art", null, logo()), this.heroTitle, this.heroHint), this.heroPlace);
    this.tiles = new Tiles();
    this.notices = new Notices();
    this.profiles = new Profiles();
    this.charts = new Charts();
    this.logs = new Logs();
    this.offline = h("div.notice.bad", { hidden: true, role: "alert" }, h("b", null, "No connection"), h("span"));
    this.tabs = new Tabs([
      { id: "statistics", name: "Statistics", view: new Statistics({ open: (entry) => this.drawer.open(entry) }) },
      { id: "failures", name: "Failures", view: new Failures() },
      { id: "exceptions", name: "Exceptions", view: new Exceptions({}) },
      { id: "checks", name: "Checks & thresholds", view: new Judgements() },
      { id: "workers", name: "Workers", view: new Workers() },
      { id: "metrics", name: "Metrics", view: new Metrics({}) },
      { id: "logs", name: "Logs", view: this.logs },
      { id: "downloads", name: "Downloads", view: new Downloads() },
    ]);
    this.version = h("span");
    this.main = h("main", { id: "main", tabindex: "-1" }, this.offline, this.notices.element, this.hero, this.tiles.element, this.profiles.element, this.charts.element, this.tabs.element);
    // What there is to see and to do, the first snapshot tells; nothing shall stand there and move away then.
    for (const part of [this.main, this.start, this.retarget, this.pause, this.resume, this.stop, this.reset]) part.hidden = true;
    root.append(
      h("a.skip", { href: "#main", click: (event) => {
        event.preventDefault();
        this.main.focus();
      } }, "Skip to the numbers"),
      h("header.top", null, h("div.bar", null,
        h("div.brand", null, logo(), h("span", null, "Lunamoth")),
        h("div.about", null, this.scenario, this.host), this.badge,
        h("div.actions", null, this.start, this.retarget, this.pause, this.resume, this.stop, this.reset, theme.button())), this.bar),
      this.main,
      h("footer", null, this.version, root.dataset.login === undefined ? null : h("form", { method: "post", action: "logout" }, h("button", { type: "submit" }, "Log out"))),
      toasts,
    );
    this.history = new History(() => this.draw());
    this.feed = new Feed({
      onSnapshot: (snapshot) => this.take(snapshot),
      onLog: (line) => this.logs.take(line),
      onState: (isThere, why) => this.say(isThere, why),
      onAge: (seconds) => this.grow(seconds),
    });
    document.addEventListener("visibilitychange", () => document.hidden || this.draw());
  }

  async askStop() {
    if (await confirmed("Stop the run?", "Users finish what they do, and the run ends. Its numbers stay until the next one.", "Stop the run")) act("run/stop");
  }

  async askReset() {
    if (await confirmed("Reset the statistics?", "All numbers of this run begin at zero again. A run that is under way goes on.", "Reset")) {
      await act("run/reset");
    }
  }

  say(isThere, why) {
    this.away = isThere ? null : why || "";
    this.showLink();
  }

  /** The numbers are so many seconds old. */
  grow(seconds) {
    this.age = seconds;
    this.showLink();
  }

  /** Whether the numbers are those of now: numbers that stand still must not look alive. */
  showLink() {
    const age = Math.floor(this.age || 0);
    const isSilent = age >= SILENT_S;
    const isThere = this.away === null || this.away === undefined;
    this.offline.hidden = isThere && !isSilent;
    if (!this.offline.hidden) {
      this.main.hidden = false;
      setText(this.offline.firstChild, isSilent ? `Nobody has answered for ${age} s` : "No connection");
      setText(this.offline.lastChild, `${this.away || ""} ${this.snapshot ? "What is shown is from before. " : ""}Trying again every two seconds.`.trim());
    }
    document.body.classList.toggle("offline", !this.offline.hidden);
    this.showState();
  }

  showState() {
    const { snapshot } = this;
    const age = Math.floor(this.age || 0);
    let [word, tone] = snapshot ? STATES[snapshot.state] || [snapshot.state, ""] : ["", ""];
    const rate = snapshot && isActive(snapshot.state) ? `${format.rate(snapshot.total.current_requests_per_s)} req/s · ` : "";
    let title = `${rate}${word}`;
    if (age >= SILENT_S) [word, tone, title] = ["No answer", "bad", "No answer"];
    else if (!this.offline.hidden) [word, tone, title] = ["No connection", "bad", "No connection"];
    else if (snapshot && age >= OLD_S) [word, tone, title] = [`${word}, ${age} s ago`, "warn", `${word}, ${age} s ago`];
    if (!word) return;
    setText(this.badge, word);
    setClass(this.badge, `badge ${tone}`);
    if (document.title !== `${title} · Lunamoth`) document.title = `${title} · Lunamoth`;
  }

  take(snapshot) {
    this.snapshot = snapshot;
    this.history.take(snapshot);
    this.draw();
  }

  /** Draws once for each snapshot, and nothing while nobody looks. */
  draw() {
    if (document.hidden || !this.snapshot || this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      this.show(this.snapshot);
    });
  }

  show(snapshot) {
    this.main.hidden = false;
    this.showHead(snapshot);
    const isFirst = snapshot.state === "ready";
    this.hero.hidden = !isFirst;
    this.tiles.element.hidden = isFirst;
    this.charts.element.hidden = isFirst;
    if (isFirst) this.showHero(snapshot);
    this.notices.update(snapshot);
    if (!isFirst) {
      this.tiles.update(snapshot);
      this.profiles.update(snapshot);
      this.charts.update(this.history.points, snapshot.holes);
    }
    this.tabs.update(snapshot);
    if (this.drawer.dialog.open) this.drawer.refresh();
  }

  showHead(snapshot) {
    const isRunning = isActive(snapshot.state);
    this.showState();
    setText(this.scenario, snapshot.scenario || "No run yet");
    setText(this.host, snapshot.host || "");
    this.host.title = snapshot.host || "";
    this.start.hidden = isRunning || snapshot.state === "ready";
    this.retarget.hidden = !["spawning", "running", "paused"].includes(snapshot.state);
    this.pause.hidden = !["spawning", "running"].includes(snapshot.state);
    this.resume.hidden = snapshot.state !== "paused";
    this.stop.hidden = !isRunning || snapshot.state === "stopping";
    this.reset.hidden = snapshot.state === "ready";
    const share = snapshot.planned_s ? Math.min(1, snapshot.elapsed_s / snapshot.planned_s) : 0;
    this.progress.style.transform = `scaleX(${isRunning ? share : 0})`;
    this.bar.setAttribute("aria-valuenow", String(Math.round(share * 100)));
    setText(this.version, `Lunamoth ${snapshot.version}${snapshot.run ? ` · run ${snapshot.run}` : ""}`);
  }

  showHero(snapshot) {
    this.form.stand(this.heroPlace);
    // What is wrong with the scripts is among the warnings: when those change, so do they.
    const warnings = snapshot.warnings.join("\n");
    if (this.warned !== undefined && this.warned !== warnings) this.form.loadScripts();
    this.warned = warnings;
    const here = snapshot.workers.filter((worker) => !isAway(worker)).length;
    setText(this.heroTitle, this.form.broken ? `${this.form.broken.name} does not load` : here ? "Ready when you are" : "Waiting for a worker");
    const text = this.form.broken
      ? `${this.form.broken.error}. The file is read again as soon as it changes.`
      : here
      ? `${format.plural(here, "worker")} ready. Leave a field empty to take what the script says.`
      : "Workers make the load. Start one on any machine that reaches this master:";
    setText(this.heroHint, text);
    if (here && this.command) {
      this.command.remove();
      this.command = null;
    } else if (!here && !this.command) {
      this.command = h("code.command", null, joinCommand());
      this.heroHint.after(this.command);
    }
  }
}

// `/prefix` without a slash at its end, behind a proxy that takes the prefix away: the master cannot know, this page can.
if (!document.querySelector("base") && !location.pathname.endsWith("/")) {
  document.head.prepend(h("base", { href: `${location.pathname}/` }));
}
new Live(document.getElementById("app"));
