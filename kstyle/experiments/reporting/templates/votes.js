// Blind comparison of pairs of results. A result has an id in place of its name, which
// only the report can resolve. The votes are kept in the browser until they are deleted.
const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const key = `kstyle-votes ${data.experiment} ${data.groups.map((g) => g.results.map((r) => r.id)).join()}`;
let state = load() || begin();
let shownAt = 0;

function load() {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null; // no storage, as in a private window
  }
}

function store() {
  try {
    localStorage.setItem(key, JSON.stringify(state));
  } catch {
    // The votes last until the page is closed.
  }
}

// Pairs of one group, in random order and on random sides.
function begin() {
  const pairs = [];
  data.groups.forEach(({ results }, group) => {
    results.forEach((_, i) => {
      for (let j = 0; j < i; j++) {
        const [a, b] = Math.random() < 0.5 ? [i, j] : [j, i];
        pairs.push({ group, a, b });
      }
    });
  });
  return { started: new Date().toISOString(), pairs: evenly(shuffle(pairs)), votes: [] };
}

function shuffle(list) {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [list[i], list[j]] = [list[j], list[i]];
  }
  return list;
}

// Whoever stops early has seen every result about equally often.
function evenly(pairs) {
  const seen = new Map();
  const count = ({ group, a, b }) => (seen.get(`${group} ${a}`) || 0) + (seen.get(`${group} ${b}`) || 0);
  const ordered = [];
  const rest = [...pairs];
  while (rest.length) {
    let best = 0;
    rest.forEach((pair, i) => { if (count(pair) < count(rest[best])) best = i; });
    const [{ group, a, b }] = rest.splice(best, 1);
    for (const side of [a, b]) seen.set(`${group} ${side}`, (seen.get(`${group} ${side}`) || 0) + 1);
    ordered.push({ group, a, b });
  }
  return ordered;
}

function show() {
  const done = state.votes.length;
  const total = state.pairs.length;
  if (done >= total) {
    end();
    return;
  }
  element("end").hidden = true;
  element("vote").hidden = false;
  const { group, a, b } = state.pairs[done];
  const { content, style, results } = data.groups[group];
  for (const [id, source] of [["content", content], ["style", style]]) {
    element(id).closest("figure").hidden = !source;
    if (source) element(id).src = source;
  }
  element("a").src = results[a].picture;
  element("b").src = results[b].picture;
  element("bar").max = total;
  element("bar").value = done;
  element("count").textContent = `pair ${done + 1} of ${total}`;
  element("undo").disabled = !done;
  shownAt = performance.now();
}

function choose(choice) {
  const { group, a, b } = state.pairs[state.votes.length];
  const { results } = data.groups[group];
  const seconds = Math.round((performance.now() - shownAt) / 100) / 10;
  state.votes.push({ a: results[a].id, b: results[b].id, choice, seconds });
  store();
  show();
}

function undo() {
  state.votes.pop();
  store();
  show();
}

function end() {
  const count = state.votes.length;
  element("vote").hidden = true;
  element("end").hidden = false;
  element("thanks").textContent = `${count} of ${state.pairs.length} pairs compared`;
  element("on").hidden = count >= state.pairs.length;
  element("save").disabled = !count;
  element("thanks").focus();
}

function save() {
  const { started, votes } = state;
  const file = { kstyle_votes: 1, experiment: data.experiment, started, saved: new Date().toISOString(), votes };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(file, null, 1)], { type: "application/json" }));
  link.download = `votes_${data.experiment}_${file.saved.slice(0, 19).replace(/\D/g, "")}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
}

document.querySelectorAll("[data-choice]").forEach((button) => {
  button.addEventListener("click", () => choose(button.dataset.choice));
});
element("undo").addEventListener("click", undo);
element("stop").addEventListener("click", end);
element("save").addEventListener("click", save);
element("on").addEventListener("click", show);
element("again").addEventListener("click", () => {
  if (state.votes.length && !confirm("Delete the votes on this page?")) return;
  state = begin();
  store();
  show();
});
document.addEventListener("keydown", (event) => {
  if (element("vote").hidden || event.repeat || event.altKey || event.ctrlKey || event.metaKey) return;
  const choice = { ArrowLeft: "a", ArrowDown: "equal", ArrowRight: "b" }[event.key];
  if (!choice && event.key !== "Backspace") return;
  event.preventDefault();
  if (choice) choose(choice);
  else if (state.votes.length) undo();
});
show();
