// What concerns the visitor alone: notifications, progress, and their data. Signing in is at /account.

import { dateTime } from "/static/format.js";
import { action, announce, askToConfirm, client, showError } from "/static/site.js";
import { build, labelled, replace } from "/static/dom.js";
import { number, t } from "/static/strings.js";

const POLL_MS = 15_000;

const main = document.querySelector("main");

// ------------------------------------------------------------------ notifications

class Notifications {
  #next = null;

  constructor() {
    this.list = build("ul", { class: "list", id: "notifications" });
    this.count = build("span", { class: "badge", id: "unread", role: "status" });
    this.unread = build("input", { type: "checkbox", id: "only-unread", onchange: action(() => this.read()) });
    this.more = build("button", { type: "button", class: "quiet", onclick: action(() => this.read(this.#next)) }, t("list.more"));
    this.root = build("section", { "aria-labelledby": "notifications-title" },
      build("h2", { id: "notifications-title" }, t("me.notifications"), " ", this.count),
      build("p", { class: "row" }, build("label", { for: "only-unread" }, this.unread, " ", t("me.only_unread")),
        build("button", { type: "button", class: "quiet", id: "read-all", onclick: action(() => this.#mark({ all: true, is_read: true })) }, t("me.read_all"))),
      this.list, this.more);
  }

  async read(cursor = null) {
    const page = await client.request("GET /v1/notifications", { query: { unread: this.unread.checked, cursor, limit: 20 } });
    this.#next = page.next;
    this.more.hidden = page.next === null;
    this.count.textContent = t("me.unread", { count: page.unread });
    if (cursor === null) replace(this.list);
    this.list.append(...page.groups.map((group) => this.#line(group)));
    if (!this.list.children.length) replace(this.list, build("li", { class: "empty" }, t("me.no_notifications")));
  }

  async #mark(change) {
    await client.request("PATCH /v1/notifications", { body: change });
    await this.read();
  }

  #line(group) {
    const which = group.group_key ? { group_key: group.group_key } : { notification_ids: [group.notification_id] };
    const isRead = group.unread_count === 0;
    const words = [build("strong", {}, group.summary || group.title), group.message && ` ${group.message}`];
    const address = /^\/(?!\/)/.test(group.action_url ?? "") ? group.action_url : null; // of this site only
    return build("li", { "data-read": String(isRead) },
      build("span", {}, address ? build("a", { href: address }, words) : words, " ", build("span", { class: "small" }, dateTime(group.created_at))),
      build("span", { class: "row" },
        build("button", { type: "button", class: "quiet", onclick: action(() => this.#mark({ ...which, is_read: !isRead })) }, t(isRead ? "me.mark_unread" : "me.mark_read")),
        build("button", { type: "button", class: "quiet", onclick: action(() => this.#mark({ ...which, is_archived: true })) }, t("me.archive"))));
  }
}

// ------------------------------------------------------------------ progress

async function progress(me) {
  const [{ achievements, points }, { saves }] = await Promise.all([
    client.request("GET /v1/players/{player_id}/achievements", { path: { player_id: me.player_id } }),
    client.request("GET /v1/saves"),
  ]);
  const granted = achievements.filter((each) => each.granted_at);
  return build("section", { id: "progress" }, build("h2", {}, t("me.progress")),
    build("dl", { class: "counts" }, [["me.xp", me.xp_total], ["me.achievements", granted.length], ["me.points", points]].map(([key, value]) =>
      build("div", {}, build("dt", {}, t(key)), build("dd", {}, number.format(value))))),
    build("p", {}, build("a", { href: `/players/${me.player_id}` }, t("me.player_page"))),
    saves.length > 0 && build("ul", { class: "list" }, saves.map((save) => build("li", {},
      build("span", {}, build("strong", {}, save.name || save.title), " ", build("span", { class: "small" }, save.title)),
      build("span", { class: "small" }, t("me.saved", { time: dateTime(save.updated_at), device: save.device || "–" })),
      save.conflicts > 0 && build("span", { class: "badge" }, t("me.conflicts", { count: save.conflicts }))))));
}

// ------------------------------------------------------------------ privacy

async function privacy(me) {
  const [{ consents }, { is_listed: isListed }, preferences] = await Promise.all([
    client.request("GET /v1/me/consents"), client.request("GET /v1/me/board-listing"), client.request("GET /v1/notifications/preferences"),
  ]);
  const box = (id, label, isOn, change) => {
    const field = build("input", { type: "checkbox", id, checked: isOn, onchange: async () => {
      try {
        await change(field.checked);
        announce(t("me.saved_choice"));
      } catch (error) {
        field.checked = !field.checked;
        showError(error);
      }
    } });
    return build("p", {}, build("label", { for: id }, field, " ", label));
  };
  return build("section", { id: "privacy" }, build("h2", {}, t("me.privacy")),
    consents.map(({ purpose, granted }) => box(`consent-${purpose}`, t(`me.consent.${purpose}`), granted, (isOn) =>
      client.request("PUT /v1/me/consents", { body: { consents: { [purpose]: isOn } } }))),
    box("listed", t("me.listed"), isListed, (is_listed) => client.request("PUT /v1/me/board-listing", { body: { is_listed } })),
    box("digest", t("me.digest"), preferences.email_digest === "daily", (isOn) =>
      client.request("PATCH /v1/notifications/preferences", { body: { email_digest: isOn ? "daily" : "off" } })),
    build("h3", {}, t("me.data")),
    build("p", {}, t("me.export_lead")),
    build("p", {}, build("button", { type: "button", id: "export", onclick: action(download) }, t("me.export"))),
    build("h3", {}, t("me.erase_title")),
    build("p", {}, t("me.erase_lead")),
    eraser(me));
}

async function download() {
  const response = await client.fetch("/v1/me/export", { signal: AbortSignal.timeout(120_000) });
  if (!response.ok) throw new Error((await response.json()).message);
  const link = build("a", { href: URL.createObjectURL(await response.blob()), download: "playhall-export.zip" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  announce(t("me.exported"));
}

function eraser(me) {
  const name = build("input", { id: "confirm", required: true, autocomplete: "off", spellcheck: "false" });
  return build("form", { onsubmit: action(async () => {
    if (!await askToConfirm(t("me.erase_question"), { yes: t("me.erase"), danger: true })) return;
    await client.request("DELETE /v1/me", { body: { confirm: name.value } });
    await client.signOut().catch(() => {}); // there is nobody left to sign out
    replace(main, build("h1", {}, t("me.erased")), build("p", {}, t("me.erased_lead")));
  }) }, labelled(t("me.confirm", { name: me.username }), name), build("button", { class: "bad", id: "erase" }, t("me.erase")));
}

// ------------------------------------------------------------------ the page

async function open() {
  document.title = t("page.title", { page: t("me.title") });
  if (!client.session) {
    replace(main, build("h1", {}, t("me.title")), build("p", {}, t("me.nobody"), " ", build("a", { href: "/account" }, t("session.sign_in"))));
    return;
  }
  const me = await client.request("GET /v1/me");
  const notifications = new Notifications();
  const [did, owns] = await Promise.all([progress(me), privacy(me), notifications.read()]);
  replace(main, build("h1", {}, me.display_name),
    build("p", { class: "small" }, `@${me.username} · `, build("a", { href: "/account" }, t("me.account"))), notifications.root, did, owns);
  setInterval(() => {
    if (!document.hidden && client.session && !notifications.list.contains(document.activeElement)) notifications.read().catch(() => {});
  }, POLL_MS);
}

open().catch((error) => replace(main, build("h1", {}, t("me.title")), build("p", { role: "alert" }, error.message)));
