const { explanation, spectrogram, timeline } = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const { prediction, labels, curves } = explanation;
const seconds = prediction.duration_seconds;
const levels = levelsOf(spectrogram);
const percent = (probability) => `${(100 * probability).toFixed(1)} %`;

function redraw() {
  const { deciding } = explanation.evidence[byId("genre").value];
  drawSpectrogram(byId("map"), spectrogram, levels, seconds, true);
  drawEvidence(byId("map"), explanation, byId("genre").value, seconds);
  drawPassages(byId("map"), deciding, seconds);
  if (spectrogram.seen_by_network) drawFrequencies(byId("map"), spectrogram);
  drawTimeline(byId("timeline"), timeline, seconds);
}

function drawCurves() {
  const names = { deletion: "taken away, strongest first", random_deletion: "taken away at random",
    insertion: "put back, strongest first", random_insertion: "put back at random" };
  const colours = ["#cc6677", "#cc6677", "#2a9d8f", "#2a9d8f"];
  const x = (fraction) => 40 + 360 * fraction;
  const y = (probability) => 200 - 180 * probability;
  const lines = Object.keys(names).map((name, index) => {
    const points = curves.fractions.map((f, i) => `${x(f)},${y(curves[name][i])}`).join(" ");
    const dashes = index % 2 ? 'stroke-dasharray="5 4"' : "";
    return `<polyline points="${points}" fill="none" stroke="${colours[index]}" stroke-width="2.5" ${dashes}/>`;
  });
  const texts = [[40, 218, "0 %"], [370, 218, "100 %"], [120, 236, "share of the blocks"], [4, 24, "100 %"], [4, 204, "0 %"]];
  byId("curves").innerHTML = `<path d="M40 20V200H400" fill="none" stroke="currentColor"/>${lines.join("")}`
    + texts.map(([left, top, text]) => `<text x="${left}" y="${top}" fill="currentColor" font-size="13">${text}</text>`).join("");
  byId("areas").innerHTML = Object.entries(names).map(([name, text], index) =>
    `<tr><td><svg viewBox="0 0 30 8" style="width:30px"><path d="M0 4H30" stroke="${colours[index]}" stroke-width="3" ${
      index % 2 ? 'stroke-dasharray="5 4"' : ""}/></svg></td><td>${text}</td><td>area ${
      curves.areas[name].toFixed(3)}</td></tr>`).join("");
}

document.querySelector("h1").textContent = prediction.label ?? "I don't know";
byId("summary").textContent = `${prediction.path.split(/[\\/]/).pop()}: `
  + prediction.genres.slice(0, 4).map((g) => `${g.label} ${percent(g.probability)}`).join(", ")
  + `. Model ${prediction.model.name} ${prediction.model.version}.`;
byId("genre").append(...labels.map((label) => new Option(label, label, false, label === explanation.genre)));
byId("explained").textContent = explanation.genre;
byId("deciding").textContent = explanation.evidence[explanation.genre].deciding
  .map((s) => `${s.start_seconds.toFixed(1)} to ${s.end_seconds.toFixed(1)} s`).join(", ") || "Nothing supports it.";
byId("verdict").textContent = curves.better_than_random
  ? "The evidence passes its check: its order does better than random orders, both when blocks are taken away and when they are put back."
  : "The evidence does NOT pass its check: a random order does as well. Do not rely on it for this track.";
const methods = {
  occlusion: `Evidence is how far the genre's odds fall when a block is replaced by ${explanation.replaced_by}, in nats: 0.7 nats halve the odds.`,
  gradcam: "Evidence is what the network's last feature map adds to the genre's logit (Grad-CAM).",
};
byId("method").textContent = `${methods[explanation.method]} The curves are the mean probability of `
  + `${explanation.genre} over the explained segments: ${explanation.coverage}.`;
drawCurves();
redraw();
byId("genre").addEventListener("change", redraw);
window.addEventListener("resize", redraw);
