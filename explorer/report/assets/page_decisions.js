// What the chosen point uses: by site, by segment or frame, by class, and video by video.

const NO_TABLE = "The decisions of this point are not kept: choose another one.";
const chosenOf = (row) => row && row.sweep.chosen[row.id];
const columnsOf = (sweep) => Object.values(sweep.chosen)[0]?.columns ?? Object.keys(shownRates(sweep.rows[0] ?? { rates: {} }));

// A colour a column, greys for those that compute nothing; the same at every point of a sweep.
function colourIn(names, name) {
  const skips = (one) => one.startsWith("skip"), alike = names.filter((one) => skips(one) === skips(name)), colours = skips(name) ? SKIPS : SITES;
  return colours[Math.max(0, alike.indexOf(name)) % colours.length];
}
const columnColour = (sweep, name) => colourIn([...new Set([...columnsOf(sweep), ...Object.keys(shownRates(sweep.rows[0] ?? { rates: {} }))])], name);
const fill = (sweep, name, index) => name.startsWith("skip") ? { color: columnColour(sweep, name), line: { color: FAINT, width: 1 } } : hatched(columnColour(sweep, name), index);
const SHARES = { range: [0, 1], tickformat: ".0%", gridcolor: "#eef1f4", automargin: true, fixedrange: true };
const ABOVE = { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal" };

// Of systems that decide at many places: each one's own choices.
function bySite() {
  const row = current(), found = chosenOf(row), sites = Object.entries(found?.sites ?? {});
  $("sites").hidden = !found || !found.stacked || sites.length < 2;
  if ($("sites").hidden) return;
  const names = sites.map(([site]) => escape(site));
  const traces = found.columns.map((name, index) => ({ type: "bar", name: escape(name), x: names, y: sites.map(([, shares]) => shares[name] ?? 0),
    marker: fill(row.sweep, name, index), hovertemplate: "%{x}: %{y:.0%}<extra>%{fullData.name}</extra>" }));
  Plotly.react("site-plot", traces, { ...SMALL, barmode: "stack", showlegend: true, legend: ABOVE, xaxis: { type: "category", fixedrange: true, automargin: true }, yaxis: SHARES }, BARE);
}

function bySegment() {
  const row = current(), found = chosenOf(row);
  section("segment", found ? null : NO_TABLE);
  if (!found) return;
  $("unit-title").textContent = `By ${found.unit}`;
  const units = found.by_unit.map((_, i) => i + 1);
  const traces = found.columns.map((name, index) => ({ type: "bar", name: escape(name), x: units, y: found.by_unit.map((line) => line[index]),
    marker: fill(row.sweep, name, index), hovertemplate: `${found.unit} %{x}: %{y:.0%}<extra>%{fullData.name}</extra>` }));
  Plotly.react("segment-plot", traces, { ...SMALL, barmode: found.stacked ? "stack" : "group", showlegend: true, legend: ABOVE,
    xaxis: { title: { text: found.unit, font: { size: 12 } }, dtick: Math.max(1, Math.ceil(units.length / 16)), fixedrange: true },
    yaxis: { ...SHARES, title: { text: found.stacked ? "" : "of the videos", font: { size: 12 } } } }, BARE);
}

function byClass() {
  const row = current(), found = chosenOf(row);
  section("class", found ? null : NO_TABLE);
  if (!found) return;
  const classes = row.sweep.classes, names = classes.map((name, index) => `${escape(shortened(name, 22))}${classes.indexOf(name) === index ? "" : " "}`);
  const axis = { autorange: "reversed", automargin: true, fixedrange: true, type: "category", dtick: 1 };
  if (found.stacked) {
    const traces = found.columns.map((name, index) => ({ type: "bar", orientation: "h", name: escape(name), y: names, x: found.by_class.map((line) => line === null ? null : line[index]),
      marker: fill(row.sweep, name, index), hovertemplate: "%{y}: %{x:.0%}<extra>%{fullData.name}</extra>" }));
    Plotly.react("class-plot", traces, { ...SMALL, margin: { l: 20, r: 14, t: 28, b: 10 }, height: 90 + 24 * classes.length, barmode: "stack", showlegend: true, legend: ABOVE, xaxis: SHARES, yaxis: axis }, BARE);
    return;
  }
  const z = found.by_class.map((line) => line ?? found.columns.map(() => null));
  Plotly.react("class-plot", [{ type: "heatmap", x: found.columns.map(escape), y: names, z, zmin: 0, zmax: 1, xgap: 3, ygap: 2, showscale: false,
    colorscale: [[0, "#f3f6f9"], [1, "#0b5273"]], text: z.map((line) => line.map((value) => value === null ? "" : percent(value))), texttemplate: "%{text}",
    hovertemplate: "%{y}, %{x}: %{text}<extra></extra>" }],
  { ...SMALL, margin: { l: 20, r: 14, t: 28, b: 10 }, height: 60 + 24 * classes.length, xaxis: { side: "top", fixedrange: true, type: "category" }, yaxis: axis }, BARE);
}

// --- the gallery ---------------------------------------------------------------------------------------------------------

function gallery() {
  const row = current(), sweep = row ? row.sweep : data.sweeps[0], shown = sweep.gallery;
  const decisions = row && shown.decisions?.[row.id];
  const missing = shown.missing ?? (decisions ? null : NO_TABLE);
  section("gallery", missing);
  if (missing !== null) return;
  $("gallery-hint").textContent = decisions[0]?.mix
    ? `Validation videos, of each class those whose decisions vary most. Below each ${chosenOf(row).unit} what was chosen: ${columnsOf(sweep).join(", ")}. Faded: nothing was computed.`
    : "Validation videos, of each class those whose decisions vary most. Framed and ●: computed. Faded and ○: skipped.";
  $("gallery-plot").replaceChildren(...shown.videos.map((video, index) => clip(sweep, video, decisions[index])));
}

function clip(sweep, video, decision) {
  const box = element("figure", null, "clip"), right = decision.predicted === video.label;
  const title = element("figcaption");
  title.append(element("b", sweep.classes[video.label] ?? video.label), element("span", `  ${video.id}  `, "hint"),
    element("span", right ? "✓ recognised" : `✗ taken for ${sweep.classes[decision.predicted]}`, right ? "right" : "wrong"));
  const grid = element("div", null, "strips");
  if (decision.mix) grid.append(mixed(sweep, decision.mix, video));
  else for (const [site, used] of Object.entries(decision.used)) grid.append(strip(sweep, site, used, video));
  box.append(title, grid);
  return box;
}

// One strip of the pictures: below each the shares of its choices, or the one that it got. Faded: nothing was computed.
function mixed(sweep, mix, video) {
  const line = element("div", null, "strip"), cells = element("div", null, "cells"), names = columnsOf(sweep), pictures = Object.values(video.pictures)[0];
  mix.forEach((shares, index) => {
    const says = `${index + 1}: ${shares.map((share, k) => share > 0 ? `${names[k]} ${share} %` : "").filter(Boolean).join(", ")}`;
    const only = shares.findIndex((share) => share === 100), computed = shares.some((share, k) => share > 0 && !names[k].startsWith("skip"));
    const cell = element("div", null, computed ? "cell used" : "cell skipped"), bar = element("div", null, "stack mix");
    cell.title = says;
    if (pictures?.[index]) {
      const image = element("img");
      image.src = pictures[index];
      image.alt = says;
      cell.append(image);
    }
    shares.forEach((share, k) => {
      if (share === 0) return;
      const piece = element("span");
      piece.style.width = `${share}%`;
      piece.style.background = columnColour(sweep, names[k]);
      bar.append(piece);
    });
    cell.append(bar);
    if (only >= 0) cell.append(element("span", names[only], "mark"));
    cells.append(cell);
  });
  line.append(cells);
  return line;
}

function strip(sweep, site, used, video) {
  const line = element("div", null, "strip"), cells = element("div", null, "cells"), count = [...used].filter((one) => one === "1").length;
  line.append(element("span", `${site} ${count}/${used.length}`, "site"), cells);
  [...used].forEach((one, index) => {
    const cell = element("div", null, one === "1" ? "cell used" : "cell skipped"), picture = video.pictures[site]?.[index];
    const bounds = video.bounds_s[index], says = `${site}, segment ${index + 1}${bounds ? `, ${bounds[0].toFixed(1)} to ${bounds[1].toFixed(1)} s` : ""}: ${one === "1" ? "used" : "skipped"}`;
    cell.title = says;
    if (picture) {
      const image = element("img");
      image.src = picture;
      image.alt = says;
      cell.append(image);
    }
    const mark = element("span", one === "1" ? "●" : "○", "mark");
    if (one === "1") { cell.style.borderColor = columnColour(sweep, site); mark.style.color = columnColour(sweep, site); }
    cell.append(mark);
    cells.append(cell);
  });
  return line;
}
