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

// On a narrow page the picture is below the form: show it.
function kstyleShowPicture() {
  const stage = document.querySelector(".paint > .stage");
  if (stage.getBoundingClientRect().top > innerHeight / 4) stage.scrollIntoView({ behavior: "smooth" });
}

// The brush of a region: strokes on a canvas over the photograph, saved as white on black.
const kstyleBrush = {
  erasing: false,
  last: null,

  open(photograph, mask) {
    const easel = document.querySelector(".easel");
    const [picture, canvas] = [easel.querySelector("img"), easel.querySelector("canvas")];
    this.erasing = false;
    document.querySelector(".erase")?.classList.remove("on");
    picture.onload = () => {
      canvas.width = picture.naturalWidth;
      canvas.height = picture.naturalHeight;
      easel.style.setProperty("--ratio", canvas.width / canvas.height);
      if (mask) this.load(canvas, mask);
    };
    picture.src = photograph;
    if (canvas.dataset.ready) return;
    canvas.dataset.ready = "yes";
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.last = null;
      this.stroke(canvas, event);
    });
    canvas.addEventListener("pointermove", (event) => event.buttons && this.stroke(canvas, event));
  },

  load(canvas, address) {
    const old = new Image();
    old.onload = () => {
      const context = canvas.getContext("2d");
      context.drawImage(old, 0, 0, canvas.width, canvas.height);
      const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
      for (let i = 0; i < pixels.data.length; i += 4) {
        pixels.data.set([75, 141, 255, pixels.data[i]], i);
      }
      context.putImageData(pixels, 0, 0);
    };
    old.src = address;
  },

  stroke(canvas, event) {
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    const context = canvas.getContext("2d");
    context.globalCompositeOperation = this.erasing ? "destination-out" : "source-over";
    context.strokeStyle = "rgb(75, 141, 255)";
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = (document.querySelector(".brushsize").value / 100) * canvas.width;
    context.beginPath();
    context.moveTo(...(this.last ?? [x - 0.01, y]));
    context.lineTo(x, y);
    context.stroke();
    this.last = [x, y];
  },

  toggleErase() {
    this.erasing = !this.erasing;
    document.querySelector(".erase").classList.toggle("on", this.erasing);
  },

  clear() {
    const canvas = document.querySelector(".easel canvas");
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  },

  save() {
    const painted = document.querySelector(".easel canvas");
    const { width, height } = painted;
    const [white, canvas] = [0, 1].map(() => Object.assign(document.createElement("canvas"), { width, height }));
    const tint = white.getContext("2d");
    tint.drawImage(painted, 0, 0);
    tint.globalCompositeOperation = "source-in";
    tint.fillStyle = "#fff";
    tint.fillRect(0, 0, width, height);
    // Without alpha: kstyle refuses masks that are transparent.
    const context = canvas.getContext("2d", { alpha: false });
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    context.drawImage(white, 0, 0);
    canvas.toBlob((blob) => {
      const file = new File([blob], "region.png", { type: "image/png" });
      upload({ dataset: { slot: "mask" }, classList: { add() {}, remove() {} } }, file);
    }, "image/png");
  },
};
