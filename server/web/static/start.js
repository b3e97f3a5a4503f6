// The start page: live counts and the list of games, from the public addresses.

import { build, getJson } from "/static/dom.js";

const EVERY_MS = 2000;

const number = new Intl.NumberFormat("en");

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
  for (const cell of document.querySelectorAll("[data-count]")) {
    const name = cell.dataset.count;
    cell.textContent = name === "uptime_s" ? duration(status[name]) : number.format(status[name]);
  }
  document.getElementById("version").textContent = `${status.name} ${status.version} · node ${status.node}`;
}

function showState(isUp) {
  document.getElementById("state").dataset.state = isUp ? "up" : "down";
  document.getElementById("state-text").textContent = isUp ? "This server is up" : "This server is not responding";
}

async function follow() {
  if (!document.hidden) {
    try {
      showStatus(await getJson("/v1/status"));
      showState(true);
    } catch {
      showState(false);
    }
  }
  setTimeout(follow, EVERY_MS);
}

function seats(game) {
  return game.seats_min === game.seats_max ? `${game.seats_min}` : `${game.seats_min}–${game.seats_max}`;
}

async function showGames() {
  const { rulesets } = await getJson("/v1/rulesets");
  document.getElementById("rulesets").replaceChildren(...rulesets.map((game) =>
    build("li", {},
      build("h3", {}, game.title),
      build("p", {}, `${seats(game)} players · version ${game.version}`),
      build("p", { class: "small" }, game.bots.length ? `Bots: ${game.bots.join(", ")}` : "No bots"),
    )));
}

follow();
showGames();
