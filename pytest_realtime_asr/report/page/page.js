/* The page */

document.addEventListener("DOMContentLoaded", () => {
  readBlocks();
  prepare();
  const page = document.getElementById("page");
  const sections = [state(), verdicts(), comparisons(), distributions(), capacity(), conformance(), report.rows.length || !report.suite ? sessions() : null, trend(), conditions()].filter(Boolean);
  page.replaceChildren(overview(), contents(sections), ...sections);
  dialog = make("dialog", { "aria-labelledby": "session-title" });
  dialog.addEventListener("close", () => { if (!dialog.open) goTo(list.at); });
  document.body.append(dialog);
  list.update?.();
  window.addEventListener("resize", () => fill());
  let closed = [];
  window.addEventListener("beforeprint", () => {
    fill({ all: true });
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const each of closed) each.open = true;
  });
  window.addEventListener("afterprint", () => {
    fill();
    for (const each of closed) each.open = false;
  });
  page.dataset.ready = "yes";
});
