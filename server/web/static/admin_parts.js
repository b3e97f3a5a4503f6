// What the console's sections share: tables with pages, facts, questions that want a reason, and
// refreshing that ends.

import { build, replace } from "/static/dom.js";
import { action, announce, showError } from "/static/site.js";
import { t } from "/static/strings.js";

const REASON_CHARS_MAX = 500;
const REFRESH_MS = 5000;
const REFRESHES_MAX = 360; // half an hour, then somebody has to ask for it

const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });

/** A time as it is here; the tooltip has it in UTC. Nothing for none. */
export const time = (text) => text && build("time", { datetime: text, title: text }, moment.format(new Date(text)));

/** An id, short enough for a table; it links to a section where one is given. */
export function shortId(id, section) {
  if (!id) return "";
  const code = build("code", { title: id }, id.slice(0, 8));
  return section ? build("a", { href: `#${section}/${id}`, "data-key": `${section}-${id}` }, code) : code;
}

export const badge = (state, text = state) => build("span", { class: `badge ${state}` }, text);

/** A button that acts; `isBad` for what destroys. */
export function button(text, work, { isBad = false, isQuiet = true, key } = {}) {
  const kind = isBad ? "bad" : isQuiet ? "quiet" : null;
  return build("button", { type: "button", class: kind, "data-key": key, onclick: action(work) }, text);
}

/** Draw the section anew, after something was changed. */
export function redraw(said) {
  if (said) announce(said);
  dispatchEvent(new Event("admin:redraw"));
}

/** A table; a column has a heading, and gives the cell of a row. Without rows, a sentence. */
export function table(caption, columns, rows) {
  if (!rows.length) return build("p", { class: "empty" }, t("admin.nothing"));
  return build("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption, "data-key": caption }, build("table", {},
    build("caption", { class: "visually-hidden" }, caption),
    build("thead", {}, build("tr", {}, columns.map(([heading]) => build("th", { scope: "col" }, heading)))),
    build("tbody", {}, rows.map((row) => build("tr", {}, columns.map(([heading, cell]) =>
      build("td", { "data-label": heading }, cell(row))))))));
}

/** Names and values; what has no value is left out. */
export function facts(...pairs) {
  return build("dl", { class: "facts" }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => build("div", {}, build("dt", {}, name), build("dd", {}, value))));
}

/** JSON that somebody may want to look into. */
export function details(summary, value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return build("details", { "data-open": summary }, build("summary", { "data-key": `open-${summary}` }, summary),
    build("pre", { tabindex: "0", role: "region", "aria-label": summary, "data-key": `text-${summary}` }, text));
}

/** Put newer children into an element; the focus stays where it is, and what was opened stays open. */
export function refresh(element, ...children) {
  const opened = new Set([...element.querySelectorAll("details[open]")].map((each) => each.dataset.open));
  replace(element, ...children);
  for (const each of element.querySelectorAll("details")) each.open = opened.has(each.dataset.open);
}

/**
 * A table that comes in pages. `load(cursor)` gives one with `next`, `show(page)` draws it. With
 * `isLive` the first page is refreshed while somebody looks.
 */
export async function paged({ load, show, isLive = false }) {
  const before = []; // the cursors of the pages before this one
  let cursor = null;
  let page = await load(null);
  const content = build("div", {});
  const controls = build("p", { class: "row pager" });

  async function go(to, { isBack = false } = {}) {
    const loaded = await load(to);
    if (isBack) before.pop();
    else if (to !== cursor) before.push(cursor);
    cursor = to;
    page = loaded;
    draw();
  }

  function draw() {
    refresh(content, show(page));
    replace(controls,
      before.length > 0 && button(t("admin.page_before"), () => go(before.at(-1), { isBack: true }), { key: "page-before" }),
      page.next && button(t("admin.page_next"), () => go(page.next), { key: "page-next" }));
  }

  draw();
  if (isLive) refreshing(async () => {
    if (cursor !== null) return;
    const newer = await load(null);
    if (cursor !== null || JSON.stringify(newer) === JSON.stringify(page)) return;
    page = newer;
    draw();
  });
  return [content, controls];
}

// ------------------------------------------------------------------------------------ refreshing

let timer = 0;
let refreshes = 0;

/** Refresh a section while somebody looks at it, for half an hour; another section ends it. */
export function refreshing(work) {
  stopRefreshing();
  refreshes = 0;
  let isBusy = false;
  const mine = setInterval(async () => {
    if (isBusy || document.hidden || document.querySelector("dialog[open]")) return;
    if (++refreshes > REFRESHES_MAX) {
      clearInterval(mine);
      announce(t("admin.refresh_ended"));
      return;
    }
    isBusy = true;
    try {
      await work();
    } catch (error) {
      if (mine === timer) {
        stopRefreshing(); // the same error every few seconds helps nobody
        showError(error);
      }
    } finally {
      isBusy = false;
    }
  }, REFRESH_MS);
  timer = mine;
}

/** Refresh nothing any more. */
export function stopRefreshing() {
  clearInterval(timer);
  timer = 0;
}

// ------------------------------------------------------------------------------------- questions

/**
 * Ask before something is done: what happens, and why it is done. Resolves with what was typed and
 * chosen, or null. `fields` are more inputs, by their names; `reason` says what the reason is for,
 * null asks for none.
 */
export function askFirst({ title, what, yes, isBad = true, reason = t("admin.reason_hint"), fields = [] }) {
  return new Promise((resolve) => {
    const text = build("textarea", {
      id: "ask-reason", name: "reason", rows: "3", required: true, maxlength: REASON_CHARS_MAX, "aria-describedby": "ask-hint",
    });
    const form = build("form", { method: "dialog", onsubmit: () => {
      answer = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]));
    } },
      build("h2", { id: "ask-title" }, title),
      build("p", { id: "ask-what" }, what),
      fields.map(({ label, input }) => build("p", { class: "field" }, build("label", { for: input.id }, label), input)),
      reason && build("p", { class: "field" }, build("label", { for: "ask-reason" }, t("admin.reason")), text,
        build("small", { id: "ask-hint", class: "small" }, reason)),
      build("p", { class: "actions" },
        build("button", { value: "yes", class: isBad ? "bad" : null }, yes),
        build("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, t("dialog.no"))));
    let answer = null;
    const dialog = build("dialog", { "aria-labelledby": "ask-title", "aria-describedby": "ask-what", onclose: () => {
      dialog.remove();
      resolve(answer);
    } }, form);
    document.body.append(dialog);
    dialog.showModal();
    (form.querySelector("textarea, input, select") ?? form.querySelector("button.quiet")).focus();
  });
}

/** A form that filters a list: its fields go into the query, once it is sent. */
export function filters(fields, search) {
  const form = build("form", { class: "row filters", role: "search", onsubmit: action(async () => {
    const query = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()])
      .filter(([, value]) => value !== ""));
    await search(query);
  }) },
    fields.map(({ label, input }) => build("p", { class: "field" }, build("label", { for: input.id }, label), input)),
    build("button", {}, t("admin.search")));
  return form;
}

export const input = (name, attributes = {}) => build("input", { id: `filter-${name}`, name, ...attributes });

export const select = (name, options, chosen = "") => build("select", { id: `filter-${name}`, name },
  options.map(([value, text]) => build("option", { value, selected: value === chosen }, text)));
