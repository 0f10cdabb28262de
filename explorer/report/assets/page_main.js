// Controls, and what is drawn when.

// The slider is logarithmic, a little wider than the fronts on both sides.
function range() {
  const costs = data.sweeps.flatMap((sweep) => [...front(sweep), ...baselines(sweep)]).map(cost).filter((x) => x > 0);
  return costs.length ? [Math.log(Math.min(...costs) * 0.9), Math.log(Math.max(...costs) * 1.1)] : [0, 1];
}

function setBudget(value) {
  const [low, high] = range();
  state.budget = value;
  $("budget").value = String(Math.round(1000 * (Math.log(Math.max(value, 1e-12)) - low) / (high - low)));
}

// A click: the point itself. The budget follows it where it is on the front, so that both show the same.
function choose(row) {
  state.picked = row;
  if (onFront(row)) setBudget(cost(row));
  refresh();
}

const shownSweep = () => current()?.sweep ?? data.sweeps[0];

function facts() {
  const sweep = data.sweeps[0], reference = sweep.conventions[state.convention]?.reference;
  const words = several ? data.sweeps.map((one) => `${one.name}: ${front(one).length} points from ${one.trials} trials, ${one.videos} validation videos`)
    : [sweep.system, `${sweep.trials} trials`, `${front(sweep).length} points on the front, from ${sweep.candidates} candidates`, `${sweep.videos} validation videos`,
      inTime() ? "measured seconds" : `${state.convention} cost convention`,
      ...(reference ? [`hypervolume ${number(sweep.conventions[state.convention].hypervolume)} (${reference.split} split)`] : [])];
  $("facts").textContent = words.join("  ·  ");
}

function controls() {
  $("budget-value").textContent = `${number(state.budget)} ${unit()}`;
  $("convention").disabled = inTime();
  const problem = paperProblem();
  $("paper-note").textContent = problem === null && $("paper").checked
    ? `The crosses are the paper's own figures on ${[...new Set(data.sweeps[0].published.rows.map((row) => row.data_set))].join(" and ")}: another data set, so compare the shape and the saving, not the height.`
    : $("paper").checked ? problem : "";
  attainmentNote();
  $("time-note").textContent = timed() ? "" : `Seconds are not shown: they were not measured${several ? " for all sweeps" : ""}. explorer front ${(data.sweeps.find((sweep) => sweep.times === null) ?? data.sweeps[0]).argument} --measure-time measures them on this machine.`;
}

function refresh() {
  facts();
  controls();
  draw();
  card();
  timeBar();
  table();
  below();
}

// What lies below is drawn when it comes into view or the choice changes: the slider stays quick.
let pending = false;
function below() {
  if (pending) return;
  pending = true;
  setTimeout(() => {
    pending = false;
    for (const part of [volumes, importances, parallel, bySite, bySegment, byClass, gallery]) part();
    document.body.dataset.drawn = String(Number(document.body.dataset.drawn ?? 0) + 1);
  }, 0);
}

// Start at half of everything on, or at the dearest point of the front if that is cheaper.
function initial() {
  const members = fronts(), half = Math.max(...data.sweeps.map(allOn)) / 2;
  const dearest = members.length ? cost(members[members.length - 1]) : half || 1;
  const cheapest = members.length ? cost(members[0]) : 0;
  setBudget(Math.max(cheapest, Math.min(half || dearest, dearest)));
}

// After a change of the axis the same point stays chosen; its cost is the new budget.
function changeAxis(change) {
  const row = current();
  change();
  state.picked = null;
  initial();
  if (row && onFront(row)) setBudget(cost(row));
  if (row !== affordable()) state.picked = row;
  refresh();
}

function options(select, entries, chosen) {
  for (const [value, text, enabled] of entries) {
    const option = element("option", text);
    option.value = value;
    option.selected = value === chosen;
    option.disabled = !enabled;
    select.append(option);
  }
}

function listen() {
  $("budget").addEventListener("input", () => {
    const [low, high] = range();
    state.budget = Math.exp(low + (high - low) * Number($("budget").value) / 1000);
    state.picked = null;
    refresh();
  });
  $("kind").addEventListener("change", () => changeAxis(() => { state.kind = $("kind").value; }));
  $("convention").addEventListener("change", () => changeAxis(() => { state.convention = $("convention").value; }));
  $("steps").addEventListener("change", () => { state.steps = $("steps").value; volumes(); });
  for (const id of ["dominated", "errors", "attainment", "paper"]) $(id).addEventListener("change", refresh);
  $("plot").on("plotly_click", (event) => { const row = rowOf(event.points[0].customdata); if (row) choose(row); });
}

function start() {
  $("title").textContent = data.title;
  $("paper-label").hidden = !data.sweeps[0].published.rows.length;
  $("notes").textContent = data.notes[0];
  $("warnings").textContent = data.notes.slice(1).join(" ");
  options($("kind"), Object.entries(KINDS).map(([id, kind]) => [id, kind.option, !kind.needs || timed()]), state.kind);
  options($("convention"), Object.keys(data.sweeps[0].conventions).map((name) => [name, name, true]), state.convention);
  options($("steps"), Object.keys(STEPS).map((name) => [name, name, true]), state.steps);
  initial();
  refresh();
  listen();
  const fit = () => document.querySelectorAll(".js-plotly-plot").forEach((plot) => Plotly.Plots.resize(plot));
  addEventListener("beforeprint", fit);
  addEventListener("afterprint", fit);
}

start();
