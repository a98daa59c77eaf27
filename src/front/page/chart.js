// The charts: uPlot with this page's colours, the run's clock below, and seconds that cannot be trusted shaded.

const SERIES = {
  throughput: [["Requests/s", "--accent", (point) => perSecond(point, point.requests)], ["Failures/s", "--red", (point) => perSecond(point, point.failures)]],
  times: [
    ["p50", "--accent", (point) => point.p50_ms],
    ["p95", "--amber", (point) => point.p95_ms],
    ["p99", "--violet", (point) => point.p99_ms],
  ],
  users: [["Users", "--blue", (point) => point.users]],
};

/** A rate divides by the time that somebody measured; what nobody knows is a gap. */
function perSecond(point, count) {
  return count === null || !point.known_s ? null : count / point.known_s;
}

/** What a custom property comes to in the look of the moment. */
function colour(name) {
  const probe = h("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** The places of values without a neighbour, which no line shows. */
function alone(values) {
  const isThere = (index) => values[index] !== null && values[index] !== undefined;
  return values.map((_, index) => index).filter((index) => isThere(index) && !isThere(index - 1) && !isThere(index + 1));
}

/** The whole powers of ten around `min` and `max`, one at least. */
function decades(min, max) {
  if (!(min > 0)) return [0.1, 10];
  const [low, high] = [Math.floor(Math.log10(min)), Math.ceil(Math.log10(max))];
  return [10 ** low, 10 ** Math.max(high, low + 1)];
}

/** Milliseconds at a tick of a logarithmic axis, in the unit that makes a plain number of it. */
function timeTick(value) {
  const plain = (part) => part.toLocaleString("en-US", { maximumFractionDigits: 3 });
  if (value < 1) return `${plain(value * 1000)} µs`;
  return value < 1000 ? `${plain(value)} ms` : `${plain(value / 1000)} s`;
}

const LEGEND_PX = 29;

class Chart {
  constructor({ title, unit, series, isTime, isWide, height, canBeLogarithmic }) {
    Object.assign(this, { series, isTime, height: height || 230 });
    this.note = h("span");
    this.none = h("div.none", null, "No data yet");
    this.plotPlace = h("div.plot", { role: "img", "aria-label": title }, this.none);
    // As high as it will be with its axes and a line of legend, so that nothing below moves when the first point comes.
    this.plotPlace.style.minHeight = `${this.height + LEGEND_PX}px`;
    this.title = title;
    this.unit = unit;
    const toggle = canBeLogarithmic && h("button.toggle", { type: "button", "aria-pressed": "false", title: "Logarithmic axis: small and large times side by side", click: () => {
      this.isLogarithmic = !this.isLogarithmic;
      toggle.setAttribute("aria-pressed", String(this.isLogarithmic));
      this.rebuild();
    } }, "Log scale");
    this.element = h(`figure.card.chart${isWide ? ".wide" : ""}`, null, h("div.head", null, h("h2", null, title, h("span", null, unit), this.note), toggle || null), this.plotPlace);
    this.data = null;
    new ResizeObserver(() => this.resize()).observe(this.plotPlace);
    theme.listeners.push(() => this.rebuild());
  }

  width() {
    return Math.floor(this.plotPlace.clientWidth);
  }

  resize() {
    if (this.plot && this.width() > 0 && this.plot.width !== this.width()) this.plot.setSize({ width: this.width(), height: this.height });
  }

  rebuild() {
    if (!this.plot) return;
    this.plot.destroy();
    this.plot = null;
    this.draw();
  }

  update(points, lost) {
    this.shades = [];
    for (const point of points) if (point.unsound) this.shades.push(["shade", point.at_s, point.at_s + (point.length_s || 1)]);
    for (const hole of lost) this.shades.push(["lost", hole.from_s, hole.to_s]);
    this.data = [points.map((point) => point.at_s), ...this.series.map(([, , value]) => points.map(value))];
    this.draw();
  }

  draw() {
    if (!this.data || this.width() === 0) return;
    const hasAny = this.data[0].length > 0;
    this.none.hidden = hasAny;
    if (!hasAny) {
      if (this.plot) this.plot.destroy();
      this.plot = null;
      return;
    }
    const zoom = this.zoom;
    if (this.plot) this.plot.setData(this.data, !zoom);
    else this.plot = new uPlot(this.options(), this.data, this.plotPlace);
    // What somebody looks at closely stays in sight when more comes; a double click shows all again.
    if (zoom && zoom.min < this.data[0][this.data[0].length - 1]) this.plot.setScale("x", zoom);
    else if (zoom) this.plot.setData(this.data);
    this.showLast(this.plot);
    const last = this.data[0].length - 1;
    const words = this.series.map(([name], index) => `${name} ${this.say(this.data[index + 1][last])}`);
    this.plotPlace.setAttribute("aria-label", `${this.title}, last point: ${words.join(", ")}`);
  }

  say(value) {
    if (value === null || value === undefined) return NONE;
    return this.isTime ? format.timeText(value) : format.rate(value);
  }

  options() {
    const [grid, text] = [colour("--grid"), colour("--muted")];
    this.colours = { shade: colour("--shade"), lost: colour("--lost") };
    const font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: text, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
    const area = (name) => colour(name).replace("rgb(", "rgba(").replace(/\)$/, ", 0.10)");
    return {
      width: this.width(),
      height: this.height,
      cursor: { sync: { key: "lunamoth" }, points: { size: 7 }, focus: { prox: 24 }, drag: { x: true, y: false } },
      legend: { live: true },
      scales: { x: { time: false }, y: this.isLogarithmic ? { distr: 3, range: (_, min, max) => decades(min, max) } : { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] } },
      axes: [
        { ...axis, size: 30, values: (_, ticks) => ticks.map((tick) => format.clock(tick)), incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400], space: 60 },
        { ...axis, size: 62, values: (_, ticks) => this.ticks(ticks), space: 36 },
      ],
      series: [
        { label: "Time", value: (_, value) => (value === null || value === undefined ? NONE : format.clock(value)) },
        ...this.series.map(([label, name], index) => ({
          label,
          stroke: colour(name),
          width: 1.75,
          points: { show: true, filter: (plot, series) => alone(plot.data[series]), size: 5, fill: colour(name) },
          fill: this.series.length < 3 && index === 0 ? area(name) : undefined,
          value: (_, value) => this.say(value),
        })),
      ],
      padding: [10, 14, 0, 0],
      // Without a pointer the legend tells the newest numbers.
      hooks: { setScale: [(plot, key) => key === "x" && this.noteZoom(plot)], drawClear: [(plot) => this.shade(plot)], setLegend: [(plot) => plot.legend.idx === null && this.showLast(plot)] },
    };
  }

  noteZoom(plot) {
    const [times] = plot.data;
    const { min, max } = plot.scales.x;
    const isWhole = times.length < 2 || (min <= times[0] && max >= times[times.length - 1]);
    this.zoom = isWhole || min === null ? null : { min, max };
  }

  ticks(values) {
    const plain = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 3 });
    if (this.isLogarithmic) return values.map((value) => (value === null ? null : timeTick(value)));
    if (!this.isTime) return values.map(plain);
    const isLong = values[values.length - 1] >= 10000;
    return values.map((value) => (isLong ? `${plain(value / 1000)} s` : `${plain(value)} ms`));
  }

  showLast(plot) {
    const last = plot.data[0].length - 1;
    if (last >= 0 && (plot.cursor.left ?? -1) < 0) plot.setLegend({ idx: last }, false);
  }

  shade(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const [kind, from, to] of this.shades) {
      const left = plot.valToPos(from, "x", true);
      ctx.fillStyle = this.colours[kind];
      ctx.fillRect(left, bbox.top, Math.max(2, plot.valToPos(to, "x", true) - left), bbox.height);
    }
    ctx.restore();
  }
}

/** The three charts, and what the shades mean. */
class Charts {
  constructor() {
    this.charts = [
      new Chart({ title: "Throughput", unit: "per second", series: SERIES.throughput, isWide: true, height: 250 }),
      new Chart({ title: "Response times", unit: "by percentile", series: SERIES.times, isTime: true, canBeLogarithmic: true }),
      new Chart({ title: "Users", unit: "alive", series: SERIES.users }),
    ];
    this.element = h("section.charts", { "aria-label": "Charts" }, ...this.charts.map((chart) => chart.element));
  }

  update(points, lost) {
    for (const chart of this.charts) chart.update(points, lost);
    const keys = [];
    if (points.some((point) => point.unsound)) keys.push(h("span.key", null, "generator at fault: not the target's alone"));
    if (lost.length) keys.push(h("span.key.lost", null, "numbers lost"));
    this.charts[0].note.replaceChildren(...keys);
  }
}

/** How often each duration came, on a logarithmic axis. */
function histogram(bins, marks) {
  const [width, height, bottom] = [660, 190, 24];
  const used = bins.filter((bin) => bin.count > 0);
  if (!used.length) return emptyState("No requests yet", "The distribution appears with the first answer.");
  const low = Math.log10(Math.max(used[0].le_ms, 0.001)) - 0.02;
  const high = Math.log10(Math.max(used[used.length - 1].le_ms, 0.001)) + 0.02;
  const size = Math.min(66, Math.max(used.length, 24));
  const counts = new Array(size).fill(0);
  const place = (ms) => (Math.log10(Math.max(ms, 0.001)) - low) / (high - low);
  for (const bin of used) counts[Math.min(size - 1, Math.floor(place(bin.le_ms) * size))] += bin.count;
  const top = Math.max(...counts);
  const label = `Distribution of response times from ${format.timeText(used[0].le_ms)} to ${format.timeText(used[used.length - 1].le_ms)}`;
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "histogram", role: "img", "aria-label": label });
  const step = width / size;
  counts.forEach((count, index) => {
    if (!count) return;
    const tall = Math.max(1.5, (count / top) * (height - bottom - 18));
    drawing.append(svg("rect", { x: (index * step + 0.5).toFixed(1), y: (height - bottom - tall).toFixed(1), width: (step - 1).toFixed(1), height: tall.toFixed(1), rx: 1 }));
  });
  drawing.append(svg("line", { x1: 0, x2: width, y1: height - bottom, y2: height - bottom }));
  for (let exponent = Math.floor(low); exponent <= Math.ceil(high); exponent += 1) {
    for (const factor of high - low > 2 ? [1] : [1, 2, 5]) {
      const ms = factor * 10 ** exponent;
      const x = place(ms) * width;
      if (x < 16 || x > width - 16) continue;
      drawing.append(svg("text", { x: x.toFixed(1), y: height - 7, "text-anchor": "middle" }, format.timeText(ms).replace(/\.0+ /, " ")));
    }
  }
  for (const [name, ms] of marks) {
    const x = Math.min(width - 2, Math.max(2, place(ms) * width));
    drawing.append(svg("line", { class: "mark", x1: x, x2: x, y1: 14, y2: height - bottom }));
    drawing.append(svg("text", { x: x > width - 30 ? x - 3 : x + 3, y: 11, "text-anchor": x > width - 30 ? "end" : "start" }, name));
  }
  return drawing;
}
