// How sure one sweep's front is: the trade-offs that it attains in 5, 50 and 95 % of the draws of the validation videos.

const attainment = () => several || inTime() ? undefined : data.sweeps[0].attainment[state.convention];

function attained() {
  const found = attainment();
  if (!found || !$("attainment").checked) return [];
  const scale = state.kind === "share" ? 100 / data.sweeps[0].conventions[state.convention].all_on_gflops : 1;
  const dearest = Math.max(...found.surfaces.flatMap((one) => one.cost));
  // From the share of the draws that attain it: the largest share is the lower edge of the band.
  const line = (share, extra) => {
    const one = found.surfaces.find((surface) => surface.share === share);
    return Object.assign({ type: "scatter", mode: "lines", hoverinfo: "skip", x: [...one.cost, dearest].map((cost) => cost * scale),
      y: [...one.accuracy, one.accuracy[one.accuracy.length - 1]] }, extra);
  };
  const shares = found.surfaces.map((one) => one.share).sort((a, b) => b - a), edge = { shape: "hv", width: 0 };
  return [
    line(shares[0], { line: edge, showlegend: false }),
    line(shares[2], { line: edge, fill: "tonexty", fillcolor: "rgba(11,110,153,0.16)", legendgroup: "attained",
      name: `attained in ${percent(shares[2])} to ${percent(shares[0])} of draws` }),
    line(shares[1], { line: { shape: "hv", width: 1.5, color: INK, dash: "dot" }, name: "in half of them", legendgroup: "attained" }),
  ];
}

function attainmentNote() {
  const found = attainment();
  $("attainment-label").hidden = several;
  $("attainment").disabled = !found;
  $("attainment-note").textContent = found && $("attainment").checked
    ? `The band: what the points of the front reach together in 5 % (upper edge) to 95 % (lower edge) of ${found.sets} random draws of as many validation videos, with repetition. Costs are kept.` : "";
}
