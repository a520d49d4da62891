// Enlarge pictures; the rest of the page needs no script.
const zooms = [...document.querySelectorAll(".zoom")];
const show = pictureViewer(document.getElementById("viewer"));
const pictures = zooms.map((origin) => {
  const { src, alt } = origin.querySelector("img");
  return { src, alt, caption: origin.dataset.caption, origin };
});
zooms.forEach((zoom, index) => zoom.addEventListener("click", () => show(pictures, index)));
