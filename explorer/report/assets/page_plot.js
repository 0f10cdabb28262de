// Accuracy against cost.

function hover(row) {
  const lines = [`<b>${escape(row.label)}</b>  ${escape(row.id)}${several ? `, ${escape(row.sweep.name)}` : ""}`,
    `accuracy ${row.accuracy.toFixed(3)} ± ${row.error.toFixed(3)}   ${number(cost(row))} ${unit()}` +
    (state.kind === "gflops" ? "" : `   ${number(row.cost[state.convention])} GFLOPs`)];
  const again = furtherSeeds(row);
  if (again) lines.push(`${again.seeds} further seed${again.seeds > 1 ? "s" : ""}: ${again.mean.toFixed(3)}` +
    (again.error === null ? "" : ` ± ${again.error.toFixed(3)} (standard error over seeds)`));
  const list = (title, object) => {
    const parts = Object.entries(object).map(([name, value]) => `${escape(shortened(name, 40))} ${escape(number(value))}`);
    for (let i = 0; i < parts.length; i += 3) lines.push(`${i ? "&nbsp;&nbsp;&nbsp;" : title + ": "}${parts.slice(i, i + 3).join(", ")}`);
  };
  list("used", Object.fromEntries(Object.entries(shownRates(row)).map(([site, rate]) => [site, percent(rate)])));
  list("knobs", row.knobs);
  list("parameters", parameters(row));
  return lines.join("<br>");
}

const key = (row) => `${data.sweeps.indexOf(row.sweep)} ${row.id} ${row.name ?? ""}`;
const rowOf = (text) => data.sweeps.flatMap((sweep) => sweep.rows).find((row) => key(row) === text);

function trace(rows, extra) {
  return Object.assign({ type: "scatter", x: rows.map(cost), y: rows.map((row) => row.accuracy), text: rows.map(hover),
    customdata: rows.map(key), hovertemplate: "%{text}<extra></extra>" }, extra);
}

const errorBars = (rows, color) => (
  { type: "data", array: rows.map((row) => row.error), visible: $("errors").checked, color, thickness: 1, width: 0 });

// What a point's trial is worth with other seeds, within the point's cost.
const furtherSeeds = (row) => inTime() ? undefined : row.repeats?.[state.convention];

function seedTrace(sweep) {
  const rows = front(sweep).filter(furtherSeeds);
  if (!rows.length) return [];
  const again = rows.map(furtherSeeds), color = several ? sweep.style.colour : INK;
  return [trace(rows, { name: "mean of further seeds", y: again.map((one) => one.mean), mode: "markers", showlegend: !several,
    marker: { symbol: "line-ew-open", size: 13, color, line: { width: 2, color } },
    error_y: { type: "data", array: again.map((one) => one.error ?? 0), visible: $("errors").checked, color, thickness: 1, width: 4 } })];
}

function sweepTraces(sweep) {
  const style = sweep.style, members = front(sweep), named = baselines(sweep);
  const says = (what) => several ? `${what} ${escape(shortened(sweep.name, 24))}` : what;
  const behind = $("dominated").checked ? dominated(sweep) : [];
  return [
    trace(behind, { name: "dominated", mode: "markers", showlegend: !several,
      marker: { color: several ? style.colour : FAINT, size: 5, opacity: several ? 0.22 : 0.55, symbol: style.symbol } }),
    trace(members, { name: says("front"), mode: "lines+markers", line: { shape: "hv", color: style.colour, width: 2, dash: style.dash },
      marker: { color: style.colour, size: 9, symbol: style.symbol }, error_y: errorBars(members, style.colour + "66") }),
    trace(named, { name: "baselines", mode: "markers", showlegend: !several,
      marker: { color: several ? style.colour : BASE, size: 10, symbol: "diamond-open", line: { width: 2 } },
      error_y: errorBars(named, "rgba(168,90,0,0.4)") }),
    ...seedTrace(sweep),
  ];
}

// Repeats of one experiment: the best accuracy that a budget buys in the worst, the middle and the best of them.
function band(group, index) {
  const repeats = group.map(front).filter((members) => members.length);
  if (repeats.length < 2 || !$("errors").checked) return [];
  const costs = [...new Set(repeats.flat().map(cost))].sort((a, b) => a - b);
  const first = Math.max(...repeats.map((members) => cost(members[0])));  // from here on every repeat has a point
  const shown = costs.filter((value) => value >= first);
  const best = (members, value) => Math.max(...members.filter((row) => cost(row) <= value).map((row) => row.accuracy));
  const sorted = shown.map((value) => repeats.map((members) => best(members, value)).sort((a, b) => a - b));
  const line = (pick, extra) => Object.assign({ type: "scatter", mode: "lines", x: shown, y: sorted.map(pick), hoverinfo: "skip" }, extra);
  const middle = (values) => (values[Math.floor((values.length - 1) / 2)] + values[Math.ceil((values.length - 1) / 2)]) / 2;
  const edge = { shape: "hv", width: 0 };
  return [
    line((values) => values[0], { line: edge, showlegend: false }),
    line((values) => values[values.length - 1], { line: edge, fill: "tonexty", fillcolor: "rgba(90,100,115,0.18)",
      name: `range of ${repeats.length} repeats`, legendgroup: `repeats ${index}` }),
    line(middle, { line: { shape: "hv", width: 1.5, color: INK, dash: "dot" }, name: `median of ${repeats.length} repeats` }),
  ];
}

function repeatGroups() {
  const groups = new Map();
  for (const sweep of data.sweeps) {
    if (sweep.repeat !== null) groups.set(sweep.repeat, [...(groups.get(sweep.repeat) ?? []), sweep]);
  }
  return [...groups.values()];
}

// --- the paper's rows: of another data set, so they are drawn apart and only where their axis is ours ------------------

function paperProblem() {
  const { rows, same_networks: same, all_on_gflops: all } = data.sweeps[0].published;
  if (!rows.length) return "The paper prints no rows of these modalities that could be compared.";
  if (inTime()) return "The paper prints no times.";
  if (state.kind === "share") return null;
  const ours = data.sweeps[0].conventions.paper?.all_on_gflops ?? 0;
  if (!same) return `The paper's networks cost ${number(all)} GFLOPs with everything on, these ${number(ours)}: choose the cost "% of all-on" to compare them.`;
  return state.convention === "paper" ? null : "The paper's GFLOPs are of its own convention: switch to it.";
}

const paperCost = (row) => state.kind === "share" ? row.share : row.gflops;
const paperRows = () => $("paper").checked && paperProblem() === null ? data.sweeps[0].published.rows : [];

function paperTraces() {
  const rows = paperRows();
  const sets = [...new Set(rows.map((row) => row.data_set))];
  return sets.map((set) => {
    const of = rows.filter((row) => row.data_set === set);
    return { type: "scatter", mode: "markers", x: of.map(paperCost), y: of.map((row) => row.accuracy), name: `paper, on ${escape(set)}`,
      cliponaxis: false, marker: { symbol: "x-thin-open", size: 9, color: PAPER, line: { width: 2, color: PAPER } },
      customdata: of.map(() => ""), hovertemplate: of.map((row) => `<b>${escape(row.method)}</b>, as printed, on ${escape(set)}<br>` +
        `accuracy ${row.accuracy.toFixed(3)}   ${number(row.gflops)} GFLOPs (${number(row.share)} % of everything on)<extra></extra>`) };
  });
}

// --- drawing -----------------------------------------------------------------------------------------------------------

function costRange(traces) {
  const costs = traces.flatMap((one) => one.x).filter((x) => x > 0);
  if (!costs.length) return [0, 1];
  const low = Math.log10(Math.min(...costs)), high = Math.log10(Math.max(...costs)), pad = 0.06 * (high - low) + 0.02;
  return [low - pad, high + pad];
}

// Names beside their marks: the first place that meets no other mark or name and stays within the plot.
const PLACES = [[1, 0], [-1, 0], [1, -14], [-1, -14], [1, 14], [-1, 14], [1, -28], [-1, -28]];

function labels(low, high, box) {
  const named = [
    ...(several ? baselines(data.sweeps[0]) : data.sweeps.flatMap(baselines)).map((row) => ({ at: cost(row), accuracy: row.accuracy, text: row.label, colour: BASE })),
    ...paperRows().map((row) => ({ at: paperCost(row), accuracy: row.accuracy, text: row.method, colour: PAPER })),
  ].filter((one) => one.at > 0);
  const all = [...data.sweeps.flatMap((sweep) => sweep.rows), ...paperRows()].map((row) => row.accuracy);
  const top = Math.max(...all), tall = box.height / Math.max(1.12 * (top - Math.min(...all)), 0.05);
  const marks = named.map((one) => ({ one, x: (Math.log10(one.at) - low) / (high - low) * box.width, y: (top - one.accuracy) * tall }));
  const taken = marks.map(({ x, y }) => ({ left: x - 8, right: x + 8, top: y - 8, bottom: y + 8 }));
  const meets = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  return marks.map(({ one: mark, x, y }, own) => {
    const text = shortened(mark.text, 28), wide = 6.8 * text.length;
    const boxes = PLACES.map(([side, down]) => ({ side, down, left: side > 0 ? x + 10 : x - 10 - wide, right: side > 0 ? x + 10 + wide : x - 10,
      top: y + down - 7, bottom: y + down + 7 }));
    const free = boxes.filter((one) => one.left > 0 && one.right < box.width && !taken.some((other, i) => i !== own && meets(one, other)));
    const place = free[0] ?? boxes.find((one) => one.left > 0 && one.right < box.width) ?? boxes[1];
    taken.push(place);
    return { x: Math.log10(mark.at), y: mark.accuracy, text: escape(text), showarrow: false, font: { color: mark.colour, size: 12 },
      bgcolor: "rgba(255,255,255,0.75)", borderpad: 1, xanchor: place.side > 0 ? "left" : "right", xshift: 10 * place.side, yshift: -place.down };
  });
}

function draw() {
  const chosen = current(), narrow = innerWidth < 600;
  const traces = [...attained(), ...repeatGroups().flatMap(band), ...data.sweeps.flatMap(sweepTraces), ...paperTraces(),
    trace(chosen ? [chosen] : [], { name: "choice", mode: "markers", hoverinfo: "skip", hovertemplate: null, showlegend: false,
      marker: { color: "rgba(0,0,0,0)", size: 20, symbol: "circle", line: { color: CHOICE, width: 3 } } })];
  const [low, high] = costRange(traces), marks = ticks(10 ** low, 10 ** high);
  Plotly.react("plot", traces, {
    margin: { l: narrow ? 48 : 62, r: 14, t: 12, b: 52 }, hovermode: "closest", showlegend: true, uirevision: column() + state.kind,
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } }, font: FONT,
    hoverlabel: { align: "left", bgcolor: "#ffffff", bordercolor: "#c9d0d9", font: { size: 12, color: INK } },
    xaxis: { type: "log", range: [low, high], gridcolor: "#eef1f4", zeroline: false, fixedrange: narrow,
      tickvals: marks, ticktext: marks.map(number), title: { text: axisTitle(), font: { size: 13 } } },
    yaxis: { gridcolor: "#eef1f4", zeroline: false, fixedrange: narrow, tickformat: ".0%", automargin: true,
      title: narrow ? undefined : { text: `${escape(data.sweeps[0].metric)} on validation`, font: { size: 13 } } },
    shapes: state.budget > 0 ? [{ type: "line", x0: state.budget, x1: state.budget, yref: "paper", y0: 0, y1: 1,
      line: { color: CHOICE, width: 1, dash: "dot" } }] : [],
    annotations: labels(low, high, { width: $("plot").clientWidth - (narrow ? 62 : 90), height: $("plot").clientHeight - 110 }),
  }, { responsive: true, displaylogo: false, displayModeBar: narrow ? false : "hover",
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d", "toImage"] });
}
