// A finished game, event by event, and whether it is what it claims to be.

import { Moments, ShownTable, drawHands, lastOfPath, readEvents, readNames } from "/static/moments.js";
import { action, announce, client, showError } from "/static/site.js";
import { build, labelled, prose, replace } from "/static/dom.js";
import { number, t } from "/static/strings.js";
import { commitmentTo, readLog, verifyLog } from "/static/verify.js";

const EVENT_MS = 1000;
const SPEEDS = [0.5, 1, 2, 4, 8];
const AROUND = 4;

const main = document.querySelector("main");
const game_id = lastOfPath();

// ------------------------------------------------------------------ the moment that is shown

class Replay {
  #timer = 0;
  #shown = null;

  constructor(events, names) {
    Object.assign(this, { events, names, moments: new Moments(game_id), index: 0, speed: 1, eye: null });
    this.rounds = events.flatMap(({ type, payload }, index) => (type === "round_started" ? [{ index, round: payload.round }] : []));
    this.table = build("div", { class: "table-root", id: "table" });
    this.drawing = new ShownTable(this.table, { events, names });
    this.hands = build("div", { id: "hands" });
    this.#build();
  }

  get last() {
    return this.events.length - 1;
  }

  get isPlaying() {
    return this.#timer !== 0;
  }

  async go(index, { note = true } = {}) {
    this.index = Math.min(Math.max(index, 0), this.last);
    this.#showPlace();
    if (note && !this.isPlaying) history.replaceState(null, "", `#${this.index}`);
    await this.#draw();
  }

  play() {
    if (this.isPlaying) return this.pause();
    if (this.index === this.last) this.index = -1;
    const next = async () => {
      await this.go(this.index + 1).catch((error) => {
        this.pause();
        showError(error);
      });
      if (!this.isPlaying) return;
      if (this.index === this.last) this.pause();
      else this.#timer = setTimeout(next, EVENT_MS / this.speed);
    };
    this.#timer = setTimeout(next, 0);
    this.#showPlace();
  }

  pause() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    history.replaceState(null, "", `#${this.index}`);
    this.#showPlace();
  }

  round(step) {
    const found = step > 0
      ? this.rounds.find(({ index }) => index > this.index)
      : this.rounds.findLast(({ index }) => index < this.index);
    return this.go(found ? found.index : step > 0 ? this.last : 0);
  }

  // ---------------------------------------------------------------- drawing

  async #draw() {
    const { index } = this;
    const moment = await this.moments.at(index);
    if (index !== this.index) return; // somebody went on meanwhile
    this.moments.prefetch(Math.min(index + 25, this.last));
    this.#shown = moment;
    this.#drawMoment();
  }

  #drawMoment() {
    this.drawing.show(this.#shown, this.eye);
    const { snapshot, seats } = this.#shown;
    replace(this.hands, this.eye === null && this.showsHands && drawHands(seats, snapshot.players.map(({ player_id }) => this.names.get(player_id))));
    this.table.dataset.index = snapshot.head;
  }

  #showPlace() {
    const { index, last } = this;
    const text = this.drawing.describe(this.events[Math.max(index, 0)]);
    this.slider.value = index;
    this.slider.setAttribute("aria-valuetext", t("replay.value", { index, last, text }));
    this.place.textContent = t("replay.place", { index, last });
    this.text.textContent = text;
    this.text.setAttribute("aria-live", this.isPlaying ? "off" : "polite");
    this.playButton.textContent = t(this.isPlaying ? "replay.pause" : "replay.play");
    const from = Math.max(0, Math.min(index - AROUND, last - 2 * AROUND));
    replace(this.list, this.events.slice(from, from + 2 * AROUND + 1).map((each, n) => build("li", {},
      build("button", {
        type: "button", class: "quiet", "aria-current": from + n === index && "step", "data-key": `event-${n}`,
        onclick: action(() => this.go(from + n)),
      }, `${number.format(from + n)} · ${this.drawing.describe(each)}`))));
  }

  #build() {
    const button = (key, work) => build("button", { type: "button", class: "quiet", onclick: action(work) }, t(key));
    this.slider = build("input", {
      type: "range", id: "slider", min: 0, max: this.last, step: 1, "aria-label": t("replay.slider"),
      oninput: action(() => this.go(Number(this.slider.value))),
    });
    this.place = build("span", { class: "small" });
    this.text = build("p", { class: "replay-event", id: "event" });
    this.playButton = build("button", { type: "button", id: "play", onclick: () => this.play() });
    this.list = build("ol", { class: "replay-events" });
    const speed = build("select", { id: "speed", onchange: () => { this.speed = Number(speed.value); } },
      SPEEDS.map((each) => build("option", { value: each, selected: each === 1 }, `${each}×`)));
    const eye = build("select", { id: "eye", onchange: () => {
      this.showsHands = eye.value === "all";
      this.eye = eye.value === "all" || eye.value === "none" ? null : Number(eye.value);
      this.#drawMoment();
    } }, build("option", { value: "all" }, t("replay.all_hands")), build("option", { value: "none" }, t("replay.spectator")),
    [...this.names.values()].map((name, seat) => build("option", { value: seat }, name)));
    this.showsHands = true;
    const round = build("select", { id: "round", onchange: action(() => this.go(Number(round.value))) },
      this.rounds.map(({ index, round: n }) => build("option", { value: index }, t("replay.round", { round: n }))));
    this.controls = build("section", { class: "panel replay-controls", "aria-label": t("replay.controls") },
      this.text, build("div", { class: "row" }, this.slider, this.place),
      build("div", { class: "row" },
        button("replay.first", () => this.go(0)), button("replay.back", () => this.go(this.index - 1)), this.playButton,
        button("replay.next", () => this.go(this.index + 1)), button("replay.last", () => this.go(this.last)),
        button("replay.link", () => this.#copyLink())),
      build("div", { class: "row" }, labelled(t("replay.speed"), speed), labelled(t("replay.eye"), eye),
        this.rounds.length > 0 && labelled(t("replay.to_round"), round)),
      build("p", { class: "small" }, t("replay.keys")));
  }

  async #copyLink() {
    const link = `${location.origin}${location.pathname}#${this.index}`;
    history.replaceState(null, "", `#${this.index}`);
    try {
      await navigator.clipboard.writeText(link);
      announce(t("replay.link_copied"));
    } catch {
      announce(t("replay.link_shown", { link })); // without https there is no clipboard
    }
  }
}

function onKey(replay) {
  const keys = {
    ArrowLeft: () => replay.go(replay.index - 1), ArrowRight: () => replay.go(replay.index + 1),
    Home: () => replay.go(0), End: () => replay.go(replay.last),
    PageUp: () => replay.round(-1), PageDown: () => replay.round(1), k: () => replay.play(),
  };
  document.addEventListener("keydown", (event) => {
    const isTaken = event.target.closest("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey;
    if (isTaken || !Object.hasOwn(keys, event.key)) return;
    action(keys[event.key])(event);
  });
}

// ------------------------------------------------------------------ verification

// Reads the log as it is sent: what `JSON.parse` makes of it cannot be hashed.
async function readWholeLog() {
  return readLog(game_id, async (address) => {
    const response = await client.fetch(address);
    if (response.ok) return response.text();
    throw new Error((await response.json()).message);
  });
}

function verification() {
  const results = build("div", { id: "verified", role: "status", "aria-live": "polite" });
  let log = null;
  const verify = action(async () => {
    replace(results, build("p", {}, t("verify.working")));
    log = await readWholeLog();
    const said = verifyLog(game_id, log);
    results.dataset.ok = said.ok;
    replace(results,
      build("p", { class: said.ok ? "verdict good" : "verdict bad" }, t(said.ok ? "verify.ok" : "verify.failed")),
      build("ul", { class: "list" }, said.checks.map(checkLine)),
      build("p", { class: "small" }, t("verify.seed_is"), " ", build("code", {}, said.seed ?? "–")));
  });
  const head = build("input", { id: "kept-head", inputmode: "numeric", pattern: "[0-9]+", required: true });
  const text = build("input", { id: "kept", pattern: "[0-9a-fA-F]{32}", required: true, autocomplete: "off" });
  const said = build("p", { role: "status", id: "kept-said" });
  const compare = action(async () => {
    log ??= await readWholeLog();
    const index = Number(head.value);
    if (index > log.length - 1) throw new Error(t("verify.no_such_event", { count: log.length - 1 }));
    const isSame = commitmentTo(log, index) === text.value.trim().toLowerCase();
    said.className = `verdict ${isSame ? "good" : "bad"}`;
    said.textContent = t(isSame ? "verify.kept_same" : "verify.kept_other", { index });
  });
  return build("section", { "aria-labelledby": "verify-title" },
    build("h2", { id: "verify-title" }, t("verify.title")),
    build("p", {}, t("verify.lead")),
    build("p", {}, build("button", { type: "button", id: "verify", onclick: verify }, t("verify.button"))),
    results,
    build("details", {}, build("summary", {}, t("verify.kept")),
      build("p", { class: "small" }, prose(t("verify.kept_lead"))),
      build("form", { class: "row", onsubmit: compare }, labelled(t("verify.kept_head"), head), labelled(t("verify.kept_text"), text),
        build("button", {}, t("verify.compare"))), said));
}

function checkLine({ check, count, problems }) {
  const state = count === null ? "none" : problems.length ? "bad" : "good";
  const words = count === null ? t(`verify.${check}.none`) : t(`verify.${check}`, { count });
  return build("li", { "data-check": check, "data-state": state },
    build("span", { class: `mark ${state}`, "aria-hidden": "true" }, { good: "✓", bad: "✗", none: "–" }[state]),
    build("span", {}, build("strong", {}, t(`verify.state.${state}`)), " ", words,
      problems.slice(0, 5).map(({ problem, index, ...more }) => build("span", { class: "problem" }, t(`verify.${problem}`, { index, ...more }))),
      problems.length > 5 && build("span", { class: "problem" }, t("verify.more", { count: problems.length - 5 }))));
}

// ------------------------------------------------------------------ the page

async function open() {
  replace(main, build("p", { role: "status" }, t("page.loading")));
  const game = await client.request("GET /v1/games/{game_id}", { path: { game_id } });
  if (game.status !== "completed") {
    replace(main, build("h1", {}, t("replay.title")), build("p", {}, t("replay.running"), " ",
      build("a", { href: `/watch/${game_id}` }, t("replay.watch"))));
    return;
  }
  const [{ rulesets }, events] = await Promise.all([client.request("GET /v1/rulesets"), readEvents(game_id)]);
  const names = await readNames(events[0].payload.players);
  const title = rulesets.find(({ name }) => name === game.ruleset)?.title ?? game.ruleset;
  document.title = t("page.title", { page: t("replay.of", { title }) });
  const replay = new Replay(events, names);
  await replay.drawing.load(game.ruleset);
  const { final_scores: scores = {}, winners = [] } = events.at(-1).payload;
  replace(main,
    build("h1", {}, t("replay.of", { title })),
    build("ul", { class: "row small plain-list" }, [...names].map(([player, name]) => build("li", {},
      build("a", { href: `/players/${player}` }, name), " ", number.format(scores[player] ?? 0), winners.includes(player) && ` ${t("replay.won")}`))),
    replay.table, replay.hands, replay.controls,
    build("details", {}, build("summary", {}, t("replay.events")), replay.list),
    verification());
  onKey(replay);
  const toHash = () => (/^#\d+$/.test(location.hash) ? Number(location.hash.slice(1)) : 0);
  window.addEventListener("hashchange", action(() => replay.go(toHash())));
  await replay.go(toHash(), { note: false });
}

open().catch((error) => {
  replace(main, build("h1", {}, t("replay.title")), build("p", { role: "alert" }, error.message));
});
