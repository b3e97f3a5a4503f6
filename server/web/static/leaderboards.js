// Leaderboards of a ruleset. What is chosen is in the address, so that a board can be shared.

import { action, client } from "/static/site.js";
import { build, labelled, replace } from "/static/dom.js";
import { number, t } from "/static/strings.js";
import { humanise } from "/static/table.js";

const RATING = "rating";
const PERIODS = ["all", "day", "week", "season"];
const SCOPES = ["all", "around", "friends"];
const LIMIT = 25;

const main = document.querySelector("main");
const asked = new URLSearchParams(location.search);
const chosen = {
  ruleset: asked.get("ruleset"), board: asked.get("board"), period: asked.get("period") ?? "all", day: asked.get("day"),
  season: asked.get("season"), scope: asked.get("scope") ?? "all", bots: asked.get("bots") === "true",
};

let boards = { boards: [], seasons: [] };
let next = null;
const results = build("div", { id: "board" });
const form = build("form", { class: "row panel", "aria-label": t("boards.choose"), onsubmit: (event) => event.preventDefault() });

const option = (value, text, isChosen) => build("option", { value, selected: isChosen }, text);

function choice(name, label, options) {
  const field = build("select", { id: name, onchange: action(() => choose({ [name]: field.value })) },
    options.map(([value, text]) => option(value, text, value === chosen[name])));
  return labelled(label, field);
}

function drawForm(rulesets) {
  const isRating = chosen.board === RATING;
  const day = build("input", { type: "date", id: "day", value: chosen.day, onchange: action(() => choose({ day: day.value || null })) });
  const bots = build("input", { type: "checkbox", id: "bots", checked: chosen.bots, onchange: action(() => choose({ bots: bots.checked })) });
  const names = [...boards.boards.map(({ statistic }) => [statistic, humanise(statistic)]), [RATING, t("boards.rating")]];
  replace(form,
    choice("ruleset", t("boards.ruleset"), rulesets.map(({ name, title }) => [name, title])),
    choice("board", t("boards.board"), names),
    !isRating && choice("period", t("boards.period"), PERIODS.filter((each) => each !== "season" || boards.seasons.length)
      .map((each) => [each, t(`boards.period.${each}`)])),
    !isRating && ["day", "week"].includes(chosen.period) && labelled(t("boards.day"), day),
    !isRating && chosen.period === "season" && choice("season", t("boards.season"), boards.seasons.map(({ name }) => [name, name])),
    !isRating && choice("scope", t("boards.scope"), SCOPES.map((each) => [each, t(`boards.scope.${each}`)])),
    !isRating && build("p", { class: "field" }, build("label", { for: "bots" }, bots, " ", t("boards.bots"))));
}

let rulesets = [];

async function choose(changes) {
  Object.assign(chosen, changes);
  if (changes.ruleset) {
    boards = await client.request("GET /v1/rulesets/{ruleset}/boards", { path: { ruleset: chosen.ruleset } });
  }
  if (![...boards.boards.map(({ statistic }) => statistic), RATING].includes(chosen.board)) chosen.board = boards.boards[0]?.statistic ?? RATING;
  if (chosen.period === "season" && !boards.seasons.some(({ name }) => name === chosen.season)) {
    chosen.season = boards.seasons[0]?.name ?? null;
    if (!chosen.season) chosen.period = "all";
  }
  const query = new URLSearchParams(Object.entries(chosen).filter(([, value]) => value));
  history.replaceState(null, "", `?${query}`);
  const focus = document.activeElement?.id;
  drawForm(rulesets);
  if (focus) document.getElementById(focus)?.focus();
  await read(null);
}

async function read(cursor) {
  const { ruleset, board, period, scope, bots } = chosen;
  if (scope !== "all" && board !== RATING && !client.session) {
    replace(results, build("p", { class: "empty" }, t("boards.sign_in"), " ", build("a", { href: "/account" }, t("session.sign_in"))));
    return;
  }
  const page = board === RATING
    ? await client.request("GET /v1/rulesets/{ruleset}/ratings", { path: { ruleset }, query: { cursor, limit: LIMIT } })
    : await client.request("GET /v1/rulesets/{ruleset}/boards/{statistic}", {
      path: { ruleset, statistic: board },
      query: {
        cursor, limit: LIMIT, period, scope, bots,
        ...(["day", "week"].includes(period) && chosen.day ? { day: chosen.day } : {}),
        ...(period === "season" ? { season: chosen.season } : {}),
      },
    });
  next = page.next;
  draw(page.entries ?? page.players.map((each) => ({ ...each, value: Math.round(each.rating) })), cursor !== null);
}

function draw(rows, isMore) {
  const drawn = rows.map((row) => build("tr", { "data-me": String(row.player_id === client.session?.player_id) },
    row.rank !== undefined && build("td", {}, number.format(row.rank)),
    build("th", { scope: "row" }, build("a", { href: `/players/${row.player_id}` }, row.display_name),
      row.is_bot && build("span", { class: "small" }, ` ${t("boards.bot")}`)),
    build("td", {}, number.format(row.value), row.deviation !== undefined && build("span", { class: "small" }, ` ± ${number.format(Math.round(row.deviation))}`)),
    build("td", {}, number.format(row.games))));
  if (isMore) results.querySelector("tbody").append(...drawn);
  else if (!rows.length) replace(results, build("p", { class: "empty" }, t("boards.empty")));
  else {
    const heads = [rows[0].rank !== undefined && "rank", "player", "value", "games"].filter(Boolean);
    replace(results, build("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": t("boards.title") }, build("table", { class: "board" },
      build("thead", {}, build("tr", {}, heads.map((each) => build("th", { scope: "col" }, t(`boards.column.${each}`))))),
      build("tbody", {}, drawn))),
    build("p", { class: "actions" }, build("button", { type: "button", class: "quiet", id: "more", onclick: action(() => read(next)) }, t("list.more"))));
  }
  const more = results.querySelector("#more");
  if (more) more.hidden = next === null;
}

async function open() {
  document.title = t("page.title", { page: t("boards.title") });
  replace(main, build("h1", {}, t("boards.title")), form, results);
  ({ rulesets } = await client.request("GET /v1/rulesets"));
  const ruleset = rulesets.some(({ name }) => name === chosen.ruleset) ? chosen.ruleset : rulesets[0].name;
  await choose({ ruleset });
}

open().catch((error) => replace(main, build("h1", {}, t("boards.title")), build("p", { role: "alert" }, error.message)));
