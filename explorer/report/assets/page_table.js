// The front and the baselines as a table that sorts.

function columns() {
  const rows = data.sweeps.flatMap((sweep) => [...front(sweep), ...baselines(sweep)]);
  const names = (of) => [...new Set(rows.flatMap((row) => Object.keys(of(row))))];
  return [
    ...(several ? [{ id: "sweep", title: "sweep", text: true, value: (row) => row.sweep.name }] : []),
    { id: "label", title: "point", text: true, value: (row) => row.label },
    { id: "accuracy", title: "accuracy", value: (row) => row.accuracy, show: (row) => row.accuracy.toFixed(3) },
    { id: "error", title: "± s.e.", value: (row) => row.error, show: (row) => row.error.toFixed(3) },
    { id: "cost", title: state.kind === "gflops" ? "GFLOPs" : state.kind === "share" ? "% of all-on" : unit(), value: cost },
    ...names(shownRates).map((name) => ({ id: `rate ${name}`, title: `${name} used`, value: (row) => shownRates(row)[name] ?? null,
      show: (row) => name in shownRates(row) ? percent(shownRates(row)[name]) : "" })),
    ...names((row) => row.knobs).map((name) => ({ id: `knob ${name}`, title: name, value: (row) => row.knobs[name] ?? null })),
    ...names(parameters).map((name) => ({ id: `parameter ${name}`, title: name, value: (row) => parameters(row)[name] ?? null })),
    { id: "id", title: "point id", text: true, value: (row) => row.id },
  ];
}

function headOf(all, sorted) {
  const head = element("tr");
  for (const one of all) {
    const arrow = one === sorted ? (state.down ? " ↓" : " ↑") : "";
    const cell = element("th", null, one.text ? "text" : ""), button = element("button", one.title + arrow);
    if (arrow) cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
    button.addEventListener("click", () => { state.down = state.sort === one.id && !state.down; state.sort = one.id; table(); });
    cell.append(button);
    head.append(cell);
  }
  return head;
}

function lineOf(row, all) {
  const line = element("tr", null, row === current() ? "chosen" : row.name !== null ? "baseline" : "");
  for (const one of all) {
    const value = one.value(row);
    line.append(element("td", one.show ? one.show(row) : value === null ? "" : number(value), one.text ? "text" : ""));
  }
  line.tabIndex = 0;
  line.addEventListener("click", () => choose(row));
  line.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(row); });
  return line;
}

function table() {
  const all = columns(), sorted = all.find((one) => one.id === state.sort) ?? all[0];
  const compare = (a, b) => {
    const x = sorted.value(a), y = sorted.value(b);
    if (x === null || y === null) return (x === null) - (y === null);  // what has no value stays last
    const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
    return state.down ? -order : order;
  };
  const rows = data.sweeps.flatMap((sweep) => [...front(sweep), ...baselines(sweep)]).sort(compare);
  $("table").tHead.replaceChildren(headOf(all, sorted));
  $("table").tBodies[0].replaceChildren(...rows.map((row) => lineOf(row, all)));
}
