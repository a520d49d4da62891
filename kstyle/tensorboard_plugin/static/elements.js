// Make elements of the page.

const SVG = "http://www.w3.org/2000/svg";

// An HTML element. Properties beginning with "on" are listeners, others that the element
// knows are set as properties, all others as attributes; undefined and null are left out, as are
// children that are false.
export function element(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

// The same in SVG.
export function drawing(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && !(node instanceof SVGElement)) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(
    ...children.flat().filter((child) => child !== null && child !== undefined && child !== false),
  );
  return node;
}

// A labelled <select>. choices: [[value, text], ...], or { group: [[value, text], ...] }.
export function select(label, choices, chosen, change) {
  const option = ([value, text]) => element("option", { value, selected: value === chosen }, text);
  const groups = Array.isArray(choices) ? { "": choices } : choices;
  const options = Object.entries(groups).flatMap(([name, items]) =>
    name ? element("optgroup", { label: name }, items.map(option)) : items.map(option),
  );
  return element(
    "label",
    { className: "field" },
    element("span", {}, label),
    element(
      "select",
      { "aria-label": label, onchange: (event) => change(event.target.value) },
      options,
    ),
  );
}

// Buttons of which one is pressed. choices: [[value, text], ...].
export function buttons(label, choices, chosen, change) {
  return element(
    "div",
    { className: "buttons", role: "group", "aria-label": label },
    choices.map(([value, text]) =>
      element(
        "button",
        { type: "button", "aria-pressed": String(value === chosen), onclick: () => change(value) },
        text,
      ),
    ),
  );
}
