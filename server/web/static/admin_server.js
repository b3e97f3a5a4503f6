// The console's sections about the server: jobs, events, webhooks, days, content, the audit log, settings.

import { askFirst, badge, button, details, facts, filters, input, paged, redraw, refresh, refreshing, select, shortId, table, time } from "/static/admin_parts.js";
import { build, replace } from "/static/dom.js";
import { announce, client } from "/static/site.js";
import { number, t } from "/static/strings.js";

// ---------------------------------------------------------------------------------------- jobs

export async function drawJobs() {
  const body = build("div", {});
  const run = (job) => async () => {
    show(await client.request("POST /v1/admin/jobs/run", { body: { name: job.name } }));
    announce(t("admin.job_runs", { name: job.name }));
  };
  const show = ({ node, jobs, shared }) => refresh(body,
    build("p", { class: "small" }, t("admin.jobs_of", { node })),
    table(t("admin.jobs"), [
      [t("admin.job"), (job) => job.name],
      [t("admin.every"), (job) => t("admin.seconds", { count: job.every_s })],
      [t("admin.last_run"), (job) => time(job.last_run_at)],
      [t("admin.took"), (job) => (job.last_took_s === null ? "" : t("admin.seconds", { count: job.last_took_s }))],
      [t("admin.result"), (job) => (job.last_error ? build("span", { class: "failed" }, job.last_error) : job.runs > 0 && badge("running", t("admin.went_well")))],
      [t("admin.failures"), (job) => number.format(job.failures)],
      [t("admin.next_run"), (job) => (job.is_running ? t("admin.runs_now") : time(job.next_run_at))],
      [t("admin.act"), (job) => button(t("admin.run_now"), run(job), { key: `run-${job.name}` })],
    ], jobs),
    build("h3", {}, t("admin.shared_jobs")),
    table(t("admin.shared_jobs"), [
      [t("admin.job"), (job) => job.name],
      [t("admin.last_run"), (job) => time(job.started_at)],
      [t("admin.took"), (job) => (job.duration_s === null ? "" : t("admin.seconds", { count: job.duration_s }))],
      [t("admin.result"), (job) => (job.last_error ? build("span", { class: "failed" }, job.last_error) : job.ended_at && badge("running", t("admin.went_well")))],
      [t("admin.rows"), (job) => (job.row_count === null ? "" : number.format(job.row_count))],
      [t("admin.next_run"), (job) => time(job.due_at)],
      [t("admin.act"), (job) => button(t("admin.run_now"), run(job), { key: `run-shared-${job.name}` })],
    ], shared));
  const load = async () => show(await client.request("GET /v1/admin/jobs"));
  await load();
  refreshing(load);
  return body;
}

// -------------------------------------------------------------------------------------- outbox

export async function drawOutbox() {
  const list = build("div", {});
  const retry = (event) => async () => {
    await client.request("POST /v1/admin/outbox/{event_id}/retry", { path: { event_id: event.event_id } });
    redraw(t("admin.event_retried"));
  };
  const show = async (query) => replace(list, await paged({
    isLive: true,
    load: (cursor) => client.request("GET /v1/admin/outbox", { query: { ...query, cursor } }),
    show: (page) => [
      facts(
        [t("admin.pending"), number.format(page.pending)],
        [t("admin.dead"), number.format(page.dead)],
        [t("admin.oldest"), t("admin.seconds", { count: Math.round(page.oldest_s) })],
      ),
      table(t("admin.outbox"), [
        [t("admin.event"), (event) => [event.name, " ", shortId(event.event_id)]],
        [t("admin.occurred"), (event) => time(event.occurred_at)],
        [t("admin.attempts"), (event) => number.format(event.attempts)],
        [t("admin.delivered_to"), (event) => event.delivered_to.join(", ")],
        [t("admin.error"), (event) => event.last_error],
        [t("admin.next_run"), (event) => (event.dead_at ? t("admin.given_up") : time(event.next_attempt_at))],
        [t("admin.act"), (event) => button(t("admin.retry"), retry(event), { key: `retry-${event.event_id}` })],
      ], page.events),
    ],
  }));
  await show({ state: "dead" });
  return [filters([{ label: t("admin.state"), input: select("state", [["dead", t("admin.dead")], ["pending", t("admin.pending")]], "dead") }], show), list];
}

// ------------------------------------------------------------------------------------ webhooks

export async function drawWebhooks({ id }) {
  const { webhooks } = await client.request("GET /v1/admin/webhooks");
  if (id) return drawDeliveries(webhooks.find((each) => each.endpoint_id === id), id);
  const test = (hook) => async () => {
    await client.request("POST /v1/admin/webhooks/{endpoint_id}/test", { path: { endpoint_id: hook.endpoint_id } });
    announce(t("admin.test_sent"));
  };
  const toggle = (hook) => async () => {
    if (hook.enabled && !await askFirst({ title: t("admin.disable"), what: t("admin.disable_what"), yes: t("admin.disable"), reason: null })) return;
    await client.request("PATCH /v1/admin/webhooks/{endpoint_id}", { path: { endpoint_id: hook.endpoint_id }, body: { enabled: !hook.enabled } });
    redraw();
  };
  const remove = (hook) => async () => {
    if (!await askFirst({ title: t("admin.delete"), what: t("admin.delete_webhook_what", { url: hook.url }), yes: t("admin.delete"), reason: null })) return;
    await client.request("DELETE /v1/admin/webhooks/{endpoint_id}", { path: { endpoint_id: hook.endpoint_id } });
    redraw(t("admin.deleted"));
  };
  return table(t("admin.webhooks"), [
    [t("admin.url"), (hook) => build("a", { href: `#webhooks/${hook.endpoint_id}` }, hook.url)],
    [t("admin.description"), (hook) => hook.description],
    [t("admin.events"), (hook) => hook.events.join(", ")],
    [t("admin.state"), (hook) => (hook.enabled
      ? badge(hook.failing_since ? "quarantined" : "running", t(hook.failing_since ? "admin.failing" : "admin.enabled"))
      : badge("ended", t("admin.disabled")))],
    [t("admin.act"), (hook) => build("span", { class: "row" },
      button(t("admin.test"), test(hook), { key: `test-${hook.endpoint_id}` }),
      button(t(hook.enabled ? "admin.disable" : "admin.enable"), toggle(hook), { key: `toggle-${hook.endpoint_id}` }),
      button(t("admin.delete"), remove(hook), { key: `delete-${hook.endpoint_id}` }))],
  ], webhooks);
}

async function drawDeliveries(hook, id) {
  const list = build("div", {});
  const path = { endpoint_id: id };
  const again = (delivery) => async () => {
    await client.request("POST /v1/admin/webhooks/{endpoint_id}/deliveries/{delivery_id}/redeliver", { path: { ...path, delivery_id: delivery.delivery_id } });
    redraw(t("admin.event_retried"));
  };
  const show = async (query) => replace(list, await paged({
    isLive: true,
    load: (cursor) => client.request("GET /v1/admin/webhooks/{endpoint_id}/deliveries", { path, query: { ...query, cursor } }),
    show: ({ deliveries }) => table(t("admin.deliveries"), [
      [t("admin.event"), (each) => [each.event, " ", shortId(each.event_id)]],
      [t("admin.state"), (each) => badge({ delivered: "running", pending: "created", dead: "quarantined" }[each.state], each.state)],
      [t("admin.attempts"), (each) => number.format(each.attempts)],
      [t("admin.last_run"), (each) => time(each.last_attempt_at)],
      [t("admin.result"), (each) => each.last_error ?? each.last_status],
      [t("admin.act"), (each) => button(t("admin.retry"), again(each), { key: `again-${each.delivery_id}` })],
    ], deliveries),
  }));
  await show({});
  return [
    build("p", {}, build("a", { href: "#webhooks" }, t("admin.all_webhooks"))),
    hook && facts([t("admin.url"), hook.url], [t("admin.disabled"), hook.disabled_reason], [t("admin.failing"), time(hook.failing_since)]),
    filters([{ label: t("admin.state"), input: select("state", [["", t("admin.any")], ["pending", "pending"], ["delivered", "delivered"], ["dead", "dead"]]) }], show),
    list,
  ];
}

// -------------------------------------------------------------------------------- epochs and bots

export async function drawEpochs() {
  const rollOver = async () => {
    if (!await askFirst({ title: t("admin.rollover"), what: t("admin.rollover_what"), yes: t("admin.rollover"), reason: null, isBad: false })) return;
    const { steps } = await client.request("POST /v1/admin/epochs/rollover");
    redraw(t("admin.rolled_over", { count: steps }));
  };
  const recompute = (epoch) => async () => {
    const asked = await askFirst({ title: t("admin.recompute"), what: t("admin.recompute_what", { day: epoch.day }), yes: t("admin.recompute") });
    if (!asked) return;
    const { number: version, changed } = await client.request("POST /v1/admin/epochs/{epoch}/recompute", { path: { epoch: epoch.epoch_id }, body: asked });
    redraw(t(changed ? "admin.recomputed_changed" : "admin.recomputed_same", { number: version }));
  };
  const setStatus = (bot) => async () => {
    const asked = await askFirst({
      title: t("admin.bot_status"), what: t("admin.bot_status_what", { name: bot.slug }), yes: t("admin.bot_status"),
      fields: [{ label: t("admin.state"), input: build("select", { id: "ask-status", name: "status" },
        ["active", "suspended", "retired"].map((each) => build("option", { value: each, selected: each === bot.status }, each))) }],
    });
    if (!asked) return;
    await client.request("PUT /v1/admin/bots/{bot}/status", { path: { bot: bot.bot_id }, body: asked });
    redraw(t("admin.bot_changed"));
  };
  const days = await paged({
    load: (cursor) => client.request("GET /v1/epochs", { query: { before: cursor, limit: 10 } }),
    show: ({ epochs }) => table(t("admin.days"), [
      [t("admin.day"), (epoch) => epoch.day],
      [t("admin.phase"), (epoch) => badge("running", epoch.phase)],
      [t("admin.profile"), (epoch) => epoch.profile],
      [t("admin.events"), (epoch) => number.format(epoch.version)],
      [t("admin.ends"), (epoch) => time(epoch.ends_at)],
      [t("admin.act"), (epoch) => epoch.frozen_at && button(t("admin.recompute"), recompute(epoch), { key: `recompute-${epoch.epoch_id}` })],
    ], epochs),
  });
  const bots = build("div", {});
  const showBots = async (query) => replace(bots, await paged({
    load: (cursor) => client.request("GET /v1/bots", { query: { ...query, cursor } }),
    show: (page) => table(t("admin.bots"), [
      [t("admin.bot"), (bot) => [bot.slug, " ", shortId(bot.bot_id)]],
      [t("admin.state"), (bot) => badge(bot.status === "active" ? "running" : "ended", bot.status)],
      [t("admin.created"), (bot) => time(bot.created_at)],
      [t("admin.act"), (bot) => button(t("admin.bot_status"), setStatus(bot), { key: `bot-${bot.bot_id}` })],
    ], page.bots),
  }));
  await showBots({});
  return [
    build("p", { class: "actions" }, button(t("admin.rollover"), rollOver, { key: "rollover" })),
    build("h3", {}, t("admin.days")), days,
    build("h3", {}, t("admin.bots")),
    filters([{ label: t("admin.bot_text"), input: input("text") }], showBots),
    bots,
  ];
}

// ------------------------------------------------------------------------------------- content

export async function drawContent() {
  const { packages } = await client.request("GET /v1/content/packages");
  const release = (each) => async () => {
    if (!await askFirst({ title: t("admin.release"), what: t("admin.release_what", { name: each.name, version: each.version }), yes: t("admin.release"), reason: null, isBad: false })) return;
    await client.request("POST /v1/content/packages/{package_id}/release", { path: { package_id: each.package_id } });
    redraw(t("admin.package_released"));
  };
  const withdraw = (each) => async () => {
    const asked = await askFirst({ title: t("admin.withdraw"), what: t("admin.withdraw_what", { name: each.name, version: each.version }), yes: t("admin.withdraw") });
    if (!asked) return;
    await client.request("POST /v1/content/packages/{package_id}/withdraw", { path: { package_id: each.package_id }, body: asked });
    redraw(t("admin.package_withdrawn"));
  };
  return table(t("admin.content"), [
    [t("admin.package"), (each) => `${each.name} ${each.version}`],
    [t("admin.kind"), (each) => each.kind],
    [t("admin.channel"), (each) => each.channel],
    [t("admin.state"), (each) => badge({ released: "running", withdrawn: "ended" }[each.status] ?? "created", each.status)],
    [t("admin.rollout"), (each) => `${each.rollout_percent} %`],
    [t("admin.created"), (each) => time(each.created_at)],
    [t("admin.act"), (each) => build("span", { class: "row" },
      each.status === "draft" && each.uploaded_at && button(t("admin.release"), release(each), { key: `release-${each.package_id}` }),
      each.status === "released" && button(t("admin.withdraw"), withdraw(each), { key: `withdraw-${each.package_id}` }))],
  ], packages);
}

// ------------------------------------------------------------------------------------- audit log

export async function drawAudit({ id }) {
  const list = build("div", {});
  const show = async ({ since, until, ...query }) => replace(list, await paged({
    load: (cursor) => client.request("GET /v1/admin/audit", {
      query: { ...query, since: utc(since), until: utc(until), cursor },
    }),
    show: ({ acts }) => table(t("admin.audit"), [
      [t("admin.at"), (act) => time(act.at)],
      [t("admin.who"), (act) => (act.actor === "console" ? t("admin.command_line") : shortId(act.actor, "accounts"))],
      [t("admin.act"), (act) => build("code", {}, act.action)],
      [t("admin.target"), (act) => build("code", {}, act.target)],
      [t("admin.reason"), (act) => act.after?.reason],
      [t("admin.change"), (act) => (act.before || act.after) && details(t("admin.before_after"), { before: act.before, after: act.after })],
    ], acts),
  }));
  await show(id ? { target: id } : {});
  return [
    filters([
      { label: t("admin.actor"), input: input("actor", { size: 18 }) },
      { label: t("admin.action"), input: input("action", { size: 14 }) },
      { label: t("admin.target"), input: input("target", { size: 18, value: id ?? "" }) },
      { label: t("admin.since"), input: input("since", { type: "datetime-local" }) },
      { label: t("admin.until"), input: input("until", { type: "datetime-local" }) },
    ], show),
    list,
  ];
}

const utc = (local) => local && new Date(local).toISOString().replace(/\.\d+/, "");

// -------------------------------------------------------------------------------------- settings

export async function drawSettings() {
  const { node, settings, unread } = await client.request("GET /v1/admin/settings");
  const list = build("div", {});
  const show = async ({ text = "", source = "" }) => replace(list, table(t("admin.settings"), [
    [t("admin.setting"), (each) => build("code", {}, each.name)],
    [t("admin.value"), (each) => build("code", {}, written(each.value))],
    [t("admin.source"), (each) => badge(each.source === "default" ? "created" : "running", t(`admin.source_${each.source.replace(" ", "_")}`))],
    [t("admin.default"), (each) => build("code", {}, written(each.default))],
    [t("admin.domain"), (each) => each.domain],
    [t("admin.description"), (each) => each.description],
  ], settings.filter((each) => each.name.includes(text.toUpperCase()) && (!source || each.source === source))));
  await show({});
  return [
    build("p", { class: "small" }, t("admin.settings_of", { node })),
    unread.length > 0 && build("p", { class: "panel problem", role: "note" }, unread.map(({ name, meant }) =>
      build("span", {}, meant ? t("admin.unread_meant", { name, meant }) : t("admin.unread", { name }), " "))),
    filters([
      { label: t("admin.setting"), input: input("text", { type: "search" }) },
      { label: t("admin.source"), input: select("source", [["", t("admin.any")], ...["environment", "command line", "default"].map((each) => [each, t(`admin.source_${each.replace(" ", "_")}`)])]) },
    ], show),
    list,
  ];
}

const written = (value) => (value === null ? "—" : typeof value === "string" ? value || "—" : JSON.stringify(value));
