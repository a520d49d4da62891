// Charts of curves over the steps, as SVG: lines on a logarithmic axis, and stacked areas.
//
// A line is { name, color, dashes, opacity, steps, values }; values that are null, NaN or, on a
// logarithmic axis, not positive are not drawn.

import { drawing, element } from "./elements.js";
import { short } from "./runs.js";

const WIDTH = 350; // about that of a chart on the screen, so that its text has its size
const HEIGHT = 220;
const BOX = { left: 46, right: WIDTH - 6, top: 10, bottom: HEIGHT - 26 };
const COLORS = 6;
const DASHES = ["", "6 3", "2 3", "8 3 2 3"];
const OPACITIES = [1, 0.65, 0.4, 0.2]; // of areas, in place of dashes

// The look of the n-th line, or of its `variant`; a look repeats after 24 lines.
export function lineLook(index, variant = 0) {
  const number = (Math.floor(index / COLORS) + variant) % DASHES.length;
  return {
    color: `var(--line-${index % COLORS})`,
    dashes: DASHES[number],
    opacity: OPACITIES[number],
  };
}

// A chart of lines. options: title, log (of the losses), logSteps, range ([low, high] of
//   the values, from valueRange), marks (steps at which a scale begins).
export function lineChart(lines, { title, log = true, logSteps = false, range, marks = [] }) {
  const usable = lines.map((line) => ({ ...line, points: points(line, log, logSteps) }));
  const drawn = usable.filter((line) => line.points.length);
  if (!drawn.length) return figure(title, element("p", { className: "none" }, "nothing logged"));
  const x = stepScale(drawn, logSteps);
  const y = valueScale(range ?? valueRange(drawn, log), log);
  const canvas = frame(title, x, y, marks);
  for (const { points: found, color, dashes } of drawn) {
    const path = found.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`);
    const look = { fill: "none", "stroke-width": 2, "stroke-dasharray": dashes || null };
    canvas.append(
      drawing("polyline", { points: path.join(" "), style: `stroke: ${color}`, ...look }),
    );
    if (path.length === 1) {
      const [cx, cy] = path[0].split(",");
      canvas.append(drawing("circle", { cx, cy, r: 3, style: `fill: ${color}` }));
    }
  }
  return readable(figure(title, canvas), canvas, x, drawn, short);
}

// A chart of the shares of several lines of the same steps, stacked from 0 to 1.
export function stackedChart(lines, { title, marks = [] }) {
  const steps = lines[0]?.steps ?? [];
  const sums = steps.map((_, i) => lines.reduce((sum, line) => sum + (line.values[i] || 0), 0));
  if (!sums.some((sum) => sum > 0)) {
    return figure(title, element("p", { className: "none" }, "nothing logged"));
  }
  const x = stepScale([{ points: steps.map((step) => [step, 0]) }], false);
  const y = valueScale([0, 1], false);
  const canvas = frame(title, x, y, [], "percent");
  let below = steps.map(() => 0);
  const shares = lines.map((line) => {
    const values = steps.map((_, i) => (sums[i] > 0 ? (line.values[i] || 0) / sums[i] : 0));
    const above = below.map((value, i) => value + values[i]);
    const edge = (heights) =>
      steps.map((step, i) => `${x(step).toFixed(1)},${y(heights[i]).toFixed(1)}`);
    const outline = [...edge(above), ...edge(below).reverse()].join(" ");
    canvas.append(
      drawing("polygon", {
        points: outline,
        style: `fill: ${line.color}`,
        "fill-opacity": line.opacity,
      }),
    );
    below = above;
    return { ...line, points: steps.map((step, i) => [step, values[i]]) };
  });
  canvas.append(scaleMarks(x, marks));
  return readable(figure(title, canvas), canvas, x, shares, percent);
}

export function percent(share) {
  return `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

// The lowest and highest value of lines.
export function valueRange(lines, log) {
  const values = lines.flatMap((line) =>
    (line.points ?? points(line, log, false)).map((point) => point[1]),
  );
  return values.length ? [Math.min(...values), Math.max(...values)] : null;
}

// A list of names beside their lines, or beside the colours of stacked areas.
export function legend(lines, { areas = false } = {}) {
  const swatch = ({ color, dashes, opacity }) =>
    areas
      ? drawing("rect", {
          width: 40,
          height: 12,
          style: `fill: ${color}`,
          "fill-opacity": opacity,
        })
      : drawing("path", {
          d: "M1 6H39",
          "stroke-width": 3,
          "stroke-dasharray": dashes || null,
          style: `stroke: ${color}`,
        });
  return element(
    "ul",
    { className: "legend" },
    lines.map((line) =>
      element(
        "li",
        {},
        drawing("svg", { viewBox: "0 0 40 12", "aria-hidden": "true" }, swatch(line)),
        line.name,
      ),
    ),
  );
}

function points({ steps, values }, log, logSteps) {
  const isDrawn = (step, value) =>
    Number.isFinite(value) && value !== null && (!log || value > 0) && (!logSteps || step > 0);
  return steps.map((step, i) => [step, values[i]]).filter(([step, value]) => isDrawn(step, value));
}

function stepScale(lines, log) {
  const steps = lines.flatMap((line) => line.points.map((point) => point[0]));
  const [first, last] = [Math.min(...steps), Math.max(...steps)];
  const of = log ? Math.log : (step) => step;
  const span = of(last) - of(first) || 1;
  const scale = (step) => BOX.left + ((of(step) - of(first)) / span) * (BOX.right - BOX.left);
  scale.ticks = log ? decades(first, last) : niceTicks(first, last);
  scale.steps = [...new Set(steps)].sort((a, b) => a - b);
  return scale;
}

function valueScale([low, high], log) {
  const of = log ? Math.log10 : (value) => value;
  let [bottom, top] = [of(low), of(high)];
  if (bottom === top) [bottom, top] = [bottom - 0.5, top + 0.5];
  const scale = (value) =>
    BOX.bottom - ((of(value) - bottom) / (top - bottom)) * (BOX.bottom - BOX.top);
  scale.ticks = log ? decades(10 ** bottom, 10 ** top) : niceTicks(low, high, 4);
  return scale;
}

// Powers of ten; also their doubles and fives where there are few.
function decades(low, high) {
  const ticks = [];
  const few = Math.log10(high / low) < 2.2;
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    ticks.push(...(few ? [1, 2, 5] : [1]).map((factor) => factor * 10 ** power));
  }
  const inside = ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
  return inside.length > 1 ? inside : [low, high];
}

function niceTicks(low, high, count = 5) {
  const rough = (high - low || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const size = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
  const ticks = [];
  for (let tick = Math.ceil(low / size) * size; tick <= high + size / 1e6; tick += size) {
    ticks.push(Number(tick.toPrecision(6)));
  }
  return ticks;
}

function frame(title, x, y, marks, unit) {
  const canvas = drawing("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    class: "chart",
    role: "img",
    "aria-label": title,
  });
  for (const tick of y.ticks) {
    const text = unit === "percent" ? percent(tick) : tickText(tick);
    canvas.append(
      drawing("path", { class: "grid", d: `M${BOX.left} ${y(tick).toFixed(1)}H${BOX.right}` }),
      drawing("text", { x: BOX.left - 6, y: y(tick) + 3.5, "text-anchor": "end" }, text),
    );
  }
  x.ticks.forEach((tick, i) => {
    const last = i === x.ticks.length - 1 && x(tick) > BOX.right - 12;
    canvas.append(
      drawing(
        "text",
        { x: x(tick), y: HEIGHT - 8, "text-anchor": last ? "end" : "middle" },
        String(Math.round(tick)),
      ),
    );
  });
  canvas.append(scaleMarks(x, marks));
  return canvas;
}

// The number of a tick, at most six characters.
function tickText(tick) {
  const value = Number(tick.toPrecision(3));
  return Math.abs(value) >= 1e5 ? value.toExponential().replace("e+", "e") : short(value);
}

function scaleMarks(x, marks) {
  return drawing(
    "g",
    { class: "marks" },
    marks
      .filter((step) => Number.isFinite(x(step)) && x(step) > BOX.left + 1)
      .map((step) =>
        drawing(
          "path",
          { class: "mark", d: `M${x(step).toFixed(1)} ${BOX.top}V${BOX.bottom}` },
          drawing("title", {}, `a scale begins at step ${step}`),
        ),
      ),
  );
}

function figure(title, content) {
  return element("figure", {}, element("figcaption", {}, title), content);
}

// Add a line that follows the pointer, and the values at its step.
function readable(node, canvas, x, lines, format) {
  const cursor = drawing("path", { class: "cursor" });
  const box = element("div", { className: "values", hidden: true });
  canvas.append(cursor);
  node.append(box);
  canvas.addEventListener("pointermove", (event) => {
    const area = canvas.getBoundingClientRect();
    const at = ((event.clientX - area.left) / area.width) * WIDTH;
    const step = x.steps.reduce((best, each) =>
      Math.abs(x(each) - at) < Math.abs(x(best) - at) ? each : best,
    );
    cursor.setAttribute("d", `M${x(step)} ${BOX.top}V${BOX.bottom}`);
    const rows = lines.map((line) => [line, line.points.find((point) => point[0] === step)]);
    box.replaceChildren(
      element("b", {}, `step ${step}`),
      ...rows
        .filter(([, point]) => point)
        .map(([line, point]) =>
          element(
            "div",
            {},
            element("i", { style: `background: ${line.color}` }),
            element("span", {}, line.name),
            element("b", {}, format(point[1])),
          ),
        ),
    );
    box.hidden = false;
    box.classList.toggle("left", at > WIDTH / 2);
  });
  canvas.addEventListener("pointerleave", () => {
    box.hidden = true;
    cursor.removeAttribute("d");
  });
  return node;
}
