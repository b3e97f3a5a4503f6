// A player: what they played and how well; at /players by player, username or account, at /people by account.

import { RequestRefused } from "/sdk/playhall.js";
import { lastOfPath } from "/static/moments.js";
import { dateTime } from "/static/format.js";
import { barPlot, figure, linePlot } from "/static/plots.js";
import { action, client } from "/static/site.js";
import { build, replace } from "/static/dom.js";
import { number, t } from "/static/strings.js";
import { humanise } from "/static/table.js";

const MATCHES = 20;
const PLOTTED = 100;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const main = document.querySelector("main");
const isMissing = (error) => error instanceof RequestRefused && (error.status === 404 || error.code === "invalid_field");

// ------------------------------------------------------------------ who it is

/** Find a player by any of their names: `{ player_id, stats, profile }`; a bot has no profile. */
async function find(name) {
  const read = (player_id) => client.request("GET /v1/players/{player_id}/stats", { path: { player_id } });
  const person = () => client.request("GET /v1/profiles/{name}", { path: { name } });
  if (UUID.test(name) && !location.pathname.startsWith("/people/")) {
    const stats = await read(name);
    return { player_id: name, stats, profile: stats.is_bot ? null : await person().catch(() => null) };
  }
  const profile = await person();
  return { player_id: profile.player_id, stats: await read(profile.player_id), profile };
}

function drawPerson(profile) {
  if (!profile) return null;
  const counts = ["follower", "following", "creation"].map((each) => t(`player.${each}_count`, { count: profile[`${each}_count`] }));
  const ties = build("span", { class: "row", id: "ties" });
  const drawTies = async () => {
    const { user_id } = profile;
    if (!client.session || client.session.user_id === user_id) return;
    const found = await client.request("GET /v1/people/{user_id}/ties", { path: { user_id } });
    const change = (kind, isOn) => action(async () => {
      await client.request(`${isOn ? "DELETE" : "PUT"} /v1/people/{user_id}/${kind}`, {
        path: { user_id }, ...(kind === "follow" && !isOn ? { body: {} } : {}),
      });
      await drawTies();
    });
    replace(ties, [["follow", found.is_following], ["mute", found.is_muted], ["block", found.is_blocked]].map(([kind, isOn]) =>
      build("button", { type: "button", class: kind === "follow" && !isOn ? null : "quiet", "data-key": kind, "aria-pressed": String(Boolean(isOn)), onclick: change(kind, isOn) },
        t(`player.${kind}.${isOn ? "off" : "on"}`))));
  };
  drawTies().catch(() => {});
  return build("section", { class: "panel" },
    build("p", {}, build("strong", {}, `@${profile.username}`), " · ", counts.join(" · "), " · ", t("player.xp", { count: profile.xp_total })),
    profile.bio && build("p", {}, profile.bio),
    build("p", { class: "row" }, ties, build("a", { href: `/creations?user_id=${profile.user_id}` }, t("player.creations"))));
}

// ------------------------------------------------------------------ numbers

function drawStats(stats) {
  const shown = ["games_played", "games_won", "win_rate", "highest_score", "most_consecutive_wins", "current_win_streak"];
  return build("dl", { class: "counts", id: "stats" }, shown.map((key) => build("div", {},
    build("dt", {}, t(`player.${key}`)),
    build("dd", {}, stats[key] === null ? "–" : key === "win_rate" ? `${Math.round(stats[key] * 100)} %` : number.format(stats[key])))));
}

async function drawRatings(player_id, titles) {
  const { ratings } = await client.request("GET /v1/players/{player_id}/ratings", { path: { player_id } });
  if (!ratings.length) return build("p", { class: "empty" }, t("player.no_ratings"));
  return Promise.all(ratings.map(async (rating) => {
    const { changes } = await client.request("GET /v1/players/{player_id}/ratings/{ruleset}", {
      path: { player_id, ruleset: rating.ruleset }, query: { limit: PLOTTED },
    });
    const points = changes.toReversed().map((each) => ({
      value: each.after, low: each.after - each.deviation, high: each.after + each.deviation,
      title: `${dateTime(each.completed_at)}: ${Math.round(each.after)}`,
    }));
    const title = titles.get(rating.ruleset) ?? humanise(rating.ruleset);
    const words = t("player.rating", { rating: Math.round(rating.rating), deviation: Math.round(rating.deviation), count: rating.games });
    return build("div", { class: "panel", "data-ruleset": rating.ruleset }, build("h3", {}, title),
      build("p", {}, build("strong", {}, words), rating.is_provisional && ` · ${t("player.provisional")}`),
      points.length > 1 && figure(linePlot(points, t("player.rating_plot", { title, from: Math.round(points[0].value), to: Math.round(points.at(-1).value) })), t("player.rating_caption")));
  }));
}

async function drawAchievements(player_id, titles) {
  const { achievements, points } = await client.request("GET /v1/players/{player_id}/achievements", { path: { player_id } });
  const begun = achievements.filter((each) => each.progress > 0 || each.granted_at).sort((a, b) => Boolean(b.granted_at) - Boolean(a.granted_at));
  if (!begun.length) return build("p", { class: "empty" }, t("player.no_achievements"));
  return [build("p", {}, t("player.points", { count: points })), build("ul", { class: "list" }, begun.map((each) => build("li", { "data-granted": String(Boolean(each.granted_at)) },
    build("span", {}, build("strong", {}, each.title), " ", each.description, build("span", { class: "small" }, ` ${titles.get(each.ruleset) ?? each.ruleset}`)),
    each.granted_at
      ? build("span", { class: "small" }, dateTime(each.granted_at))
      : build("progress", { max: each.steps, value: each.progress, "aria-label": each.title }))))];
}

// ------------------------------------------------------------------ matches

class Matches {
  #next = null;
  #all = [];

  constructor(player_id, titles) {
    Object.assign(this, { player_id, titles });
    this.list = build("ul", { class: "list", id: "matches" });
    this.plot = build("div");
    this.more = build("button", { type: "button", class: "quiet", onclick: action(() => this.read()) }, t("list.more"));
  }

  async read() {
    const page = await client.request("GET /v1/players/{player_id}/matches", {
      path: { player_id: this.player_id }, query: { cursor: this.#next, limit: MATCHES },
    });
    this.#next = page.next;
    this.#all.push(...page.matches);
    this.more.hidden = page.next === null;
    this.list.append(...page.matches.map((match) => this.#line(match)));
    const scored = this.#all.filter((match) => this.#own(match)?.score !== undefined && this.#own(match).score !== null).toReversed();
    replace(this.plot, scored.length > 1 && figure(barPlot(scored.map((match) => ({
      value: this.#own(match).score, isGood: match.winner_id === this.player_id,
      title: `${this.#title(match)}, ${dateTime(match.ended_at)}: ${this.#own(match).score}`,
    })), t("player.scores_plot", { count: scored.length })), t("player.scores_caption")));
    if (!this.#all.length) replace(this.list, build("li", { class: "empty" }, t("player.no_matches")));
  }

  #own(match) {
    return match.players.find(({ player_id }) => player_id === this.player_id);
  }

  #title(match) {
    return this.titles.get(match.ruleset) ?? humanise(match.ruleset ?? match.mode);
  }

  #line(match) {
    const others = match.players.filter(({ player_id }) => player_id !== this.player_id);
    const result = match.winner_id === this.player_id ? "won" : match.winner_id ? "lost" : "draw";
    return build("li", { "data-result": result },
      build("span", {}, build("strong", {}, t(`player.${result}`)), " ", this.#title(match), " ", build("span", { class: "small" }, dateTime(match.ended_at))),
      others.length > 0 && build("span", { class: "small" }, t("player.against"), " ", others.map((each, n) => [n > 0 && ", ",
        build("a", { href: `/players/${each.player_id}` }, each.display_name || t("play.somebody"))])),
      !match.counts && build("span", { class: "small" }, t("player.uncounted")),
      match.game_id ? build("a", { href: `/replay/${match.game_id}` }, t("player.replay")) : build("span"));
  }
}

// ------------------------------------------------------------------ the page

async function open() {
  replace(main, build("p", { role: "status" }, t("page.loading")));
  const [{ player_id, stats, profile }, { rulesets }] = await Promise.all([find(lastOfPath()), client.request("GET /v1/rulesets")]);
  const titles = new Map(rulesets.map(({ name, title }) => [name, title]));
  const matches = new Matches(player_id, titles);
  const [ratings, achievements] = await Promise.all([drawRatings(player_id, titles), drawAchievements(player_id, titles), matches.read()]);
  document.title = t("page.title", { page: stats.display_name });
  replace(main, build("h1", {}, stats.display_name, stats.is_bot && ` ${t("boards.bot")}`),
    drawPerson(profile),
    build("section", {}, build("h2", {}, t("player.stats")), drawStats(stats)),
    build("section", { id: "ratings" }, build("h2", {}, t("player.ratings")), build("div", { class: "stack" }, ratings)),
    build("section", { id: "achievements" }, build("h2", {}, t("player.achievements")), achievements),
    build("section", {}, build("h2", {}, t("player.matches")), matches.plot, matches.list, build("p", { class: "actions" }, matches.more)));
}

open().catch((error) => replace(main, build("h1", {}, t("player.title")),
  build("p", { role: "alert" }, isMissing(error) ? t("player.missing") : error.message)));
