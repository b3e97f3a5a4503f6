// The console's sections about what is played: games, lobbies, nodes.

import { askFirst, badge, button, details, facts, filters, input, paged, redraw, refresh, refreshing, select, shortId, table, time } from "/static/admin_parts.js";
import { build, replace } from "/static/dom.js";
import { client } from "/static/site.js";
import { number, t } from "/static/strings.js";

const STATES = ["running", "quarantined", "ended", "completed"];

// ------------------------------------------------------------------------------------- games

export async function drawGames({ id, isAdmin }) {
  return id ? drawGame(id, isAdmin) : listGames(isAdmin);
}

async function listGames() {
  const list = build("div", {});
  const show = async (query) => replace(list, await paged({
    isLive: true,
    load: (cursor) => client.request("GET /v1/admin/games", { query: { ...query, cursor } }),
    show: ({ games }) => table(t("admin.games"), [
      [t("admin.game"), (game) => shortId(game.game_id, "games")],
      [t("admin.ruleset"), (game) => `${game.ruleset} ${game.ruleset_version}`],
      [t("admin.state"), (game) => badge(game.state, t(`admin.state_${game.state}`))],
      [t("admin.problem"), (game) => game.problem],
      [t("admin.events"), (game) => number.format(game.head + 1)],
      [t("admin.last_event"), (game) => time(game.last_event_at)],
      [t("admin.lobby"), (game) => game.lobby_name || shortId(game.lobby_id)],
      [t("admin.node"), (game) => game.node],
    ], games),
  }));
  await show({});
  return [
    filters([
      { label: t("admin.state"), input: select("state", [["", t("admin.any")], ...STATES.map((state) => [state, t(`admin.state_${state}`)])]) },
      { label: t("admin.ruleset"), input: input("ruleset", { size: 14 }) },
      { label: t("admin.silent_s"), input: input("silent_s", { type: "number", min: 1, size: 6 }) },
    ], show),
    list,
  ];
}

async function drawGame(id, isAdmin) {
  const body = build("div", {});
  const path = { game_id: id };
  const log = build("div", {});
  let shown = "";

  async function load() {
    const found = await client.request("GET /v1/admin/games/{game_id}", { path });
    if (JSON.stringify(found) === shown) return;
    shown = JSON.stringify(found);
    refresh(body, draw(found));
  }

  const end = async () => {
    const asked = await askFirst({
      title: t("admin.end_game"), what: t("admin.end_game_what"), yes: t("admin.end_game"), reason: t("admin.reason_players"),
    });
    if (!asked) return;
    await client.request("POST /v1/admin/games/{game_id}/end", { path, body: asked });
    redraw(t("admin.game_ended"));
  };
  const release = async () => {
    const asked = await askFirst({
      title: t("admin.release_game"), what: t("admin.release_game_what"), yes: t("admin.release_game"), isBad: false,
    });
    if (!asked) return;
    await client.request("POST /v1/admin/games/{game_id}/release", { path, body: asked });
    redraw(t("admin.game_released"));
  };
  const readLog = async () => {
    const { events } = await client.request("GET /v1/admin/games/{game_id}/log", { path, query: { limit: 20 } });
    replace(log, table(t("admin.log"), [
      [t("admin.index"), (event) => String(event.event_index)],
      [t("admin.event"), (event) => event.event],
      [t("admin.at"), (event) => time(event.at)],
      [t("admin.payload"), (event) => build("code", {}, JSON.stringify(event.payload))],
    ], events));
  };

  function draw(found) {
    const { game, seats } = found;
    const isOpen = game.state === "running" || game.state === "quarantined";
    return [
      game.problem && build("p", { class: "panel problem", role: "note" }, game.problem),
      facts(
        [t("admin.game"), build("code", {}, game.game_id)],
        [t("admin.state"), badge(game.state, t(`admin.state_${game.state}`))],
        [t("admin.ruleset"), `${game.ruleset} ${game.ruleset_version}`],
        [t("admin.lobby"), game.lobby_name || shortId(game.lobby_id)],
        [t("admin.node"), game.node && `${game.node}${game.is_node_alive ? "" : ` (${t("admin.node_gone")})`}`],
        [t("admin.events"), number.format(game.head + 1)],
        [t("admin.last_event"), time(game.last_event_at)],
        [t("admin.deadline"), time(found.deadline_at)],
        [t("admin.followers"), found.followers === null ? null : number.format(found.followers)],
        [t("admin.created"), time(game.created_at)],
        [t("admin.quarantined_at"), time(game.quarantined_at)],
        [t("admin.ended_at"), time(game.ended_at)],
        [t("admin.end_reason"), game.end_reason],
      ),
      seats && table(t("admin.seats"), [
        [t("admin.seat"), (seat) => String(seat.seat)],
        [t("admin.player"), (seat) => seat.display_name],
        [t("admin.kind"), (seat) => (seat.bot ? t("admin.bot_named", { name: seat.bot }) : t("admin.person"))],
        [t("admin.presence"), (seat) => t(!seat.present ? "admin.left" : seat.connected || seat.bot ? "admin.present" : "admin.disconnected")],
        [t("admin.to_move"), (seat) => (seat.is_to_move ? t("dialog.yes") : "")],
      ], seats),
      found.quarantine_trace && details(t("admin.trace"), found.quarantine_trace),
      found.view !== null && details(t("admin.view"), found.view),
      build("p", { class: "actions" },
        game.state === "running" && game.is_public && build("a", { class: "button quiet", href: `/watch/${game.game_id}` }, t("admin.watch")),
        isAdmin && button(t("admin.read_log"), readLog, { key: "read-log" }),
        isAdmin && game.state === "quarantined" && button(t("admin.release_game"), release, { key: "release" }),
        isAdmin && isOpen && button(t("admin.end_game"), end, { isBad: true, key: "end" })),
    ];
  }

  await load();
  refreshing(load);
  return [build("p", {}, build("a", { href: "#games" }, t("admin.all_games"))), body, log];
}

// ------------------------------------------------------------------------------------- lobbies

export async function drawLobbies() {
  const list = build("div", {});
  const close = async (lobby) => {
    const asked = await askFirst({
      title: t("admin.close_lobby"), what: t("admin.close_lobby_what", { name: lobby.name || lobby.lobby_id }), yes: t("admin.close_lobby"),
    });
    if (!asked) return;
    await client.request("POST /v1/admin/lobbies/{lobby_id}/close", { path: { lobby_id: lobby.lobby_id }, body: asked });
    redraw(t("admin.lobby_closed"));
  };
  const show = async (query) => replace(list, await paged({
    isLive: true,
    load: (cursor) => client.request("GET /v1/admin/lobbies", { query: { ...query, cursor } }),
    show: ({ lobbies }) => table(t("admin.lobbies"), [
      [t("admin.lobby"), (lobby) => [lobby.name || t("admin.unnamed"), " ", shortId(lobby.lobby_id)]],
      [t("admin.state"), (lobby) => badge(lobby.status.toLowerCase(), lobby.status)],
      [t("admin.ruleset"), (lobby) => lobby.ruleset ?? lobby.mode],
      [t("admin.access"), (lobby) => t(!lobby.is_public ? "admin.private" : lobby.has_password ? "admin.password" : "admin.public")],
      [t("admin.host"), (lobby) => lobby.host_name],
      [t("admin.players"), (lobby) => `${lobby.players} / ${lobby.seats}`],
      [t("admin.created"), (lobby) => time(lobby.created_at)],
      [t("admin.game"), (lobby) => shortId(lobby.game_id, "games")],
      [t("admin.act"), (lobby) => (lobby.status === "OPEN" || (lobby.status === "PLAYING" && lobby.mode === "peer"))
        && button(t("admin.close_lobby"), () => close(lobby), { key: `close-${lobby.lobby_id}` })],
    ], lobbies),
  }));
  await show({ status: "OPEN" });
  return [
    filters([
      { label: t("admin.lobby_text"), input: input("text") },
      { label: t("admin.state"), input: select("status", [["", t("admin.any")], ["OPEN", "OPEN"], ["PLAYING", "PLAYING"], ["CLOSED", "CLOSED"]], "OPEN") },
    ], show),
    list,
  ];
}

// ------------------------------------------------------------------------------------- nodes

export async function drawNodes() {
  const body = build("div", {});
  const load = async () => {
    const found = await client.request("GET /v1/admin/nodes");
    refresh(body,
      facts(
        [t("admin.orphaned"), number.format(found.orphaned_games)],
        [t("admin.quarantined_games"), number.format(found.quarantined_games)],
      ),
      table(t("admin.nodes"), [
        [t("admin.node"), (node) => [node.node, node.is_this && ` (${t("admin.this_node")})`]],
        [t("admin.state"), (node) => badge(node.is_alive ? "running" : "ended", t(node.is_alive ? "admin.alive" : "admin.node_gone"))],
        [t("admin.games"), (node) => number.format(node.games)],
        [t("admin.address"), (node) => node.address],
        [t("admin.started"), (node) => time(node.started_at)],
        [t("admin.lease"), (node) => time(node.lease_until)],
      ], found.nodes));
  };
  await load();
  refreshing(load);
  return body;
}
