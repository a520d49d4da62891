// Enlarge pictures; the rest of the page needs no script. Browsers close a dialog on Escape.
const viewer = document.getElementById("viewer");
const zooms = [...document.querySelectorAll(".zoom")];
let current = 0;

function show(index) {
  current = (index + zooms.length) % zooms.length;
  const picture = zooms[current].querySelector("img");
  const large = viewer.querySelector("img");
  [large.src, large.alt] = [picture.src, picture.alt];
  viewer.querySelector("p").textContent = zooms[current].dataset.caption;
  if (!viewer.open) viewer.showModal();
}

zooms.forEach((zoom, index) => zoom.addEventListener("click", () => show(index)));
viewer.querySelector("img").addEventListener("click", () => viewer.close());
viewer.querySelectorAll("button").forEach((button) => {
  const step = Number(button.value);
  button.addEventListener("click", () => (step ? show(current + step) : viewer.close()));
});
viewer.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) show(current + step);
});
viewer.addEventListener("close", () => zooms[current].focus());
