// A game: its table, whose turn it is and until when, the chat, and what happened.
//
// The log is followed from its first event; after events, the state is asked for once, as the server
// shows it to this visitor. A move is sent with the event that the visitor had seen last, so that a
// click never lands in another state of the game than the one it was meant for.

import { RequestRefused } from "/sdk/playhall.js";
import { build, replace } from "/static/dom.js";
import { action, announce, askToConfirm, client, ensureSession, holdConnection, showError } from "/static/site.js";
import { t } from "/static/strings.js";
import genericView, { humanise } from "/static/table.js";

const LOG_LINES_MAX = 200;
const CHAT_LINES_MAX = 100;
const HURRY_S = 10;

const gameId = location.pathname.split("/")[2];
// The lobby with several tables that the game is played in: its players still sit there afterwards.
const lobbyId = new URLSearchParams(location.search).get("lobby");
const home = lobbyId ? `/lobbies?lobby=${encodeURIComponent(lobbyId)}` : "/";
const main = document.querySelector("main");

const title = build("h1", {}, t("page.loading"));
const turnLine = build("p", { class: "turn", role: "status", "aria-live": "polite" });
const timer = build("p", { class: "timer", "aria-hidden": "true" });
const root = build("div", { class: "table-root" });
const result = build("section", { class: "panel result", hidden: true, "aria-label": t("play.result"), tabindex: -1 });
const log = build("ol", { class: "log", tabindex: 0, "aria-label": t("play.log") });
const chat = build("ol", { class: "log", role: "log", tabindex: 0, "aria-label": t("play.chat") });
const chatInput = build("input", { id: "say", maxlength: 500, autocomplete: "off", "aria-label": t("play.say") });
const chatForm = build("form", { class: "row", onsubmit: action(say) }, chatInput, build("button", { class: "quiet" }, t("play.send")));
const leaveButton = build("button", { type: "button", class: "quiet", hidden: true, onclick: action(leave) }, t("play.leave"));

let game;
let view;
let state = null; // the last snapshot
let players = [];
let names = new Map(); // by player_id
let asked = false; // a snapshot is on its way
let acting = false;
let saidTurn = ""; // so that a screen reader hears of each turn once
let hurried = -1;
let hadFocus = false; // whether the keyboard was at the table

const table = {
  root,
  act: (move) => { act(move); },
  name: (seat) => playerName(players[seat]?.player_id),
  playerName: (player_id) => playerName(player_id),
};

function playerName(player_id) {
  if (player_id && player_id === client.session?.player_id) return t("play.you");
  return names.get(player_id) ?? t("play.somebody");
}

// ---------------------------------------------------------------------------------- what happens

async function act(move) {
  if (acting || !state) return;
  acting = true;
  root.dataset.acting = "true";
  try {
    await game.act(move, { expectedHead: state.head });
  } catch (error) {
    if (error instanceof RequestRefused && error.code === "game_moved_on") announce(t("play.moved_on"));
    else if (!game.failure) showError(error);
  } finally {
    acting = false;
    delete root.dataset.acting;
    refresh();
  }
}

function takeEvent(event) {
  if (event.type === "game_created") setPlayers(event.payload.players);
  view?.event?.(event);
  const text = describe(event);
  if (text) addLine(log, LOG_LINES_MAX, text);
  if (event.type === "game_completed") showResult(event.payload);
  refresh();
}

function describe({ type, payload }) {
  const player = payload && playerName(payload.player_id ?? players[payload.seat]?.player_id);
  const key = `play.event.${type}`;
  return view?.describe(...arguments) ?? (t(key) === key ? null : t(key, { name: player }));
}

function addLine(list, max, ...content) {
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(build("li", {}, content));
  while (list.children.length > max) list.firstChild.remove();
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

/** Ask for the state, once for many events. */
async function refresh() {
  if (asked || !view) return;
  asked = true;
  try {
    do {
      state = await game.snapshot();
    } while (state.head < game.head && !game.live);
    draw();
  } catch (error) {
    if (error instanceof RequestRefused && error.code === "forbidden") return; // a delayed game has no snapshot for spectators
    if (!game.failure && client.connection.state !== "ended") showError(error);
  } finally {
    asked = false;
  }
}

function draw() {
  const { seat, turn, status } = state;
  players = state.players;
  leaveButton.hidden = seat === null || status !== "in_progress";
  const isMine = seat !== null && (turn?.seats.includes(seat) ?? false);
  root.dataset.mine = isMine;
  root.dataset.head = state.head;
  hadFocus ||= root.contains(document.activeElement);
  view.update(state);
  keepFocus(isMine);
  let text = "";
  if (status === "completed") text = t("play.over");
  else if (isMine) text = view.prompt?.(state) ?? t("play.your_turn");
  else if (turn) text = t("play.their_turn", { name: turn.seats.map(table.name).join(", ") });
  if (seat === null && status === "in_progress") text = `${t("play.watching")} ${text}`;
  if (text !== saidTurn) turnLine.textContent = saidTurn = text;
  document.title = isMine ? t("play.title_turn", { game: title.textContent }) : t("page.title", { page: title.textContent });
  drawTimer();
}

/** What had the focus may be gone, as a card that was played: the next thing to press has it then. */
function keepFocus(isMine) {
  if (document.activeElement !== document.body) hadFocus = root.contains(document.activeElement);
  else if (hadFocus && isMine) [...root.querySelectorAll("button:not([aria-disabled])")].find((button) => button.checkVisibility())?.focus();
}

function drawTimer() {
  const deadline = state?.status === "in_progress" ? state.turn?.deadline_ms : null;
  timer.hidden = !deadline;
  if (!deadline) return;
  const left = Math.max(0, Math.ceil((deadline - client.connection.serverNow()) / 1000));
  timer.textContent = left >= 60 ? `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : t("play.seconds", { count: left });
  const isUrgent = left <= HURRY_S && root.dataset.mine === "true";
  timer.dataset.urgent = isUrgent;
  if (isUrgent && hurried !== deadline) {
    hurried = deadline;
    announce(t("play.hurry", { count: left }));
  }
}

function showResult({ winners, final_scores: scores }) {
  const isMine = winners.includes(client.session.player_id);
  const heading = !winners.length || winners.length === players.length ? t("play.draw")
    : isMine ? t("play.you_won") : t("play.won", { count: winners.length, name: winners.map(playerName).join(", ") });
  replace(result,
    build("h2", {}, heading),
    build("div", { class: "scroll" }, drawScores(scores)),
    build("p", { class: "actions" },
      lobbyId ? build("a", { class: "button", href: home }, t("play.to_lobby")) : [
        build("button", { type: "button", onclick: action(playAgain) }, t("play.again")),
        game.seat !== null && build("button", { type: "button", class: "quiet", onclick: action(askForRematch) }, t("play.rematch")),
        build("a", { class: "button quiet", href: "/" }, t("play.home"))]));
  const isNew = result.hidden;
  result.hidden = false;
  if (isNew && state) result.focus({ preventScroll: false });
}

function drawScores(scores) {
  const rows = Object.entries(scores).sort(([, left], [, right]) => right - left);
  return build("table", {}, build("tbody", {}, rows.map(([player_id, score]) =>
    build("tr", {}, build("th", { scope: "row" }, playerName(player_id)), build("td", {}, String(score))))));
}

async function playAgain() {
  location.href = `/?play=${encodeURIComponent(info.ruleset)}`;
}

async function askForRematch() {
  await game.rematch();
  announce(t("play.rematch_asked"));
}

async function leave() {
  if (!await askToConfirm(t("play.leave_question"), { yes: t("play.leave"), danger: true })) return;
  await game.leave();
  location.href = home;
}

async function say() {
  const text = chatInput.value.trim();
  if (!text) return;
  await game.say(text);
  chatInput.value = "";
}

// ----------------------------------------------------------------------------------- who plays

async function setPlayers(seated) {
  players = seated.map((each) => ({ present: true, connected: true, ...each }));
  const bots = {};
  for (const { bot, player_id } of seated) {
    if (!bot) continue;
    bots[bot] = (bots[bot] ?? 0) + 1;
    names.set(player_id, `${humanise(bot)} ${bots[bot]}`);
  }
  await Promise.all(seated.filter((each) => !each.bot).map(async ({ player_id }) => {
    try {
      const stats = await client.request("GET /v1/players/{player_id}/stats", { path: { player_id } });
      names.set(player_id, stats.display_name);
    } catch {
      // Without a name, it is somebody.
    }
  }));
  if (state) draw();
}

/** The view that the ruleset brings, or the table for all others. */
async function loadView(ruleset) {
  const address = `/rulesets/${encodeURIComponent(ruleset)}.js`;
  try {
    if ((await fetch(address, { method: "HEAD" })).ok) return (await import(address)).default(table);
  } catch (error) {
    showError(error);
    replace(root);
  }
  return genericView(table);
}

// ------------------------------------------------------------------------------------- the start

/** Follow the game from one's seat, or as a spectator without one. */
async function follow() {
  game = client.game(gameId);
  listen();
  try {
    await game.follow();
  } catch (error) {
    if (!(error instanceof RequestRefused) || error.retry || error.code === "game_not_found") throw error;
    game = client.game(gameId, { watch: true });
    listen();
    await game.follow();
  }
}

function listen() {
  game.on("event", takeEvent);
  game.on("view", refreshLive);
  game.on("resumed", refresh);
  game.on("failed", (error) => {
    if (error instanceof RequestRefused) showError(error); // what the connection does is said above
  });
}

let drawn = 0;

/** A real-time game is drawn as its patches come, at most ten times a second. */
function refreshLive({ view: live }) {
  if (!state || Date.now() - drawn < 100) return;
  drawn = Date.now();
  state = { ...state, view: { ...state.view, ...live } };
  draw();
}

let info;

async function start() {
  replace(main, build("div", { class: "row" }, title, leaveButton),
    build("div", { class: "row turn-row" }, turnLine, timer),
    result, root,
    build("div", { class: "play-side" },
      build("section", {}, build("h2", {}, t("play.log")), log),
      build("section", {}, build("h2", {}, t("play.chat")), chat, chatForm)));
  await ensureSession();
  holdConnection();
  info = await client.request("GET /v1/games/{game_id}", { path: { game_id: gameId } });
  const { rulesets } = await client.request("GET /v1/rulesets");
  title.textContent = rulesets.find((each) => each.name === info.ruleset)?.title ?? humanise(info.ruleset);
  view = await loadView(info.ruleset);
  client.on("chat.message", (message) => {
    if (message.game_id === gameId) addLine(chat, CHAT_LINES_MAX, build("strong", {}, message.display_name), " ", message.text);
  });
  client.on("series.update", ({ series }) => {
    if (series.after_game === gameId && series.game_id && series.game_id !== gameId) location.href = `/play/${series.game_id}`;
    else if (series.after_game === gameId && !series.agreed.includes(client.session.player_id)) announce(t("play.rematch_wanted"));
  });
  client.on("connection", (now) => {
    root.dataset.offline = now !== "ready";
    // After another tab had the connection, the game is followed anew: the old one has failed.
    if (now === "ready" && game?.failure) location.reload();
  });
  await follow();
  setInterval(drawTimer, 500);
}

start().catch((error) => {
  const isMissing = error instanceof RequestRefused && (error.status === 404 || error.code === "invalid_field");
  replace(main, build("h1", {}, t(isMissing ? "play.missing" : "play.failed")),
    !isMissing && build("p", {}, error.message),
    build("p", {}, build("a", { class: "button", href: "/" }, t("play.home"))));
});
