// What the parts of the page share: the data, what is chosen at the moment, costs, words.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);

// Okabe and Ito's colours: told apart by the colour blind; shapes and dashes tell them apart in grey.
const INK = "#1c2430", MUTED = "#5b6573", LINE = "#e2e6ec", FAINT = "#aeb7c2", CHOICE = "#b3185c", BASE = "#a85a00", PAPER = "#6a3d9a";
const SWEEPS = [
  { colour: "#0b6e99", dash: "solid", symbol: "circle" }, { colour: "#b04a00", dash: "dash", symbol: "square" },
  { colour: "#00795c", dash: "dot", symbol: "triangle-up" }, { colour: "#7a4fb5", dash: "dashdot", symbol: "cross" },
  { colour: "#3a3a3a", dash: "longdash", symbol: "star" },
];
const SITES = ["#0b6e99", "#d98200", "#00795c", "#a6497f", "#6b6b6b"];
const SKIPS = ["#dfe4ea", "#c9d0d8", "#b3bcc6"];  // what computes nothing
const FONT = { family: "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", color: INK, size: 13 };
const BARE = { displayModeBar: false, responsive: true };

const KINDS = {
  gflops: { option: "GFLOPs", title: "GFLOPs a video", unit: "GFLOPs", needs: "" },
  share: { option: "% of all-on", title: "% of everything on", unit: "%", needs: "" },
  network_s: { option: "seconds, networks", title: "seconds of the networks, a video", unit: "s", needs: "times" },
  total_s: { option: "seconds, with decoding", title: "seconds with decoding, a video", unit: "s", needs: "times" },
};

data.sweeps.forEach((sweep, index) => {
  sweep.style = SWEEPS[index % SWEEPS.length];
  sweep.rows.forEach((row) => { row.sweep = sweep; });
});
const several = data.sweeps.length > 1;
const state = { kind: "gflops", convention: data.convention, budget: null, picked: null, sort: "cost", down: false, steps: "passes" };

const timed = () => data.sweeps.every((sweep) => sweep.times !== null);
const inTime = () => KINDS[state.kind].needs === "times";
const column = () => inTime() ? state.kind : state.convention;  // where a row keeps this cost, and whether it is on that front
function cost(row) {
  const value = row.cost[column()];
  if (state.kind !== "share") return value;
  return 100 * value / row.sweep.conventions[state.convention].all_on_gflops;
}
function allOn(sweep) {
  if (inTime()) return sweep.times.all_on[state.kind];
  return state.kind === "share" ? 100 : sweep.conventions[state.convention].all_on_gflops;
}
const unit = () => KINDS[state.kind].unit;
const axisTitle = () => KINDS[state.kind].title + (inTime() ? "" : ` (${state.convention} convention)`);

const onFront = (row) => row.front[column()] === true;
const byCost = (a, b) => cost(a) - cost(b);
const front = (sweep) => sweep.rows.filter(onFront).sort(byCost);
const baselines = (sweep) => sweep.rows.filter((row) => row.name !== null).sort(byCost);
const dominated = (sweep) => sweep.rows.filter((row) => row.name === null && !onFront(row));
const fronts = () => data.sweeps.flatMap(front).sort(byCost);
const parameters = (row) => row.trial === null ? {} : row.sweep.parameters[row.trial];

// The most accurate point within the budget, over all sweeps; of equals the cheaper.
function affordable() {
  const within = fronts().filter((row) => cost(row) <= state.budget * (1 + 1e-9));
  return within.reduce((best, row) => best === null || row.accuracy > best.accuracy ? row : best, null);
}
const current = () => state.picked ?? affordable();

// Plotly reads a small HTML dialect in its labels: names that people chose must not be read as markup.
const escape = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const number = (x) => typeof x !== "number" ? String(x) : x === 0 ? "0" : String(Number(x.toPrecision(3)));
const percent = (x) => `${Math.round(100 * x)} %`;
const shortened = (text, most) => text.length > most ? `${text.slice(0, most - 1)}…` : text;

// The rates of a point: each, or the mean of a kind (kept of every block) where there are many.
const MOST_RATES = 6;
function shownRates(row) {
  const names = Object.keys(row.rates);
  if (names.length <= MOST_RATES) return row.rates;
  const kinds = {};
  for (const name of names) (kinds[`mean ${name.split(".").pop()}`] ??= []).push(row.rates[name]);
  return Object.keys(kinds).length > MOST_RATES ? {} : Object.fromEntries(Object.entries(kinds).map(([kind, all]) => [kind, all.reduce((a, b) => a + b) / all.length]));
}

function element(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined && text !== null) node.textContent = text;
  if (className) node.className = className;
  return node;
}

// A bar's fill: the hatching tells series apart in grey.
const hatched = (colour, index) => ({ color: colour, line: { color: colour, width: 1 },
  pattern: { shape: ["", "/", "x", "."][index % 4], bgcolor: colour, fgcolor: "#ffffff", size: 6, solidity: 0.25 } });

function decades(low, high, steps) {
  const found = [];
  for (let decade = Math.floor(Math.log10(low)); decade <= Math.log10(high); decade++) {
    for (const step of steps) {
      const value = Number(`${step}e${decade}`);
      if (value >= low && value <= high) found.push(value);
    }
  }
  return found;
}

// 1, 2, 5 of every decade, written in full: bare minor digits on a logarithmic axis are easily misread.
function ticks(low, high) {
  let found = decades(low, high, [1, 2, 5]);
  if (found.length < 4) found = decades(low, high, [1, 1.5, 2, 3, 5, 7]);
  const most = innerWidth < 600 ? 5 : 10;
  const step = Math.ceil(found.length / most);
  return found.filter((_, index) => index % step === 0);
}
