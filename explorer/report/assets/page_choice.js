// The chosen point: what it is, what it costs, where its time goes, the command that yields it.

function pairs(list, title, object, show = number) {
  if (!Object.keys(object).length) return;
  if (title) list.append(element("div", title, "group"));
  for (const [name, value] of Object.entries(object)) list.append(element("dt", name), element("dd", show(value)));
}

function bars(list, row) {
  for (const [site, rate] of Object.entries(shownRates(row))) {
    list.append(element("dt", `${site} used`), element("dd", percent(rate)));
    const bar = element("div", null, "bar"), fill = element("span");
    fill.style.width = `${Math.max(0, Math.min(100, rate * 100))}%`;
    fill.style.background = columnColour(row.sweep, site);
    bar.append(fill);
    list.append(bar);
  }
}

function heading(row) {
  if (state.picked === null) return `Within ${number(state.budget)} ${unit()}`;
  if (row.name !== null) return "Baseline";
  return onFront(row) ? "A point of the front" : "A dominated point";
}

function card() {
  const box = $("choice"), row = current();
  if (!row) {
    box.replaceChildren(element("h3", `Within ${number(state.budget)} ${unit()}`),
      element("p", fronts().length ? "No point of the front is this cheap." : "The front is still empty."));
    return;
  }
  const all = allOn(row.sweep), accuracy = element("div", `${(100 * row.accuracy).toFixed(1)} %`, "big");
  accuracy.append(element("span", `  ± ${(100 * row.error).toFixed(1)} ${row.sweep.metric}`, "unit"));
  const price = element("div", number(cost(row)), "big");
  const share = all > 0 && state.kind !== "share" ? `, ${percent(cost(row) / all)} of everything on` : "";
  price.append(element("span", ` ${unit()}${share}`, "unit"));
  const list = element("dl");
  bars(list, row);
  const costs = Object.fromEntries(Object.keys(row.sweep.conventions).map((name) => [`GFLOPs, ${name}`, row.cost[name]]));
  if (row.sweep.times) Object.assign(costs, { "s, networks": row.cost.network_s, "s, with decoding": row.cost.total_s });
  pairs(list, "Cost a video", costs);
  pairs(list, "Knobs", row.knobs);
  pairs(list, "Parameters", parameters(row));
  const where = { point: row.id, stage: row.stage, epoch: row.epoch };
  pairs(list, "Checkpoint", several ? { sweep: row.sweep.name, ...where } : where);
  box.replaceChildren(element("h3", heading(row)), element("p", row.label, "label"), accuracy, price, list, ...command(row));
}

function command(row) {
  if (!row.kept) return [element("p", "Its weights were dropped, as another epoch of its stage is better at every cost: it cannot be picked.", "hint")];
  const code = element("code", `explorer pick ${row.sweep.argument} --point ${row.id}`);
  code.id = "command";
  return [element("p", "This point as a folder to run:", "hint"), code];
}

// --- where a video's time goes: the networks are rarely the largest part ------------------------------------------------

const PARTS = ["#3d5a80", "#7a93b5", "#b04a00", "#d9a066", "#5c7f51", "#9ab98b", "#7a4fb5", "#b7a0d8", "#6b6b6b"];

function timeBar() {
  const box = $("time"), row = current();
  box.hidden = !row || !row.seconds;
  if (box.hidden) return;
  const parts = row.sweep.times.parts, total = row.seconds.reduce((a, b) => a + b, 0);
  const bar = element("div", null, "stack"), legend = element("ul");
  parts.forEach((part, index) => {
    const seconds = row.seconds[index];
    if (seconds === 0) return;
    const piece = element("span"), entry = element("li"), mark = element("i");
    piece.style.width = `${100 * seconds / total}%`;
    piece.className = part.kind;
    piece.title = `${part.name} ${number(1000 * seconds)} ms`;
    piece.style.backgroundColor = mark.style.backgroundColor = PARTS[index % PARTS.length];
    entry.append(mark, element("span", `${part.name} ${number(1000 * seconds)} ms (${percent(seconds / total)})`));
    bar.append(piece);
    legend.append(entry);
  });
  const networks = parts.reduce((sum, part, index) => sum + (part.kind === "network" ? row.seconds[index] : 0), 0);
  box.replaceChildren(element("h2", `Where the ${number(1000 * total)} ms of a video go at this point`), bar, legend,
    element("p", `The networks (hatched) take ${percent(networks / total)} of the time: this is what GFLOPs count. Measured: ${row.sweep.times.text}. ` +
      "Networks are given all segments of a video at once.", "hint"));
}
