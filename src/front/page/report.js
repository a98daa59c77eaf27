// The report: the same views, from numbers that stand in the file itself.

class Report {
  constructor(root, report) {
    theme.apply(document.documentElement.dataset.theme);
    const { snapshot } = report;
    snapshot.complete = report.complete;
    const [word, tone] = this.verdict(report);
    const started = snapshot.started_at_unix_ms;
    const title = snapshot.scenario || "Load test";
    document.title = `${title} · Lunamoth report`;
    const section = (name, view, isShown) => {
      if (!isShown) return null;
      view.update(snapshot);
      return h("section.card.section", { "aria-label": name }, h("h2", null, name), view.element);
    };
    const facts = [
      ["Run", snapshot.run || NONE],
      ["Host", snapshot.host || NONE],
      ["Started", started ? format.moment(started) : NONE],
      ["Length", `${format.clock(snapshot.elapsed_s)}${snapshot.planned_s ? ` of ${format.clock(snapshot.planned_s)}` : ""}`],
      ["State", (STATES[snapshot.state] || [snapshot.state])[0]],
      ...(report.verdict ? [["Exit code", String(report.verdict.exit_code)]] : []),
      ...(report.seed ? [["Seed", report.seed]] : []),
      ["Users, most", format.count(Math.max(snapshot.users, ...report.history.map((point) => point.users ?? 0), 0))],
      ["Requests", format.count(snapshot.total.requests)],
      ["Received", format.bytes(snapshot.total.bytes_in)],
      ["Sent", format.bytes(snapshot.total.bytes_out)],
      ["Report made", format.moment(report.made_at_unix_ms)],
      ["Program", `Lunamoth ${snapshot.version}`],
    ];
    this.tiles = new Tiles();
    this.notices = new Notices();
    this.charts = new Charts();
    const has = (list) => list.length > 0;
    root.append(
      h("header.top", null, h("div.bar", null, h("div.brand", null, logo(), h("span", null, "Lunamoth")),
        h("div.about", null, h("h1.scenario", null, title), h("span.host", null, "Load test report")), h(`span.badge.${tone || "plain"}`, null, word),
        h("div.actions", null, theme.button()))),
      h("main", { id: "main" },
        this.notices.element,
        this.tiles.element,
        h("section.card.section", { "aria-label": "Run" }, h("dl.facts", null, ...facts.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))))),
        this.charts.element,
        section("Load profiles", new Profiles({ isReport: true }), has(snapshot.profiles)),
        section("Checks and thresholds", new Judgements(), has(snapshot.thresholds) || has(snapshot.checks)),
        section("Statistics", new Statistics({ isReport: true }), true),
        section("Failures", new Failures(), true),
        section("Exceptions", new Exceptions({ isReport: true }), has(snapshot.exceptions)),
        this.distributions(report.details),
        section("Metrics", new Metrics({ isReport: true }), true),
        section("Workers and the generator's health", new Workers(), true)),
      h("footer", null, `Lunamoth ${snapshot.version}`),
    );
    this.tiles.update(snapshot);
    this.notices.update(snapshot);
    this.charts.update(report.history, snapshot.holes);
  }

  /** As the program itself says it at the run's end. */
  verdict({ verdict, snapshot }) {
    if (verdict) return [verdict.words, verdict.passed ? "good" : "bad"];
    return isActive(snapshot.state) ? ["Still running", "info"] : ["No run yet", "plain"];
  }

  /** The total opened, each entry behind its name, made when it is opened. */
  distributions(details) {
    if (!details.length) return null;
    const [total, ...entries] = details;
    const items = entries.map((detail) => {
      const item = h("details.item", null, h("summary", null, h("span.method", null, detail.method), h("span", null, detail.name)));
      item.addEventListener("toggle", () => {
        if (item.open && item.childElementCount === 1) item.append(h("div.panel", null, entryDetail(detail)));
      });
      return item;
    });
    return h("section.card.section", { "aria-label": "Response times" }, h("h2", null, "Response times of all entries"), entryDetail(total, false),
      items.length ? h("h2.more", null, "By entry") : null, ...items);
  }
}

new Report(document.getElementById("app"), JSON.parse(document.getElementById("report").textContent));
