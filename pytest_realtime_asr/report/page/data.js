"use strict";
/* Reads the data blocks of the page. Data are only ever set as text (textContent and
   attributes), never as HTML. */

const SVG = "http://www.w3.org/2000/svg";
const report = {
  run: {}, metrics: [], rows: [], packed: [], verdicts: [], levels: [], clips: new Map(),
  traces: new Map(), suite: null, end: null, damaged: 0,
};

const LONG = 40; // characters of a cell that may be broken into lines

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

/* A text in quotation marks, apart from the direction of the text around it */
function quoted(value) {
  return `"\u2068${plain(value)}\u2069"`;
}

/* The direction of a text, by its first letter */
function directionOf(text) {
  return /^[^\p{L}]*[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/u.test(text) ? "rtl" : "ltr";
}

/* About how wide a text is in a drawing, in px; the characters of East Asia are wider. */
function widthOf(text) {
  return [...text].reduce((sum, char) => sum + (char >= "\u1100" && char !== "…" ? 12.5 : 6.6), 0);
}

function section(title, ...children) {
  const id = title.toLowerCase().replace(/\W+/g, "-");
  return make("section", { "aria-labelledby": id }, make("h2", { id }, title), ...children);
}

/* A table without the columns that are empty in every row. A narrow screen shows each
   row as a block. The roles are stated, since a block has no role of its own. */
function table(caption, columns, cells) {
  const used = columns.map((_, place) => !cells.length || cells.some((each) => each[place] !== "" && each[place] !== 0));
  const names = columns.filter((_, place) => used[place]), rows = cells.map((each) => each.filter((_, place) => used[place]));
  const head = make("tr", { role: "row" }, ...names.map((name) => make("th", { role: "columnheader", scope: "col" }, name)));
  const body = rows.map((cells) => make("tr", { role: "row" }, ...cells.map((cell, place) => {
    const text = cell instanceof Node ? cell : plain(cell);
    return make("td", { role: "cell", class: text.length > LONG ? "long" : null, "data-name": place || !(cell instanceof Node) ? names[place] : null }, text);
  })));
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

const ALLOWED = "over, allowed", MILD = ["text errors", ALLOWED];

function stateMark(row) {
  return make("span", { class: `mark ${row.state === "ok" ? "pass" : MILD.includes(row.state) ? "inconclusive" : "fail"}` }, plain(row.state));
}

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
    const over = (limits.get(row.test) || []).filter((limit) => {
      const value = metricOf(row, limit.metric);
      if (row.premature.includes(limit.metric)) return true;
      return value !== null && (limit.side === ">=" ? value < limit.limit : value > limit.limit);
    });
    row.over = over.length > 0;
    if (row.lost) row.state = row.lost;
    else if (row.violations) row.state = "violation";
    else if (over.some((limit) => limit.verdict !== "PASS")) row.state = "over limit";
    else if (row.over) row.state = ALLOWED; // such as half of the sessions, for a p50
    else if (row.wer) row.state = "text errors";
    else row.state = "ok";
    row.trace = row.trace || report.traces.get(row.label) || "";
    row.final = metricOf(row, "final_from_commit");
    row.first = metricOf(row, "first_partial_from_speech");
    row.found = [row.utterance, row.test, row.label, row.text, row.state].join("\n").toLowerCase();
  });
}
