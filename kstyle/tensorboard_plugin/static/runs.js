// The runs: their labels, the options in which they differ, pictures and curves.

export const END = Infinity; // the step of a run's result
export const NAMED = ["content", "style", "styles", "net"]; // they make the name of a single run
const UNSET = ["none", "–"]; // values of an option that a title leaves out
const MAX_NAMED = 3; // options in a title
const TIMED = /^\d{8}-(\d\d)(\d\d)(\d\d)-(.+)$/;
const KINDS_OF_PICTURES = { content: "photograph", style: "painting", regions: "regions" };
const CURVES = new Map();
const NUMBER = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, useGrouping: false });

// A number with three significant digits.
export function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-3
    ? value.toExponential(2).replace(/\.?0*e\+?/, "e")
    : NUMBER.format(value);
}

// An option's value as text, as on the command line: conv3_1:2, conv4_1:0.5. Of a style with
// its own options the name and what is set: night (size 256).
export function optionText(value) {
  if (value === null || value === undefined) return "none";
  if (value.picture) {
    const { picture, ...rest } = value;
    const given = Object.entries(rest).filter(([, each]) => each !== null);
    const texts = given.map(([key, each]) => `${key} ${optionText(each)}`).join(", ");
    return stem(picture) + (texts && ` (${texts})`);
  }
  if (Array.isArray(value)) return value.map(optionText).join(", ") || "none";
  if (typeof value === "object") {
    return (
      Object.entries(value)
        .map(([k, v]) => `${k}:${optionText(v)}`)
        .join(", ") || "none"
    );
  }
  return typeof value === "number" ? String(value) : String(value).replace(/^sample:/, "");
}

// Fetch all runs, single ones first, those of an experiment in its order.
export async function fetchRuns() {
  const answer = await fetch("runs", { cache: "no-store" });
  if (!answer.ok) throw new Error(`TensorBoard answers ${answer.status} for the runs.`);
  const order = (a, b) => a.experiment.localeCompare(b.experiment) || a.position - b.position;
  const runs = (await answer.json()).map(describe).sort(order); // else by name, as they came
  nameSingleRuns(runs.filter((run) => run.time));
  return runs;
}

// Add to the titles of runs with the same pictures what they differ in, or else their time.
function nameSingleRuns(runs) {
  for (const group of groupBy(runs, (run) => run.title).values()) {
    if (group.length === 1) continue;
    const keys = differingKeys(group).options.filter((key) => !NAMED.includes(key));
    for (const run of group) {
      run.named = keys.slice(0, MAX_NAMED);
      const given = run.named.filter((key) => !UNSET.includes(valueOf(run, key)));
      run.title = [run.title, ...given.map((key) => optionPair(run, key))].join(", ");
    }
    for (const equal of groupBy(group, (run) => run.title).values()) {
      if (equal.length > 1) equal.forEach((run) => (run.title += `, ${run.time}`));
    }
  }
}

function groupBy(items, keyOf) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOf(item);
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  return groups;
}

// "pool = max"
export function optionPair(run, key) {
  return `${key} = ${valueOf(run, key)}`;
}

// Fetch the curves of a run, { tag: { steps, values } }; `fresh`: not from before.
export function fetchCurves(run, fresh = false) {
  if (fresh || !CURVES.has(run.name)) CURVES.set(run.name, loadCurves(run));
  return CURVES.get(run.name);
}

export function forgetCurves() {
  CURVES.clear();
}

async function loadCurves(run) {
  const answer = await fetch(`scalars?run=${encodeURIComponent(run.name)}`, { cache: "no-store" });
  if (!answer.ok) throw new Error(`TensorBoard answers ${answer.status} for ${run.name}.`);
  const found = Object.entries(await answer.json());
  return Object.fromEntries(found.map(([tag, [steps, values]]) => [tag, { steps, values }]));
}

function stem(path) {
  return String(path ?? "")
    .replace(/^sample:/, "")
    .replace(/^.*[\\/]/, "")
    .replace(/\.\w+$/, "");
}

function describe(run) {
  const { options = {}, labels = {}, experiment = "", position = 0, pictures } = run;
  const series = ["snapshot", "result"].flatMap((tag) => pictures[tag] ?? []);
  const steps = [...new Set(series.map((each) => each.step))].sort((a, b) => a - b);
  const pairs = Object.entries(labels).map(([key, value]) => `${key} = ${value}`);
  return {
    name: run.name,
    experiment,
    position,
    labels,
    options,
    title: pairs.join(", ") || runTitle(run.name, options),
    time: pairs.length ? "" : runTime(run.name), // of a run that is named by its pictures
    named: [], // options in the title
    originals: originalsOf(options, pictures),
    pictures,
    steps,
  };
}

// The pictures that a run was made from: [{ kind, name, url }].
function originalsOf(options, pictures) {
  return Object.keys(pictures)
    .filter((tag) => tag.startsWith("source/") && pictures[tag].length)
    .sort()
    .map((tag) => {
      // "content", "style", "style 2", "regions"
      const [word, number] = tag.slice("source/".length).split(" ");
      const file = options.styles?.[(number ?? 1) - 1]?.picture ?? options.style;
      const path = { content: options.content, style: file, regions: options.content }[word];
      return { kind: KINDS_OF_PICTURES[word], name: stem(path), url: pictures[tag][0].url };
    });
}

// "20261129-163403-coffee-night-vgg19" as "coffee-night-vgg19".
function runTitle(name, options) {
  const folder = name.split("/").at(-1);
  const found = TIMED.exec(folder);
  if (found) return found[4];
  return folder === "."
    ? [stem(options.content), stem(options.style), options.net].join("-")
    : folder;
}

// "20261129-163403-coffee-night-vgg19" as "16:34:03".
function runTime(name) {
  const found = TIMED.exec(name.split("/").at(-1));
  return found ? found.slice(1, 4).join(":") : "";
}

// The run's name in a list of several experiments.
export function longTitle(run) {
  return run.experiment ? `${run.experiment}: ${run.title}` : run.title;
}

// The picture that a run shows at `step`: its last one until then, else its first one.
export function pictureAt(run, step) {
  const { result = [], snapshot = [] } = run.pictures;
  if (step === END && result.length) return result.at(-1);
  return snapshot.findLast((each) => each.step <= step) ?? snapshot[0] ?? result.at(-1);
}

// All steps at which some run has a picture.
export function allSteps(runs) {
  return [...new Set(runs.flatMap((run) => run.steps))].sort((a, b) => a - b);
}

// The value of an axis, repeat or option of a run, as text.
export function valueOf(run, key) {
  if (key === "run") return run.title;
  if (key === "experiment") return run.experiment || "single runs";
  if (key in run.labels) return run.labels[key];
  return key in run.options ? optionText(run.options[key]) : "–";
}

// The values of a key among the runs; numbers ascend, others are in order of appearance.
export function valuesOf(runs, key) {
  const values = [...new Set(runs.map((run) => valueOf(run, key)))];
  const isNumber = (text) => text !== "" && Number.isFinite(Number(text));
  return values.every(isNumber) ? values.sort((a, b) => a - b) : values;
}

// The keys in which runs differ: { labels: axes and repeats, options: all others }.
export function differingKeys(runs) {
  const differ = (key) => new Set(runs.map((run) => valueOf(run, key))).size > 1;
  const names = (part) =>
    [...new Set(runs.flatMap((run) => Object.keys(run[part])))].filter(differ);
  const labels = names("labels");
  return { labels, options: names("options").filter((name) => !labels.includes(name)) };
}

// The runs of an experiment ("": all) that have every word of `filter` in their texts.
export function filterRuns(runs, experiment, filter) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return runs.filter((run) => {
    if (experiment && valueOf(run, "experiment") !== experiment) return false;
    if (!words.length) return true;
    const options = Object.entries(run.options).map(
      ([key, value]) => `${key}=${optionText(value)}`,
    );
    const labels = Object.entries(run.labels).map(([key, value]) => `${key}=${value}`);
    const text = [run.name, run.title, run.experiment, ...labels, ...options]
      .join(" ")
      .toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

// The choices of a <select> of runs, in groups by experiment.
export function runChoices(runs) {
  const groups = {};
  for (const run of runs) {
    (groups[valueOf(run, "experiment")] ??= []).push([run.name, run.title]);
  }
  return groups;
}
