// A game between two people's browsers: they meet in a peer lobby, and their moves go over WebRTC, or
// over the server's relay where WebRTC does not work. `?transport=relay` does not even try WebRTC.

import { build, labelled, replace } from "/static/dom.js";
import { action, announce, client, ensureSession, holdConnection, showError } from "/static/site.js";
import { t } from "/static/strings.js";

const NAME = "noughts_and_crosses"; // any name will do: the server does not know the rules
const LINES = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]];
const MARKS = ["×", "○"];

const main = document.querySelector("main");
const options = new URLSearchParams(location.search).get("transport") === "relay" ? { webrtc: false, fallbackAfterMs: 0 } : {};
let session = null;
let round = 0; // counts the games, so that a board of an earlier one is recognised
let moves = []; // cells in the order in which they were marked; the host begins

const code = build("input", { id: "code", maxlength: 24, autocomplete: "off", autocapitalize: "characters", required: true });
const status = build("p", { class: "turn", role: "status", "aria-live": "polite" });
const carrier = build("p", { class: "small", id: "transport" });
const board = build("div", { class: "noughts", role: "group", "aria-label": t("peers.board") });
const invitation = build("p", { id: "invitation" });
const buttons = build("p", { class: "row" });

function winner() {
  for (const line of LINES) {
    const by = line.map((cell) => moves.indexOf(cell));
    if (by.every((at) => at >= 0 && at % 2 === by[0] % 2)) return by[0] % 2;
  }
  return null;
}

const me = () => (session.isHost ? 0 : 1);
const isConnected = () => session.transport === "webrtc" || session.transport === "relay";
const isMine = () => isConnected() && winner() === null && moves.length < 9 && moves.length % 2 === me();

/** What a move must be, whoever sent it: the other side's program is not ours to trust. */
function isLegal(cell) {
  return Number.isInteger(cell) && cell >= 0 && cell < 9 && !moves.includes(cell) && winner() === null;
}

async function mark(cell) {
  if (!isMine() || !isLegal(cell)) return;
  moves.push(cell);
  draw();
  await session.send({ round, moves });
}

/**
 * Every message is the whole board. The longer one of the same game counts, so that a message which is
 * late, or comes twice because the way changed in between, takes nothing back.
 */
function take({ data }) {
  if (!Number.isInteger(data?.round) || !Array.isArray(data.moves)) return;
  if (data.round > round && !session.isHost) [round, moves] = [data.round, []];
  if (data.round !== round || moves.some((cell, at) => data.moves[at] !== cell)) return;
  for (const cell of data.moves.slice(moves.length, 9)) if (isLegal(cell)) moves.push(cell);
  draw();
}

function draw() {
  const won = winner();
  let text = t(`peers.${session.transport}`);
  if (isConnected()) {
    if (won !== null) text = t(won === me() ? "play.you_won" : "peers.lost");
    else if (moves.length === 9) text = t("play.draw");
    else text = t(isMine() ? "play.your_turn" : "peers.their_turn");
  }
  status.textContent = text;
  carrier.textContent = t("peers.carrier", { transport: t(`peers.by.${session.transport}`) });
  carrier.dataset.transport = session.transport;
  replace(board, Array.from({ length: 9 }, (_, cell) => {
    const at = moves.indexOf(cell);
    const shown = at < 0 ? "" : MARKS[at % 2];
    return build("button", {
      type: "button", class: "quiet", "data-key": cell, "data-cell": cell,
      "aria-disabled": isMine() && at < 0 ? null : "true",
      "aria-label": t(at < 0 ? "peers.free_cell" : "peers.marked_cell", { cell: cell + 1, mark: shown }),
      onclick: action(() => mark(cell)),
    }, shown);
  }));
  replace(buttons,
    isConnected() && session.isHost && (won !== null || moves.length > 0)
      && build("button", { type: "button", "data-key": "again", onclick: action(again) }, t("peers.again")),
    session.isHost && session.transport !== "relay" && session.lobby.state.members.length > 1
      && build("button", { type: "button", class: "quiet", "data-key": "fallback", onclick: action(() => session.fallBack()) }, t("peers.fall_back")),
    build("button", { type: "button", class: "quiet", "data-key": "leave", onclick: action(leave) }, t("lobbies.leave")));
  const { join_code: join } = session.lobby;
  const isAlone = session.lobby.state.members.length < 2;
  replace(invitation, isAlone && join && [t("lobbies.invite"), " ", build("code", { id: "join-code" }, join), " · ",
    build("a", { href: `/peers?join=${join}` }, t("lobbies.link"))]);
}

async function again() {
  [round, moves] = [round + 1, []];
  draw();
  await session.send({ round, moves });
}

async function leave() {
  await session.close();
  location.href = "/peers";
}

function play(opened) {
  session = opened;
  replace(main, build("h1", {}, t("peers.title")), invitation, status, board, carrier, buttons);
  session.on("message", take);
  session.on("lobby", draw);
  session.on("failed", showError);
  session.on("transport", () => {
    draw();
    if (isConnected()) session.send({ round, moves }).catch(showError);
    if (session.transport === "relay") announce(t("peers.relay"));
  });
  draw();
}

async function enter(open) {
  await ensureSession();
  holdConnection();
  play(await open());
}

const create = () => enter(() => client.peers.create({ ruleset: NAME, seats: 2, is_public: false, ...options }));
const join = (invited) => enter(() => client.peers.join({ code: invited, ...options }));

replace(main, build("h1", {}, t("peers.title")), build("p", { class: "lead" }, t("peers.lead")),
  build("p", {}, build("button", { type: "button", id: "create", onclick: action(create) }, t("peers.create"))),
  build("form", { class: "row", onsubmit: action(() => join(code.value.trim())) },
    labelled(t("start.code"), code), build("button", { class: "quiet" }, t("start.join_button"))));
const invited = new URLSearchParams(location.search).get("join");
if (invited) join(invited).catch(showError);
