// Drop zones and dividers of the page; everything else is done by the server.
const UPLOAD = "/kstyle/upload";

function zones() {
  return [...document.querySelectorAll(".drop")];
}

async function upload(zone, file) {
  zone.classList.add("loading");
  const slot = zone.dataset.slot;
  try {
    const name = file.name || `pasted.${(file.type.split("/")[1] || "png").replace("jpeg", "jpg")}`;
    const response = await fetch(UPLOAD, {
      method: "POST",
      headers: { "X-File-Name": encodeURIComponent(name) },
      body: file,
    });
    const text = await response.text();
    if (response.ok) emitEvent("kstyle-picture", { slot, path: JSON.parse(text).path });
    else emitEvent("kstyle-refused", { message: text });
  } catch {
    emitEvent("kstyle-refused", { message: "The picture could not be sent. Is kstyle app still running?" });
  } finally {
    zone.classList.remove("loading");
  }
}

function pictureIn(transfer) {
  return [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/") || /\.\w+$/.test(file.name));
}

function choose(zone) {
  const input = Object.assign(document.createElement("input"), { type: "file", accept: "image/*,.heic,.heif,.avif,.jxl,.jp2,.tif,.tiff,.psd" });
  input.addEventListener("change", () => input.files[0] && upload(zone, input.files[0]));
  input.click();
}

document.addEventListener("click", (event) => {
  const zone = event.target.closest?.(".drop");
  if (zone) choose(zone);
});
document.addEventListener("keydown", (event) => {
  const zone = event.target.closest?.(".drop");
  if (zone && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    choose(zone);
  }
});
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    const zone = event.target.closest?.(".drop");
    event.preventDefault(); // a picture beside a zone must not replace the page
    for (const each of zones()) each.classList.toggle("over", each === zone && name.startsWith("drago"));
    const file = name === "drop" && zone && pictureIn(event.dataTransfer);
    if (file) upload(zone, file);
  });
}
document.addEventListener("paste", (event) => {
  const file = pictureIn(event.clipboardData);
  if (!file) return;
  event.preventDefault();
  // Into the first empty zone, else that under the pointer or with the focus.
  const all = zones();
  const zone = all.find((each) => !each.querySelector("img")) ?? all.find((each) => each.matches(":hover, :focus")) ?? all[0];
  if (zone) upload(zone, file);
});
document.addEventListener("input", (event) => {
  const divider = event.target.closest?.(".divider");
  if (divider) divider.style.setProperty("--cut", `${event.target.value}%`);
});
// The divider takes the shape of its result.
document.addEventListener("load", (event) => {
  const picture = event.target;
  if (!picture.matches?.(".divider .after")) return;
  picture.closest(".divider").style.setProperty("--ratio", picture.naturalWidth / picture.naturalHeight);
}, true);
