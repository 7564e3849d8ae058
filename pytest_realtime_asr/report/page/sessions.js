/* The table of sessions: only the rows in view are elements */

const NARROW = matchMedia("(max-width: 700px)"); // as in the style sheet: a row has two lines
const rowHeight = () => NARROW.matches ? 56 : 34; // px, as in the style sheet
const COLUMNS = [
  ["state", "state", (row) => row.state], ["utterance", "utterance", (row) => row.counted ? row.utterance : `${row.utterance} (${row.purpose})`],
  ["final", "final", (row) => number(row.final, "ms")], ["first", "first partial", (row) => number(row.first, "ms")],
  ["wer", "error rate", (row) => number(row.wer, "ratio")], ["violations", "violations", (row) => row.violations || ""],
  ["text", "text", (row) => row.text], ["test", "test", (row) => row.test],
];
const list = { rows: [], sort: "worst", down: false, at: 0, body: null, drawn: new Map() };
const SEVERITY = (row) => row.lost ? 5 : row.violations ? 4 : row.state === "over limit" ? 3 : row.wer ? 2 : row.over ? 1 : 0;

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
    list.body.style.height = `${list.rows.length * rowHeight()}px`;
    for (const element of list.drawn.values()) element.remove();
    list.drawn.clear();
    fill();
  }
  filter.addEventListener("input", update);
  states.addEventListener("change", update);
  counted.addEventListener("change", update);
  NARROW.addEventListener("change", update);
  scroller.addEventListener("scroll", () => requestAnimationFrame(() => fill()));
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

/* Draws the rows in view, or all rows for a printer */
function fill({ all = false } = {}) {
  if (!list.body) return; // a run without sessions
  const first = all ? 0 : Math.max(0, Math.floor(list.scroller.scrollTop / rowHeight()) - 8);
  const seen = Math.ceil((list.scroller.scrollTop + list.scroller.clientHeight) / rowHeight()) + 8;
  const last = all ? list.rows.length : Math.min(list.rows.length, seen);
  for (const [place, element] of list.drawn) {
    if ((place < first || place >= last) && element !== document.activeElement) { element.remove(); list.drawn.delete(place); }
  }
  for (let place = first; place < last; place += 1) {
    if (list.drawn.has(place)) continue;
    const row = list.rows[place];
    const element = make("div", { role: "row", class: "row", "data-row": place, "aria-rowindex": place + 2, tabindex: place === list.at ? "0" : "-1" },
      ...COLUMNS.map(([key, , cell]) => make("div", { role: "gridcell", class: `c-${key}`, dir: key === "text" ? "auto" : null },
        key === "state" ? stateMark(row) : plain(cell(row)))));
    element.style.top = `${place * rowHeight()}px`;
    list.drawn.set(place, element);
    const next = [...list.body.children].find((each) => Number(each.dataset.row) > place) || null;
    list.body.insertBefore(element, next);
  }
  const current = list.drawn.get(list.at);
  for (const [place, element] of list.drawn) element.tabIndex = current ? (place === list.at ? 0 : -1) : (place === first ? 0 : -1);
}

function goTo(place) {
  list.at = Math.max(0, Math.min(list.rows.length - 1, place));
  const top = list.at * rowHeight(), view = list.scroller;
  if (top < view.scrollTop) view.scrollTop = top;
  else if (top + rowHeight() > view.scrollTop + view.clientHeight) view.scrollTop = top + rowHeight() - view.clientHeight;
  fill();
  list.drawn.get(list.at)?.focus({ preventScroll: true });
}

function keyOfList(event) {
  const row = event.target.closest("[data-row]");
  if (!row) return;
  const at = Number(row.dataset.row), page = Math.max(1, Math.floor(list.scroller.clientHeight / rowHeight()) - 1);
  const moves = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: list.rows.length - 1 };
  if (event.key in moves) { event.preventDefault(); goTo(moves[event.key]); }
  else if (event.key === "Enter") { event.preventDefault(); list.at = at; openSession(at); }
}
