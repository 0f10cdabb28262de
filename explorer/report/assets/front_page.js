"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const INK = "#1c2430", MUTED = "#667085", FRONT = "#0b6e99", BASE = "#d9822b", CHOICE = "#c2255c", FAINT = "#b8c1cc";
  const $ = (id) => document.getElementById(id);
  const state = { convention: data.convention, budget: null, sort: "gflops", down: false };

  // Plotly reads a small HTML dialect in its labels: names that people chose must not be read as markup.
  const escape = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const number = (x) => typeof x !== "number" ? String(x) : x === 0 ? "0" : String(Number(x.toPrecision(3)));
  const gflops = (row) => row.gflops[state.convention];
  const onFront = (row) => row.front[state.convention];
  const byCost = (a, b) => gflops(a) - gflops(b);
  const parameters = (row) => row.trial === null ? {} : data.parameters[row.trial];
  const front = () => data.rows.filter(onFront).sort(byCost);
  const baselines = () => data.rows.filter((row) => row.name !== null).sort(byCost);

  function element(tag, text, className) {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (className) node.className = className;
    return node;
  }

  function choice() {
    const affordable = front().filter((row) => gflops(row) <= state.budget * (1 + 1e-9));
    return affordable.length ? affordable[affordable.length - 1] : null;
  }

  // --- the plot ---------------------------------------------------------------------------------------------------

  function hover(row) {
    const lines = [`<b>${escape(row.label)}</b>  ${escape(row.id)}`,
      `accuracy ${row.accuracy.toFixed(3)} ± ${row.error.toFixed(3)}   ${number(gflops(row))} GFLOPs`];
    const list = (title, object) => {
      const parts = Object.entries(object).map(([name, value]) => `${escape(name)} ${escape(number(value))}`);
      for (let i = 0; i < parts.length; i += 3) lines.push(`${i ? "&nbsp;&nbsp;&nbsp;" : title + ": "}${parts.slice(i, i + 3).join(", ")}`);
    };
    list("used", Object.fromEntries(Object.entries(row.rates).map(([k, v]) => [k, `${Math.round(v * 100)} %`])));
    list("knobs", row.knobs);
    list("parameters", parameters(row));
    return lines.join("<br>");
  }

  function trace(rows, extra) {
    return Object.assign({
      type: "scatter", x: rows.map(gflops), y: rows.map((row) => row.accuracy), text: rows.map(hover),
      customdata: rows.map((row) => row.id), hovertemplate: "%{text}<extra></extra>",
    }, extra);
  }

  function errorBars(rows, color) {
    return { type: "data", array: rows.map((row) => row.error), visible: $("errors").checked, color, thickness: 1, width: 0 };
  }

  // 1, 2, 5 of every decade, written in full: bare minor digits on a logarithmic axis are easily misread.
  function ticks(low, high) {
    const found = [];
    for (let decade = Math.floor(Math.log10(low)); decade <= Math.log10(high); decade++) {
      for (const step of [1, 2, 5]) {
        const value = Number(`${step}e${decade}`);
        if (value >= low && value <= high) found.push(value);
      }
    }
    return found;
  }

  function draw() {
    const members = front(), named = baselines(), chosen = choice();
    const behind = $("dominated").checked ? data.rows.filter((row) => row.name === null && !onFront(row)) : [];
    const traces = [
      trace(behind, { name: "dominated", mode: "markers", marker: { color: FAINT, size: 5, opacity: 0.55 } }),
      trace(members, { name: "front", mode: "lines+markers", line: { shape: "hv", color: FRONT, width: 2 },
        marker: { color: FRONT, size: 9 }, error_y: errorBars(members, "rgba(11,110,153,0.35)") }),
      trace(named, { name: "baselines", mode: "markers",
        marker: { color: BASE, size: 11, symbol: "diamond" }, error_y: errorBars(named, "rgba(217,130,43,0.45)") }),
      trace(chosen ? [chosen] : [], { name: "choice", mode: "markers", hoverinfo: "skip", hovertemplate: null,
        marker: { color: "rgba(0,0,0,0)", size: 20, line: { color: CHOICE, width: 3 } } }),
    ];
    // A label goes to the side where the plot has room: names at the dear end are written to the left of their mark.
    const costs = data.rows.map(gflops).filter((x) => x > 0);
    const low = Math.log10(Math.min(...costs)), high = Math.log10(Math.max(...costs)), pad = 0.06 * (high - low) + 0.02;
    const labels = named.filter((row) => gflops(row) > 0).map((row) => {
      const x = Math.log10(gflops(row)), left = x > low + 0.6 * (high - low);
      return { x, y: row.accuracy, text: escape(row.label), showarrow: false, font: { color: "#9a5b00", size: 12 },
        xanchor: left ? "right" : "left", xshift: left ? -11 : 11, yshift: 0 };
    });
    Plotly.react("plot", traces, {
      margin: { l: 62, r: 16, t: 12, b: 54 }, hovermode: "closest", showlegend: true,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } },
      font: { family: "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", color: INK, size: 13 },
      hoverlabel: { align: "left", bgcolor: "#ffffff", bordercolor: "#e2e6ec", font: { size: 12, color: INK } },
      xaxis: { type: "log", range: [low - pad, high + pad], gridcolor: "#eef1f4", zeroline: false,
        tickvals: ticks(10 ** (low - pad), 10 ** (high + pad)), ticktext: ticks(10 ** (low - pad), 10 ** (high + pad)).map(number), title: { text: `GFLOPs a video (${state.convention} convention)` } },
      yaxis: { gridcolor: "#eef1f4", zeroline: false, title: { text: `${escape(data.metric)} on validation` } },
      shapes: state.budget > 0 ? [{ type: "line", x0: state.budget, x1: state.budget, yref: "paper", y0: 0, y1: 1,
        line: { color: CHOICE, width: 1, dash: "dot" } }] : [],
      annotations: labels,
    }, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] });
  }

  // --- the choice -------------------------------------------------------------------------------------------------

  function card() {
    const box = $("choice"), row = choice();
    box.replaceChildren(element("h3", `Within ${number(state.budget)} GFLOPs a video`));
    if (!row) {
      box.append(element("p", front().length ? "No point of the front is this cheap." : "The front is still empty."));
      return;
    }
    const all = data.conventions[state.convention].all_on_gflops;
    const accuracy = element("div", `${(100 * row.accuracy).toFixed(1)} %`, "big");
    accuracy.append(element("span", `  ± ${(100 * row.error).toFixed(1)} ${data.metric}`, "unit"));
    const cost = element("div", number(gflops(row)), "big");
    cost.append(element("span", `  GFLOPs${all > 0 ? `, ${(100 * gflops(row) / all).toFixed(0)} % of everything on` : ""}`, "unit"));
    const list = element("dl");
    const pair = (name, value) => list.append(element("dt", name), element("dd", value));
    for (const [site, rate] of Object.entries(row.rates)) {
      pair(`${site} used`, `${Math.round(rate * 100)} %`);
      const bar = element("div", undefined, "bar"), fill = element("span");
      fill.style.width = `${Math.max(0, Math.min(100, rate * 100))}%`;
      bar.append(fill);
      list.append(bar);
    }
    const group = (title, object) => {
      if (!Object.keys(object).length) return;
      list.append(element("div", title, "group"));
      for (const [name, value] of Object.entries(object)) pair(name, number(value));
    };
    group("Knobs", row.knobs);
    group("Parameters", parameters(row));
    group("Checkpoint", { trial: row.trial, stage: row.stage, epoch: row.epoch, point: row.id });
    const convention = state.convention === "full" ? "" : ` --convention ${state.convention}`;
    const budget = Number((gflops(row) * 1.001).toPrecision(4));  // rounded up, so that the command finds this very point
    box.append(accuracy, cost, list, element("code", `explorer pick ${data.sweep} --max-gflops ${budget}${convention}`));
  }

  // --- the table --------------------------------------------------------------------------------------------------

  function columns() {
    const names = (key) => [...new Set([...front(), ...baselines()].flatMap((row) => Object.keys(key(row))))];
    return [
      { id: "label", title: "point", text: true, value: (row) => row.label },
      { id: "id", title: "point id", text: true, value: (row) => row.id },
      { id: "accuracy", title: "accuracy", value: (row) => row.accuracy, show: (row) => row.accuracy.toFixed(3) },
      { id: "error", title: "± s.e.", value: (row) => row.error, show: (row) => row.error.toFixed(3) },
      { id: "gflops", title: "GFLOPs", value: gflops, show: (row) => number(gflops(row)) },
      ...names((row) => row.rates).map((name) => ({ id: `rate ${name}`, title: `${name} used`, value: (row) => row.rates[name] ?? null,
        show: (row) => name in row.rates ? `${Math.round(row.rates[name] * 100)} %` : "" })),
      ...names((row) => row.knobs).map((name) => ({ id: `knob ${name}`, title: name, value: (row) => row.knobs[name] ?? null })),
      ...names(parameters).map((name) => ({ id: `parameter ${name}`, title: name, value: (row) => parameters(row)[name] ?? null })),
    ];
  }

  function table() {
    const all = columns(), sorted = all.find((column) => column.id === state.sort) ?? all[0], chosen = choice();
    const head = element("tr");
    for (const column of all) {
      const arrow = column === sorted ? (state.down ? " ↓" : " ↑") : "";
      const cell = element("th", undefined, column.text ? "text" : ""), button = element("button", column.title + arrow);
      if (arrow) cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      button.addEventListener("click", () => { state.down = state.sort === column.id && !state.down; state.sort = column.id; table(); });
      cell.append(button);
      head.append(cell);
    }
    const compare = (a, b) => {
      const x = sorted.value(a), y = sorted.value(b);
      if (x === null || y === null) return (x === null) - (y === null);  // what has no value stays last
      const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
      return state.down ? -order : order;
    };
    const body = [...front(), ...baselines()].sort(compare).map((row) => {
      const line = element("tr", undefined, row.name !== null ? "baseline" : row === chosen ? "chosen" : "");
      for (const column of all) {
        const value = column.value(row);
        const text = column.show ? column.show(row) : value === null ? "" : number(value);
        line.append(element("td", text, column.text ? "text" : ""));
      }
      line.addEventListener("click", () => setBudget(gflops(row)));
      return line;
    });
    $("table").tHead.replaceChildren(head);
    $("table").tBodies[0].replaceChildren(...body);
  }

  // --- controls ---------------------------------------------------------------------------------------------------

  // The slider is logarithmic, a little wider than the front on both sides.
  function range() {
    const costs = [...front(), ...baselines()].map(gflops).filter((x) => x > 0);
    return costs.length ? [Math.log(Math.min(...costs) * 0.9), Math.log(Math.max(...costs) * 1.1)] : [0, 1];
  }

  function setBudget(value) {
    const [low, high] = range();
    state.budget = value;
    $("budget").value = String(Math.round(1000 * (Math.log(Math.max(value, 1e-12)) - low) / (high - low)));
    refresh();
  }

  function refresh() {
    $("budget-value").textContent = `${number(state.budget)} GFLOPs`;
    const reference = data.conventions[state.convention].reference;
    $("facts").textContent = [`${data.system}`, `${data.trials} trials`, `${front().length} points on the front, from ${data.candidates} candidates`,
      `${data.videos} validation videos`, `${state.convention} cost convention`,
      ...(reference ? [`hypervolume ${number(data.conventions[state.convention].hypervolume)} (${reference.split} split)`] : [])].join("  ·  ");
    draw();
    card();
    table();
  }

  function start() {
    $("title").textContent = `Front of ${data.sweep}`;
    $("notes").textContent = data.notes;
    for (const name of Object.keys(data.conventions)) {
      const option = element("option", name);
      option.selected = name === state.convention;
      $("convention").append(option);
    }
    $("budget").addEventListener("input", () => {
      const [low, high] = range();
      state.budget = Math.exp(low + (high - low) * Number($("budget").value) / 1000);
      refresh();
    });
    $("convention").addEventListener("change", () => { state.convention = $("convention").value; initial(); });
    for (const id of ["dominated", "errors"]) $(id).addEventListener("change", refresh);
    initial();
    $("plot").on("plotly_click", (event) => {
      const row = data.rows.find((candidate) => candidate.id === event.points[0].customdata);
      if (row) setBudget(gflops(row));
    });
  }

  // Start at half of everything on, or at the dearest point of the front if that is cheaper.
  function initial() {
    const members = front(), half = data.conventions[state.convention].all_on_gflops / 2;
    const dearest = members.length ? gflops(members[members.length - 1]) : half || 1;
    const cheapest = members.length ? gflops(members[0]) : 0;
    setBudget(Math.max(cheapest, Math.min(half || dearest, dearest)));
  }

  start();
})();
