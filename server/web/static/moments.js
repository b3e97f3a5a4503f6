// A game event by event, for those who look at it: what happened, who sits there, and how it looked.

import { client } from "/static/site.js";
import { build, replace } from "/static/dom.js";
import { has, t } from "/static/strings.js";
import { humanise } from "/static/table.js";

const EVENTS_PAGE = 1000;
const VIEWS_PAGE = 50;

/** The last part of this page's address. */
export const lastOfPath = () => decodeURIComponent(location.pathname.split("/").filter(Boolean).at(-1) ?? "");

/** Read what there is to see of a log, in the form in which events come live. */
export async function readEvents(game_id) {
  const events = [];
  let head = 0;
  while (events.length <= head) {
    const query = { after: events.length - 1, limit: EVENTS_PAGE };
    const page = await client.request("GET /v1/games/{game_id}/events", { path: { game_id }, query });
    if (!page.events.length) break;
    events.push(...page.events.map(({ event_index, event, payload, at }) => ({ event_index, type: event, payload, at })));
    head = page.head;
  }
  return events;
}

/** Names by player id; `players` are those of event 0. Bots are numbered. */
export async function readNames(players) {
  const bots = {};
  return new Map(await Promise.all(players.map(async ({ player_id, bot, seat }) => {
    if (bot) return [player_id, `${humanise(bot)} ${bots[bot] = (bots[bot] ?? 0) + 1}`];
    const stats = await client.request("GET /v1/players/{player_id}/stats", { path: { player_id } }).catch(() => null);
    return [player_id, stats?.display_name || t("moment.seat", { seat: seat + 1 })];
  })));
}

/** Read a part of a game, merged so that each moment is whole. */
export async function readViews(game_id, query) {
  const { views } = await client.request("GET /v1/games/{game_id}/views", { path: { game_id }, query });
  let [table, view] = [{}, {}];
  return views.map((each) => {
    table = { ...table, ...each.table };
    view = { ...view, ...each.view };
    return { snapshot: { ...table, head: each.event_index, view }, seats: each.seats };
  });
}

/** How a finished game looked after each event, read in pages and kept. */
export class Moments {
  #pages = new Map();

  constructor(game_id) {
    this.game_id = game_id;
  }

  async at(index) {
    const page = await this.#page(Math.floor(index / VIEWS_PAGE));
    return page[index % VIEWS_PAGE];
  }

  /** Have soon what follows. */
  prefetch(index) {
    this.#page(Math.floor(index / VIEWS_PAGE)).catch(() => {});
  }

  #page(number) {
    if (!this.#pages.has(number)) {
      const page = readViews(this.game_id, { after: number * VIEWS_PAGE - 1, limit: VIEWS_PAGE });
      this.#pages.set(number, page);
      page.catch(() => this.#pages.delete(number)); // it may be asked for again
    }
    return this.#pages.get(number);
  }
}

/** The table of a game that is only looked at: what `/play` draws, at any moment. */
export class ShownTable {
  #make = null;
  #view = null;
  #fed = -1;
  #players = [];

  /** `events` may grow; `names` by player id. */
  constructor(root, { events, names }) {
    Object.assign(this, { root, events, names });
  }

  /** Take the drawing that a ruleset brings; those that bring none have a table. */
  async load(ruleset) {
    this.#make = (await import(`/rulesets/${encodeURIComponent(ruleset)}.js`)).default;
  }

  playerName(player_id) {
    return this.names.get(player_id) ?? t("play.somebody");
  }

  /** Show a moment; going back begins anew, since drawings keep what events told them. */
  show({ snapshot, seats = [] }, eye = null) {
    const { head, players } = snapshot;
    if (!this.#view || head < this.#fed) this.#begin();
    this.#players = players;
    for (const event of this.events) {
      if (event.event_index > head) break;
      if (event.event_index > this.#fed) this.#view.event?.(event);
    }
    this.#fed = head;
    const own = eye === null ? {} : seats[eye] ?? {};
    this.#view.update({ ...snapshot, seat: eye, view: { ...snapshot.view, ...own, legal_moves: [] } });
  }

  /** An event in words. */
  describe(event) {
    if (!this.#view) this.#begin();
    const { type, payload } = event;
    const player = payload?.player_id ?? this.#players[payload?.seat]?.player_id;
    const name = player ? this.playerName(player) : "";
    const key = `play.event.${type}`;
    const own = payload === null ? null : this.#view.describe?.(event);
    return own ?? (has(key) ? t(key, { name }) : [name, humanise(type)].filter(Boolean).join(": "));
  }

  #begin() {
    replace(this.root);
    this.#fed = -1;
    this.#view = this.#make({
      root: this.root,
      act: () => {},
      name: (seat) => this.playerName(this.#players[seat]?.player_id),
      playerName: (player_id) => this.playerName(player_id),
    });
  }
}

const SUITS = { spades: "♠", hearts: "♥", diamonds: "♦", clubs: "♣" };

/** The hands of all seats, where their views have one. */
export function drawHands(seats, names) {
  const rows = seats.flatMap(({ hand }, seat) => (Array.isArray(hand) ? [[names[seat], hand]] : []));
  return rows.length > 0 && build("dl", { class: "hands" }, rows.map(([name, hand]) => build("div", {},
    build("dt", {}, name),
    build("dd", {}, hand.length ? hand.map(drawSmallCard) : t("moment.no_cards")))));
}

function drawSmallCard(card) {
  const [, suit, rank] = String(card).split(":");
  const text = rank ? `${SUITS[suit]}\u2009${rank}` : String(card);
  return build("span", { class: "small-card", "data-suit": suit }, text);
}
