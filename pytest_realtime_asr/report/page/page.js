"use strict";
/* Draws the report from the data blocks of the page. Data are only ever set as text
   (textContent and attributes), never as HTML. */

const LATENCIES = ["final_from_commit", "first_partial_from_speech"];
const ROW_HEIGHT = 34; // px, as in the style sheet
const MOST_VERDICTS = 30; // shown before the reader asks for the others
const SVG = "http://www.w3.org/2000/svg";
const report = {
  run: {}, metrics: [], rows: [], packed: [], verdicts: [], levels: [], clips: new Map(),
  traces: new Map(), suite: null, end: null, damaged: 0,
};

/* Elements */

function make(name, attributes = {}, ...children) {
  const found = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) found.setAttribute(key, value);
  }
  found.append(...children.filter((child) => child !== null && child !== undefined));
  return found;
}

function draw(name, attributes = {}, ...children) {
  const found = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
  found.append(...children);
  return found;
}

/* Removes the characters that change the direction of the text around them. */
function plain(value) {
  return String(value ?? "").replace(/[\u202a-\u202e\u2066-\u2069\u200e\u200f\u0000-\u0008]/g, "\ufffd");
}

function section(title, ...children) {
  const id = title.toLowerCase().replace(/\W+/g, "-");
  return make("section", { "aria-labelledby": id }, make("h2", { id }, title), ...children);
}

/* A table; a narrow screen shows each row as a block. The roles are stated, since a
   block has no role of its own. */
function table(caption, names, rows) {
  const head = make("tr", { role: "row" }, ...names.map((name) => make("th", { role: "columnheader", scope: "col" }, name)));
  const body = rows.map((cells) => make("tr", { role: "row" }, ...cells.map((cell, place) =>
    make("td", { role: "cell", "data-name": place ? names[place] : null }, cell instanceof Node ? cell : plain(cell)))));
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption }, make("table", { role: "table" },
    make("thead", { role: "rowgroup" }, head), make("tbody", { role: "rowgroup" }, ...body)));
}

/* Numbers */

function number(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "ms") return `${value && Math.abs(value) < 10 ? value.toFixed(1) : Math.round(value)} ms`;
  if (unit === "ratio") return `${(100 * value).toFixed(1)} %`;
  return `${Math.round(value * 100) / 100}`;
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(3)} s`;
}

/* The largest of 1, 2 and 5 times a power of ten with which a span has few steps. */
function step(span, most) {
  const power = 10 ** Math.floor(Math.log10(span / most || 1));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => span / each <= most) || power;
}

/* Reading the data blocks */

function readBlocks() {
  let row = null;
  for (const element of document.querySelectorAll("script[data-kind]")) {
    const kind = element.dataset.kind;
    if (kind === "session") { // decoded when it is opened
      if (row !== null) row.packed = element;
      row = null;
      continue;
    }
    let value;
    try {
      value = JSON.parse(element.textContent);
    } catch {
      report.damaged += 1; // the process was killed while it wrote this block
      continue;
    }
    row = null;
    if (kind === "row") { row = value; report.rows.push(value); }
    else if (kind === "verdict") report.verdicts.push(value);
    else if (kind === "level") report.levels.push(value);
    else if (kind === "clip") report.clips.set(value.audio, value.ogg);
    else if (kind === "traces") for (const [label, path] of Object.entries(value)) report.traces.set(label, path);
    else if (kind === "conformance") report.suite = value;
    else if (kind === "metrics") report.metrics = value;
    else if (kind === "run") report.run = value;
    else if (kind === "end") report.end = value;
  }
}

async function unpack(element) {
  const packed = Uint8Array.from(atob(JSON.parse(element.textContent)), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function metricOf(row, name) {
  const place = report.metrics.findIndex((each) => each.name === name);
  return place < 0 ? null : row.metrics[place];
}

/* The state of a session in one word, by the limits of its test */

function limitsOf(test, metric) {
  return report.verdicts.filter((each) => each.subject === "budget" && each.limit !== null
    && each.metric === metric && (test === null || each.test === test));
}

function prepare() {
  const limits = new Map();
  for (const each of report.verdicts) {
    if (each.subject !== "budget" || each.limit === null) continue;
    if (!limits.has(each.test)) limits.set(each.test, []);
    limits.get(each.test).push(each);
  }
  report.rows.forEach((row, place) => {
    row.place = place;
    const over = (limits.get(row.test) || []).find((limit) => {
      const value = metricOf(row, limit.metric);
      if (row.premature.includes(limit.metric)) return true;
      return value !== null && (limit.side === ">=" ? value < limit.limit : value > limit.limit);
    });
    row.over = over ? over.metric : "";
    if (row.lost) row.state = row.lost;
    else if (row.violations) row.state = "violation";
    else if (over) row.state = "over limit";
    else if (row.wer) row.state = "text errors";
    else row.state = "ok";
    row.trace = row.trace || report.traces.get(row.label) || "";
    row.final = metricOf(row, "final_from_commit");
    row.first = metricOf(row, "first_partial_from_speech");
    row.found = [row.utterance, row.test, row.label, row.text, row.state].join("\n").toLowerCase();
  });
}

/* The head of the page */

function overview() {
  const run = report.run;
  const title = make("h1", {}, "Realtime ASR report");
  const parts = [make("p", { class: "sub" }, plain(run.target || "no target"), " · run ", plain(run.run), " · ", plain(run.started))];
  const told = [];
  if (report.end === null) told.push("The run has not ended, or it was killed: results may be missing. Load the page again to see later sessions.");
  else if (report.end.interrupted) told.push("The run was interrupted: tests are missing.");
  if (report.damaged) told.push(`${report.damaged} incomplete ${report.damaged === 1 ? "part" : "parts"} of this page cannot be read.`);
  if (typeof DecompressionStream === "undefined") told.push("This browser cannot decompress the sessions (DecompressionStream): the table works, but sessions cannot be opened. Use a browser of 2023 or later.");
  parts.push(...told.map((text) => make("p", { class: "notice", role: "status" }, text)));
  return make("header", {}, title, ...parts);
}

function card(name, value, kind) {
  return make("div", { class: `card ${kind || ""}` }, make("dt", {}, name), make("dd", {}, plain(value)));
}

function state() {
  const counts = { FAIL: 0, INVALID: 0, INCONCLUSIVE: 0, PASS: 0 };
  const failing = new Set();
  for (const each of report.verdicts) {
    if (each.verdict in counts) counts[each.verdict] += 1;
    if (each.fails) failing.add(each.test);
  }
  const counted = report.rows.filter((row) => row.counted);
  const lost = counted.filter((row) => row.lost).length;
  const cards = make("dl", { class: "cards" },
    card("tests that fail", failing.size, failing.size ? "bad" : "good"),
    ...Object.entries(counts).map(([name, count]) => card(name, count,
      count && name === "FAIL" ? "bad" : count && name !== "PASS" ? "warn" : "")),
    card("sessions", counted.length),
    card("lost", lost, lost ? "bad" : ""));
  const late = report.rows.map((row) => metricOf(row, "sender_lateness_max")).filter((each) => each !== null);
  const facts = [
    ["calibration of the client", report.run.calibration || "not calibrated (--realtime-calibrate)"],
    ["largest delay of an audio frame by the client", late.length ? number(Math.max(...late), "ms") : "not known"],
    ["results that the client made INVALID", counts.INVALID],
    ["sessions sent again, since the client disturbed them", report.rows.filter((row) => row.purpose === "disturbed").length],
  ];
  return section("Result", cards, make("h3", {}, "State of the instrument"), pairs(facts));
}

function pairs(facts) {
  return make("dl", { class: "facts" }, ...facts.flatMap(([name, value]) =>
    [make("dt", {}, name), make("dd", {}, plain(value))]));
}

function conditions() {
  const run = report.run;
  const flat = (value) => Object.entries(value || {}).map(([name, each]) => `${name} ${each}`).join(", ");
  const commit = run.commit ? `${run.commit.slice(0, 12)}${run.dirty ? ", with changes" : ""}` : "not known";
  const facts = [["server", run.target], ["baseline server", run.baseline_target], ["labels", flat(run.labels)],
    ["commit of the tests", commit], ["machine", flat(run.host)], ["versions", flat(run.versions)]];
  return section("Conditions", pairs(facts.filter(([, value]) => value)));
}

/* Verdicts and comparisons */

const ORDER = { FAIL: 0, INVALID: 1, INCONCLUSIVE: 2, PASS: 3 };

function mark(verdict) {
  const shown = { FAIL: "✗ FAIL", PASS: "✓ PASS", INVALID: "! INVALID", INCONCLUSIVE: "? INCONCLUSIVE" };
  return make("span", { class: `mark ${String(verdict).toLowerCase()}` }, shown[verdict] || plain(verdict ?? "not judged"));
}

function interval(each) {
  if (each.beyond) return "beyond every limit";
  if (!each.interval) return "";
  const [low, high] = each.interval;
  if (low === null && high === null) return "no bounds: the sample is too small";
  return `${low === null ? "−∞" : number(low, each.unit)} to ${high === null ? "∞" : number(high, each.unit)}`;
}

function verdicts() {
  const rows = report.verdicts.filter((each) => each.subject !== "change");
  if (!rows.length) return section("Verdicts", make("p", {}, "No test has judged anything yet."));
  rows.sort((a, b) => (ORDER[a.verdict] ?? 4) - (ORDER[b.verdict] ?? 4));
  const cells = (each) => [mark(each.verdict), `${each.subject}: ${each.metric} ${each.statistic}`,
    each.value === null ? (each.lost || each.premature ? "never" : "–") : number(each.value, each.unit),
    each.limit === null ? "" : `${each.side} ${number(each.limit, each.unit)}`, interval(each),
    each.n || "", each.lost || "", each.reason, each.test];
  const names = ["verdict", "what", "value", "limit", "interval", "n", "lost", "reason", "test"];
  const parts = [table("verdicts", names, rows.slice(0, MOST_VERDICTS).map(cells))];
  if (rows.length > MOST_VERDICTS) {
    const rest = make("details", {}, make("summary", {}, `${rows.length - MOST_VERDICTS} more verdicts`));
    rest.addEventListener("toggle", () => rest.append(table("more verdicts", names, rows.slice(MOST_VERDICTS).map(cells))), { once: true });
    parts.push(rest);
  }
  return section("Verdicts", ...parts);
}

/* A change of a metric with its sign: of a share in percentage points, of another
   value in its unit or in per cent. */
function change(value, each) {
  if (value === null || value === undefined) return "–";
  const sign = value < 0 ? "−" : "+", size = Math.abs(value);
  if (each.unit === "ms") return `${sign}${number(size, "ms")}`;
  return `${sign}${(100 * size).toFixed(1)} ${unitOf(each.metric) === "ratio" ? "pp" : "%"}`;
}

function unitOf(metric) {
  return report.metrics.find((each) => each.name === metric)?.unit || "ratio"; // an error rate is no metric of a session
}

function comparisons() {
  const rows = report.verdicts.filter((each) => each.subject === "change");
  if (!rows.length) return null;
  rows.sort((a, b) => (ORDER[a.verdict] ?? 4) - (ORDER[b.verdict] ?? 4));
  const cells = (each) => [mark(each.verdict), each.metric, number(each.before, unitOf(each.metric)), number(each.now, unitOf(each.metric)),
    `${change(each.value, each)}${each.reason ? `, ${each.reason}` : ""}`, each.limit === null ? "" : `at most ${change(each.limit, each)}`,
    each.interval ? `${change(each.interval[0], each)} to ${change(each.interval[1], each)}` : "", each.n, each.against, each.test];
  return section("Comparison", table("comparison with another run",
    ["verdict", "what", "before", "now", "change", "limit", "interval", "pairs", "compared with", "test"], rows.map(cells)));
}

/* The trend over earlier runs; the same drawings as those of `report trend` */

function trend() {
  const found = document.querySelector("template[data-kind=trend]");
  return found ? section("Trend", found.content.cloneNode(true)) : null;
}

/* Distributions: the share of sessions at or below each value */

function distribution(metric) {
  const counted = report.rows.filter((row) => row.counted);
  const values = [];
  let never = 0;
  for (const row of counted) {
    const value = metricOf(row, metric.name);
    if (row.lost || row.premature.includes(metric.name)) never += 1;
    else if (value !== null) values.push(value);
  }
  if (!values.length) return null;
  values.sort((a, b) => a - b);
  const limits = [...new Map(limitsOf(null, metric.name).map((each) =>
    [`${each.statistic} ${each.side} ${number(each.limit, each.unit)}`, each])).entries()];
  const total = values.length + never;
  const width = 360, height = 190, left = 42, top = 14, bottom = 34, right = 14;
  const most = Math.max(values.at(-1), ...limits.map(([, each]) => each.limit)) * 1.05 || 1;
  const least = Math.min(0, values[0]);
  const x = (value) => left + (value - least) / (most - least) * (width - left - right);
  const y = (share) => height - bottom - share * (height - top - bottom);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "" });
  for (const share of [0, 0.5, 0.95, 1]) {
    svg.append(draw("line", { x1: left, x2: width - right, y1: y(share), y2: y(share), class: "grid" }),
      draw("text", { x: left - 5, y: y(share) + (share === 0.95 ? 9 : 3), class: "tick end" }, `${share * 100}%`));
  }
  const gap = step(most - least, 4);
  for (let at = Math.ceil(least / gap) * gap; at <= most; at += gap) {
    svg.append(draw("text", { x: x(at), y: height - bottom + 14, class: "tick middle" }, number(at, metric.unit)));
  }
  let path = `M${x(values[0])},${y(0)}`;
  values.forEach((value, place) => { path += `H${x(value).toFixed(1)}V${y((place + 1) / total).toFixed(1)}`; });
  svg.append(draw("path", { d: path, class: "curve" }));
  limits.forEach(([text, each], place) => {
    const at = x(each.limit), end = at > width / 2;
    svg.append(draw("line", { x1: at, x2: at, y1: top, y2: height - bottom, class: "budget" }),
      draw("text", { x: at + (end ? -4 : 4), y: top + 10 + 13 * place, class: `tick budget-text ${end ? "end" : ""}` }, text));
  });
  const middle = values[Math.ceil(total / 2) - 1];
  const words = `${total} sessions, p50 ${number(middle, metric.unit)}, largest ${number(values.at(-1), metric.unit)}`
    + (never ? `, ${never} lost or premature (the curve ends below 100 %)` : "");
  svg.setAttribute("aria-label", `${metric.name}: ${words}; ${limits.map(([text]) => text).join("; ")}`);
  return make("figure", {}, make("figcaption", {}, make("strong", {}, metric.name), make("br"), words), svg);
}

function distributions() {
  const limited = new Set([...LATENCIES, ...report.verdicts.filter((each) => each.subject === "budget").map((each) => each.metric)]);
  const drawn = report.metrics.filter((each) => limited.has(each.name)).map(distribution).filter(Boolean);
  if (!drawn.length) return null;
  return section("Latency", make("p", { class: "hint" }, "Share of the counted sessions at or below each value; dashed: the limits of the tests."),
    make("div", { class: "figures" }, ...drawn));
}

/* Capacity: each level of load, its finals and the limit */

function capacity() {
  if (!report.levels.length) return null;
  const parts = [];
  for (const test of new Set(report.levels.map((each) => each.test))) {
    const levels = report.levels.filter((each) => each.test === test);
    const found = report.verdicts.filter((each) => each.subject === "capacity" && each.test === test);
    parts.push(make("h3", {}, plain(test)), ...found.map((each) => make("p", {}, mark(each.verdict),
      ` capacity ${number(each.value, each.unit)}${each.interval ? `, interval ${interval(each)}` : ""}. ${plain(each.reason)}`)));
    const curve = capacityCurve(levels);
    if (curve) parts.push(curve);
    parts.push(table("levels of load", ["streams", "step", "verdict", "p50", "p95", "largest", "sessions", "lost", "limit", "client"],
      levels.map((each) => [each.streams, each.step ?? "", mark(each.decision), number(each.finals?.p50, "ms"), number(each.finals?.p95, "ms"),
        number(each.finals?.max, "ms"), each.finals?.n ?? "", each.lost,
        each.binding ? `${each.binding.name}: ${each.binding.over} of ${each.binding.n} over` : "", `${number(each.client.late_ms, "ms")} late`])));
  }
  return section("Capacity", ...parts);
}

function capacityCurve(levels) {
  const known = levels.filter((each) => each.finals && each.finals.p50 !== null).sort((a, b) => a.streams - b.streams);
  if (!known.length) return null;
  const limits = [...new Set(levels.map((each) => each.binding)
    .filter((each) => each && each.name.startsWith("final")).map((each) => each.limit))];
  const top = (each) => each.finals.max ?? each.finals.p95 ?? each.finals.p50;
  const most = Math.max(...known.map(top), ...limits) * 1.08, streams = Math.max(...levels.map((each) => each.streams)) * 1.05;
  const width = 640, height = 260, left = 60, bottom = 40;
  const x = (value) => left + value / streams * (width - left - 12);
  const y = (value) => height - bottom - value / most * (height - bottom - 16);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "capacity",
    "aria-label": "Latency of the finals by number of streams; the table below has the same numbers" });
  for (let at = 0, gap = step(most, 5); at <= most; at += gap) {
    svg.append(draw("line", { x1: left, x2: width - 12, y1: y(at), y2: y(at), class: "grid" }),
      draw("text", { x: left - 6, y: y(at) + 4, class: "tick end" }, number(at, "ms")));
  }
  for (let at = 0, gap = Math.max(1, step(streams, 8)); at <= streams; at += gap) {
    svg.append(draw("text", { x: x(at), y: height - bottom + 16, class: "tick middle" }, String(Math.round(at))));
  }
  svg.append(draw("text", { x: (left + width) / 2, y: height - 6, class: "tick middle" }, "streams (point: p95; bar: p50 to largest; ✗: level fails)"));
  for (const limit of limits) svg.append(draw("line", { x1: left, x2: width - 12, y1: y(limit), y2: y(limit), class: "budget" }),
    draw("text", { x: left + 4, y: y(limit) - 4, class: "tick budget-text" }, `limit ${number(limit, "ms")}`));
  const points = known.filter((each) => each.finals.p95 !== null);
  svg.append(draw("path", { class: "curve", d: points.map((each, place) => `${place ? "L" : "M"}${x(each.streams)},${y(each.finals.p95)}`).join("") }));
  for (const each of known) {
    svg.append(draw("line", { x1: x(each.streams), x2: x(each.streams), y1: y(each.finals.p50), y2: y(top(each)), class: "bar" }));
    const at = y(each.finals.p95 ?? top(each));
    svg.append(each.decision === "FAIL"
      ? draw("text", { x: x(each.streams), y: at + 5, class: "cross middle" }, "✗")
      : draw("circle", { cx: x(each.streams), cy: at, r: 4, class: "point" }));
  }
  return make("figure", { class: "whole" }, svg);
}

/* Conformance */

function conformance() {
  if (!report.suite) return null;
  const counts = {};
  for (const each of report.suite.requirements) counts[each.status] = (counts[each.status] || 0) + 1;
  const order = { violated: 0, "same cause": 1, undecided: 2 };
  const entries = [...report.suite.requirements].sort((a, b) => (order[a.status] ?? 3) - (order[b.status] ?? 3));
  const parts = entries.map((each) => {
    const body = [make("p", {}, plain(each.title)), pairs([["clause", each.clause], ["seen", each.seen], ["known failure", each.expected],
      ["scenarios", each.scenarios.join(", ")], ["trace", each.trace], ["documentation", each.page]].filter(([, value]) => value))];
    if (each.lines.length) body.push(make("pre", { tabindex: "0", "aria-label": "exchange around the violation" }, each.lines.map(plain).join("\n")));
    return make("details", each.status === "violated" ? { open: "" } : {}, make("summary", {},
      make("span", { class: `mark ${each.status === "violated" ? "fail" : each.status === "satisfied" ? "pass" : "inconclusive"}` }, plain(each.status)),
      ` ${plain(each.id)} [${plain(each.level)}]`), ...body);
  });
  return section("Conformance", make("p", {}, Object.entries(counts).map(([name, count]) => `${count} ${name}`).join(", "),
    ` of ${report.suite.planned} requirements`), ...parts);
}

/* The table of sessions: only the rows in view are elements */

const COLUMNS = [
  ["state", "state", (row) => row.state], ["utterance", "utterance", (row) => row.utterance],
  ["final", "final", (row) => number(row.final, "ms")], ["first", "first partial", (row) => number(row.first, "ms")],
  ["wer", "error rate", (row) => number(row.wer, "ratio")], ["violations", "violations", (row) => row.violations || ""],
  ["text", "text", (row) => row.text], ["test", "test", (row) => row.test],
];
const list = { rows: [], sort: "worst", down: false, at: 0, body: null, drawn: new Map() };
const SEVERITY = (row) => row.lost ? 4 : row.violations ? 3 : row.over ? 2 : row.wer ? 1 : 0;

function sessions() {
  const filter = make("input", { type: "search", id: "filter", placeholder: "utterance, test, text", autocomplete: "off" });
  const states = make("select", { id: "state" }, make("option", { value: "" }, "all"), make("option", { value: "bad" }, "with a problem"),
    ...[...new Set(report.rows.map((row) => row.state))].sort().map((each) => make("option", { value: each }, plain(each))));
  const counted = make("input", { type: "checkbox", id: "counted" });
  counted.checked = report.rows.some((row) => row.counted);
  const shown = make("p", { id: "shown", role: "status" });
  const head = make("div", { role: "row", class: "head" });
  for (const [key, name] of COLUMNS) {
    const button = make("button", { type: "button" }, name);
    button.addEventListener("click", () => { list.down = list.sort === key ? !list.down : key !== "utterance" && key !== "test" && key !== "text" && key !== "state"; list.sort = key; update(); });
    head.append(make("div", { role: "columnheader", class: `c-${key}`, "aria-sort": "none" }, button));
  }
  list.body = make("div", { class: "rows", role: "rowgroup" });
  const scroller = make("div", { class: "scroller" }, list.body);
  const grid = make("div", { role: "grid", "aria-label": "sessions", "aria-describedby": "keys", class: "sessions" },
    make("div", { role: "rowgroup" }, head), scroller);
  list.scroller = scroller; list.grid = grid;

  function update() {
    const text = filter.value.trim().toLowerCase();
    list.rows = report.rows.filter((row) => (!counted.checked || row.counted)
      && (states.value === "" || (states.value === "bad" ? row.state !== "ok" : row.state === states.value))
      && (text === "" || row.found.includes(text)));
    const value = list.sort === "worst" ? (row) => -SEVERITY(row) : (row) => row[list.sort];
    const sign = list.down ? -1 : 1;
    list.rows.sort((a, b) => {
      const left = value(a), right = value(b);
      const none = (each) => each === null || each === undefined;
      if (none(left) || none(right)) return none(left) - none(right) || a.place - b.place;
      return (left < right ? -sign : left > right ? sign : 0) || (b.final ?? Infinity) - (a.final ?? Infinity) || a.place - b.place;
    });
    for (const each of head.children) {
      const own = each.className === `c-${list.sort}`;
      each.setAttribute("aria-sort", own ? (list.down ? "descending" : "ascending") : "none");
    }
    list.at = 0;
    list.scroller.scrollTop = 0;
    grid.setAttribute("aria-rowcount", list.rows.length + 1);
    shown.textContent = `${list.rows.length} of ${report.rows.length} sessions`;
    list.body.style.height = `${list.rows.length * ROW_HEIGHT}px`;
    for (const element of list.drawn.values()) element.remove();
    list.drawn.clear();
    fill();
  }
  filter.addEventListener("input", update);
  states.addEventListener("change", update);
  counted.addEventListener("change", update);
  scroller.addEventListener("scroll", () => requestAnimationFrame(fill));
  list.body.addEventListener("click", (event) => {
    const row = event.target.closest("[data-row]");
    if (row) { list.at = Number(row.dataset.row); openSession(list.at); }
  });
  list.body.addEventListener("keydown", keyOfList);
  list.update = update;
  return section("Sessions", make("div", { class: "controls" },
    make("label", {}, "Filter ", filter), make("label", {}, "State ", states), make("label", {}, counted, " counted only"), shown),
    make("p", { id: "keys", class: "hint" }, "Arrow keys move through the sessions, Enter opens one, Escape closes it. Click a heading to sort."), grid);
}

function fill() {
  const first = Math.max(0, Math.floor(list.scroller.scrollTop / ROW_HEIGHT) - 8);
  const last = Math.min(list.rows.length, Math.ceil((list.scroller.scrollTop + list.scroller.clientHeight) / ROW_HEIGHT) + 8);
  for (const [place, element] of list.drawn) {
    if ((place < first || place >= last) && element !== document.activeElement) { element.remove(); list.drawn.delete(place); }
  }
  for (let place = first; place < last; place += 1) {
    if (list.drawn.has(place)) continue;
    const row = list.rows[place];
    const element = make("div", { role: "row", class: "row", "data-row": place, "aria-rowindex": place + 2, tabindex: place === list.at ? "0" : "-1" },
      ...COLUMNS.map(([key, , cell]) => make("div", { role: "gridcell", class: `c-${key}` },
        key === "state" ? make("span", { class: `mark ${row.state === "ok" ? "pass" : row.state === "text errors" ? "inconclusive" : "fail"}` }, plain(row.state)) : plain(cell(row)))));
    element.style.top = `${place * ROW_HEIGHT}px`;
    list.drawn.set(place, element);
    const next = [...list.body.children].find((each) => Number(each.dataset.row) > place) || null;
    list.body.insertBefore(element, next);
  }
  const current = list.drawn.get(list.at);
  for (const [place, element] of list.drawn) element.tabIndex = current ? (place === list.at ? 0 : -1) : (place === first ? 0 : -1);
}

function goTo(place) {
  list.at = Math.max(0, Math.min(list.rows.length - 1, place));
  const top = list.at * ROW_HEIGHT, view = list.scroller;
  if (top < view.scrollTop) view.scrollTop = top;
  else if (top + ROW_HEIGHT > view.scrollTop + view.clientHeight) view.scrollTop = top + ROW_HEIGHT - view.clientHeight;
  fill();
  list.drawn.get(list.at)?.focus({ preventScroll: true });
}

function keyOfList(event) {
  const row = event.target.closest("[data-row]");
  if (!row) return;
  const at = Number(row.dataset.row), page = Math.max(1, Math.floor(list.scroller.clientHeight / ROW_HEIGHT) - 1);
  const moves = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: list.rows.length - 1 };
  if (event.key in moves) { event.preventDefault(); goTo(moves[event.key]); }
  else if (event.key === "Enter") { event.preventDefault(); list.at = at; openSession(at); }
}

/* One session */

let dialog = null, opening = 0;

async function openSession(place) {
  const row = list.rows[place], turn = ++opening;
  let data = null, problem = "";
  try {
    if (!row.packed) throw new Error("this part of the page is incomplete");
    data = await unpack(row.packed);
  } catch (error) {
    problem = `The session cannot be shown: ${error.message}.`;
  }
  if (turn !== opening) return;
  const title = make("h2", { id: "session-title" }, plain(row.utterance), " ",
    make("span", { class: `mark ${row.state === "ok" ? "pass" : row.state === "text errors" ? "inconclusive" : "fail"}` }, plain(row.state)));
  const button = (text, act) => { const found = make("button", { type: "button" }, text); found.addEventListener("click", act); return found; };
  const step = (by) => button(by < 0 ? "Previous" : "Next", () => { const next = place + by; if (list.rows[next]) { goTo(next); openSession(next); } });
  const tools = make("div", { class: "tools" }, step(-1), step(1), button("Close", () => dialog.close()));
  const body = make("div", { class: "body" });
  dialog.replaceChildren(make("div", { class: "top" }, title, tools), body);
  if (!dialog.open) dialog.showModal();
  if (problem) body.append(make("p", { class: "notice" }, problem));
  else sessionParts(row, data, body);
  dialog.scrollTop = 0;
}

function sessionParts(row, data, body) {
  const causes = [];
  if (row.lost) causes.push(`No final: ${row.lost}${data.reason ? ` (${data.reason})` : ""}`);
  for (const [name, why] of Object.entries(data.premature || {})) causes.push(`${name} came before its cause: ${why}`);
  const judged = report.verdicts.filter((each) => each.subject === "budget" && each.test === row.test && each.limit !== null);
  for (const each of judged) {
    const value = metricOf(row, each.metric);
    if (value !== null && (each.side === ">=" ? value < each.limit : value > each.limit)) {
      causes.push(`${each.metric} is ${number(value, each.unit)}; the limit of ${each.statistic} is ${number(each.limit, each.unit)}`);
    }
  }
  causes.push(...data.violations);
  if (causes.length) body.append(make("ul", { class: "causes" }, ...causes.map((each) => make("li", {}, plain(each)))));
  if (data.chart) body.append(timeline(row, data));
  else body.append(make("p", { class: "notice" }, "No trace of this session is beside the report, so that its timeline is missing. --realtime-trace-keep=all keeps the traces of all sessions."));
  body.append(alignment(data));
  const sound = report.clips.get(row.audio);
  if (row.audio && sound) {
    const player = make("audio", { controls: "", preload: "none", "aria-label": "the audio of this session" });
    player.src = `data:audio/ogg;base64,${sound}`;
    body.append(make("h3", {}, "Audio"), player);
  } else {
    body.append(make("p", { class: "hint" }, `The audio of this session is not in the page, which has ${report.clips.size} ${report.clips.size === 1 ? "clip" : "clips"} (those of at most 20 of the worst sessions).`));
  }
  const facts = [["session", data.session], ["test", row.test], ["trace", row.trace || "not kept"], ["started", data.started], ["server", data.target],
    ["protocol", [data.dialect, data.server_version].filter(Boolean).join(" ")], ["language", data.language], ["purpose", row.purpose], ["level", row.level],
    ["conditions", Object.entries(data.conditions || {}).filter(([, each]) => each !== "" && each !== null && typeof each !== "object").map(([name, each]) => `${name} ${each}`).join(", ")],
    ["parts that failed", Object.entries(data.failed || {}).map(([name, each]) => `${name}: ${each}`).join("; ")]];
  const units = new Map(report.metrics.map((each) => [each.name, each.unit]));
  body.append(make("h3", {}, "Metrics"), pairs(Object.entries(data.metrics).filter(([, value]) => value !== null).map(([name, value]) => [name, number(value, units.get(name))])),
    make("h3", {}, "Session"), pairs(facts.filter(([, value]) => value !== null && value !== undefined && value !== "")));
}

function alignment(data) {
  if (!data.pairs) return make("p", { class: "hint" }, "There is no text to show.");
  const names = { S: "substituted", D: "deleted", I: "inserted" };
  const words = data.pairs.map(([reference, text, kind]) => make("li", { class: `pair ${kind ? `e-${kind}` : ""}` },
    make("span", { class: "ref" }, plain(reference ?? "∅")), make("span", { class: "hyp" }, plain(text ?? "∅")),
    make("span", { class: "kind" }, kind ? `${kind} ${names[kind]}` : "\u00a0")));
  const found = make("section", {}, make("h3", {}, "Alignment"), make("p", { class: "hint" },
    `Above: reference; below: recognised, after the normalizer ${plain(data.normalizer)}. S, D and I mark errors.`),
    make("ol", { class: "alignment" }, ...words));
  if (data.pairs_left_out) found.append(make("p", { class: "hint" }, `${data.pairs_left_out} more words are left out.`));
  return found;
}

/* The timeline of a session */

function textsOf(marks) {
  let text = "";
  return marks.map(([kind, , added, kept]) => {
    if (kind === "partial") text = [...text].slice(0, kept).join("") + added;
    else if (kind === "final") text = added;
    return text;
  });
}

function timeline(row, data) {
  const chart = data.chart, width = Math.max(300, Math.min(1100, (dialog.clientWidth || 800) - 40));
  const texts = textsOf(chart.marks);
  const pace = chart.pace, budget = report.verdicts.find((each) => each.subject === "budget" && each.test === row.test
    && each.metric === "final_from_commit" && each.limit !== null);
  const commit = chart.marks.find(([kind]) => kind === "commit");
  const limit = budget && commit ? commit[1] + budget.limit : null;
  const start = Math.min(0, chart.ready ?? 0, ...chart.frames.slice(0, 1).map((each) => each[2]));
  const last = Math.max(limit ?? 0, pace * chart.seconds, 1, ...chart.marks.filter(([kind]) => kind !== "end").map((each) => each[1]));
  const cut = chart.end > 2.5 * last; // a long wait for nothing would hide what happened before
  const end = cut ? 1.4 * last : Math.max(chart.end, last);
  const lanes = { sound: 16, words: 74, partial: 108, final: 140, client: 172, server: 196 };
  const height = 246, left = 74, right = 8;
  const x = (at) => left + (Math.min(at, end) - start) / (end - start) * (width - left - right);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" });
  const events = [];
  const add = (lane, at, text, until = at) => events.push({ lane, at, until, text });
  for (const [name, text] of [["sound", "audio"], ["words", "said"], ["partial", "recognised"], ["final", "outcome"], ["client", "sent"], ["server", "received"]]) {
    svg.append(draw("text", { x: 0, y: lanes[name] + (name === "sound" ? 24 : 14), class: "tick" }, text),
      draw("line", { x1: left, x2: width - right, y1: lanes[name] + (name === "sound" ? 48 : 22), y2: lanes[name] + (name === "sound" ? 48 : 22), class: "grid" }));
  }
  for (let at = Math.ceil(start / step(end - start, 7)) * step(end - start, 7), gap = step(end - start, width < 500 ? 4 : 8); at <= end; at += gap) {
    svg.append(draw("line", { x1: x(at), x2: x(at), y1: 12, y2: 220, class: "grid" }), draw("text", { x: x(at), y: 236, class: "tick middle" }, `${Math.round(at) / 1000} s`));
  }
  const levels = Uint8Array.from(atob(chart.envelope || ""), (c) => c.charCodeAt(0));
  if (levels.length) {
    let above = "", below = "";
    levels.forEach((level, place) => {
      const at = x((place + 0.5) * chart.step * pace).toFixed(1), size = Math.min(1, level / 60) * 23;
      above += `L${at},${(40 - size).toFixed(1)}`; below = `L${at},${(40 + size).toFixed(1)}${below}`;
      add("sound", place * chart.step * pace, `audio: ${level - 60} dB of full scale`, (place + 1) * chart.step * pace);
    });
    svg.append(draw("path", { d: `M${x(0)},40${above}${below}Z`, class: "envelope" }));
  }
  for (const [text, from, to] of chart.words || []) {
    const at = x(from * pace), size = Math.max(2, x(to * pace) - at - 1);
    svg.append(draw("rect", { x: at, y: lanes.words, width: size, height: 20, class: "word" }));
    if (plain(text).length * 6.4 < size) svg.append(draw("text", { x: at + 3, y: lanes.words + 14, class: "label" }, plain(text)));
    add("words", from * pace, `said "${plain(text)}" until ${seconds(to * pace)}`, to * pace);
  }
  let free = -1;
  const near = (at) => chart.marks.some(([kind, other]) => (kind === "final" || kind === "refusal") && x(at) - x(other) < 70);
  chart.marks.forEach(([kind, at, added], place) => {
    const lane = kind === "partial" || kind === "settled" ? "partial" : "final", full = plain(texts[place]).slice(0, 400);
    const what = { partial: `partial: "${full}"`, final: `final: "${full}"`, commit: "commit: the client asks for the final", settled: "text is settled",
      endpoint: "the server ends the turn", refusal: `refused: ${plain(added)}`, end: `end of the session: ${plain(added)}` }[kind];
    add(lane, at, what);
    const across = kind === "final" || kind === "commit" || kind === "end" || kind === "refusal";
    svg.append(draw("line", { x1: x(at), x2: x(at), y1: across ? 12 : lanes[lane], y2: across ? 220 : lanes[lane] + 20, class: `at ${kind}` }));
    const label = kind === "partial" ? plain(added).trim().slice(0, 24) : { final: "final", commit: "commit", end: cut && width >= 500 ? `… end at ${seconds(chart.end)}` : "end", refusal: "refused" }[kind];
    const size = (label || "").length * 6.6 + 6, flip = x(at) + size > width;
    const back = flip || (kind === "commit" && x(at) - size > left);
    if (label && kind === "partial" && x(at) > free && !flip) { svg.append(draw("text", { x: x(at) + 3, y: lanes.partial + 14, class: "label" }, label)); free = x(at) + size; }
    else if (label && kind !== "partial" && !(kind === "end" && near(at))) svg.append(draw("text", { x: x(at) + (back ? -3 : 3), y: lanes.final + 14, class: `label strong ${back ? "end" : ""}` }, label));
  });
  if (limit !== null) {
    svg.append(draw("line", { x1: x(limit), x2: x(limit), y1: 12, y2: 220, class: "budget" }),
      draw("text", { x: x(limit) + (x(limit) > width / 2 ? -3 : 3), y: 10, class: `tick budget-text ${x(limit) > width / 2 ? "end" : ""}` },
        `final expected within ${number(budget.limit, "ms")}`));
    add("final", limit, `limit: the final is expected until here (${budget.metric} ${budget.statistic} <= ${number(budget.limit, "ms")})`);
  }
  const ticks = { client: "", server: "" };
  for (const [index, server, at, move, late, samples] of chart.frames) {
    const lane = server ? "server" : "client";
    ticks[lane] += `M${x(at).toFixed(1)},${lanes[lane] + 3}v16`;
    add(lane, at, `frame ${index} ${server ? "received" : "sent"}: ${plain(chart.moves[move])}${samples ? `, ${samples} samples` : ""}${late === null ? "" : `, client ${number(late, "ms")} late`}`);
  }
  svg.append(draw("path", { d: ticks.client, class: "at client" }), draw("path", { d: ticks.server, class: "at server" }));
  const cursor = draw("line", { y1: 12, y2: 220, class: "cursor", visibility: "hidden" });
  svg.append(cursor);

  /* Reading an event: by pointer, or by the arrow keys */
  const order = events.filter((each) => each.lane !== "sound").sort((a, b) => a.at - b.at);
  const words = make("p", { class: "readout", role: "status" }, "Point at the timeline, or move through its events with the left and right arrow keys.");
  let current = -1;
  const show = (event) => {
    cursor.setAttribute("x1", x(event.at)); cursor.setAttribute("x2", x(event.at)); cursor.setAttribute("visibility", "visible");
    words.textContent = `${seconds(event.at)} ${event.text}`;
  };
  const box = make("div", { class: "timeline", tabindex: "0", role: "application", "aria-label": "Timeline: left and right arrow keys move through the events" }, svg);
  svg.addEventListener("pointermove", (pointer) => {
    const area = svg.getBoundingClientRect(), scale = width / area.width;
    const px = (pointer.clientX - area.left) * scale, py = (pointer.clientY - area.top) * scale;
    const lane = Object.entries(lanes).filter(([, top]) => py >= top - 4).map(([name]) => name).at(-1) || "sound";
    let best = null, least = Infinity;
    for (const each of events) {
      if (each.lane !== lane) continue;
      const far = px < x(each.at) ? x(each.at) - px : px > x(each.until) ? px - x(each.until) : 0;
      if (far < least) { least = far; best = each; }
    }
    if (best && least < 24) { show(best); current = order.indexOf(best); }
  });
  box.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: current + 1, ArrowLeft: current - 1, Home: 0, End: order.length - 1 };
    if (!(event.key in moves) || !order.length) return;
    event.preventDefault();
    current = Math.max(0, Math.min(order.length - 1, moves[event.key]));
    show(order[current]);
  });
  const found = make("section", {}, make("h3", {}, "Timeline"), box, words);
  const pieces = [];
  if (cut) pieces.push(`The axis is cut: the session ended after ${seconds(chart.end)}.`);
  if (chart.frames_left_out) pieces.push(`${chart.frames_left_out} more frames are left out.`);
  if (Math.abs(pace - 1000) > 50) pieces.push(`The audio was sent at ${(1000 / pace).toFixed(1)} times real time.`);
  if (!levels.length) pieces.push("The audio is not described in the trace.");
  if (pieces.length) found.append(make("p", { class: "hint" }, pieces.join(" ")));
  return found;
}

/* The page */

document.addEventListener("DOMContentLoaded", () => {
  readBlocks();
  prepare();
  const page = document.getElementById("page");
  page.replaceChildren(...[overview(), state(), verdicts(), comparisons(), distributions(), capacity(), sessions(), conformance(), trend(), conditions()].filter(Boolean));
  dialog = make("dialog", { "aria-labelledby": "session-title" });
  dialog.addEventListener("close", () => { if (!dialog.open) goTo(list.at); });
  document.body.append(dialog);
  list.update();
  window.addEventListener("resize", fill);
  page.dataset.ready = "yes";
});
