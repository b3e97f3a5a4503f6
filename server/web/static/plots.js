// Plots as SVG. What they show is in the label as well, and in a table beside them.

import { build, buildSvg } from "/static/dom.js";
import { number } from "/static/strings.js";

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [640, 220, 52, 24, 12];
const TICKS = 4;

// Round numbers between two values: 1400, 1450, 1500, …
function ticks(low, high) {
  const rough = (high - low || 1) / TICKS;
  const base = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * base).find((each) => each >= rough);
  const first = Math.ceil(low / step) * step;
  return Array.from({ length: Math.floor((high - first) / step + 1e-9) + 1 }, (_, n) => first + n * step);
}

function frame(low, high, label, ...children) {
  const y = (value) => HEIGHT - BOTTOM - ((value - low) / (high - low || 1)) * (HEIGHT - BOTTOM - TOP);
  const lines = ticks(low, high).map((value) => buildSvg("g", {},
    buildSvg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) }),
    buildSvg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, number.format(value))));
  return buildSvg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label },
    lines, children.map((draw) => draw(y)));
}

const across = (n, count) => LEFT + 8 + (count > 1 ? (n / (count - 1)) * (WIDTH - LEFT - 16) : (WIDTH - LEFT) / 2);

/** A line through points `{ value, low, high, title }`; a band from low to high, if they have one. */
export function linePlot(points, label) {
  const [low, high] = [Math.min(...points.map((each) => each.low ?? each.value)), Math.max(...points.map((each) => each.high ?? each.value))];
  const room = (high - low || 10) * 0.08;
  const at = (n) => across(n, points.length);
  return frame(low - room, high + room, label, (y) => {
    const band = points.every((each) => each.low !== undefined) && buildSvg("polygon", { class: "band", points: [
      ...points.map((each, n) => `${at(n)},${y(each.high)}`), ...points.map((each, n) => `${at(n)},${y(each.low)}`).reverse()].join(" ") });
    return [band,
      buildSvg("polyline", { class: "line", points: points.map((each, n) => `${at(n)},${y(each.value)}`).join(" ") }),
      points.map((each, n) => buildSvg("circle", { cx: at(n), cy: y(each.value), r: points.length > 60 ? 2 : 4 }, buildSvg("title", {}, each.title)))];
  });
}

/** Bars `{ value, title, isGood }` around zero. */
export function barPlot(bars, label) {
  const [low, high] = [Math.min(0, ...bars.map((each) => each.value)), Math.max(0, ...bars.map((each) => each.value))];
  const step = (WIDTH - LEFT) / bars.length;
  const width = Math.min(40, step * 0.8);
  return frame(low, Math.max(high, 1), label, (y) => bars.map((each, n) => buildSvg("rect", {
    class: each.isGood ? "bar good" : "bar", x: LEFT + (n + 0.5) * step - width / 2, width,
    y: Math.min(y(each.value), y(0)), height: Math.max(1, Math.abs(y(each.value) - y(0))),
  }, buildSvg("title", {}, each.title))));
}

/** A plot with a caption that everybody sees. */
export const figure = (plot, caption) => build("figure", { class: "figure" }, plot, build("figcaption", { class: "small" }, caption));
