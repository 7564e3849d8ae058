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
  const title = make("h2", { id: "session-title" }, plain(row.utterance), " ", stateMark(row));
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
      causes.push(`${each.metric} is ${number(value, each.unit)}; the limit of ${each.statistic} is ${number(each.limit, each.unit)}`
        + (each.verdict === "PASS" ? " (the test passes: the limit is not one of every session)" : ""));
    }
  }
  causes.push(...data.violations);
  if (causes.length) body.append(make("ul", { class: "causes" }, ...causes.map((each) => make("li", {}, plain(each)))));
  if (data.chart && !data.chart.frames.length) body.append(make("p", { class: "notice" }, "The session ended before a frame was sent or received."));
  else if (data.chart) body.append(timeline(row, data));
  else body.append(make("p", { class: "notice" }, "No trace of this session is beside the report, so that its timeline is missing. --realtime-trace-keep=all keeps the traces of all sessions."));
  body.append(alignment(data));
  const sound = report.clips.get(row.audio);
  if (row.audio && sound) {
    const player = make("audio", { controls: "", preload: "none", "aria-label": "the audio of this session" });
    player.src = `data:audio/ogg;base64,${sound}`;
    body.append(make("h3", {}, "Audio"), player);
  } else {
    body.append(make("p", { class: "hint" }, report.end?.offline && !report.clips.size
      ? "The page has no audio, since it was made from the report; report html adds the audio with --corpus."
      : `The audio of this session is not in the page, which has ${report.clips.size} ${report.clips.size === 1 ? "clip" : "clips"} (those of at most 20 of the worst sessions).`));
  }
  const facts = [["session", data.session], ["test", row.test], ["trace", row.trace || "not kept"], ["started", moment(data.started)], ["server", data.target],
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
    make("ol", { class: "alignment", dir: directionOf(data.reference || "") }, ...words));
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
    if (widthOf(plain(text)) < size) svg.append(draw("text", { x: at + 3, y: lanes.words + 14, class: "label" }, plain(text)));
    add("words", from * pace, `said ${quoted(text)} until ${seconds(to * pace)}`, to * pace);
  }
  const outcomes = [];
  let free = -1;
  const near = (at) => chart.marks.some(([kind, other]) => (kind === "final" || kind === "refusal") && x(at) - x(other) < 70);
  chart.marks.forEach(([kind, at, added], place) => {
    const lane = kind === "partial" || kind === "settled" ? "partial" : "final", full = plain(texts[place]).slice(0, 400);
    const what = { partial: `partial: ${quoted(full)}`, final: `final: ${quoted(full)}`, commit: "commit: the client asks for the final", settled: "text is settled",
      endpoint: "the server ends the turn", refusal: `refused: ${plain(added)}`, end: `end of the session: ${plain(added)}` }[kind];
    add(lane, at, what);
    const across = kind === "final" || kind === "commit" || kind === "end" || kind === "refusal";
    svg.append(draw("line", { x1: x(at), x2: x(at), y1: across ? 12 : lanes[lane], y2: across ? 220 : lanes[lane] + 20, class: `at ${kind}` }));
    const label = kind === "partial" ? plain(added).trim().slice(0, 24) : { final: "final", commit: "commit", end: cut && width >= 500 ? `… end at ${seconds(chart.end)}` : "end", refusal: "refused" }[kind];
    const size = widthOf(label || "") + 6, flip = x(at) + size > width;
    const back = flip || (kind === "commit" && x(at) - size > left);
    if (label && kind === "partial" && x(at) > free && !flip) { svg.append(draw("text", { x: x(at) + 3, y: lanes.partial + 14, class: "label" }, label)); free = x(at) + size; }
    else if (label && kind !== "partial" && !(kind === "end" && near(at))) {
      const from = back ? x(at) - size : x(at);
      outcomes.push({ minor: kind === "commit" || kind === "end", from, to: from + size,
        text: draw("text", { x: x(at) + (back ? -3 : 3), y: lanes.final + 14, class: `label strong ${back ? "end" : ""}` }, label) });
    }
  });
  const placed = []; // a final is named rather than the commit beside it
  for (const each of outcomes.sort((a, b) => a.minor - b.minor)) {
    if (placed.some((other) => each.from < other.to && other.from < each.to)) continue;
    placed.push(each);
    svg.append(each.text);
  }
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
  else if (!(chart.words || []).length) pieces.push("The corpus does not say when each word was spoken.");
  if (pieces.length) found.append(make("p", { class: "hint" }, pieces.join(" ")));
  return found;
}
