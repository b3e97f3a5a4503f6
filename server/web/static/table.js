// The table of a ruleset that brings no view of its own: what its `view` holds, and its legal moves.

import { build, labelled, replace } from "/static/dom.js";
import { t } from "/static/strings.js";

const DEPTH_MAX = 6;
const ROWS_MAX = 200;

/** A word of a program as people read it: `bid_and_duck` becomes `Bid and duck`. */
export function humanise(word) {
  const text = String(word).replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Any JSON value, nested ones as tables. */
export function drawValue(value, depth = 0) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "object") return String(value);
  if (depth >= DEPTH_MAX) return JSON.stringify(value);
  const isFlat = Array.isArray(value) && value.every((each) => each === null || typeof each !== "object");
  if (isFlat) return value.map((each) => each ?? "–").join(" ");
  return build("table", { class: "plain" }, build("tbody", {}, Object.entries(value).slice(0, ROWS_MAX).map(([key, each]) =>
    build("tr", {}, build("th", { scope: "row" }, humanise(key)), build("td", {}, drawValue(each, depth + 1))))));
}

/** A move in words: its type, then its fields. */
export function moveText(move) {
  const { type, ...fields } = move;
  const values = Object.values(fields).map((value) => (typeof value === "object" ? JSON.stringify(value) : value));
  return [humanise(type ?? ""), ...values].join(" ").trim();
}

export default function view(table) {
  const state = build("div", { class: "scroll" });
  const moves = build("div", { class: "row", role: "group", "aria-label": t("table.moves") });
  const input = build("input", { id: "move", autocomplete: "off", maxlength: 2000, placeholder: '{"type": "…"}' });
  const form = build("form", { hidden: true, onsubmit: send }, labelled(t("table.move"), input, t("table.move_hint")),
    build("button", {}, t("table.send")));
  table.root.append(moves, form, state);

  function send(event) {
    event.preventDefault();
    try {
      table.act(JSON.parse(input.value));
    } catch {
      input.setCustomValidity(t("table.no_json"));
      input.reportValidity();
      input.oninput = () => input.setCustomValidity("");
    }
  }

  return {
    update({ view: shown, seat, status }) {
      const { legal_moves: legal, ...fields } = shown ?? {};
      form.hidden = legal !== null && legal !== undefined || seat === null || status !== "in_progress";
      replace(moves, (legal ?? []).map((move) => build("button", {
        type: "button", class: "quiet", "data-key": JSON.stringify(move), onclick: () => table.act(move),
      }, moveText(move))));
      replace(state, drawValue(fields));
    },
    describe: () => null,
  };
}
