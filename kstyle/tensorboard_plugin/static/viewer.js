// Enlarged pictures in a dialog, one after the other; also part of kstyle's reports.

// Return `show(pictures, index)`, which opens the dialog and returns nothing.
// dialog: with an <img>, a <p> for the caption, and buttons whose value is a step to
//   another picture, or 0 to close. pictures: [{ src, alt, caption, origin }], where
//   origin is the element that gets the focus back.
export function pictureViewer(dialog) {
  const image = dialog.querySelector("img");
  const caption = dialog.querySelector("p");
  let pictures = [];
  let current = 0;

  function show(list, index) {
    pictures = list;
    current = (index + list.length) % list.length;
    const { src, alt, caption: text } = pictures[current];
    Object.assign(image, { src, alt });
    caption.textContent = text;
    if (!dialog.open) dialog.showModal();
  }

  const move = (step) => show(pictures, current + step);
  image.addEventListener("click", () => dialog.close());
  dialog.querySelectorAll("button[value]").forEach((button) => {
    const step = Number(button.value);
    button.addEventListener("click", () => (step ? move(step) : dialog.close()));
  });
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    move(step);
  });
  // Browsers close a dialog on Escape.
  dialog.addEventListener("close", () => pictures[current]?.origin?.focus());
  return show;
}
