// What a trained model reaches beside the one in use, with the interval of the difference.

import { bar, button, counted, element } from "./elements.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const WIDTH = 360;
const HEIGHT = 64;

/** A card; onAccept is null where nothing can be accepted. */
export function comparison(result, onAccept) {
  const { accuracy, old_accuracy: old, low, high, n_tracks: count, caution, model } = result;
  return element("div", { className: "comparison" },
    element("h3", {}, "The trained model and the one in use"),
    element("ul", { className: "bars", "aria-label": "Accuracy" }, bar("New", accuracy, { kind: "new" }), bar("In use", old)),
    element("p", {}, `${verdict(result)} Difference ${points(result.difference)}, 95 % interval ${points(low)} to ${points(high)}, on ${
      counted(count, "track")} of artists that it was not trained on.`),
    interval(result),
    caution ? element("p", { className: "note" }, `Few tracks: ${caution}.`) : "",
    element("p", { className: "row" }, onAccept ? button("Use the trained model", onAccept, { className: "primary", id: "accept-model" }) : "",
      element("span", { className: "note" }, `${model} is used only when you accept it.`)));
}

function verdict({ low, high }) {
  if (low > 0) return "It is better.";
  if (high < 0) return "It is worse.";
  return "The difference may be chance.";
}

function points(share) {
  const value = (100 * share).toFixed(1);
  return `${share > 0 ? "+" : ""}${value.replace("-", "−")} points`;
}

/** The interval on a line, with no difference marked. */
function interval({ difference, low, high }) {
  const reach = 1.2 * Math.max(Math.abs(low), Math.abs(high), 0.01);
  const x = (value) => WIDTH / 2 + (value / reach) * (WIDTH / 2 - 10);
  const image = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "interval", role: "img",
    "aria-label": `Difference ${points(difference)}, from ${points(low)} to ${points(high)}` });
  image.append(
    shape("line", { x1: 4, x2: WIDTH - 4, y1: 24, y2: 24, class: "axis" }),
    shape("line", { x1: x(0), x2: x(0), y1: 6, y2: 42, class: "zero" }),
    shape("line", { x1: x(low), x2: x(high), y1: 24, y2: 24, class: "range" }),
    shape("circle", { cx: x(difference), cy: 24, r: 6, class: "middle" }),
    text(x(0), "no difference", "middle"), text(6, "worse", "start"), text(WIDTH - 6, "better", "end"));
  return image;
}

function text(x, content, anchor) {
  const made = shape("text", { x, y: 58, "text-anchor": anchor });
  made.textContent = content;
  return made;
}

function shape(name, attributes) {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
