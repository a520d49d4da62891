// The curves of the chosen runs: losses over each other, each run's layers, and how much
// each layer has of the total.

import { legend, lineChart, lineLook, stackedChart, valueRange } from "./chart.js";
import { buttons, element } from "./elements.js";
import { fetchCurves, longTitle } from "./runs.js";
import { changeState } from "./state.js";

const CHOSEN = 6; // runs that are drawn without being asked for
const MAX_CHOSEN = 18; // so many lines look different
const TOTALS = {
  loss: "Total loss",
  content: "Content loss, weighted",
  style: "Style loss, weighted",
  tv: "Total variation, weighted",
};
const MEASURES = {
  weighted: ["Weighted", "", true],
  raw: ["Unweighted", "raw/", true],
  share: ["Share of the total", "", false],
  gradient: ["Gradient norm", "gradient/", true],
  pull: ["Share of the gradient norms", "gradient/", false],
};
const KINDS = ["content", "style", "tv"];

// Draw the losses of the chosen ones of `runs` into `place`.
export function drawLosses(place, runs, state) {
  const logSteps = state.x === "log";
  const measure = MEASURES[state.measure] ? state.measure : "weighted";
  drawRuns(place, runs, state, (found) => {
    const measures = Object.entries(MEASURES).filter(
      ([, [, prefix]]) =>
        prefix !== "gradient/" || found.some(({ curves }) => hasGradients(curves)),
    );
    return [
      element(
        "section",
        {},
        element("h2", {}, "Losses"),
        buttons(
          "Steps",
          [
            ["linear", "linear steps"],
            ["log", "logarithmic steps"],
          ],
          logSteps ? "log" : "linear",
          (value) => changeState({ x: value }),
        ),
        legend(found.map(({ run, look }) => ({ name: longTitle(run), ...look }))),
        element("div", { className: "charts" }, totalCharts(found, logSteps)),
      ),
      element(
        "section",
        {},
        element("h2", {}, "Layers"),
        buttons(
          "Measure",
          measures.map(([name, [text]]) => [name, text]),
          measure,
          (value) => changeState({ measure: value }),
        ),
        layerCharts(found, measure, logSteps),
      ),
    ];
  });
}

// Draw the shares of the layers over the steps, stacked, of the chosen ones of `runs`.
export function drawLayers(place, runs, state) {
  drawRuns(place, runs, state, (found) => {
    const gradients = found.some(({ curves }) => hasGradients(curves));
    const measure = gradients && state.by === "gradient" ? "gradient" : "loss";
    const choices = [
      ["loss", "by weighted loss"],
      ["gradient", "by gradient norm"],
    ];
    const prefix = measure === "gradient" ? "gradient/" : "";
    const shown = withLines(found, prefix);
    return [
      element("h2", {}, "Which layer has how much of the total"),
      gradients
        ? buttons("Measure", choices, measure, (value) => changeState({ by: value }))
        : element(
            "p",
            { className: "soft" },
            "By the weighted losses. Runs with --log-gradients also show how strongly each layer pulls at the picture.",
          ),
      legend(uniqueLines(shown), { areas: true }),
      element(
        "div",
        { className: "charts" },
        shown.map(({ run, curves, lines }) =>
          stackedChart(lines, { title: longTitle(run), marks: scaleBegins(curves) }),
        ),
      ),
    ];
  });
}

// Choose runs, fetch their curves, and draw what `draw([{ run, curves, look }])` returns.
function drawRuns(place, runs, state, draw) {
  const names = state.runs?.split("|") ?? [];
  const wanted = runs.filter((run) => names.includes(run.name));
  const chosen = (wanted.length ? wanted : runs.slice(0, CHOSEN)).slice(0, MAX_CHOSEN);
  const body = element(
    "div",
    { className: "curves" },
    element("p", { className: "soft" }, "Reading the losses …"),
  );
  place.replaceChildren(runPicker(runs, chosen), body);
  Promise.all(chosen.map((run) => fetchCurves(run))).then(
    (all) => {
      const found = chosen.map((run, i) => ({ run, curves: all[i], look: lineLook(i) }));
      body.replaceChildren(...draw(found));
    },
    (error) => body.replaceChildren(element("p", { className: "error" }, error.message)),
  );
}

function runPicker(runs, chosen) {
  const set = new Set(chosen.map((run) => run.name));
  const change = () =>
    changeState({
      runs: runs
        .map((run) => run.name)
        .filter((name) => set.has(name))
        .join("|"),
    });
  const more = set.size >= MAX_CHOSEN;
  return element(
    "details",
    {
      className: "picker",
      open: pickerOpen,
      ontoggle: (event) => {
        pickerOpen = event.target.open;
      },
    },
    element(
      "summary",
      {},
      `${chosen.length} of ${runs.length} run${runs.length === 1 ? "" : "s"} drawn`,
      element("span", { className: "soft" }, ` at most ${MAX_CHOSEN}`),
    ),
    element(
      "button",
      { type: "button", onclick: () => changeState({ runs: null }) },
      `first ${Math.min(CHOSEN, runs.length)}`,
    ),
    element(
      "ul",
      {},
      runs.map((run) => {
        const isChosen = set.has(run.name);
        const index = chosen.indexOf(run);
        const toggle = (event) => {
          event.target.checked ? set.add(run.name) : set.delete(run.name);
          change();
        };
        return element(
          "li",
          {},
          element(
            "label",
            {},
            element("input", {
              type: "checkbox",
              checked: isChosen,
              disabled: more && !isChosen,
              onchange: toggle,
            }),
            element("i", {
              style: `background: ${isChosen ? lineLook(index).color : "transparent"}`,
            }),
            longTitle(run),
          ),
        );
      }),
    ),
  );
}

let pickerOpen = false;

function totalCharts(found, logSteps) {
  const marks = commonMarks(found);
  return Object.entries(TOTALS).flatMap(([kind, title]) => {
    const lines = found.map(({ run, curves, look }) => ({
      name: longTitle(run),
      ...look,
      ...sumOf(curves, kind),
    }));
    if (!lines.some((line) => line.steps.length)) return [];
    return [lineChart(lines, { title, logSteps, marks })];
  });
}

// The total of a kind of loss: { steps, values }.
function sumOf(curves, kind) {
  const known = curves[kind] ?? curves[`all/${kind}`];
  if (known) return known;
  const parts = Object.keys(curves)
    .filter((tag) => tag.startsWith(`${kind}/`))
    .map((tag) => curves[tag]);
  if (!parts.length) return { steps: [], values: [] };
  return {
    steps: parts[0].steps,
    values: parts[0].steps.map((_, i) => parts.reduce((sum, part) => sum + part.values[i], 0)),
  };
}

// One chart for each run, with the same axis, and one line for each layer.
function layerCharts(found, measure, logSteps) {
  const [, prefix, log] = MEASURES[measure];
  const shown = withLines(found, prefix, !log);
  const range = log
    ? valueRange(
        shown.flatMap(({ lines }) => lines),
        true,
      )
    : [0, 1];
  const charts = shown.map(({ run, curves, lines }) =>
    lineChart(lines, {
      title: longTitle(run),
      log,
      logSteps,
      range: range ?? undefined,
      marks: scaleBegins(curves),
    }),
  );
  return element(
    "div",
    {},
    legend(uniqueLines(shown)),
    element("div", { className: "charts" }, charts),
  );
}

// The runs with the lines of their layers; without those that have not logged them.
function withLines(found, prefix, share = false) {
  return found
    .map((each) => ({ ...each, lines: layerLines(each.curves, prefix, share) }))
    .filter(({ lines }) => lines.length);
}

// The lines of the layers of a run; `share`: as shares of their sum.
function layerLines(curves, prefix, share = false) {
  const tags = Object.keys(curves)
    .filter(
      (tag) => tag.startsWith(prefix) && KINDS.includes(tag.slice(prefix.length).split("/")[0]),
    )
    .sort((a, b) => a.localeCompare(b));
  const lines = tags.map((tag) => ({
    name: tag.slice(prefix.length),
    ...layerLook(tag.slice(prefix.length)),
    ...curves[tag],
  }));
  if (!share || !lines.length) return lines;
  const sums = lines[0].steps.map((_, i) =>
    lines.reduce((sum, line) => sum + (line.values[i] || 0), 0),
  );
  return lines.map((line) => ({
    ...line,
    values: line.values.map((value, i) => (sums[i] ? value / sums[i] : null)),
  }));
}

// The look of a term of the loss, such as "style/conv1_1" or, with regions,
// "style/conv1_1/sky": the same layer has the same colour in every chart.
const LAYERS = new Map();
const REGIONS = new Map([[undefined, 0]]);

function layerLook(name) {
  if (name === "tv") return { color: "var(--soft)", dashes: "", opacity: 1 };
  const [kind, layer, region] = name.split("/");
  const number = (map, key) => map.set(key, map.get(key) ?? map.size).get(key);
  return lineLook(number(LAYERS, `${kind}/${layer}`), number(REGIONS, region));
}

function uniqueLines(shown) {
  return [
    ...new Map(shown.flatMap(({ lines }) => lines).map((line) => [line.name, line])).values(),
  ];
}

function hasGradients(curves) {
  return Object.keys(curves).some((tag) => tag.startsWith("gradient/"));
}

// The steps at which the scales of a run begin.
function scaleBegins(curves) {
  return curves["scale/begins"]?.steps ?? [];
}

function commonMarks(found) {
  return [...new Set(found.flatMap(({ curves }) => scaleBegins(curves)))];
}
