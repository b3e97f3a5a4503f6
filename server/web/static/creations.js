// What people made: the feed, a search, and making something of one's own. At /creations.

import { dateTime } from "/static/format.js";
import { action, announce, client, ensureSession } from "/static/site.js";
import { build, labelled, replace } from "/static/dom.js";
import { t } from "/static/strings.js";

const TYPES = ["image", "music", "video", "text", "multimodal"];
const FEEDS = ["public", "following", "mine"];
const LIMIT = 24;

const main = document.querySelector("main");
const asked = new URLSearchParams(location.search);
const chosen = { feed: asked.get("feed") ?? "public", q: asked.get("q") ?? "", type: asked.get("type") ?? "", tag: asked.get("tag") ?? "", user_id: asked.get("user_id") ?? "" };
let next = null;

const list = build("ul", { class: "creations", id: "creations" });
const more = build("button", { type: "button", class: "quiet", onclick: action(() => read(next)) }, t("list.more"));
const filters = build("p", { class: "row small", id: "filters" });

/** What is looked at: one's own, those whom one follows, a search, or everybody's. */
function source() {
  const { feed, q, type, tag, user_id } = chosen;
  if (q) return ["GET /v1/search/creations", { q, type: type || null }];
  if (feed === "following") return ["GET /v1/feed", {}];
  if (feed === "mine") return ["GET /v1/me/creations", {}];
  return ["GET /v1/creations", { type: type || null, tag: tag || null, user_id: user_id || null }];
}

async function choose(changes) {
  Object.assign(chosen, changes);
  const query = new URLSearchParams(Object.entries(chosen).filter(([name, value]) => value && !(name === "feed" && value === "public")));
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  replace(filters, ["tag", "user_id"].filter((name) => chosen[name]).map((name) => build("button", {
    type: "button", class: "quiet", onclick: action(() => choose({ [name]: "" })),
  }, t("creations.without", { filter: name === "tag" ? `#${chosen.tag}` : t("creations.one_person") }))));
  await read(null);
}

async function read(cursor) {
  if (chosen.feed !== "public" && !chosen.q && !client.session) {
    replace(list, build("li", { class: "empty" }, t("creations.sign_in")));
    more.hidden = true;
    return;
  }
  const [endpoint, query] = source();
  const page = await client.request(endpoint, { query: { ...query, cursor, limit: LIMIT } });
  if (cursor === null) replace(list);
  list.append(...page.creations.map(card));
  next = page.next;
  more.hidden = next === null;
  if (!list.children.length) replace(list, build("li", { class: "empty" }, t("creations.none")));
}

function card(creation) {
  const image = creation.thumbnail_url ?? (creation.type === "image" ? creation.file_url : null);
  // The pages load nothing from other hosts, and what is not published is not for everybody.
  const isOwn = /^\/(?!\/)/.test(image ?? "") && (creation.status ?? "published") === "published" && creation.is_public !== false;
  return build("li", { class: "panel" },
    isOwn ? build("img", { src: image, alt: "", loading: "lazy" }) : build("span", { class: "no-image", "aria-hidden": "true" }, t(`creations.type.${creation.type}`)),
    build("h2", {}, build("a", { href: `/creations/${creation.creation_id}` }, creation.title)),
    build("p", { class: "small" }, creation.status && creation.status !== "published" ? t(`creations.status.${creation.status}`) : creation.display_name ?? creation.username ?? "", " · ",
      dateTime(creation.published_at ?? creation.created_at)),
    build("p", { class: "small" }, t("creations.counts", { likes: creation.like_count, comments: creation.comment_count, views: creation.view_count })),
    build("p", { class: "row" }, creation.tags.slice(0, 4).map((tag) => build("button", { type: "button", class: "quiet tag-button", onclick: action(() => choose({ tag, feed: "public", q: "" })) }, `#${tag}`))));
}

// ------------------------------------------------------------------ making one

function maker() {
  const title = build("input", { id: "title", required: true, maxlength: 200, autocomplete: "off" });
  const description = build("textarea", { id: "description", maxlength: 5000, rows: 4 });
  const type = build("select", { id: "type" }, TYPES.map((each) => build("option", { value: each, selected: each === "image" }, t(`creations.type.${each}`))));
  const tags = build("input", { id: "tags", autocomplete: "off", maxlength: 500 });
  const file = build("input", { id: "file", type: "file", accept: "image/*,audio/*,video/*" });
  const form = build("form", { class: "panel", onsubmit: action(async () => {
    await ensureSession();
    const wanted = tags.value.split(/[\s,]+/).map((tag) => tag.replace(/^#/, "")).filter(Boolean);
    const made = await client.request("POST /v1/creations", { body: { title: title.value, description: description.value || null, type: type.value, tags: [...new Set(wanted)] } });
    const path = { creation_id: made.creation_id };
    if (file.files.length) await upload(path, file.files[0]);
    await client.request("POST /v1/creations/{creation_id}/publish", { path });
    location.href = `/creations/${made.creation_id}`;
  }) }, labelled(t("creations.title_field"), title), labelled(t("creations.type"), type), labelled(t("creations.file"), file, t("creations.file_hint")),
  labelled(t("creations.description"), description), labelled(t("creations.tags"), tags, t("creations.tags_hint")), build("button", {}, t("creations.publish")));
  return build("details", { id: "make" }, build("summary", {}, t("creations.make")), form);
}

async function upload(path, file) {
  announce(t("creations.uploading", { name: file.name }));
  const content_type = file.type || "application/octet-stream";
  const { upload_url } = await client.request("POST /v1/creations/{creation_id}/uploads", { path, body: { kind: "file", size: file.size, content_type } });
  const response = await client.fetch(upload_url, { method: "PUT", body: file, headers: { "Content-Type": content_type }, auth: false, signal: AbortSignal.timeout(600_000) });
  if (!response.ok) throw new Error((await response.json()).message);
  await client.request("POST /v1/creations/{creation_id}/files", { path });
}

// ------------------------------------------------------------------ the page

async function open() {
  document.title = t("page.title", { page: t("creations.title") });
  const q = build("input", { id: "q", type: "search", maxlength: 200, value: chosen.q });
  const feed = build("select", { id: "feed", onchange: action(() => choose({ feed: feed.value, q: "" })) },
    FEEDS.map((each) => build("option", { value: each, selected: each === chosen.feed }, t(`creations.feed.${each}`))));
  const type = build("select", { id: "of-type", onchange: action(() => choose({ type: type.value })) },
    build("option", { value: "" }, t("creations.any_type")), TYPES.map((each) => build("option", { value: each, selected: each === chosen.type }, t(`creations.type.${each}`))));
  replace(main, build("h1", {}, t("creations.title")), maker(),
    build("form", { class: "row panel", role: "search", onsubmit: action(() => choose({ q: q.value.trim() })) },
      labelled(t("creations.feed"), feed), labelled(t("creations.type"), type), labelled(t("creations.search"), q), build("button", { class: "quiet" }, t("creations.find"))),
    filters, list, build("p", { class: "actions" }, more));
  await choose({});
}

open().catch((error) => replace(main, build("h1", {}, t("creations.title")), build("p", { role: "alert" }, error.message)));
