// The operators' console: sections by role, each at an address of its own (`/admin#games/<id>`).
// Whatever is shown or done here, the HTTP API does; it decides by the role, not this page.

import { drawGames, drawLobbies, drawNodes } from "/static/admin_games.js";
import { stopRefreshing } from "/static/admin_parts.js";
import { drawAccounts, drawLedger, drawModeration } from "/static/admin_people.js";
import {
  drawAudit, drawContent, drawEpochs, drawJobs, drawOutbox, drawSettings, drawWebhooks,
} from "/static/admin_server.js";
import { build, replace } from "/static/dom.js";
import { client } from "/static/site.js";
import { t } from "/static/strings.js";

const MODERATORS = ["moderator", "admin"];
const SECTIONS = [
  { key: "games", roles: MODERATORS, draw: drawGames },
  { key: "lobbies", roles: MODERATORS, draw: drawLobbies },
  { key: "accounts", roles: MODERATORS, draw: drawAccounts },
  { key: "moderation", roles: MODERATORS, draw: drawModeration },
  { key: "nodes", roles: ["admin"], draw: drawNodes },
  { key: "jobs", roles: ["admin"], draw: drawJobs },
  { key: "outbox", roles: ["admin"], draw: drawOutbox },
  { key: "webhooks", roles: ["admin"], draw: drawWebhooks },
  { key: "epochs", roles: ["admin"], draw: drawEpochs },
  { key: "content", roles: ["editor", "admin"], draw: drawContent },
  { key: "ledger", roles: ["support", "admin"], draw: drawLedger },
  { key: "audit", roles: ["admin"], draw: drawAudit },
  { key: "settings", roles: ["admin"], draw: drawSettings },
];

const main = document.querySelector("main");
let who = null; // the roles that the page was drawn for
let shownFor; // whose account; a session whose tokens are renewed is no reason to draw anything anew
let drawing = 0; // the newest drawing; an older one that comes late is dropped

async function start() {
  const asked = client.session?.user_id ?? null;
  if (asked === shownFor) return;
  shownFor = asked;
  if (asked === null) {
    drawMessage(t("admin.signed_out"), build("a", { class: "button", href: "/account" }, t("session.sign_in")));
    return;
  }
  const mine = await client.request("GET /v1/me/roles");
  if (client.session?.user_id !== asked) return;
  who = mine;
  if (!allowed().length) {
    drawMessage(t("admin.no_role"), build("code", {}, `playhall accounts grant ${mine.user_id} admin`));
    return;
  }
  await draw();
}

function drawMessage(text, more) {
  who = null;
  stopRefreshing();
  replace(main, build("h1", {}, t("admin.title")), build("p", { class: "lead" }, text), build("p", {}, more));
}

const allowed = () => SECTIONS.filter(({ roles }) => roles.some((role) => who.roles.includes(role)));

async function draw({ isFocused = false } = {}) {
  const [key, id] = location.hash.slice(1).split("/");
  const sections = allowed();
  const section = sections.find((each) => each.key === key) ?? sections[0];
  const mine = ++drawing;
  stopRefreshing();
  const heading = build("h2", { tabindex: "-1" }, t(`admin.${section.key}`));
  const body = build("div", { "aria-busy": "true" }, build("p", { class: "empty" }, t("page.loading")));
  replace(main,
    build("h1", {}, t("admin.title")),
    build("nav", { class: "tabs", "aria-label": t("admin.sections") }, sections.map((each) =>
      build("a", { href: `#${each.key}`, "data-key": `section-${each.key}`, "aria-current": each === section && "page" },
        t(`admin.${each.key}`)))),
    build("section", {}, heading, body));
  document.title = `${t(`admin.${section.key}`)} · ${t("admin.title")} · ${t("site.name")}`;
  if (isFocused) heading.focus();
  try {
    const parts = await section.draw({ id: id || null, isAdmin: who.roles.includes("admin") });
    if (mine === drawing) replace(body, parts);
  } catch (error) {
    if (mine !== drawing) return;
    replace(body, build("p", { class: "empty" }, error.message),
      build("button", { type: "button", class: "quiet", onclick: () => draw() }, t("admin.again")));
  } finally {
    body.removeAttribute("aria-busy");
  }
}

addEventListener("hashchange", () => who && draw({ isFocused: true }));
addEventListener("admin:redraw", () => who && draw({ isFocused: true }));
function restart() {
  start().catch((error) => {
    shownFor = undefined;
    drawMessage(error.message, build("button", { type: "button", class: "quiet", onclick: restart }, t("admin.again")));
  });
}

client.on("session", restart);
restart();
