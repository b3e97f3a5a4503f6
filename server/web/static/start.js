// The start page: play at once, what is played now, and how the server is doing.

import { RequestRefused } from "/sdk/playhall.js";
import { build, labelled, replace } from "/static/dom.js";
import { action, announce, client, ensureSession, holdConnection, showError } from "/static/site.js";
import { number, t } from "/static/strings.js";

const EVERY_MS = 2000;
const GAMES_SHOWN = 8;
const COUNTS = ["connections", "games", "lobbies", "events_total", "games_completed_total", "uptime_s"];
// Shown first, since they have a board or cards.
const FIRST = ["four_in_a_row", "el_dorado", "reversi"];

const main = document.querySelector("main");
const counts = new Map(COUNTS.map((name) => [name, build("dd", { "data-count": name }, "–")]));
const stateText = build("span", { id: "state-text" }, t("start.connecting"));
const stateLine = build("p", { class: "state", id: "state" }, build("span", { class: "dot" }), stateText);
const rulesetList = build("ul", { class: "games", id: "rulesets" });
const running = build("ul", { class: "list", id: "running" });
const version = build("span", { id: "version" });
const code = build("input", { id: "code", maxlength: 24, autocomplete: "off", autocapitalize: "characters", required: true });
let titles = new Map();

replace(main,
  build("section", { class: "hero" }, stateLine,
    build("h1", {}, t("start.title")),
    build("p", { class: "lead" }, t("start.lead"))),
  build("section", { "aria-labelledby": "play" },
    build("h2", { id: "play" }, t("start.play")), rulesetList),
  build("section", { "aria-labelledby": "join" },
    build("h2", { id: "join" }, t("start.join")),
    build("form", { class: "row", onsubmit: joinByCode }, labelled(t("start.code"), code),
      build("button", {}, t("start.join_button")),
      build("a", { class: "button quiet", href: "/lobbies" }, t("start.lobbies")),
      build("a", { class: "button quiet", href: "/peers" }, t("peers.title")))),
  build("section", { "aria-labelledby": "live" },
    build("h2", { id: "live" }, t("start.live")), running),
  build("section", { "aria-labelledby": "now" },
    build("h2", { id: "now" }, t("start.now")),
    build("dl", { class: "counts", id: "counts" }, COUNTS.map((name) =>
      build("div", {}, build("dt", {}, t(`start.count.${name}`)), counts.get(name))))));
main.after(build("footer", {}, version, build("a", { href: "/docs" }, t("nav.docs")),
  build("a", { href: "/v1/status" }, t("start.status")), build("a", { href: "/metrics" }, t("start.metrics"))));

function joinByCode(event) {
  event.preventDefault();
  location.href = `/lobbies?join=${encodeURIComponent(code.value.trim())}`;
}

// -------------------------------------------------------------------------------- what goes on

function duration(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0 s";
  let left = Math.floor(seconds);
  return units.slice(first, first + 2).map(([unit, size]) => {
    const count = Math.floor(left / size);
    left -= count * size;
    return `${count} ${unit}`;
  }).join(" ");
}

function showStatus(status) {
  for (const [name, cell] of counts) {
    cell.textContent = name === "uptime_s" ? duration(status[name]) : number.format(status[name]);
  }
  version.textContent = `${status.name} ${status.version} · node ${status.node}`;
}

function showState(isUp) {
  stateLine.dataset.state = isUp ? "up" : "down";
  stateText.textContent = t(isUp ? "start.up" : "start.down");
}

function showRunning(games) {
  replace(running, games.map((game) => build("li", {},
    build("strong", {}, titles.get(game.ruleset) ?? game.ruleset),
    build("span", { class: "small" }, t("seats", { count: game.current_players })),
    build("a", { class: "button quiet", "data-key": game.game_id, href: `/play/${game.game_id}` }, t("start.watch")))),
  !games.length && build("li", { class: "empty" }, t("start.nothing_live")));
}

async function follow() {
  if (!document.hidden) {
    try {
      showStatus(await client.request("GET /v1/status", { auth: false }));
      showState(true);
      const query = { can_watch: true, limit: GAMES_SHOWN };
      showRunning((await client.request("GET /v1/games", { query, auth: false })).games);
    } catch (error) {
      if (!(error instanceof RequestRefused)) showState(false);
    }
  }
  setTimeout(follow, EVERY_MS);
}

// ------------------------------------------------------------------------------------- play now

function seats(game) {
  return game.seats_min === game.seats_max ? t("seats", { count: game.seats_min })
    : t("start.seats_between", { least: game.seats_min, most: game.seats_max });
}

async function showGames() {
  const { rulesets } = await client.request("GET /v1/rulesets", { auth: false });
  titles = new Map(rulesets.map((game) => [game.name, game.title]));
  const place = ({ name }) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  replace(rulesetList, rulesets.filter((game) => game.name !== "relay").sort((a, b) => place(a) - place(b)).map((game) => build("li", {},
    build("h3", {}, game.title),
    build("p", { class: "small" }, seats(game)),
    build("p", { class: "row" },
      build("button", { type: "button", "data-play": game.name, onclick: action(() => playNow(game)) }, t("start.play_now")),
      game.bots.length > 0 && build("button", {
        type: "button", class: "quiet", "data-bots": game.name, onclick: action(() => playBots(game)),
      }, t("start.play_bots")),
      build("a", { class: "button quiet", href: `/lobbies?create=${game.name}` }, t("start.invite"))))));
  const wanted = new URLSearchParams(location.search).get("play");
  const game = rulesets.find((each) => each.name === wanted);
  if (game) {
    history.replaceState(null, "", "/");
    playNow(game).catch(showError);
  }
}

function open(game_id) {
  location.href = `/play/${game_id}`;
}

/** Sit down with whoever comes; while nobody does, say how long it takes until bots come. */
async function playNow(game) {
  await ensureSession();
  holdConnection();
  let lobby = null;
  const line = build("p", { role: "status" }, t("start.waiting"));
  const dialog = build("dialog", { "aria-label": t("start.waiting_title", { game: game.title }), oncancel: giveUp },
    build("h2", {}, t("start.waiting_title", { game: game.title })), line,
    build("p", { class: "actions" }, build("button", { type: "button", class: "quiet", onclick: giveUp }, t("dialog.no"))));
  document.body.append(dialog);
  dialog.showModal();
  let gaveUp = false;
  const timer = setInterval(show, 500);

  function show() {
    if (!lobby) return;
    const { fill_at, members, seats: all } = lobby.state;
    const wait = Math.max(0, Math.ceil((Date.parse(fill_at) - client.connection.serverNow()) / 1000));
    line.textContent = `${t("start.seated", { count: members.length, seats: all })} ${fill_at ? t("start.bots_in", { count: wait }) : ""}`;
  }

  function giveUp(event) {
    event.preventDefault();
    gaveUp = true;
    lobby?.leave().catch(() => {});
    dialog.close();
  }

  try {
    const started = await client.lobbies.quickPlay(game.name, { onLobby: (joined) => {
      lobby = joined;
      if (gaveUp) lobby.leave().catch(() => {});
      show();
    } });
    if (!gaveUp) open(started.game_id);
  } catch (error) {
    if (!gaveUp) throw error;
  } finally {
    clearInterval(timer);
    dialog.remove();
  }
}

const BOT_SEATS = 4;

/** A lobby of one's own, filled with bots, and started. */
async function playBots(game) {
  await ensureSession();
  holdConnection();
  announce(t("start.seating_bots"));
  const count = Math.min(Math.max(BOT_SEATS, game.seats_min), game.seats_max);
  const lobby = await client.lobbies.create({ ruleset: game.name, is_public: false, seats: count });
  try {
    for (let seat = 1; seat < count; seat += 1) await lobby.addBot(game.bots[(seat - 1) % game.bots.length]);
    await lobby.start();
    const started = await lobby.game();
    open(started.game_id);
  } catch (error) {
    await lobby.close().catch(() => {});
    throw error;
  }
}

follow();
showGames().catch(showError);
