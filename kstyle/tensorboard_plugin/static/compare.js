// Two runs under one divider, beside each other, or as their difference, with the options
// and the final losses in which they differ.

import { buttons, element, select } from "./elements.js";
import {
  allSteps,
  END,
  fetchCurves,
  longTitle,
  optionPair,
  pictureAt,
  runChoices,
  short,
  valueOf,
} from "./runs.js";
import { stepOf, stepSlider } from "./sheet.js";
import { changeState } from "./state.js";

const MODES = [
  ["divider", "Divider"],
  ["beside", "Side by side"],
  ["difference", "Difference"],
];
const ZOOMS = [
  ["fit", "fit"],
  ["100", "1:1"],
  ["200", "2:1"],
  ["400", "4:1"],
];
const GAINS = [1, 2, 4, 8, 16];
const MAX_TAGGED = 2; // options on a picture

// Draw the comparison into `place`. all: every run; runs: those of the filter.
export function drawCompare(place, all, runs, state) {
  const named = (name) => all.find((run) => run.name === name);
  const first = named(state.a) ?? runs[0] ?? all[0];
  const second =
    named(state.b) ??
    runs.find((run) => run !== first) ??
    all.find((run) => run !== first) ??
    first;
  const mode = MODES.some(([name]) => name === state.mode) ? state.mode : "divider";
  const zoom = ZOOMS.some(([name]) => name === state.zoom) ? state.zoom : "fit";
  const choices = runChoices([...new Set([...runs, first, second])]);
  const stage = makeStage(mode, zoom, state, [first, second], tagTexts(first, second));
  stage.show(stepOf(state));
  place.replaceChildren(
    element(
      "div",
      { className: "controls" },
      select("A", choices, first.name, (value) => changeState({ a: value, b: second.name })),
      element(
        "button",
        {
          type: "button",
          title: "Exchange A and B (x)",
          "aria-keyshortcuts": "x",
          className: "swap",
          onclick: () => changeState({ a: second.name, b: first.name }),
        },
        "⇄",
      ),
      select("B", choices, second.name, (value) => changeState({ a: first.name, b: value })),
      buttons("View", MODES, mode, (value) => changeState({ mode: value })),
      buttons("Zoom", ZOOMS, zoom, (value) => changeState({ zoom: value })),
      stepSlider(allSteps([first, second]), stepOf(state), (step) => {
        changeState({ step: step === END ? null : step }, { quiet: true });
        stage.show(step);
      }),
    ),
    element(
      "div",
      { className: "beside" },
      element("div", { className: "stagebox" }, stage.node),
      element("div", { className: "tables" }, optionTable(first, second), lossTable(first, second)),
    ),
  );
}

// What the pictures are marked with: their letter and what they differ in, if that is short.
function tagTexts(first, second) {
  const keys = differingOptions(first, second);
  const isShort = keys.length > 0 && keys.length <= MAX_TAGGED;
  return [first, second].map((run, i) => {
    const pairs = isShort ? keys.map((key) => optionPair(run, key)) : [];
    return ["AB"[i], ...pairs].join(", ");
  });
}

function differingOptions(first, second) {
  const keys = ["labels", "options"].flatMap((part) =>
    [first, second].flatMap((run) => Object.keys(run[part])),
  );
  return [...new Set(keys)].filter((key) => valueOf(first, key) !== valueOf(second, key));
}

function makeStage(mode, zoom, state, runs, tags) {
  const makers = { divider: dividerStage, beside: besideStage, difference: differenceStage };
  const images = runs.map((run, i) =>
    element("img", { alt: `${"AB"[i]}: ${longTitle(run)}`, draggable: false }),
  );
  images.forEach((image) =>
    image.addEventListener("load", () => {
      const width = Math.max(...images.map((each) => each.naturalWidth));
      const shape = image.naturalWidth / image.naturalHeight;
      const fit = `min(100%, (100vh - ${mode === "difference" ? 12 : 9}rem) * ${shape.toFixed(4)})`;
      node.style.setProperty("--width", zoom === "fit" ? fit : `${(width * Number(zoom)) / 100}px`);
    }),
  );
  const node = makers[mode](images, tags, state);
  node.classList.toggle("enlarged", Number(zoom) > 100);
  return {
    node,
    show(step) {
      runs.forEach((run, i) => {
        const picture = pictureAt(run, step);
        if (picture && images[i].getAttribute("src") !== picture.url) images[i].src = picture.url;
      });
    },
  };
}

function dividerStage(images, tags, state) {
  const node = element("div", { className: "stage divider" });
  const move = (value) => {
    node.style.setProperty("--at", `${value}%`);
    input.value = value;
  };
  const input = element("input", {
    type: "range",
    min: 0,
    max: 100,
    step: 0.5,
    "aria-label": "Divider between A and B",
    oninput: () => move(input.value),
    onchange: () => changeState({ at: input.value }, { quiet: true }),
  });
  const bar = element("div", { className: "bar", "aria-hidden": "true" });
  node.append(
    ...images,
    bar,
    input,
    element("b", { className: "tag a" }, tags[0]),
    element("b", { className: "tag b" }, tags[1]),
  );
  const follow = (event) => {
    const area = node.getBoundingClientRect();
    move(Math.min(100, Math.max(0, (100 * (event.clientX - area.left)) / area.width)));
  };
  node.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    node.setPointerCapture(event.pointerId);
    input.focus();
    follow(event);
    node.addEventListener("pointermove", follow);
  });
  node.addEventListener("pointerup", () => {
    node.removeEventListener("pointermove", follow);
    changeState({ at: input.value }, { quiet: true });
  });
  move(Number(state.at ?? 50));
  return node;
}

function besideStage(images, tags) {
  const pane = (image, name) =>
    element(
      "div",
      { className: "pane" },
      element("div", { className: "stage" }, image),
      element("b", { className: "tag" }, name),
    );
  const panes = images.map((image, i) => pane(image, tags[i]));
  // Both show the same part of their picture.
  panes.forEach((each, i) =>
    each.addEventListener("scroll", () => {
      const other = panes[1 - i];
      if (other.scrollLeft !== each.scrollLeft) other.scrollLeft = each.scrollLeft;
      if (other.scrollTop !== each.scrollTop) other.scrollTop = each.scrollTop;
    }),
  );
  return element("div", { className: "panes" }, panes);
}

// The absolute difference of the two pictures, times a gain, in a canvas.
function differenceStage(images, _tags, state) {
  const canvas = element("canvas", { role: "img", "aria-label": "Difference of A and B" });
  const text = element("p", { className: "soft" });
  const gain = GAINS.includes(Number(state.gain)) ? Number(state.gain) : 2;
  const draw = () => {
    if (!images.every((image) => image.complete && image.naturalWidth)) return;
    text.textContent = paintDifference(canvas, images, gain);
  };
  images.forEach((image) => image.addEventListener("load", draw));
  const choices = GAINS.map((each) => [String(each), `× ${each}`]);
  return element(
    "div",
    { className: "differing" },
    element(
      "div",
      { className: "gain" },
      buttons("Gain", choices, String(gain), (value) => changeState({ gain: value })),
      text,
    ),
    element("div", { className: "stage" }, canvas),
  );
}

// Paint the difference; return a sentence about it.
function paintDifference(canvas, images, gain) {
  const { naturalWidth: width, naturalHeight: height } = images[0];
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const [a, b] = images.map((image) => {
    context.drawImage(image, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  });
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) {
    if (i % 4 === 3) continue;
    const difference = Math.abs(a.data[i] - b.data[i]);
    sum += difference;
    a.data[i] = difference * gain;
  }
  context.putImageData(a, 0, 0);
  const same = width === images[1].naturalWidth && height === images[1].naturalHeight;
  const mean = sum / (width * height * 3);
  return `Mean difference of a channel: ${short(mean)} of 255.${same ? "" : " B was resized to A's size."}`;
}

function optionTable(first, second) {
  const keys = differingOptions(first, second);
  const rows = keys.map((key) => [key, valueOf(first, key), valueOf(second, key)]);
  return table("Options that differ", rows, "All options are the same.");
}

// Only numbers that both have; filled in when they have been fetched.
function lossTable(first, second) {
  const node = element("div", {});
  Promise.all([fetchCurves(first), fetchCurves(second)]).then(
    (curves) => {
      const last = (found, tag) => found[tag]?.values.at(-1);
      const tags = [...new Set(curves.flatMap(Object.keys))].filter((tag) =>
        /^(loss$|all\/(content|style)$|raw\/|score\/)/.test(tag),
      );
      const rows = tags
        .filter((tag) => curves.every((found) => last(found, tag) !== undefined))
        .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b))
        .map((tag) => [tag, ...curves.map((found) => short(last(found, tag)))]);
      node.replaceChildren(table("Last losses and scores", rows, "No losses were logged."));
    },
    (error) => node.replaceChildren(element("p", { className: "error" }, error.message)),
  );
  return node;
}

function rank(tag) {
  return ["loss", "all", "score", "raw"].indexOf(tag.split("/")[0]);
}

// A name in which lines break after "/" and "_".
function breakable(name) {
  return name.split(/(?<=[/_])/).flatMap((part) => [part, element("wbr")]);
}

function table(title, rows, nothing) {
  if (!rows.length) return element("p", { className: "soft" }, nothing);
  const cell = (tag) => (text) => element(tag, {}, text);
  return element(
    "table",
    {},
    element("caption", {}, title),
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        ["", "A", "B"].map((text) => element("th", { scope: "col" }, text)),
      ),
    ),
    element(
      "tbody",
      {},
      rows.map(([name, ...values]) =>
        element("tr", {}, element("th", { scope: "row" }, breakable(name)), values.map(cell("td"))),
      ),
    ),
  );
}
