// TensorBoard's tab "kstyle": the views, the filter of runs, and what is shown without any.

import { drawCompare } from "./compare.js";
import { buttons, element, select } from "./elements.js";
import { drawLayers, drawLosses } from "./losses.js";
import { fetchRuns, filterRuns, forgetCurves, valuesOf } from "./runs.js";
import { drawSheet } from "./sheet.js";
import { changeState, followTheme, host, isShown, onState, readState } from "./state.js";
import { pictureViewer } from "./viewer.js";

const VIEWS = [
  ["sheet", "Contact sheet"],
  ["compare", "Compare"],
  ["losses", "Losses"],
  ["layers", "Layers"],
];
const RELOAD_SECONDS = 20; // while the tab is visible
const KEYS = "1 to 4 choose a view, ← and → a step, / goes to the filter, r reads the runs again";

let runs = [];

// Called by TensorBoard when the tab is opened.
export async function render() {
  const style = (name) =>
    element("link", { rel: "stylesheet", href: new URL(name, import.meta.url).href });
  document.documentElement.lang = "en";
  document.head.append(
    element("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
    style("style.css"),
    style("viewer.css"),
  );
  followTheme();
  const dialog = makeDialog();
  const page = {
    bar: element("header", {}),
    main: element("main", {}),
    show: pictureViewer(dialog),
    dialog,
  };
  document.body.replaceChildren(page.bar, page.main, dialog);
  onState(() => draw(page));
  // Keys also arrive at TensorBoard's window, until something in the frame was clicked.
  for (const each of new Set([document, host().document])) {
    each.addEventListener("keydown", (event) => isShown() && handleKey(event, page));
  }
  setInterval(
    () => document.visibilityState === "visible" && isShown() && load(page, false),
    1000 * RELOAD_SECONDS,
  );
  await load(page, true);
}

// Read the runs, and draw them if they have changed or `always`.
async function load(page, always) {
  try {
    const before = JSON.stringify(runs);
    const found = await fetchRuns();
    if (!always && JSON.stringify(found) === before) return;
    runs = found;
    forgetCurves();
    if (!page.dialog.open) draw(page);
  } catch (error) {
    if (always) page.main.replaceChildren(element("p", { className: "error" }, error.message));
  }
}

function draw(page) {
  const state = readState();
  if (!runs.length) {
    page.bar.replaceChildren();
    page.main.replaceChildren(nothing());
    return;
  }
  const view = VIEWS.some(([name]) => name === state.view) ? state.view : "sheet";
  const shown = filterRuns(runs, state.experiment ?? "", state.filter ?? "");
  drawBar(page.bar, view, shown, state);
  page.main.className = `view-${view}`;
  if (!shown.length) {
    page.main.replaceChildren(
      element("p", { className: "soft" }, `None of the ${runs.length} runs matches the filter.`),
    );
    return;
  }
  const enlarge = (list, index) => page.show(list, index);
  if (view === "sheet") drawSheet(page.main, shown, state, enlarge);
  if (view === "compare") drawCompare(page.main, runs, shown, state);
  if (view === "losses") drawLosses(page.main, shown, state);
  if (view === "layers") drawLayers(page.main, shown, state);
}

function drawBar(bar, view, shown, state) {
  const focused =
    document.activeElement?.id === "filter" ? document.activeElement.selectionStart : null;
  const experiments = valuesOf(runs, "experiment");
  const filter = element("input", {
    id: "filter",
    type: "search",
    value: state.filter ?? "",
    placeholder: "such as pool=max",
    "aria-label": "Filter of runs",
    oninput: () => changeState({ filter: filter.value, runs: null }),
  });
  const experimentChoice =
    experiments.length > 1
      ? [
          select(
            "Runs",
            [["", "all"], ...experiments.map((name) => [name, name])],
            state.experiment ?? "",
            (value) =>
              changeState({
                experiment: value,
                rows: null,
                columns: null,
                runs: null,
                a: null,
                b: null,
              }),
          ),
        ]
      : [];
  bar.replaceChildren(
    buttons("View", VIEWS, view, (value) => changeState({ view: value })),
    ...experimentChoice,
    element("label", { className: "field" }, element("span", {}, "Filter"), filter),
    element(
      "span",
      { className: "soft count", title: KEYS },
      `${shown.length} of ${runs.length} run${runs.length === 1 ? "" : "s"}`,
    ),
  );
  if (focused !== null) {
    filter.focus();
    filter.setSelectionRange(focused, focused);
  }
}

function handleKey(event, page) {
  const typing = event.target.matches?.(
    "input:not([type=range]):not([type=checkbox]), select, textarea",
  );
  if (event.ctrlKey || event.metaKey || event.altKey || page.dialog.open || !runs.length) return;
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const view = VIEWS[Number(event.key) - 1];
  const steps = page.main.querySelector("input.steps");
  const isSlider = event.target.matches?.("input[type=range]");
  if (view) {
    changeState({ view: view[0] });
  } else if (event.key === "/") {
    event.preventDefault();
    document.getElementById("filter")?.focus();
  } else if (event.key === "r") {
    load(page, true);
  } else if (event.key === "x") {
    page.main.querySelector("button.swap")?.click();
  } else if (
    steps &&
    !isSlider &&
    ["ArrowLeft", "ArrowRight"].includes(event.key) &&
    !event.target.closest?.(".sheet[tabindex]:focus")
  ) {
    event.preventDefault();
    event.key === "ArrowLeft" ? steps.stepDown() : steps.stepUp();
    steps.dispatchEvent(new Event("input"));
  }
}

function makeDialog() {
  const button = (value, text) =>
    element("button", { type: "button", value, autofocus: value === "0" }, text);
  return element(
    "dialog",
    { className: "viewer", "aria-label": "Enlarged picture" },
    element("img", { alt: "" }),
    element(
      "div",
      {},
      element("p", {}),
      element(
        "nav",
        { "aria-label": "Pictures" },
        button("-1", "← Previous"),
        button("0", "Close"),
        button("1", "Next →"),
      ),
    ),
  );
}

function nothing() {
  return element(
    "div",
    { className: "nothing" },
    element("h1", {}, "No runs of kstyle here"),
    element(
      "p",
      {},
      "The folder that TensorBoard shows has no run of kstyle, or it has not been read yet. Make one, then start TensorBoard with the folder above it:",
    ),
    element("pre", {}, "kstyle stylize --logdir logs\ntensorboard --logdir logs"),
    element("p", { className: "soft" }, "This page looks again every 20 seconds."),
  );
}
