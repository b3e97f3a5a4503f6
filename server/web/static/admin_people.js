// The console's sections about people: accounts, what was reported, and what somebody owns.

import { askFirst, badge, button, details, facts, filters, input, paged, redraw, select, shortId, table, time } from "/static/admin_parts.js";
import { build, replace } from "/static/dom.js";
import { client } from "/static/site.js";
import { t } from "/static/strings.js";

const ROLES = ["moderator", "support", "editor", "admin"];

// ------------------------------------------------------------------------------------- accounts

export async function drawAccounts({ id, isAdmin }) {
  return id ? drawAccount(id, isAdmin) : listAccounts();
}

async function listAccounts() {
  const list = build("div", {});
  const show = async (query) => replace(list, await paged({
    load: (cursor) => client.request("GET /v1/admin/users", { query: { ...query, cursor } }),
    show: ({ people }) => table(t("admin.accounts"), [
      [t("admin.username"), (person) => build("a", { href: `#accounts/${person.user_id}`, "data-key": `accounts-${person.user_id}` }, person.username)],
      [t("admin.display_name"), (person) => person.display_name],
      [t("admin.methods"), (person) => person.methods.join(", ") || t("admin.guest")],
      [t("admin.roles"), (person) => person.roles.join(", ")],
      [t("admin.state"), stateOf],
      [t("admin.created"), (person) => time(person.created_at)],
    ], people),
  }));
  await show({});
  return [
    filters([
      { label: t("admin.account_text"), input: input("text", { type: "search", size: 30 }) },
      { label: t("admin.role"), input: select("role", [["", t("admin.any")], ...ROLES.map((role) => [role, role])]) },
      { label: t("admin.method"), input: input("method", { size: 10, pattern: "[a-z][a-z0-9\\-]*" }) },
      { label: t("admin.banned"), input: select("is_banned", [["", t("admin.any")], ["true", t("admin.only_banned")]]) },
    ], show),
    list,
  ];
}

function stateOf(person) {
  if (person.ban) return badge("quarantined", t("admin.banned"));
  if (person.deactivated_by) return badge("ended", t("admin.deactivated"));
  return badge("running", t("admin.active"));
}

async function drawAccount(id, isAdmin) {
  const { people } = await client.request("GET /v1/admin/users", { query: { text: id } });
  const person = people.find((each) => each.user_id === id);
  if (!person) return build("p", { class: "empty" }, t("admin.no_account"));
  const path = { user_id: id };
  const { sessions } = isAdmin
    ? await client.request("GET /v1/admin/users/{user_id}/sessions", { path }) : { sessions: null };

  const act = (method, title, what, said, { change = (asked) => asked, ...question } = {}) => async () => {
    const asked = await askFirst({ title, what, yes: title, ...question });
    if (!asked) return;
    await client.request(method, { path, body: change(asked) });
    redraw(said);
  };
  const name = { name: person.username };
  const ban = act("POST /v1/admin/users/{user_id}/ban", t("admin.ban"), t("admin.ban_what", name), t("admin.was_banned"), {
    reason: t("admin.reason_banned"),
    fields: [{ label: t("admin.ban_days"), input: build("input", { id: "ask-days", name: "days", type: "number", min: 1, max: 3650 }) }],
    change: ({ reason, days }) => ({ reason, lasts_s: days ? Number(days) * 86400 : null }),
  });
  const unban = act("POST /v1/admin/users/{user_id}/unban", t("admin.unban"), t("admin.unban_what", name), t("admin.was_unbanned"),
    { reason: null, isBad: false, change: () => undefined });
  const deactivate = act("POST /v1/admin/users/{user_id}/deactivate", t("admin.deactivate"), t("admin.deactivate_what", name), t("admin.was_deactivated"));
  const reactivate = act("POST /v1/admin/users/{user_id}/reactivate", t("admin.reactivate"), t("admin.reactivate_what", name), t("admin.was_reactivated"),
    { reason: null, isBad: false, change: () => undefined });
  const roles = act("POST /v1/admin/users/{user_id}/roles", t("admin.set_roles"), t("admin.set_roles_what", name), t("admin.roles_set"), {
    fields: ROLES.map((role) => ({ label: role, input: build("input", {
      id: `ask-${role}`, name: role, type: "checkbox", checked: person.roles.includes(role),
    }) })),
    change: ({ reason, ...chosen }) => ({ reason, roles: ROLES.filter((role) => role in chosen) }),
  });
  const endSessions = (session) => act("POST /v1/admin/users/{user_id}/sessions/end",
    t(session ? "admin.end_session" : "admin.end_sessions"), t("admin.end_sessions_what", name), t("admin.sessions_ended"),
    { change: (asked) => ({ ...asked, session_id: session?.session_id ?? null }) });

  return [
    build("p", {}, build("a", { href: "#accounts" }, t("admin.all_accounts"))),
    facts(
      [t("admin.username"), person.username],
      [t("admin.display_name"), person.display_name],
      [t("admin.account_id"), build("code", {}, person.user_id)],
      [t("admin.player_id"), build("code", {}, person.player_id)],
      [t("admin.methods"), person.methods.join(", ") || t("admin.guest")],
      [t("admin.roles"), person.roles.join(", ")],
      [t("admin.state"), stateOf(person)],
      [t("admin.ban_reason"), person.ban?.reason],
      [t("admin.ban_until"), person.ban && (time(person.ban.ends_at) ?? t("admin.until_lifted"))],
      [t("admin.created"), time(person.created_at)],
    ),
    sessions && [build("h3", {}, t("admin.sessions")), table(t("admin.sessions"), [
      [t("admin.method"), (session) => session.method],
      [t("admin.created"), (session) => time(session.created_at)],
      [t("admin.used"), (session) => time(session.used_at)],
      [t("admin.act"), (session) => button(t("admin.end_session"), endSessions(session), { key: `end-${session.session_id}` })],
    ], sessions)],
    build("p", { class: "actions" },
      person.ban ? button(t("admin.unban"), unban, { key: "unban" }) : button(t("admin.ban"), ban, { isBad: true, key: "ban" }),
      isAdmin && (person.deactivated_by
        ? button(t("admin.reactivate"), reactivate, { key: "reactivate" })
        : button(t("admin.deactivate"), deactivate, { isBad: true, key: "deactivate" })),
      isAdmin && button(t("admin.set_roles"), roles, { key: "roles" }),
      isAdmin && sessions.length > 0 && button(t("admin.end_sessions"), endSessions(null), { isBad: true, key: "end-sessions" }),
      isAdmin && build("a", { class: "button quiet", href: `#audit/${id}` }, t("admin.acts_about"))),
  ];
}

// ------------------------------------------------------------------------------------ moderation

const DECISIONS = ["none", "warned", "marked_nsfw", "removed", "deactivated"];

export async function drawModeration() {
  const list = build("div", {});
  const decide = async (report) => {
    const asked = await askFirst({
      title: t("admin.decide"), what: t("admin.decide_what"), yes: t("admin.decide"), reason: null,
      fields: [
        { label: t("admin.decision"), input: build("select", { id: "ask-decision", name: "decision" },
          DECISIONS.map((each) => build("option", { value: each }, t(`admin.decision_${each}`)))) },
        { label: t("admin.note"), input: build("textarea", { id: "ask-note", name: "note", rows: 3, maxlength: 2000, required: true }) },
      ],
    });
    if (!asked) return;
    await client.request("POST /v1/admin/reports/{report_id}/decision", { path: { report_id: report.report_id }, body: asked });
    redraw(t("admin.decided"));
  };
  const show = async (query) => replace(list, await paged({
    load: (cursor) => client.request("GET /v1/admin/reports", { query: { ...query, cursor } }),
    show: ({ reports }) => table(t("admin.moderation"), [
      [t("admin.reported"), (report) => time(report.created_at)],
      [t("admin.why"), (report) => report.reason],
      [t("admin.what"), (report) => [whatIsReported(report), report.excerpt && build("p", { class: "small" }, report.excerpt)]],
      [t("admin.details"), (report) => report.details],
      [t("admin.owner"), (report) => shortId(report.owner_id, "accounts")],
      [t("admin.reporter"), (report) => shortId(report.reporter_id, "accounts")],
      [t("admin.decision"), (report) => report.decision && t(`admin.decision_${report.decision}`)],
      [t("admin.act"), (report) => report.status === "open" && button(t("admin.decide"), () => decide(report), { key: `decide-${report.report_id}` })],
    ], reports),
  }));
  await show({});
  const avatars = await drawAvatars();
  return [
    filters([{ label: t("admin.state"), input: select("status", ["open", "dismissed", "upheld"].map((each) => [each, t(`admin.report_${each}`)]), "open") }], show),
    list,
    avatars,
  ];
}

function whatIsReported(report) {
  const kind = ["creation", "comment", "user", "message"].find((each) => report[`${each}_id`]);
  return [t(`admin.kind_${kind}`), " ", shortId(report[`${kind}_id`], kind === "user" && "accounts")];
}

async function drawAvatars() {
  const { avatars } = await client.request("GET /v1/admin/avatars");
  const decide = (avatar, status) => async () => {
    const title = t(status === "approved" ? "admin.approve" : "admin.reject");
    const asked = await askFirst({ title, what: t(`admin.avatar_${status}`), yes: title, isBad: status === "rejected" });
    if (!asked) return;
    await client.request("PATCH /v1/avatars/{avatar_id}", { path: { avatar_id: avatar.avatar_id }, body: { ...asked, moderation_status: status } });
    redraw(t("admin.decided"));
  };
  return [build("h3", {}, t("admin.avatars")), table(t("admin.avatars"), [
    [t("admin.bot"), (avatar) => shortId(avatar.bot_id)],
    [t("admin.prompt"), (avatar) => avatar.prompt],
    [t("admin.file"), (avatar) => build("code", {}, avatar.glb_uri)],
    [t("admin.created"), (avatar) => time(avatar.created_at)],
    [t("admin.act"), (avatar) => build("span", { class: "row" },
      button(t("admin.approve"), decide(avatar, "approved"), { key: `approve-${avatar.avatar_id}` }),
      button(t("admin.reject"), decide(avatar, "rejected"), { key: `reject-${avatar.avatar_id}` }))],
  ], avatars)];
}

// ---------------------------------------------------------------------------------------- ledger

export async function drawLedger({ id }) {
  const list = build("div", {});
  const show = async ({ account_id }) => replace(list, await paged({
    load: (cursor) => client.request("GET /v1/admin/economy/ledger", { query: { account_id, cursor } }),
    show: ({ transactions }) => table(t("admin.ledger"), [
      [t("admin.at"), (each) => time(each.at)],
      [t("admin.why"), (each) => each.reason],
      [t("admin.details"), (each) => details(t("admin.transaction"), each)],
    ], transactions),
  }));
  if (id) await show({ account_id: id });
  return [
    filters([{ label: t("admin.account_id"), input: input("account_id", { size: 36, required: true, value: id ?? "" }) }], show),
    list,
  ];
}
