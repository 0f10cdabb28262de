// What the chosen point uses: by class, by segment, and video by video.

const siteColour = (sweep, site) => SITES[Object.keys(sweep.rows[0]?.rates ?? {}).indexOf(site) % SITES.length] ?? SITES[0];
const NO_TABLE = "The decisions of this point are not kept: choose another one.";

function bySegment() {
  const row = current(), rates = row && row.sweep.rates[row.id];
  section("segment", rates ? null : NO_TABLE);
  if (!rates) return;
  const sites = Object.entries(rates.by_segment);
  const traces = sites.map(([site, values], index) => ({ type: "bar", name: escape(site), x: values.map((_, i) => i + 1), y: values,
    marker: hatched(siteColour(row.sweep, site), index), hovertemplate: "segment %{x}: %{y:.0%}<extra>%{fullData.name}</extra>" }));
  Plotly.react("segment-plot", traces, { ...SMALL, barmode: "group", showlegend: true, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    xaxis: { title: { text: "segment", font: { size: 12 } }, dtick: Math.max(1, Math.ceil((sites[0]?.[1].length ?? 1) / 16)), fixedrange: true },
    yaxis: { range: [0, 1], tickformat: ".0%", gridcolor: "#eef1f4", automargin: true, fixedrange: true, title: { text: "of the videos", font: { size: 12 } } } }, BARE);
}

function byClass() {
  const row = current(), rates = row && row.sweep.rates[row.id];
  section("class", rates ? null : NO_TABLE);
  if (!rates) return;
  const sites = Object.keys(rates.by_class), classes = row.sweep.classes;
  const names = classes.map((name, index) => `${escape(shortened(name, 22))}${classes.indexOf(name) === index ? "" : " "}`);
  const z = classes.map((_, c) => sites.map((site) => rates.by_class[site][c]));
  Plotly.react("class-plot", [{ type: "heatmap", x: sites.map(escape), y: names, z, zmin: 0, zmax: 1, xgap: 3, ygap: 2, showscale: false,
    colorscale: [[0, "#f3f6f9"], [1, "#0b5273"]], text: z.map((line) => line.map((value) => value === null ? "" : percent(value))), texttemplate: "%{text}",
    hovertemplate: "%{y}, %{x}: %{text}<extra></extra>" }],
  { ...SMALL, margin: { l: 20, r: 14, t: 28, b: 10 }, height: 60 + 24 * classes.length, xaxis: { side: "top", fixedrange: true, type: "category" },
    yaxis: { autorange: "reversed", automargin: true, fixedrange: true, type: "category", dtick: 1 } }, BARE);
}

// --- the gallery ---------------------------------------------------------------------------------------------------------

function gallery() {
  const row = current(), sweep = row ? row.sweep : data.sweeps[0], shown = sweep.gallery;
  const decisions = row && shown.decisions?.[row.id];
  const missing = shown.missing ?? (decisions ? null : NO_TABLE);
  section("gallery", missing);
  if (missing !== null) return;
  $("gallery-plot").replaceChildren(...shown.videos.map((video, index) => clip(sweep, video, decisions[index])));
}

function clip(sweep, video, decision) {
  const box = element("figure", null, "clip"), right = decision.predicted === video.label;
  const title = element("figcaption");
  title.append(element("b", sweep.classes[video.label] ?? video.label), element("span", `  ${video.id}  `, "hint"),
    element("span", right ? "✓ recognised" : `✗ taken for ${sweep.classes[decision.predicted]}`, right ? "right" : "wrong"));
  const grid = element("div", null, "strips");
  for (const [site, used] of Object.entries(decision.used)) grid.append(strip(sweep, site, used, video));
  box.append(title, grid);
  return box;
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
    if (one === "1") { cell.style.borderColor = siteColour(sweep, site); mark.style.color = siteColour(sweep, site); }
    cell.append(mark);
    cells.append(cell);
  });
  return line;
}
