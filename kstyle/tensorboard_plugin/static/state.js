// What is shown, kept in the address, so that a link shows the same.
//
// The plugin is in a frame: TensorBoard's own address gets `#kstyle&k.view=compare&...`,
// in which TensorBoard itself finds the tab. Where that window cannot be reached, as in a
// notebook, the frame's address is used.

const PREFIX = "k.";
const LISTENERS = new Set();

// TensorBoard's window, or this one where that cannot be reached.
export function host() {
  try {
    if (window.parent !== window && window.parent.location.href) return window.parent;
  } catch {
    // another origin
  }
  return window;
}

function parts() {
  return host().location.hash.slice(1).split("&").filter(Boolean);
}

// The state: { name: text }.
export function readState() {
  const state = {};
  for (const part of parts()) {
    const [name, value] = part.split("=");
    if (name.startsWith(PREFIX) && value !== undefined) {
      state[name.slice(PREFIX.length)] = decodeURIComponent(value);
    }
  }
  return state;
}

// Change some of the state; null removes a name. `quiet`: the view shows it already.
export function changeState(changes, { quiet = false } = {}) {
  const state = { ...readState(), ...changes };
  const others = parts().filter((part) => !part.startsWith(PREFIX));
  const own = Object.entries(state)
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => `${PREFIX}${name}=${encodeURIComponent(value)}`);
  const target = host();
  const address = new URL(target.location.href);
  address.hash = [...(others.length ? others : ["kstyle"]), ...own].join("&");
  target.history.replaceState(target.history.state, "", address.href);
  if (!quiet) LISTENERS.forEach((listener) => listener());
}

// Call `listener` when the state changes, also by the address.
export function onState(listener) {
  LISTENERS.add(listener);
  host().addEventListener("hashchange", listener);
}

// Whether the tab is the one that TensorBoard shows.
export function isShown() {
  return host() === window || parts()[0] === "kstyle";
}

// Follow TensorBoard's dark mode; without TensorBoard that of the browser.
export function followTheme() {
  const body = host().document.body;
  const preferred = window.matchMedia("(prefers-color-scheme: dark)");
  const follow = () => {
    const dark = host() === window ? preferred.matches : body.classList.contains("dark-mode");
    document.documentElement.classList.toggle("dark", dark);
  };
  new MutationObserver(follow).observe(body, { attributes: true, attributeFilter: ["class"] });
  preferred.addEventListener("change", follow);
  follow();
}
