// The public lobbies, and the one that the visitor is in.
//
// /lobbies                the list, with filters
// /lobbies?join=K7M2QX    an invitation
// /lobbies?lobby=<id>     the lobby that the visitor is in; it survives a reload
// /lobbies?create=<game>  the form for a new one

import { RequestRefused } from "/sdk/playhall.js";
import { build, labelled, replace } from "/static/dom.js";
import { action, announce, askToConfirm, client, ensureSession, holdConnection, mayConnect, showError } from "/static/site.js";
import { t } from "/static/strings.js";
import { humanise } from "/static/table.js";

const POLL_MS = 2500;
const LISTED_MAX = 50;
const CHAT_LINES_MAX = 100;

const main = document.querySelector("main");
let rulesets = [];
let stopList = () => {};
let lobby = null;

const ruleset = (name) => rulesets.find((each) => each.name === name);
const title = (name) => ruleset(name)?.title ?? humanise(name);

// ------------------------------------------------------------------------------------- the list

async function showList() {
  history.replaceState(null, "", "/lobbies");
  document.title = t("page.title", { page: t("lobbies.title") });
  const game = build("select", { id: "filter-game" }, build("option", { value: "" }, t("lobbies.any_game")),
    rulesets.map((each) => build("option", { value: each.name }, each.title)));
  const text = build("input", { id: "filter-text", type: "search", maxlength: 40, autocomplete: "off" });
  const free = build("input", { id: "filter-free", type: "checkbox" });
  const list = build("ul", { class: "list", id: "lobbies" }, build("li", { class: "empty" }, t("page.loading")));
  const count = build("p", { class: "small", role: "status" });
  const code = build("input", { id: "code", maxlength: 24, autocomplete: "off", autocapitalize: "characters", required: true });
  const filters = build("form", { class: "row filters", onsubmit: (event) => event.preventDefault() },
    labelled(t("lobbies.game"), game), labelled(t("lobbies.search"), text),
    build("p", { class: "row" }, free, build("label", { for: free.id }, t("lobbies.free"))));
  replace(main,
    build("div", { class: "row" }, build("h1", {}, t("lobbies.title")),
      build("button", { type: "button", id: "create", onclick: action(() => showForm()) }, t("lobbies.create"))),
    build("form", { class: "row", onsubmit: action(() => join({ code: code.value.trim() })) },
      labelled(t("start.code"), code), build("button", { class: "quiet" }, t("start.join_button"))),
    filters, count, list);

  function draw(lobbies) {
    const shown = lobbies.slice(0, LISTED_MAX);
    count.textContent = t("lobbies.count", { count: lobbies.length });
    replace(list, shown.map(drawCard), !shown.length && build("li", { class: "empty" }, t("lobbies.none")));
  }

  const follow = action(async () => {
    stopList();
    const filter = { mode: "server", free_seats: free.checked ? 1 : 0, text: text.value.trim() };
    if (game.value) filter.ruleset = game.value;
    stopList = await followList(filter, draw);
  });
  for (const field of [game, free]) field.addEventListener("change", follow);
  let timer;
  text.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(follow, 300); });
  await follow();
}

/** Live where this tab may have the connection; otherwise asked for again and again. */
async function followList(filter, draw) {
  if (client.session && await mayConnect()) {
    const { lobbies } = await client.lobbies.list({ ...filter, limit: LISTED_MAX });
    draw(lobbies);
    return client.lobbies.watchList(filter, draw);
  }
  let isOver = false;
  let timer;
  const poll = async () => {
    try {
      const { lobbies } = await client.lobbies.list({ ...filter, limit: LISTED_MAX });
      if (!isOver) draw(lobbies);
    } catch (error) {
      if (error instanceof RequestRefused && !error.retry) throw error;
    } finally {
      if (!isOver) timer = setTimeout(() => poll().catch(showError), POLL_MS);
    }
  };
  await poll();
  return () => { isOver = true; clearTimeout(timer); };
}

function drawCard(card) {
  const isOpen = card.status === "OPEN";
  const enter = (role) => action(() => join({ lobby_id: card.lobby_id, role }));
  return build("li", {},
    build("strong", {}, card.name),
    build("span", {}, title(card.ruleset)),
    build("span", { class: "small" }, t("lobbies.taken", { taken: card.taken, seats: card.seats }),
      card.tables && ` · ${t("lobbies.table_count", { count: card.tables })}`,
      card.has_password && ` · ${t("lobbies.locked")}`, !isOpen && ` · ${t("lobbies.playing")}`),
    build("span", { class: "row" },
      isOpen && card.taken < card.seats && build("button", { type: "button", "data-key": `join-${card.lobby_id}`, onclick: enter("player"),
        "aria-label": t("lobbies.join_named", { name: card.name }) }, t("lobbies.join")),
      build("button", { type: "button", class: "quiet", "data-key": `watch-${card.lobby_id}`, onclick: enter("spectator"),
        "aria-label": t("lobbies.spectate_named", { name: card.name }) }, t("lobbies.spectate"))));
}

// ----------------------------------------------------------------------------------- the doors

async function join(how) {
  await ensureSession();
  holdConnection();
  try {
    enter(await client.lobbies.join(how));
  } catch (error) {
    if (!(error instanceof RequestRefused) || error.code !== "wrong_password") throw error;
    if (how.password !== undefined) showError(error);
    const password = await askForPassword();
    if (password) await join({ ...how, password });
  }
}

function askForPassword() {
  return new Promise((resolve) => {
    const field = build("input", { id: "password", type: "password", autocomplete: "off", required: true });
    const dialog = build("dialog", { "aria-label": t("lobbies.password"), onclose: () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? field.value : null);
    } }, build("form", { method: "dialog" }, labelled(t("lobbies.password"), field),
      build("p", { class: "actions" }, build("button", { value: "yes" }, t("lobbies.join")),
        build("button", { value: "no", class: "quiet", formnovalidate: true }, t("dialog.no")))));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** The form for a new lobby; a ruleset's configuration is drawn from its schema. */
function showForm(chosen) {
  stopList();
  history.replaceState(null, "", "/lobbies?create");
  const game = build("select", { id: "game" }, rulesets.map((each) => build("option", { value: each.name, selected: each.name === chosen }, each.title)));
  const name = build("input", { id: "name", maxlength: 64, autocomplete: "off" });
  const seats = build("input", { id: "seats", type: "number" });
  const tables = build("input", { id: "tables", type: "number", min: 1, max: 16, value: 1, required: true });
  const isPublic = build("input", { id: "public", type: "checkbox", checked: true });
  const password = build("input", { id: "password", type: "password", autocomplete: "new-password", maxlength: 128 });
  const config = build("fieldset");
  let fields = [];
  const showConfig = () => {
    const each = ruleset(game.value);
    seats.min = each.seats_min;
    seats.max = each.seats_max;
    seats.value = Math.min(each.seats_max, Math.max(each.seats_min, 4));
    fields = configFields(each.config_schema);
    config.hidden = !fields.length;
    replace(config, build("legend", {}, t("lobbies.rules")), fields.map((field) => field.element));
  };
  game.addEventListener("change", showConfig);
  replace(main, build("h1", {}, t("lobbies.new")), build("form", { class: "panel", onsubmit: action(create) },
    labelled(t("lobbies.game"), game), labelled(t("lobbies.name"), name, t("lobbies.name_hint")),
    labelled(t("lobbies.seats"), seats), labelled(t("lobbies.tables"), tables, t("lobbies.tables_hint")), config,
    build("p", { class: "row" }, isPublic, build("label", { for: isPublic.id }, t("lobbies.public"))),
    labelled(t("lobbies.password"), password, t("lobbies.password_hint")),
    build("p", { class: "actions" }, build("button", {}, t("lobbies.create")),
      build("button", { type: "button", class: "quiet", onclick: action(showList) }, t("dialog.no")))));
  showConfig();
  game.focus();

  async function create() {
    await ensureSession();
    holdConnection();
    enter(await client.lobbies.create({
      ruleset: game.value, seats: Number(seats.value), is_public: isPublic.checked,
      config: Object.fromEntries(fields.map((field) => [field.name, field.value()])),
      ...(Number(tables.value) > 1 ? { tables: Number(tables.value) } : {}),
      ...(name.value.trim() ? { name: name.value.trim() } : {}),
      ...(password.value ? { password: password.value } : {}),
    }));
  }
}

/** Fields for the numbers, choices and switches of a configuration; what is nested keeps its default. */
function configFields(schema) {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const id = `config-${name}`;
    if (property.enum) {
      const select = build("select", { id }, property.enum.map((value) => build("option", { value, selected: value === property.default }, humanise(value))));
      return [{ name, element: labelled(humanise(name), select, property.description), value: () => select.value }];
    }
    if (property.type === "boolean") {
      const box = build("input", { id, type: "checkbox", checked: property.default === true });
      return [{ name, element: build("p", { class: "row" }, box, build("label", { for: id }, humanise(name))), value: () => box.checked }];
    }
    if (property.type !== "integer" && property.type !== "number") return [];
    const input = build("input", { id, type: "number", required: true, min: property.minimum, max: property.maximum,
      step: property.type === "integer" ? 1 : "any", value: property.default });
    const label = name.endsWith("_s") ? t("lobbies.in_seconds", { name: humanise(name.slice(0, -2)) }) : humanise(name);
    return [{ name, element: labelled(label, input, property.description), value: () => Number(input.value) }];
  });
}

// ------------------------------------------------------------------------------ inside a lobby

function enter(joined) {
  stopList();
  stopList = () => {};
  lobby?.unfollow();
  lobby = joined;
  if (!lobby.state.tables && openGame()) return;
  history.replaceState(null, "", `/lobbies?lobby=${lobby.lobby_id}`);
  document.title = t("page.title", { page: lobby.state.name });
  const tables = build("div", { id: "tables" });
  const members = build("ul", { class: "list members", id: "members" });
  const controls = build("div", { class: "row", id: "controls" });
  const invite = build("div", { class: "panel" });
  const chat = build("ol", { class: "log", role: "log", tabindex: 0, "aria-label": t("play.chat") });
  const input = build("input", { id: "say", maxlength: 500, autocomplete: "off", "aria-label": t("play.say") });
  const heading = build("h1", { tabindex: -1 });
  replace(main, heading, build("p", { class: "small" }, describe()), tables, members, controls, invite,
    build("section", {}, build("h2", {}, t("play.chat")), chat,
      build("form", { class: "row", onsubmit: action(async () => {
        const text = input.value.trim();
        if (text) await lobby.say(text);
        input.value = "";
      }) }, input, build("button", { class: "quiet" }, t("play.send")))));
  heading.focus();

  const draw = () => {
    heading.textContent = lobby.state.name;
    const { seats, members: all } = lobby.state;
    if (lobby.state.tables) {
      const standing = all.filter((member) => member.role === "spectator");
      replace(tables, lobby.state.tables.map(drawTable), standing.length > 0 && build("h2", {}, t("lobbies.standing")));
      replace(members, standing.map(drawMember));
      replace(controls, drawOwnControls());
      drawInvitation(invite);
      return;
    }
    const empty = seats - all.filter((member) => member.role === "player").length;
    replace(members, all.map(drawMember), Array.from({ length: Math.max(0, empty) }, () => build("li", { class: "empty" }, t("lobbies.free_seat"))));
    replace(controls, drawControls());
    drawInvitation(invite);
  };
  lobby.on("change", ({ change }) => {
    if (change.kind === "kicked" && change.player_id === client.session?.player_id) return away(t("lobbies.kicked"));
    if (lobby.state.status === "CLOSED") return away(t("lobbies.closed"));
    if (!lobby.me) return away(t("lobbies.left"));
    const { tables: several } = lobby.state;
    // At one of several tables, the game is opened as it starts; whoever comes back to the lobby stays.
    if (several && change.kind === "ended") announce(t("lobbies.table_ended", { number: change.table + 1 }));
    const isMine = several && change.kind === "started" && change.table === lobby.me.table;
    if (!((!several || isMine) && openGame())) draw();
    return undefined;
  });
  lobby.on("chat", (message) => {
    chat.append(build("li", {}, build("strong", {}, message.display_name), " ", message.text));
    while (chat.children.length > CHAT_LINES_MAX) chat.firstChild.remove();
    chat.scrollTop = chat.scrollHeight;
  });
  draw();
}

function describe() {
  const { ruleset: name, config } = lobby.state;
  const rules = Object.entries(config).filter(([, value]) => typeof value !== "object")
    .map(([key, value]) => (key.endsWith("_s") ? `${humanise(key.slice(0, -2))}: ${value} s` : `${humanise(key)}: ${value}`));
  return [title(name), ...rules].join(" · ");
}

/** The game has started: go there. */
function openGame() {
  if (!lobby.game_id) return false;
  location.href = gameAddress(lobby.game_id);
  return true;
}

/** A game at one of several tables leads back to the lobby. */
function gameAddress(game_id) {
  return `/play/${game_id}${lobby.state.tables ? `?lobby=${lobby.lobby_id}` : ""}`;
}

/** One of several tables: who sits there, and what the visitor may do there. */
function drawTable({ game_id }, table) {
  const { me, isHost, state } = lobby;
  const number = table + 1;
  const seated = state.members.filter((member) => member.table === table);
  const isOwn = me?.table === table;
  const isFree = !game_id && seated.length < state.seats;
  const waiting = seated.filter((member) => !member.bot && !member.ready && member.player_id !== me?.player_id);
  const few = seated.length < (ruleset(state.ruleset)?.seats_min ?? 1);
  const press = (key, label, title_, onclick, rest = {}) => build("button", { type: "button", "data-key": `${key}-${table}`, "aria-label": title_, onclick: action(onclick), ...rest }, label);
  return build("section", { class: "panel", "data-table": table, "data-playing": String(Boolean(game_id)) },
    build("h2", {}, t("lobbies.table", { number })), game_id && build("p", { class: "small" }, t("lobbies.table_playing")),
    build("ul", { class: "list members" }, seated.map(drawMember),
      Array.from({ length: game_id ? 0 : state.seats - seated.length }, () => build("li", { class: "empty" }, t("lobbies.free_seat")))),
    build("p", { class: "row" },
      game_id && build("a", { class: "button", href: gameAddress(game_id), "aria-label": isOwn ? t("lobbies.to_game") : t("lobbies.watch_at", { number }) },
        t(isOwn ? "lobbies.to_game" : "lobbies.spectate")),
      !game_id && (isOwn || isHost) && press("start", t("lobbies.start"), t("lobbies.start_at", { number }), () => lobby.start(table), { disabled: few || waiting.length > 0 }),
      isFree && !isOwn && !isPlaying() && press("sit", t("lobbies.sit"), t("lobbies.sit_at", { number }), () => lobby.sit(table), { class: "quiet" }),
      isFree && isHost && (ruleset(state.ruleset)?.bots ?? []).map((bot) => press(`bot-${bot}`, t("lobbies.add_bot", { name: humanise(bot) }), undefined, () => lobby.addBot(bot, table), { class: "quiet", "data-add": bot })),
      !game_id && (isOwn || isHost) && waiting.length > 0 && build("span", { class: "small" }, t("lobbies.waiting_for", { names: waiting.map((member) => member.display_name).join(", ") }))));
}

const isPlaying = () => lobby.me?.role === "player" && Boolean(lobby.game_id);

/** What concerns the visitor alone, in a lobby with several tables. */
function drawOwnControls() {
  const { me } = lobby;
  const isSeated = me?.role === "player" && !isPlaying();
  return [
    isSeated && build("button", { type: "button", "data-key": "ready", "aria-pressed": String(me.ready), onclick: action(() => lobby.ready(!me.ready)) },
      t(me.ready ? "lobbies.unready" : "lobbies.ready")),
    isSeated && build("button", { type: "button", class: "quiet", "data-key": "role", onclick: action(() => lobby.become("spectator")) }, t("lobbies.stand_up")),
    build("button", { type: "button", class: "quiet", "data-key": "leave", onclick: action(leave) }, t("lobbies.leave")),
  ];
}

function away(text) {
  lobby?.unfollow();
  lobby = null;
  announce(text);
  showList();
}

function drawMember(member) {
  const isMe = member.player_id === client.session?.player_id;
  const isHost = member.player_id === lobby.state.host_player_id;
  const marks = [
    isMe && t("play.you"), isHost && t("lobbies.host"), member.bot && t("lobbies.bot", { name: humanise(member.bot) }),
    member.role === "spectator" && !lobby.state.tables && t("lobbies.spectator"),
    member.role === "player" && (!isHost || lobby.state.tables) && !member.bot && t(member.ready ? "lobbies.is_ready" : "lobbies.not_ready"),
  ].filter(Boolean);
  const remove = member.bot
    ? () => lobby.removeBot(member.player_id)
    : async () => { if (await askToConfirm(t("lobbies.kick_question", { name: member.display_name }), { yes: t("lobbies.kick"), danger: true })) await lobby.kick(member.player_id); };
  return build("li", {},
    build("strong", {}, member.display_name), build("span", { class: "small" }, marks.join(" · ")),
    lobby.isHost && !isMe && build("button", { type: "button", class: "quiet", "data-key": `remove-${member.player_id}`, onclick: action(remove),
      "aria-label": t("lobbies.remove_named", { name: member.display_name }) }, t(member.bot ? "lobbies.remove" : "lobbies.kick")));
}

function drawControls() {
  const { me, isHost, state } = lobby;
  const bots = ruleset(state.ruleset)?.bots ?? [];
  const players = state.members.filter((member) => member.role === "player");
  const isFull = players.length >= state.seats;
  const waiting = players.filter((member) => !member.bot && !member.ready && member.player_id !== state.host_player_id);
  const few = players.length < (ruleset(state.ruleset)?.seats_min ?? 1);
  const isPlayer = me?.role === "player";
  return [
    isHost && build("button", { type: "button", "data-key": "start", disabled: few || waiting.length > 0, onclick: action(() => lobby.start()) }, t("lobbies.start")),
    isPlayer && !isHost && build("button", { type: "button", "data-key": "ready", "aria-pressed": String(me.ready), onclick: action(() => lobby.ready(!me.ready)) },
      t(me.ready ? "lobbies.unready" : "lobbies.ready")),
    isHost && !isFull && bots.map((bot) => build("button", { type: "button", class: "quiet", "data-key": `bot-${bot}`, "data-add": bot, onclick: action(() => lobby.addBot(bot)) },
      t("lobbies.add_bot", { name: humanise(bot) }))),
    me && !isHost && (isPlayer || !isFull) && build("button", { type: "button", class: "quiet", "data-key": "role", onclick: action(() => lobby.become(isPlayer ? "spectator" : "player")) },
      t(isPlayer ? "lobbies.become_spectator" : "lobbies.become_player")),
    build("button", { type: "button", class: "quiet", "data-key": "leave", onclick: action(leave) }, t("lobbies.leave")),
    isHost && waiting.length > 0 && build("span", { class: "small" }, t("lobbies.waiting_for", { names: waiting.map((member) => member.display_name).join(", ") })),
  ];
}

async function leave() {
  const left = lobby;
  lobby = null; // what follows is no news
  left.unfollow();
  await left.leave();
  await showList();
}

function drawInvitation(panel) {
  const code = lobby.join_code;
  panel.hidden = !code;
  if (!code) return;
  const link = `${location.origin}/lobbies?join=${code}`;
  replace(panel, build("p", {}, t("lobbies.invite"), " ", build("code", { id: "join-code" }, code)),
    build("p", { class: "row" }, build("input", { readonly: true, value: link, "aria-label": t("lobbies.link"), size: 34, "data-key": "link" }),
      build("button", { type: "button", class: "quiet", "data-key": "copy", onclick: action(async () => {
        await navigator.clipboard.writeText(link);
        announce(t("lobbies.copied"));
      }) }, t("lobbies.copy"))));
}

// --------------------------------------------------------------------------------------- the start

/** After a reload: a member still is one, unless that took too long. */
async function comeBack(lobby_id) {
  const found = await client.lobbies.open(lobby_id);
  if (found.me) return enter(found);
  found.unfollow();
  return join({ lobby_id });
}

async function start() {
  const asked = new URLSearchParams(location.search);
  rulesets = (await client.request("GET /v1/rulesets", { auth: false })).rulesets;
  if (asked.get("create") !== null) return showForm(asked.get("create"));
  try {
    if (asked.get("join")) await join({ code: asked.get("join") });
    else if (asked.get("lobby") && client.session) await comeBack(asked.get("lobby"));
  } catch (error) {
    showError(error);
  }
  if (!lobby) await showList();
  return undefined;
}

start().catch(showError);
