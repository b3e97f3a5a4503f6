// One day: its slots, votes and scores, now or at any earlier version, and its settlement.
//
// The page asks for new events every two seconds. It opens no websocket: a player has one, and a game
// in another tab needs it.

import { RequestRefused } from "/sdk/playhall.js";
import { clockTime, ether } from "/static/format.js";
import { lastOfPath } from "/static/moments.js";
import { action, client, showError } from "/static/site.js";
import { build, replace } from "/static/dom.js";
import { number, t } from "/static/strings.js";
import { beforeFreeze, checkDay, micros, settleDay } from "/static/settle.js";
import { parseJson } from "/static/verify.js";

const EVENTS_PAGE = 500;
const POLL_MS = 2000;
const OVER = ["settle", "archive"];
const CLAIMS = ["slot_claimed", "slot_overwritten"];

const main = document.querySelector("main");
const path = { epoch: lastOfPath() };

// ------------------------------------------------------------------ what is known

let day;
let rules;
let slots = []; // as the profile has them
const events = [];
const bots = new Map(); // slugs by id
let shown = null; // the version that is looked at; null: the newest

function take(event) {
  events.push(event);
  if (event.bot_id) bots.set(event.bot_id, event.bot);
}

/** Read what happened since; says whether there was something. */
async function readOn() {
  const before = events.length;
  for (;;) {
    const after = events.at(-1)?.version ?? 0;
    const page = await client.request("GET /v1/epochs/{epoch}/events", { path: { epoch: day.epoch_id }, query: { after, limit: EVENTS_PAGE } });
    page.events.forEach(take);
    if (!page.events.length || page.events.at(-1).version >= page.head) return events.length > before;
  }
}

/** The day as it was after an event: what its slots held, how it was voted, and its phase. */
function fold(version) {
  const held = slots.map((slot) => ({ ...slot, code: null, bot_id: null, at: null }));
  const votes = new Map();
  let phase = "prep";
  let at = day.starts_at;
  for (const event of events) {
    if (event.version > version) break;
    at = event.at;
    if (CLAIMS.includes(event.event)) Object.assign(held[event.slot_index] ?? {}, { code: event.payload.code, bot_id: event.bot_id, at: event.at, version: event.version });
    if (event.event === "phase_changed") phase = event.payload.phase;
    if (event.event === "vote_cast") votes.set(`${event.payload.ballot} ${event.payload.target_type} ${event.payload.target_id}`, event.payload);
  }
  return { held, votes: [...votes.values()], phase, at };
}

/** Scores at a version, computed here as a settlement is. */
function scores(version, at) {
  const until = events.filter((event) => event.version <= version);
  const frozenAt = Math.min(micros(at), micros(day.frozen_at ?? day.freeze_at));
  return settleDay({ events: beforeFreeze(until), frozenAt, rules: rules.settlement, poolWei: day.pool_wei })
    .sort((one, other) => Number(other.amount_wei !== "0") - Number(one.amount_wei !== "0") || Number(other.raw_score) - Number(one.raw_score));
}

// ------------------------------------------------------------------ drawing

const botName = (bot_id) => bots.get(bot_id) ?? (bot_id ? `${bot_id.slice(0, 8)}…` : "–");
const board = build("ol", { class: "slots", id: "slots", "aria-label": t("epoch.slots") });
const votesBox = build("div", { id: "votes" });
const scoreBox = build("div", { id: "scores" });
const state = build("p", { class: "row", id: "state", role: "status", "aria-live": "polite" });
const slider = build("input", { type: "range", id: "version", min: 0, step: 1, "aria-label": t("epoch.scrubber"), oninput: () => look(Number(slider.value)) });
const place = build("span", { class: "small" });
const live = build("button", { type: "button", class: "quiet", onclick: () => look(null) }, t("epoch.newest"));

function look(version) {
  const head = events.at(-1)?.version ?? 0;
  shown = version === null || version >= head ? null : version;
  draw();
}

function draw() {
  const head = events.at(-1)?.version ?? 0;
  const version = shown ?? head;
  const now = fold(version);
  const last = events.findLast((event) => event.version <= version);
  slider.max = head;
  slider.value = version;
  place.textContent = t("epoch.version", { version, head });
  slider.setAttribute("aria-valuetext", last ? `${place.textContent}: ${eventText(last)}` : place.textContent);
  live.hidden = shown === null;
  document.body.dataset.version = version;
  const phase = shown === null ? day.phase : now.phase;
  const words = [build("span", { class: "badge", "data-phase": phase }, t(`epoch.phase.${phase}`)),
    t(shown === null ? `epoch.now.${OVER.includes(phase) ? "over" : phase}` : "epoch.then", { time: clockTime(now.at), freeze: clockTime(day.freeze_at) })];
  const text = words.map((each) => each.textContent ?? each).join(" ");
  if (state.dataset.text !== text) replace(state, words);
  state.dataset.text = text;
  drawSlots(now.held);
  drawVotes(now.votes);
  drawScores(scores(version, shown === null && !OVER.includes(phase) ? timeNow() : now.at));
}

// Of a running day, holds last until now; of one that is over, until its freeze.
function timeNow() {
  return new Date(Math.min(Date.now() + skew, Date.parse(day.ends_at))).toISOString();
}
let skew = 0; // of the epochs' clock, which an operator can move

function drawSlots(held) {
  replace(board, held.map((slot, n) => build("li", { class: "panel slot", "data-slot": n, "data-held": String(slot.bot_id !== null) },
    build("p", {}, build("strong", {}, slot.label), " ", build("span", { class: "small" }, slot.type)),
    build("pre", {}, build("code", {}, slot.code ?? "·")),
    build("p", { class: "small" }, slot.bot_id ? t("epoch.held", { bot: botName(slot.bot_id), time: clockTime(slot.at) }) : t("epoch.free")))));
}

function drawVotes(votes) {
  const totals = new Map();
  for (const { target_type, target_id, score, weight } of votes) {
    const key = `${target_type} ${target_id}`;
    const total = totals.get(key) ?? { target_type, target_id, count: 0, weighted: 0, weights: 0 };
    totals.set(key, { ...total, count: total.count + 1, weighted: total.weighted + Number(score) * Number(weight), weights: total.weights + Number(weight) });
  }
  const rows = [...totals.values()].sort((one, other) => other.count - one.count);
  replace(votesBox, rows.length ? table(["target", "mean", "count"], rows.map((each) => [
    `${t(`epoch.target.${each.target_type}`)} ${each.target_type === "bot" ? botName(each.target_id) : each.target_id}`,
    each.weights ? (each.weighted / each.weights).toFixed(3) : "–", number.format(each.count)])) : build("p", { class: "empty" }, t("epoch.no_votes")));
}

function drawScores(rows) {
  const most = Math.max(1, ...rows.map((each) => each.bps));
  replace(scoreBox, rows.length ? table(["bot", "share", "raw", "occupied", "defense", "claims", "quality", "amount"], rows.map((each) => [
    botName(each.bot_id),
    [build("meter", { min: 0, max: most, value: each.bps, "aria-hidden": "true" }), ` ${(each.bps / 100).toFixed(2)} %`],
    each.raw_score.replace(/\.?0+$/, ""), number.format(each.occupied_seconds), number.format(each.defense_seconds),
    number.format(each.successful_claims), each.vote_quality, ether(each.amount_wei)])) : build("p", { class: "empty" }, t("epoch.no_scores")));
}

function table(heads, rows) {
  return build("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": t(`epoch.column.${heads[0]}`) }, build("table", {},
    build("thead", {}, build("tr", {}, heads.map((head) => build("th", { scope: "col" }, t(`epoch.column.${head}`))))),
    build("tbody", {}, rows.map(([first, ...rest]) => build("tr", {}, build("th", { scope: "row" }, first), rest.map((cell) => build("td", {}, cell)))))));
}

function eventText(event) {
  return t(`epoch.event.${event.event}`, { bot: botName(event.bot_id), slot: slots[event.slot_index]?.label ?? "", phase: event.payload.phase ? t(`epoch.phase.${event.payload.phase}`) : "" });
}

// ------------------------------------------------------------------ settlement

function settlement() {
  const results = build("div", { id: "recomputed", role: "status", "aria-live": "polite" });
  const recompute = action(async () => {
    replace(results, build("p", {}, t("verify.working")));
    const read = async (address) => {
      const response = await client.fetch(`/v1/epochs/${day.epoch_id}${address}`);
      if (!response.ok) throw new Error((await response.json()).message);
      return parseJson(await response.text());
    };
    const [about, profile, payouts] = await Promise.all(["", "/profile", "/payouts"].map(read));
    const all = [];
    for (let head = 1; all.length < head;) {
      const page = await read(`/events?limit=${EVENTS_PAGE}&after=${all.length ? all.at(-1).version : 0}`);
      if (!page.events.length) break;
      all.push(...page.events);
      head = Number(page.head);
    }
    showChecks(checkDay({ day: about, profile, events: all, payouts }), results);
  });
  return build("section", { "aria-labelledby": "settlement-title" },
    build("h2", { id: "settlement-title" }, t("epoch.settlement")),
    build("p", {}, t("epoch.settlement_lead", { pool: ether(day.pool_wei) })),
    day.events_digest && build("p", { class: "small" }, t("epoch.digest"), " ", build("code", {}, day.events_digest)),
    OVER.includes(day.phase)
      ? [build("p", {}, build("button", { type: "button", id: "recompute", onclick: recompute }, t("epoch.recompute"))), results]
      : build("p", { class: "empty" }, t("epoch.not_settled")));
}

function showChecks({ ok, checks }, results) {
  results.dataset.ok = ok;
  replace(results,
    build("p", { class: `verdict ${ok ? "good" : "bad"}` }, t(ok ? "epoch.recomputed_ok" : "epoch.recomputed_bad", { count: checks.filter((each) => !each.ok).length })),
    table(["check", "published", "computed", "same"], checks.map((each) => [
      [t(`epoch.check.${each.check}`), each.bot_id && ` · ${botName(each.bot_id)}`],
      build("code", {}, String(each.published ?? "–")), build("code", {}, String(each.computed ?? "–")),
      build("span", { class: `mark ${each.ok ? "good" : "bad"}` }, t(each.ok ? "epoch.same" : "epoch.different"))])));
}

// ------------------------------------------------------------------ the page

async function follow() {
  if (!document.hidden) {
    try {
      if (await readOn()) day = await client.request("GET /v1/epochs/{epoch}", { path: { epoch: day.epoch_id } });
      draw();
    } catch (error) {
      showError(error);
    }
  }
  if (!OVER.includes(day.phase)) setTimeout(follow, POLL_MS);
  else location.reload(); // it was settled meanwhile
}

async function open() {
  replace(main, build("p", { role: "status" }, t("page.loading")));
  day = await client.request("GET /v1/epochs/{epoch}", { path });
  const [{ config }, board_] = await Promise.all(["profile", "scoreboard"].map((part) =>
    client.request(`GET /v1/epochs/{epoch}/${part}`, { path: { epoch: day.epoch_id } })));
  rules = config;
  slots = config.slots.map;
  skew = Date.parse(board_.at) - Date.now();
  await readOn();
  const title = t("epoch.title", { day: day.day });
  document.title = t("page.title", { page: title });
  replace(main, build("h1", {}, title), state,
    build("section", { class: "panel", "aria-label": t("epoch.history") },
      build("div", { class: "row" }, slider, place, live)),
    build("section", {}, build("h2", {}, t("epoch.slots")), board),
    build("section", {}, build("h2", {}, t("epoch.scores")), scoreBox),
    build("section", {}, build("h2", {}, t("epoch.votes")), votesBox),
    settlement());
  draw();
  if (!OVER.includes(day.phase)) setTimeout(follow, POLL_MS);
}

open().catch((error) => replace(main, build("h1", {}, t("epochs.title")),
  build("p", { role: "alert" }, error instanceof RequestRefused && error.status === 404 ? t("epoch.missing") : error.message),
  build("p", {}, build("a", { href: "/epochs" }, t("epoch.all")))));
