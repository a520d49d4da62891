// Search, order, and pictures at full size with a divider between before and after.
const runs = [...document.querySelectorAll(".run")];
const viewer = document.getElementById("viewer");
let current = 0;

document.querySelector(".tools").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("search").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const run of runs) {
    const text = `${run.closest("section").querySelector("h2")?.textContent ?? ""} ${run.textContent}`.toLowerCase();
    run.hidden = !words.every((word) => text.includes(word));
  }
  const left = runs.filter((run) => !run.hidden);
  document.getElementById("count").textContent = left.length;
  document.getElementById("nothing").hidden = left.length > 0;
  for (const section of document.querySelectorAll("section")) {
    section.hidden = !section.querySelector(".run:not([hidden])");
  }
});

document.getElementById("order").addEventListener("change", (event) => {
  const key = event.target.value;
  const compare = key === "sort"
    ? (a, b) => b.dataset.sort - a.dataset.sort
    : (a, b) => a.dataset[key].localeCompare(b.dataset[key]) || b.dataset.sort - a.dataset.sort;
  for (const list of document.querySelectorAll(".runs")) {
    list.append(...[...list.children].sort(compare));
  }
});

function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

function show(buttons, index) {
  current = (index + buttons.length) % buttons.length;
  const button = buttons[current];
  const small = button.querySelector("img");
  const stage = viewer.querySelector(".stage");
  // The file lies beside the page where the page was written; elsewhere the small one is shown.
  const after = element("img", { src: button.dataset.file, alt: small.alt, className: "after" });
  after.addEventListener("error", () => { after.src = small.src; }, { once: true });
  stage.style.setProperty("--ratio", small.naturalWidth / small.naturalHeight);
  const before = INPUTS[button.dataset.content];
  if (before) {
    const divider = element("div", { className: "divider" });
    const range = element("input", { type: "range", min: 0, max: 100, step: 0.1, value: 50 });
    range.setAttribute("aria-label", "Divider between photograph and result");
    range.addEventListener("input", () => divider.style.setProperty("--cut", `${range.value}%`));
    divider.append(
      after,
      element("img", { src: before, alt: "Photograph", className: "before" }),
      range,
      element("div", { className: "line" }),
      element("span", { className: "tag left", textContent: "photograph" }),
      element("span", { className: "tag right", textContent: "result" }),
    );
    stage.replaceChildren(divider);
  } else {
    stage.replaceChildren(after);
  }
  const painting = viewer.querySelector(".painting");
  painting.hidden = !INPUTS[button.dataset.painting];
  if (!painting.hidden) painting.src = INPUTS[button.dataset.painting];
  viewer.querySelector("p").textContent = small.alt;
  viewer.querySelector("a.button").href = button.dataset.file;
  if (!viewer.open) viewer.showModal();
}

function shownButtons() {
  return [...document.querySelectorAll(".run:not([hidden]) .open:not([disabled])")];
}

for (const run of runs) {
  const button = run.querySelector(".open");
  button.addEventListener("click", () => show(shownButtons(), shownButtons().indexOf(button)));
}
viewer.querySelectorAll("button").forEach((button) => {
  const step = Number(button.value);
  button.addEventListener("click", () => (step ? show(shownButtons(), current + step) : viewer.close()));
});
viewer.addEventListener("keydown", (event) => {
  if (event.target.type === "range") return;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) show(shownButtons(), current + step);
});
viewer.addEventListener("close", () => shownButtons()[current]?.focus());
