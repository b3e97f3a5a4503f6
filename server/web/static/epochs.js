// The days of competition, newest first.

import { dateTime, ether } from "/static/format.js";
import { action, client } from "/static/site.js";
import { build, replace } from "/static/dom.js";
import { t } from "/static/strings.js";

const main = document.querySelector("main");
const list = build("ul", { class: "list", id: "days" });
const more = build("button", { type: "button", class: "quiet", onclick: action(read) }, t("list.more"));
let next = null;

async function read() {
  const page = await client.request("GET /v1/epochs", { query: { before: next, limit: 30 } });
  next = page.next;
  more.hidden = next === null;
  list.append(...page.epochs.map((day) => build("li", { "data-phase": day.phase },
    build("a", { href: `/epochs/${day.day}` }, build("strong", {}, day.day)),
    build("span", { class: "badge", "data-phase": day.phase }, t(`epoch.phase.${day.phase}`)),
    build("span", { class: "small" }, t("epochs.pool", { pool: ether(day.pool_wei) })),
    build("span", { class: "small" }, t("epochs.span", { from: dateTime(day.starts_at), to: dateTime(day.ends_at) })),
    build("span", { class: "small" }, t("epochs.events", { count: day.version })))));
  if (!list.children.length) replace(list, build("li", { class: "empty" }, t("epochs.none")));
}

document.title = t("page.title", { page: t("epochs.title") });
replace(main, build("h1", {}, t("epochs.title")), build("p", { class: "lead" }, t("epochs.lead")), list, build("p", { class: "actions" }, more));
read().catch((error) => replace(main, build("h1", {}, t("epochs.title")), build("p", { role: "alert" }, error.message)));
