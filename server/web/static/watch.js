// A running game, as a spectator sees it: live, or as much later as its lobby wants.

import { RequestRefused } from "/sdk/playhall.js";
import { ShownTable, lastOfPath, readNames, readViews } from "/static/moments.js";
import { action, client, ensureSession, holdConnection, showError } from "/static/site.js";
import { build, labelled, replace } from "/static/dom.js";
import { t } from "/static/strings.js";

const EVENTS_SHOWN = 60;
const LIVE_EVERY_MS = 100;
const DRAW_EVERY_MS = 600; // of a delayed game, whose views come over HTTP and are counted there

const main = document.querySelector("main");
const game_id = lastOfPath();
const events = [];

const root = build("div", { class: "table-root", id: "table" });
const note = build("p", { class: "panel delay", id: "delay" });
const turn = build("p", { role: "status", "aria-live": "polite", id: "turn" });
const log = build("ol", { class: "log", id: "log", tabindex: 0, "aria-label": t("watch.log") });
const over = build("p", { class: "actions", hidden: true },
  build("a", { class: "button", href: `/replay/${game_id}` }, t("watch.replay")));

let game;
let drawing;
let delay_s = 0;
let isDrawing = false;

// ------------------------------------------------------------------ what is seen

/** Draw the newest event that has come, once for many. */
async function draw() {
  if (isDrawing) return;
  isDrawing = true;
  try {
    for (let drawn = -1; drawn < events.at(-1).event_index;) {
      const head = events.at(-1).event_index;
      const moment = await look(head);
      if (!moment) continue;
      drawn = moment.snapshot.head;
      drawing.show(moment);
      root.dataset.index = drawn;
      showTurn(moment.snapshot);
      if (delay_s) await pause(DRAW_EVERY_MS);
    }
  } catch (error) {
    if (!game.failure && client.connection.state !== "ended") showError(error);
  } finally {
    isDrawing = false;
  }
}

/** A real-time game comes as a state and its changes, also where it is seen late. */
let state = null;
let liveDrawn = 0;

async function takeState(message) {
  if (message.tick === undefined || message.tick === null) return;
  drawing.names = await readNames(message.players).catch(() => new Map());
  state = message;
  drawLive(game.live);
}

function drawLive(live) {
  if (!state || Date.now() - liveDrawn < LIVE_EVERY_MS) return;
  liveDrawn = Date.now();
  const snapshot = { ...state, head: game.head, view: live.view };
  drawing.show({ snapshot });
  Object.assign(root.dataset, { index: snapshot.head, tick: live.tick });
  showTurn(snapshot);
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The game after an event; nothing for now if a server whose clock is behind does not show it yet. */
async function look(head) {
  if (!delay_s && !game.completed) return { snapshot: await game.snapshot() };
  try {
    const [moment] = await readViews(game_id, { after: head - 1, limit: 1 });
    if (moment) return moment;
    await pause(DRAW_EVERY_MS);
  } catch (error) {
    if (!(error instanceof RequestRefused) || error.code !== "rate_limited") throw error;
    await pause(1000 * (error.details.wait_s ?? 1));
  }
  return null;
}

function showTurn({ turn: next, players, status }) {
  const names = (next?.seats ?? []).map((seat) => drawing.playerName(players[seat].player_id));
  const text = status === "completed" ? t("watch.over") : names.length ? t("watch.turn", { name: names.join(", ") }) : "";
  if (turn.textContent !== text) turn.textContent = text;
  over.hidden = status !== "completed";
}

function take(event) {
  events.push(event);
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(build("li", {}, drawing.describe(event)));
  while (log.children.length > EVENTS_SHOWN) log.firstChild.remove();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
  showDelay(event);
  if (!game.live) draw();
  else if (event.type === "game_completed") showTurn({ ...state, status: "completed" });
}

/** Say how late this is: what the lobby wants, and how old the last event was when it came. */
function showDelay(event) {
  const age = event ? Math.max(0, (client.connection.serverNow() - Date.parse(event.at)) / 1000) : null;
  const text = delay_s ? t("watch.delayed", { count: Math.round(delay_s) }) : t("watch.live");
  replace(note, build("span", { class: "dot", "data-late": String(delay_s > 0) }), text,
    delay_s > 0 && age !== null && age < 2 * delay_s + 5 && build("span", { class: "small" }, t("watch.age", { count: Math.round(age) })));
  Object.assign(note.dataset, { delay: delay_s, age: Math.round(age ?? 0) });
}

// ------------------------------------------------------------------ the page

async function follow(info) {
  const { rulesets } = await client.request("GET /v1/rulesets");
  const title = rulesets.find(({ name }) => name === info.ruleset)?.title ?? info.ruleset;
  document.title = t("page.title", { page: t("watch.of", { title }) });
  delay_s = info.status === "completed" ? 0 : info.config.spectator_delay_s ?? 0;
  drawing = new ShownTable(root, { events, names: new Map() });
  await drawing.load(info.ruleset);
  replace(main, build("h1", {}, t("watch.of", { title })), note, turn, over, root,
    build("section", {}, build("h2", {}, t("watch.log")), log));
  showDelay(null);
  game = client.game(game_id, { watch: true });
  let named = Promise.resolve(); // events are shown in their order, once it is known who plays
  game.on("event", (event) => {
    if (event.type === "game_created") named = readNames(event.payload.players).then((names) => { drawing.names = names; }, showError);
    named = named.then(() => take(event));
  });
  game.on("snapshot", (message) => { takeState(message).catch(showError); });
  game.on("view", drawLive);
  game.on("failed", (error) => {
    if (error instanceof RequestRefused) showError(error); // what the connection does, the header says
  });
  await game.follow();
}

/** A game of a lobby with a password, or of a private one, is watched by those who have the code. */
function askForCode(error) {
  const code = build("input", { id: "code", required: true, autocomplete: "off", maxlength: 12 });
  const password = build("input", { id: "password", type: "password", autocomplete: "off" });
  replace(main, build("h1", {}, t("watch.title")), build("p", { role: "alert" }, error.message),
    build("p", {}, t("watch.private")),
    build("form", { class: "panel", onsubmit: action(async () => {
      await client.call("lobby.join", { code: code.value, role: "spectator", ...(password.value ? { password: password.value } : {}) });
      await open();
    }) }, labelled(t("watch.code"), code), labelled(t("watch.password"), password), build("button", {}, t("watch.join"))));
}

async function open() {
  replace(main, build("p", { role: "status" }, t("page.loading")));
  await ensureSession();
  holdConnection();
  try {
    await follow(await client.request("GET /v1/games/{game_id}", { path: { game_id } }));
  } catch (error) {
    if (error instanceof RequestRefused && error.code === "game_not_found") askForCode(error);
    else throw error;
  }
}

open().catch((error) => replace(main, build("h1", {}, t("watch.title")), build("p", { role: "alert" }, error.message)));
