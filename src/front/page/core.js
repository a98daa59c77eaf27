// Words, numbers and elements, which the live page and the report share. What comes from a run is only ever set as text.

const SVG = "http://www.w3.org/2000/svg";
const NONE = "–";

/** An element: `h("td.num", { title: "…" }, "text", child)`. Attributes that are false or null are left out; functions are listeners. */
function h(selector, attributes, ...children) {
  const [tag, ...classes] = selector.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined).map((child) => (typeof child === "string" ? plain(child) : child)));
  return element;
}

/** Signs that turn the direction of what follows are spelled out: a name must not be able to look like another. */
function plain(text) {
  return String(text).replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (sign) => `\\u{${sign.codePointAt(0).toString(16)}}`);
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Touches the page only where the text has changed. */
function setText(element, text) {
  if (element.shown !== text) {
    element.shown = text;
    element.textContent = plain(text);
  }
}

function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

function picture(path) {
  return svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: path }));
}

const PICTURES = {
  play: "M4 2.5v11l9-5.500z",
  stop: "M3.500 3.500h9v9h-9z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  adjust: "M2 4h7v1.500H2zM12 4h2v1.500h-2zM9.500 2.800h1.500v4H9.500zM2 10.500h2v1.500H2zM7 10.500h7v1.500H7zM4.500 9.200H6v4H4.500z",
  theme: "M8 1.500a6.500 6.500 0 1 0 0 13zM8 .5a7.500 7.500 0 1 1 0 15 7.500 7.500 0 0 1 0-15z",
  reset: "M8 3V.5L4.500 3.800 8 7V4.600a4 4 0 1 1-4 4H2.400A5.600 5.600 0 1 0 8 3z",
  close: "M3.700 2.600 8 6.900l4.300-4.300 1.100 1.100L9.100 8l4.300 4.300-1.100 1.100L8 9.100l-4.300 4.300-1.100-1.100L6.900 8 2.600 3.700z",
};

function logo() {
  const parsed = new DOMParser().parseFromString(LOGO, "image/svg+xml").documentElement;
  parsed.setAttribute("aria-hidden", "true");
  return document.importNode(parsed, true);
}

const format = {
  number(value, digits) {
    if (value === null || value === undefined) return NONE;
    return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  },
  count(value) {
    return value === null || value === undefined ? NONE : format.number(value, 0);
  },
  rate(value) {
    if (value === null || value === undefined) return NONE;
    return format.number(value, Number.isInteger(value) || value >= 100 ? 0 : value >= 10 ? 1 : 2);
  },
  /** Milliseconds without their unit: three digits that count. */
  ms(value) {
    if (value === null || value === undefined) return NONE;
    if (value > 0 && value < 0.005) return "<0.01";
    return format.number(value, value === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2);
  },
  /** A duration with its unit, as [number, unit]. */
  time(value) {
    if (value === null || value === undefined) return [NONE, ""];
    if (value > 0 && value < 1) return [format.number(value * 1000, 0), "µs"];
    return value >= 10000 ? [format.number(value / 1000, value >= 100000 ? 0 : 1), "s"] : [format.ms(value), "ms"];
  },
  timeText(value) {
    return format.time(value).join(" ").trim();
  },
  percent(ratio) {
    if (ratio == null) return NONE;
    const percent = ratio * 100;
    if (percent === 0) return "0";
    if (percent < 0.01) return "<0.01";
    if (percent < 100 && percent > 99.99) return ">99.99";
    return format.number(percent, percent === 100 ? 0 : percent < 10 ? 2 : 1);
  },
  bytes(value) {
    if (value === null || value === undefined) return NONE;
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit += 1;
    }
    return `${format.number(value, unit === 0 || value >= 100 ? 0 : 1)} ${units[unit]}`;
  },
  clock(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    const two = (part) => String(part).padStart(2, "0");
    const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
    return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  },
  /** A length of time as one types it: 1h20m, 90s, 500ms. */
  length(seconds) {
    if (seconds < 1) return `${Math.round(seconds * 1000)}ms`;
    const whole = Math.round(seconds);
    const parts = [[Math.floor(whole / 3600), "h"], [Math.floor(whole / 60) % 60, "m"], [whole % 60, "s"]];
    return parts.filter(([count]) => count).map(([count, unit]) => `${count}${unit}`).join("");
  },
  moment(unixMs) {
    return new Date(unixMs).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
  },
  plural(count, word) {
    return `${format.count(count)} ${word}${count === 1 ? "" : "s"}`;
  },
};

const STATES = {
  ready: ["Ready", "info"],
  waiting: ["Preparing workers", "info live"],
  spawning: ["Spawning", "good live"],
  running: ["Running", "good live"],
  paused: ["Paused", "warn"],
  stopping: ["Stopping", "warn live"],
  stopped: ["Stopped", ""],
};
const isActive = (state) => !["ready", "stopped"].includes(state);
const isAway = (worker) => worker.state === "missing" || worker.state === "left";

function emptyState(title, text, command) {
  return h("div.empty", null, h("b", null, title), text, command ? h("div", null, h("code", null, command)) : null);
}

/** A dark or light look that a person has chosen; without one the system's holds. */
const theme = {
  chosen() {
    try {
      return localStorage.getItem("lunamoth-theme");
    } catch {
      return null;
    }
  },
  apply(name) {
    if (name === "dark" || name === "light") document.documentElement.dataset.theme = name;
  },
  isDark() {
    const name = document.documentElement.dataset.theme;
    return name ? name === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  },
  toggle() {
    const name = theme.isDark() ? "light" : "dark";
    theme.apply(name);
    try {
      localStorage.setItem("lunamoth-theme", name);
    } catch {
      // A browser that keeps nothing forgets the choice.
    }
    theme.changed();
  },
  listeners: [],
  changed() {
    for (const listener of theme.listeners) listener();
  },
  button() {
    return h("button.button.icon", { type: "button", title: "Dark or light", "aria-label": "Change between dark and light", click: theme.toggle }, picture(PICTURES.theme));
  },
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme.changed());
