// The contact sheet: results by two axes, with one slider over the steps for all.

import { element, select } from "./elements.js";
import {
  allSteps,
  differingKeys,
  END,
  longTitle,
  NAMED,
  optionPair,
  pictureAt,
  valueOf,
  valuesOf,
} from "./runs.js";
import { changeState } from "./state.js";

const MAX_COLUMNS = 8; // of an axis that is chosen without being asked for
const SIZES = [
  ["96", "small"],
  ["160", "medium"],
  ["256", "large"],
  ["512", "very large"],
];

// Draw the sheet of `runs` into `place`. enlarge: shows pictures, see viewer.js.
export function drawSheet(place, runs, state, enlarge) {
  const keys = differingKeys(runs);
  const { rows, columns } = chosenAxes(runs, keys, state);
  const cells = [];
  const step = stepOf(state);
  const slider = stepSlider(allSteps(runs), step, (chosen) => {
    changeState({ step: chosen === END ? null : chosen }, { quiet: true });
    cells.forEach((cell) => cell.show(chosen));
  });
  const size = state.size ?? usualSize(runs.length);
  const choices = axisChoices(keys);
  place.replaceChildren(
    element(
      "div",
      { className: "controls" },
      select("Rows", choices, rows, (value) => changeState({ rows: value })),
      select("Columns", choices, columns, (value) => changeState({ columns: value })),
      select("Pictures", SIZES, size, (value) => changeState({ size: value })),
      slider,
    ),
    originals(runs, enlarge),
    grid(runs, rows, columns, size, (run, beside) => {
      const open = () => {
        const list = cells.map((each) => each.entry());
        enlarge(list, cells.indexOf(cell));
      };
      const caption = ownCaption(run, beside, [rows, columns]);
      const compare = () => chooseForComparison(run, state);
      const cell = pictureCell(run, caption, state.marked === run.name, open, compare);
      cells.push(cell);
      cell.show(step);
      return cell.node;
    }),
  );
}

function usualSize(count) {
  if (count <= 3) return "512";
  return count <= 12 ? "256" : "160";
}

export function stepOf(state) {
  return state.step === undefined ? END : Number(state.step);
}

// A slider over the steps at which there are pictures; its end is the result.
export function stepSlider(steps, step, change) {
  const positions = [...steps, END];
  const index =
    step === END
      ? steps.length
      : Math.max(
          0,
          positions.findLastIndex((each) => each <= step),
        );
  const name = (at) => (at === END ? "result" : `step ${at}`);
  const output = element("output", {}, name(positions[index]));
  const input = element("input", {
    type: "range",
    min: 0,
    max: steps.length,
    step: 1,
    "aria-label": "Step",
    className: "steps",
    oninput: () => {
      const chosen = positions[Number(input.value)];
      output.textContent = name(chosen);
      input.setAttribute("aria-valuetext", name(chosen));
      change(chosen);
    },
  });
  input.value = index;
  return element("label", { className: "field wide" }, element("span", {}, "Step"), input, output);
}

function axisChoices({ labels, options }) {
  const items = (names) => names.map((name) => [name, name]);
  const groups = {
    "": [
      ["none", "none"],
      ["run", "each run"],
      ["experiment", "experiment"],
    ],
  };
  if (labels.length) groups["Axes of experiments"] = items(labels);
  if (options.length) groups["Options that differ"] = items(options);
  return groups;
}

// The axes in the address, else the first two in which the runs differ; for single runs only if
// they fill the grid.
function chosenAxes(runs, { labels, options }, state) {
  const known = new Set(["none", "run", "experiment", ...labels, ...options]);
  const experiments = valuesOf(runs, "experiment");
  let [rows, columns] = ["none", "none"];
  if (experiments.length > 1) {
    rows = "experiment";
  } else {
    const names = labels.length ? labels : options;
    const count = (name) => valuesOf(runs, name).length;
    const few = names.filter((name) => count(name) <= MAX_COLUMNS);
    const cells = names.slice(0, 2).reduce((product, name) => product * count(name), 1);
    if (few.length > 0 && (labels.length || cells <= runs.length)) {
      columns = few.at(-1);
      rows = names.find((name) => name !== columns) ?? "none";
    }
  }
  if (known.has(state.rows)) rows = state.rows;
  if (known.has(state.columns)) columns = state.columns;
  return { rows, columns: columns === rows ? "none" : columns };
}

// The photographs and paintings of the runs, each once.
function originals(runs, enlarge) {
  const found = new Map();
  for (const { kind, name, url } of runs.flatMap((run) => run.originals)) {
    const text = `${kind}: ${name}`;
    if (!found.has(text)) found.set(text, { kind, name, src: url, alt: text, caption: text });
  }
  const kinds = ["photograph", "regions", "painting"];
  const list = [...found.values()].sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind));
  return element(
    "div",
    { className: "originals" },
    list.map((each, index) =>
      element(
        "figure",
        {},
        element(
          "button",
          {
            type: "button",
            className: "zoom",
            "aria-label": `Enlarge: ${each.alt}`,
            onclick: () => enlarge(list, index),
          },
          element("img", { src: each.src, alt: each.alt, loading: "lazy" }),
        ),
        element("figcaption", {}, each.kind, element("b", {}, each.name)),
      ),
    ),
  );
}

function grid(runs, rows, columns, size, draw) {
  const rowValues = rows === "none" ? [null] : valuesOf(runs, rows);
  const columnValues = columns === "none" ? [null] : valuesOf(runs, columns);
  const within = (run, key, value) => value === null || valueOf(run, key) === value;
  const head =
    columns !== "none" &&
    element(
      "div",
      { className: "row heads", role: "row" },
      rows !== "none" &&
        element("div", { className: "rowhead", role: "presentation" }, `${rows} \\ ${columns}`),
      columnValues.map((value) =>
        element("div", { className: "columnhead", role: "columnheader" }, heading(columns, value)),
      ),
    );
  const body = rowValues.map((value) => {
    const own = runs.filter((run) => within(run, rows, value));
    return element(
      "div",
      { className: "row", role: "row" },
      value !== null &&
        element("div", { className: "rowhead", role: "rowheader" }, heading(rows, value)),
      columnValues.map((each) =>
        element(
          "div",
          { className: "cell", role: "cell" },
          own.filter((run) => within(run, columns, each)).map((run) => draw(run, own)),
        ),
      ),
    );
  });
  const isGrid = columns !== "none";
  const style = `--cell: ${size}px; --columns: ${columnValues.length}`;
  return element(
    "div",
    {
      className: `sheet${isGrid ? " grid" : ""}${rows === "none" ? " headless" : ""}`,
      style,
      role: "table",
      "aria-label": "Contact sheet",
      tabIndex: 0,
    },
    head,
    body,
  );
}

function heading(key, value) {
  return key === "run" || key === "experiment" ? value : `${key} = ${value}`;
}

// What no heading says of a run: its labels that differ from those beside it, or, of a
// single run, its name and what differs from most others.
function ownCaption(run, beside, shown) {
  if (shown.includes("run")) return "";
  const { labels, options } = differingKeys(beside);
  const pairs = (keys) =>
    keys.filter((key) => !shown.includes(key)).map((key) => optionPair(run, key));
  if (labels.length) return pairs(labels).join(", ");
  const unusual = options.filter((key) => valueOf(run, key) !== usualValue(beside, key));
  if (run.experiment) return pairs(unusual).join(", ");
  const named = [...run.named, ...(run.time ? NAMED : [])];
  return [run.title, ...pairs(unusual.filter((key) => !named.includes(key)))].join(", ");
}

function usualValue(runs, key) {
  const counts = new Map();
  for (const run of runs) counts.set(valueOf(run, key), (counts.get(valueOf(run, key)) ?? 0) + 1);
  return [...counts].reduce((best, each) => (each[1] > best[1] ? each : best))[0];
}

// A picture with its caption. compare: called when the run is chosen for comparison.
function pictureCell(run, caption, isMarked, open, compare) {
  const title = longTitle(run);
  const image = element("img", { loading: "lazy", alt: title });
  const note = element("span", {});
  const zoom = element(
    "button",
    { type: "button", className: "zoom", "aria-label": `Enlarge: ${title}`, onclick: open },
    image,
  );
  const choose = element(
    "button",
    {
      type: "button",
      className: "choose",
      "aria-pressed": String(isMarked),
      onclick: compare,
      "aria-label": `Compare: ${title}`,
      title: isMarked ? "Choose another one to compare" : "Compare (c)",
    },
    "⇄",
  );
  zoom.addEventListener("keydown", (event) => event.key === "c" && compare());
  const node = element("figure", { title }, zoom, element("figcaption", {}, choose, caption, note));
  let picture;
  return {
    node,
    show(step) {
      picture = pictureAt(run, step);
      if (!picture) {
        zoom.replaceChildren("no picture");
        return;
      }
      if (image.getAttribute("src") !== picture.url) image.src = picture.url;
      note.textContent = step !== END && picture.step !== step ? ` at step ${picture.step}` : "";
    },
    entry: () => ({
      src: picture?.url ?? "",
      alt: title,
      origin: zoom,
      caption: `${title}\nstep ${picture?.step ?? "–"}`,
    }),
  };
}

// Mark a run for comparison, or compare it with the one that is marked.
function chooseForComparison(run, state) {
  if (!state.marked) changeState({ marked: run.name });
  else if (state.marked === run.name) changeState({ marked: null });
  else changeState({ view: "compare", a: state.marked, b: run.name, marked: null });
}
