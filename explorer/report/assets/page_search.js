// How the search went: hypervolume, importances, all trials with their parameters.

const STEPS = { passes: "passes over the training videos by the trials, shared stages once", hours: "hours since the first trial began", trials: "trials that ended" };
const SMALL = { font: FONT, showlegend: false, hovermode: "closest", margin: { l: 56, r: 14, t: 10, b: 46 } };

function volumes() {
  const traces = data.sweeps.map((sweep) => {
    const history = sweep.history, count = history.trials.length;
    const x = state.steps === "trials" ? history.trials.map((_, index) => index + 1) : history[state.steps];
    return { type: "scatter", mode: "lines+markers", name: escape(sweep.name), x, y: history.hypervolume[state.convention] ?? [],
      line: { shape: "hv", color: sweep.style.colour, dash: sweep.style.dash, width: 2 }, marker: { size: 6, symbol: sweep.style.symbol },
      customdata: history.trials, hovertemplate: `trial %{customdata}, ${count} ended<br>%{x} ${state.steps}: %{y:.4f}<extra>${several ? escape(sweep.name) : ""}</extra>` };
  });
  const empty = traces.every((one) => !one.y.length);
  section("volume", empty ? "No trial has ended yet." : null);
  if (empty) return;
  Plotly.react("volume-plot", traces, { ...SMALL, showlegend: several, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    xaxis: { rangemode: "tozero", gridcolor: "#eef1f4", zeroline: false, title: { text: STEPS[state.steps], font: { size: 12 } }, fixedrange: true },
    yaxis: { rangemode: "tozero", gridcolor: "#eef1f4", zeroline: false, automargin: true, fixedrange: true, title: { text: `hypervolume (${state.convention})`, font: { size: 12 } } } }, BARE);
}

// Show a section, or the sentence that says why there is nothing in it.
function section(id, missing) {
  $(`${id}-missing`).textContent = missing ?? "";
  $(`${id}-missing`).hidden = missing === null;
  $(`${id}-plot`).hidden = missing !== null;
}

function importances() {
  const sweep = shownSweep(), objectives = Object.entries(sweep.importances);
  section("importance", objectives.length ? null : "Fewer than 8 trials have ended, or a single parameter was searched: importances would be noise.");
  if (!objectives.length) return;
  const names = [...new Set(objectives.flatMap(([, shares]) => Object.keys(shares)))].reverse();
  const traces = objectives.map(([objective, shares], index) => ({ type: "bar", orientation: "h", name: `for ${escape(objective)}`,
    y: names.map((name) => escape(shortened(name, 26))), x: names.map((name) => shares[name] ?? 0), text: names.map((name) => percent(shares[name] ?? 0)), textposition: "outside", cliponaxis: false,
    marker: hatched(SITES[index], index), hovertemplate: "%{y}: %{text}<extra>%{fullData.name}</extra>" }));
  Plotly.react("importance-plot", traces, { ...SMALL, barmode: "group", showlegend: true, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal" },
    height: 110 + 46 * names.length, margin: { ...SMALL.margin, l: 20, r: 46, b: 30 },
    xaxis: { range: [0, 1], tickformat: ".0%", gridcolor: "#eef1f4", fixedrange: true }, yaxis: { automargin: true, fixedrange: true } }, BARE);
}

// --- parallel coordinates: lines, not plotly's own kind, which needs WebGL and code made at run time (forbidden here) ----

function axes(sweep) {
  const objectives = [...new Set(sweep.tried.flatMap((trial) => Object.keys(trial.values)))];
  return [
    ...sweep.dimensions.map((one) => ({ ...one, of: (trial) => sweep.parameters[trial.number]?.[one.name] })),
    ...objectives.map((name) => ({ name, scale: "linear", of: (trial) => trial.values[name] })),
  ].map((axis) => {
    const place = (value) => axis.scale === "choice" ? axis.choices.indexOf(String(value)) : axis.scale === "log" ? Math.log(value) : value;
    const values = sweep.tried.map(axis.of).filter((value) => value !== undefined);
    const places = values.map(place), low = Math.min(...places), high = Math.max(...places);
    return { ...axis, values, at: (value) => high > low ? (place(value) - low) / (high - low) : 0.5 };
  });
}

function marksOf(axis, index) {
  const values = axis.scale === "choice" ? axis.choices.filter((choice) => axis.values.map(String).includes(choice))
    : [Math.min(...axis.values), Math.max(...axis.values)];
  return values.filter((value, i) => i === 0 || value !== values[0]).map((value) => ({ x: index, y: axis.at(value), text: escape(shortened(number(value), 14)), showarrow: false, xanchor: "left", xshift: 4,
    font: { size: 11, color: MUTED }, bgcolor: "rgba(255,255,255,0.8)" }));
}

function parallel() {
  const sweep = shownSweep(), shown = sweep.tried.filter((trial) => trial.number in sweep.parameters);
  section("parallel", shown.length > 1 && sweep.dimensions.length ? null : "There are no two trials with parameters to compare yet.");
  if (!$("parallel-missing").hidden) return;
  const all = axes({ ...sweep, tried: shown }), members = new Set(front(sweep).map((row) => row.trial)), chosen = current();
  const order = [...shown].sort((a, b) => members.has(a.number) - members.has(b.number));
  const traces = order.map((trial) => {
    const on = members.has(trial.number), mine = chosen && chosen.sweep === sweep && chosen.trial === trial.number;
    const text = `<b>trial ${trial.number}</b>${on ? ", on the front" : ""}<br>` + all.map((axis) => `${escape(shortened(axis.name, 40))} ${escape(number(axis.of(trial)))}`).join("<br>");
    return { type: "scatter", mode: "lines+markers", x: all.map((_, i) => i), y: all.map((axis) => axis.at(axis.of(trial))), customdata: all.map(() => trial.number),
      line: { color: mine ? CHOICE : on ? sweep.style.colour : FAINT, width: mine ? 3 : on ? 1.8 : 1 }, opacity: on || mine ? 1 : 0.6,
      marker: { size: mine ? 7 : 4 }, text: all.map(() => text), hovertemplate: "%{text}<extra></extra>" };
  });
  const names = all.map((axis) => escape(shortened(axis.name, innerWidth < 600 ? 12 : 22)));
  Plotly.react("parallel-plot", traces, { ...SMALL, margin: { l: 24, r: 56, t: 14, b: innerWidth < 600 ? 78 : 40 },
    xaxis: { tickvals: all.map((_, i) => i), ticktext: names, tickangle: innerWidth < 600 ? -40 : 0, gridcolor: INK, gridwidth: 1, zeroline: false, fixedrange: true, range: [-0.08, all.length - 1 + 0.22] },
    yaxis: { visible: false, range: [-0.08, 1.08], fixedrange: true }, annotations: all.flatMap(marksOf) }, BARE);
}
