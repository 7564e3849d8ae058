/* Draws what the run has found: verdicts, comparisons, distributions, capacity, the suite. */

const LATENCIES = ["final_from_commit", "first_partial_from_speech"];
const SUITE = "realtime_conformance/"; // the ids of its tests begin with this
const MOST_REASON = 160; // characters of a reason that the table of verdicts shows
const SAMPLED = ["budget", "error rate", "recall"]; // the subjects of verdicts on a sample
const MOST_VERDICTS = 30; // shown before the reader asks for the others

/* The head of the page */

/* A time such as 2026-11-30 04:02:02 UTC */
function moment(text) {
  return plain(text).replace(/^(\S+)T([\d:]+)(?:\.\d+)?Z$/, "$1 $2 UTC");
}

/* Links to the sections of the page */
function contents(sections) {
  const links = sections.map((each) => each.querySelector("h2")).filter(Boolean).map((title) => make("a", { href: `#${title.id}` }, title.textContent));
  return make("nav", { "aria-label": "sections of the page" }, ...links);
}

function overview() {
  const run = report.run;
  const title = make("h1", {}, "Realtime ASR report");
  const parts = [make("p", { class: "sub" }, plain(run.target || "no target"), " · run ", plain(run.run), " · ", moment(run.started))];
  const told = [];
  if (run.replayed) told.push("This run was replayed from recordings: no server was tested, and its latencies are those of the recordings.");
  if (report.end === null) told.push("The run has not ended, or it was killed: results may be missing. Load the page again to see later sessions.");
  else if (report.end.interrupted) told.push("The run was interrupted: tests are missing.");
  else if (report.end.unknown) told.push("The report does not say that its run has ended: the run was killed, or the report was cut. Results may be missing.");
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
  const silent = (report.end?.failed || []).filter((test) => !failing.has(test));
  for (const test of silent) failing.add(test);
  const unshown = silent.filter((test) => !(report.suite && test.startsWith(SUITE))); // the others are below "Conformance"
  const counted = report.rows.filter((row) => row.counted);
  const lost = counted.filter((row) => row.lost).length;
  const cards = make("dl", { class: "cards" },
    card("tests that fail", failing.size, failing.size ? "bad" : "good"),
    ...Object.entries(counts).map(([name, count]) => card(`verdicts ${name}`, count,
      count && name === "FAIL" ? "bad" : count && name !== "PASS" ? "warn" : "")),
    ...violated(),
    card("sessions", counted.length || report.rows.length),
    card("lost", lost, lost ? "bad" : ""));
  const largest = (name) => {
    const found = report.rows.map((row) => metricOf(row, name)).filter((each) => each !== null);
    return found.length ? number(Math.max(...found), "ms") : "not known";
  };
  const facts = [
    ["calibration of the client", report.run.calibration || "not calibrated (--realtime-calibrate)"],
    ["largest delay of an audio frame by the client", largest("sender_lateness_max")],
    ["largest lag of the client's event loop (p99 of a session)", largest("loop_lag")],
    ["results that the client made INVALID", counts.INVALID],
    ["sessions sent again, since the client disturbed them", report.rows.filter((row) => row.purpose === "disturbed").length],
  ];
  const others = unshown.length ? make("p", {}, `Failed without a verdict, such as by an assertion or a crash: ${unshown.slice(0, 20).map(plain).join(", ")}`
    + (unshown.length > 20 ? ` and ${unshown.length - 20} more` : "")) : null;
  return section("Result", cards, others, make("h3", {}, "State of the instrument"), pairs(facts));
}

/* The number of violated requirements that are not known failures */
function violated() {
  if (!report.suite) return [];
  const found = report.suite.requirements.filter((each) => (each.status === "violated" || each.status === "same cause") && !each.expected);
  return [card("requirements violated", found.length, found.length ? "bad" : "good")];
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

/* A verdict; one about recorded sessions that were replayed says so */
function mark(verdict, { replayed = false } = {}) {
  const shown = { FAIL: "✗ FAIL", PASS: "✓ PASS", INVALID: "! INVALID", INCONCLUSIVE: "? INCONCLUSIVE" };
  return make("span", { class: `mark ${String(verdict).toLowerCase()}` }, `${shown[verdict] || plain(verdict ?? "not judged")}${replayed ? ", replayed" : ""}`);
}

function interval(each) {
  if (each.beyond) return "beyond every limit";
  if (!each.interval) return "";
  const [low, high] = each.interval;
  if (low === null && high === null) return "no bounds: the sample is too small";
  return `${low === null ? "−∞" : number(low, each.unit)} to ${high === null ? "∞" : number(high, each.unit)}`;
}

/* A verdict with whether the sample proves it, where this is known */
function verdictOf(each) {
  const found = mark(each.verdict, each);
  if (!SAMPLED.includes(each.subject) || !each.verdict) return found;
  return make("span", {}, found, each.proven ? " proven" : " not proven");
}

/* A text; only the beginning of a long one is shown before a click */
function folded(text) {
  if (plain(text).length <= MOST_REASON) return text;
  return make("details", { class: "long" }, make("summary", {}, `${plain(text).slice(0, MOST_REASON)}…`), plain(text));
}

function verdicts() {
  const rows = report.verdicts.filter((each) => each.subject !== "change");
  if (!rows.length && (report.suite || report.verdicts.length)) return null; // other sections have the results
  if (!rows.length) return section("Verdicts", make("p", {}, report.end ? "No test has judged anything." : "No test has judged anything yet."));
  rows.sort((a, b) => (ORDER[a.verdict] ?? 4) - (ORDER[b.verdict] ?? 4));
  const named = (each) => `${each.metric} ${each.statistic}`.trim();
  const cells = (each) => [verdictOf(each), SAMPLED.includes(each.subject) ? named(each) : `${each.subject}: ${named(each)}`,
    each.value === null ? (each.lost || each.premature ? "never" : "–") : number(each.value, each.unit),
    each.limit === null ? "" : `${each.side} ${number(each.limit, each.unit)}`, interval(each),
    each.n || "", each.lost || "", each.subject === "capacity" ? "see Capacity" : folded(each.reason), each.test];
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
  const sign = value < 0 ? "-" : "+", size = Math.abs(value);
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
  const cells = (each) => [mark(each.verdict, each), each.metric, number(each.before, unitOf(each.metric)), number(each.now, unitOf(each.metric)),
    `${change(each.value, each)}${each.reason ? `, ${each.reason}` : ""}`, each.limit === null ? "" : `at most ${change(each.limit, each)}`,
    each.interval ? `${change(each.interval[0], each)} to ${change(each.interval[1], each)}` : "", each.n, others.size > 1 ? each.against : "", each.test];
  const others = new Set(rows.map((each) => each.against));
  return section("Comparison", others.size > 1 ? null : make("p", {}, `Compared with ${plain(rows[0].against)}.`), table("comparison with another run",
    ["verdict", "what", "before", "now", "change", "limit", "interval", "pairs", "compared with", "test"], rows.map(cells)));
}

/* The trend over earlier runs; the same drawings as those of `report trend` */

function trend() {
  const found = document.querySelector("template[data-kind=trend]");
  return found ? section("Trend", found.content.cloneNode(true)) : null;
}

/* Distributions: the share of sessions at or below each value */

/* The sessions that are drawn together: those of all tests with the same limits of a
   metric. Without a limit, these are all sessions. */
function groups(metric) {
  const found = new Map(), texts = new Map();
  for (const each of limitsOf(null, metric.name)) {
    const text = `${each.statistic} ${each.side} ${number(each.limit, each.unit)}`;
    texts.set(each.test, (texts.get(each.test) || new Map()).set(text, each));
  }
  for (const [test, limits] of texts) {
    const key = [...limits.keys()].sort().join("; ");
    if (!found.has(key)) found.set(key, { limits: [...limits], tests: new Set() });
    found.get(key).tests.add(test);
  }
  return found.size ? [...found.values()] : [{ limits: [], tests: null }];
}

/* The worst verdict on limits; undefined if nothing was judged */
function worstOf(limits) {
  return limits.map(([, each]) => each).filter((each) => each.verdict in ORDER).sort((a, b) => ORDER[a.verdict] - ORDER[b.verdict])[0];
}

function distribution(metric, { limits, tests }) {
  const counted = report.rows.filter((row) => row.counted && (tests === null || tests.has(row.test)));
  const values = [];
  let never = 0;
  for (const row of counted) {
    const value = metricOf(row, metric.name);
    if (row.lost || row.premature.includes(metric.name)) never += 1;
    else if (value !== null) values.push(value);
  }
  if (!values.length) return null;
  values.sort((a, b) => a - b);
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
  const words = `${total} ${total === 1 ? "session" : "sessions"}, p50 ${number(middle, metric.unit)}, largest ${number(values.at(-1), metric.unit)}`
    + (never ? `, ${never} lost or premature (the curve ends below 100 %)` : "");
  svg.setAttribute("aria-label", `${metric.name}: ${words}; ${limits.map(([text]) => text).join("; ")}`);
  const worst = worstOf(limits);
  const whose = tests === null ? "all tests" : tests.size === 1 ? plain([...tests][0]) : `${tests.size} tests with the same limits`;
  return make("figure", {}, make("figcaption", {}, make("strong", {}, metric.name), " ", worst ? mark(worst.verdict, worst) : "", make("br"), words, make("br"), whose), svg);
}

function distributions() {
  const limited = new Set([...LATENCIES, ...report.verdicts.filter((each) => each.subject === "budget").map((each) => each.metric)]);
  const drawn = report.metrics.filter((each) => limited.has(each.name))
    .flatMap((metric) => groups(metric).map((group) => [metric, group]))
    .sort(([, a], [, b]) => (ORDER[worstOf(a.limits)?.verdict] ?? 4) - (ORDER[worstOf(b.limits)?.verdict] ?? 4))
    .map(([metric, group]) => distribution(metric, group)).filter(Boolean);
  if (!drawn.length) return null;
  return section("Latency", make("p", { class: "hint" }, "Share of the counted sessions at or below each value; dashed: the limits of the test."),
    make("div", { class: "figures" }, ...drawn));
}

/* Capacity: each level of load, its finals and the limit */

function capacity() {
  if (!report.levels.length) return null;
  const parts = [];
  for (const test of new Set(report.levels.map((each) => each.test))) {
    const levels = report.levels.filter((each) => each.test === test);
    const found = report.verdicts.filter((each) => each.subject === "capacity" && each.test === test);
    parts.push(make("h3", {}, plain(test)), ...found.map((each) => make("p", {}, mark(each.verdict, each),
      ` ${plain(each.reason || `capacity ${number(each.value, each.unit)}`)}`)));
    const curve = capacityCurve(levels, found[0]);
    if (curve) parts.push(curve);
    parts.push(table("levels of load", ["streams", "step", "verdict", "p50", "p95", "largest", "sessions", "lost", "limit", "client"],
      levels.map((each) => [each.streams, each.step ?? "", mark(each.decision), number(each.finals?.p50, "ms"), number(each.finals?.p95, "ms"),
        number(each.finals?.max, "ms"), each.finals?.n ?? "", each.lost,
        each.binding ? `${each.binding.name}: ${each.binding.over} of ${each.binding.n} over` : "", `${number(each.client.late_ms, "ms")} late`])));
  }
  return section("Capacity", ...parts);
}

function capacityCurve(levels, found) {
  const known = levels.filter((each) => each.finals && each.finals.p50 !== null).sort((a, b) => a.streams - b.streams);
  if (!known.length) return null;
  const limits = [...new Set(levels.map((each) => each.binding)
    .filter((each) => each && each.name.startsWith("final")).map((each) => each.limit))];
  const top = (each) => each.finals.max ?? each.finals.p95 ?? each.finals.p50;
  const most = Math.max(...known.map(top), ...limits) * 1.08, streams = Math.max(...levels.map((each) => each.streams)) * 1.05;
  const width = window.innerWidth < 700 ? 380 : 640, height = 260, left = 60, bottom = 26;
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
  if (found && found.value) {
    const [low, high] = found.interval || [null, null];
    const from = x(low ?? 0), to = x(Math.min(high ?? streams, streams));
    svg.append(draw("rect", { x: from, width: Math.max(1, to - from), y: 16, height: height - bottom - 16, class: "band" }),
      draw("line", { x1: x(found.value), x2: x(found.value), y1: 16, y2: height - bottom, class: "capacity-line" }),
      draw("text", { x: x(found.value) + (x(found.value) > width / 2 ? -4 : 4), y: 12, class: `label ${x(found.value) > width / 2 ? "end" : ""}` }, `capacity ${number(found.value, "count")}${found.interval ? ` (${interval(found)})` : ""}`));
  }
  for (const limit of limits) svg.append(draw("line", { x1: left, x2: width - 12, y1: y(limit), y2: y(limit), class: "budget" }),
    draw("text", { x: left + 4, y: y(limit) - 4, class: "tick budget-text" }, `limit ${number(limit, "ms")}`));
  const points = known.filter((each) => each.finals.p95 !== null);
  svg.append(draw("path", { class: "curve", d: points.map((each, place) => `${place ? "L" : "M"}${x(each.streams)},${y(each.finals.p95)}`).join("") }));
  for (const each of known) {
    svg.append(draw("line", { x1: x(each.streams), x2: x(each.streams), y1: y(each.finals.p50), y2: y(top(each)), class: "bar" }));
    const at = y(each.finals.p95 ?? top(each));
    svg.append(each.decision === "FAIL"
      ? draw("text", { x: x(each.streams), y: at + 5, class: "cross middle" }, "✗")
      : draw("circle", { cx: x(each.streams), cy: at, r: 4, class: each.decision === "PASS" ? "point" : "point hollow" }));
  }
  const told = "Final by number of streams. Point: p95, hollow if undecided, ✗ if the level fails; bar: p50 to largest; shaded: interval of the capacity.";
  return make("figure", { class: "whole" }, make("figcaption", {}, told), svg);
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
  const left = report.suite.planned - entries.length;
  return section("Conformance", make("p", {}, Object.entries(counts).map(([name, count]) => `${count} ${name}`).join(", "),
    ` of ${entries.length} requirements`, left > 0 ? `; ${left} more requirements have no result` : ""), ...parts);
}
