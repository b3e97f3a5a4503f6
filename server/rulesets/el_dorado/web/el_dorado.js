// El Dorado: the table with the cards that lie on it, what everybody bid and took, and the hand.

import { build, replace } from "/static/dom.js";
import { has, t } from "/static/strings.js";

const SUITS = { spades: "♠", hearts: "♥", diamonds: "♦", clubs: "♣" };
const ORDER = ["clubs", "diamonds", "spades", "hearts"];
const RANKS = "2 3 4 5 6 7 8 9 10 J Q K A".split(" ");

function parse(card) {
  const [deck, suit, rank] = card.split(":");
  return { deck, suit, rank };
}

function cardName(card) {
  const { suit, rank } = parse(card);
  return t("el_dorado.card", { rank: has(`rank.${rank}`) ? t(`rank.${rank}`) : rank, suit: t(`suit.${suit}`) });
}

function drawFace(card) {
  const { suit, rank } = parse(card);
  return [
    build("span", { class: "rank", "aria-hidden": "true" }, rank, build("br"), SUITS[suit]),
    build("span", { class: "pip", "aria-hidden": "true" }, SUITS[suit]),
  ];
}

function drawCard(card, label = cardName(card)) {
  return build("span", { class: "playing-card", "data-suit": parse(card).suit, role: "img", "aria-label": label }, drawFace(card));
}

function byRank(a, b) {
  const [left, right] = [parse(a), parse(b)];
  return ORDER.indexOf(left.suit) - ORDER.indexOf(right.suit) || RANKS.indexOf(left.rank) - RANKS.indexOf(right.rank);
}

export default function view(table) {
  let trick = []; // the cards on the table: [player_id, card]
  let taken = null; // the last trick: its cards, and who took it

  const round = build("p", { class: "row el-round" });
  const seats = build("ul", { class: "el-seats" });
  const centre = build("div", { class: "el-trick" });
  const bids = build("div", { class: "row el-bids", role: "group", "aria-label": t("el_dorado.bids") });
  const hand = build("div", { class: "el-hand", role: "group", "aria-label": t("el_dorado.hand") });
  const scores = build("div", { class: "scroll" });
  table.root.append(round, seats, centre, bids, hand, build("details", {},
    build("summary", {}, t("el_dorado.scores")), scores));

  // Arrows move between cards, and between bids.
  function walk(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const buttons = [...event.currentTarget.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    if (at < 0) return;
    event.preventDefault();
    buttons[(at + step + buttons.length) % buttons.length].focus();
  }
  hand.addEventListener("keydown", walk);
  bids.addEventListener("keydown", walk);

  function drawSeat(state, player) {
    const at = player.seat;
    const bid = state.bids[at];
    return build("li", { class: "panel", "data-turn": state.turn === at },
      build("strong", {}, table.name(at)),
      build("span", {}, bid === null ? t("el_dorado.no_bid") : t("el_dorado.bid_and_tricks", { bid, tricks: state.tricks[at] })),
      build("span", { class: "small" }, t("el_dorado.total", { count: state.totals[at], total: state.totals[at] }),
        " · ", t("el_dorado.cards_left", { count: state.counts[at] ?? 0 })),
      !player.present && build("span", { class: "small bad-text" }, t("play.left")),
      player.present && !player.connected && build("span", { class: "small bad-text" }, t("play.away")));
  }

  function drawTrick() {
    const shown = trick.length ? trick : taken?.cards ?? [];
    centre.dataset.old = trick.length === 0;
    replace(centre, shown.map(([player_id, card]) => build("figure", {},
      drawCard(card), build("figcaption", {}, table.playerName(player_id)))),
    !trick.length && taken && build("p", { class: "small" }, t("el_dorado.took", { name: table.playerName(taken.by) })),
    !shown.length && build("p", { class: "empty" }, t("el_dorado.no_cards")));
  }

  function drawHand(state, moves) {
    const playable = new Map(moves.filter((move) => move.type === "play_card").map((move) => [move.card, move]));
    replace(hand, [...(state.hand ?? [])].sort(byRank).map((card) => {
      const move = playable.get(card);
      return build("button", {
        type: "button",
        class: "playing-card",
        "data-suit": parse(card).suit,
        "data-key": card,
        "aria-disabled": move ? null : "true",
        onclick: () => { if (move) table.act(move); },
      }, drawFace(card), build("span", { class: "visually-hidden" },
        move ? t("el_dorado.play", { card: cardName(card) }) : cardName(card)));
    }));
  }

  function drawScores(state, players) {
    replace(scores, build("table", {},
      build("thead", {}, build("tr", {}, build("th", {}, t("el_dorado.round_column")),
        players.map((player) => build("th", {}, table.name(player.seat))))),
      build("tbody", {}, state.history.map((each) => build("tr", {},
        build("th", {}, t("el_dorado.round_row", { round: each.round, suit: SUITS[each.trump] ?? "" })),
        players.map((player) => {
          const own = each.players[player.player_id];
          return build("td", {}, own ? t("el_dorado.result", own) : "–");
        }))))));
  }

  return {
    event({ type, payload }) {
      if (type === "card_played") trick.push([payload.player_id, payload.card]);
      if (type === "trick_completed") [taken, trick] = [{ by: payload.player_id, cards: trick }, []];
      if (type === "round_started") [taken, trick] = [null, []];
    },
    update({ view: state, players }) {
      const moves = state.legal_moves ?? [];
      replace(round,
        build("strong", {}, t("el_dorado.round", { round: state.round, rounds: state.rounds })),
        state.trump_card && build("span", { class: "row" }, t("el_dorado.trump"), drawCard(state.trump_card)),
        build("span", { class: "small" }, state.trump_broken ? t("el_dorado.broken") : t("el_dorado.unbroken")));
      replace(seats, players.map((player) => drawSeat(state, player)));
      drawTrick();
      const offered = moves.filter((move) => move.type === "bid");
      bids.hidden = !offered.length;
      replace(bids, offered.map((move) => build("button", {
        type: "button", class: "quiet", "data-key": `bid-${move.bid}`, onclick: () => table.act(move),
      }, t("el_dorado.bid", { bid: move.bid }))));
      drawHand(state, moves);
      drawScores(state, players);
    },
    // What the visitor is asked to do, in words.
    prompt({ view: state }) {
      return t(state.phase === "bidding" ? "el_dorado.your_bid" : "el_dorado.your_card");
    },
    describe({ type, payload }) {
      const name = payload?.player_id && table.playerName(payload.player_id);
      switch (type) {
        case "round_started": return t("el_dorado.starts", { round: payload.round, count: payload.cards });
        case "trump_revealed": return t("el_dorado.trump_is", { suit: t(`suit.${payload.trump}`) });
        case "player_bid": return t("el_dorado.bids_event", { name, bid: payload.bid });
        case "card_played": return t("el_dorado.plays", { name, card: cardName(payload.card) });
        case "trick_completed": return t("el_dorado.took", { name });
        default: return null;
      }
    },
  };
}
