// One creation: what it is, its likes, and what people say to it.

import { RequestRefused } from "/sdk/playhall.js";
import { dateTime } from "/static/format.js";
import { lastOfPath } from "/static/moments.js";
import { action, announce, askToConfirm, client, ensureSession } from "/static/site.js";
import { build, labelled, replace } from "/static/dom.js";
import { t } from "/static/strings.js";

const REASONS = ["spam", "harassment", "hate", "violence", "sexual", "nsfw_unmarked", "copyright", "impersonation", "self_harm", "other"];
const WAIT_MS = 1500;

const main = document.querySelector("main");
const path = { creation_id: lastOfPath() };

const authorOf = ({ user_id, display_name, username }) => (user_id
  ? build("a", { href: `/people/${user_id}` }, display_name ?? username) : t("creation.somebody"));

function drawFile(creation) {
  const { file_url: url, title, type, file_state: state, status, is_public: isPublic } = creation;
  if (state === "waiting") return build("p", { class: "empty" }, t("creation.processing"));
  if (state === "failed") return build("p", { role: "alert" }, t(`creation.failed.${creation.file_error}`));
  if (!/^\/(?!\/)/.test(url ?? "")) return url ? build("p", {}, build("a", { href: url, rel: "noopener noreferrer" }, t("creation.elsewhere"))) : null;
  // An image that not everybody may see needs a token, which a browser does not send for images.
  if (url && (status !== "published" || !isPublic)) return build("p", { class: "empty" }, t("creation.file_later"));
  if (type === "image") return build("img", { class: "shown", src: url, alt: title });
  return build("p", {}, build("a", { class: "button quiet", href: url, download: true }, t("creation.download")));
}

// ------------------------------------------------------------------ comments

class Comments {
  #next = null;

  constructor(parent = null, depth = 0) {
    Object.assign(this, { parent, depth });
    this.list = build("ol", { class: "comments" });
    this.more = build("button", { type: "button", class: "quiet", hidden: true, onclick: action(() => this.read()) }, t("list.more"));
    this.root = build("div", {}, this.list, this.more);
  }

  async read() {
    const page = await client.request("GET /v1/creations/{creation_id}/comments", { path, query: { parent_comment_id: this.parent, cursor: this.#next, limit: 50 } });
    this.#next = page.next;
    this.more.hidden = page.next === null;
    this.list.append(...page.comments.map((each) => this.#draw(each)));
  }

  form(onDone = () => {}) {
    const id = `say-${this.parent ?? "new"}`;
    const text = build("textarea", { id, required: true, maxlength: 2000, rows: 2 });
    return build("form", { class: "say", onsubmit: action(async () => {
      await ensureSession();
      const made = await client.request("POST /v1/creations/{creation_id}/comments", { path, body: { content: text.value, parent_comment_id: this.parent } });
      text.value = "";
      this.list.append(this.#draw(made));
      onDone();
    }) }, labelled(t(this.parent ? "creation.reply_label" : "creation.comment_label"), text), build("button", {}, t("creation.say")));
  }

  #draw(comment) {
    const { comment_id } = comment;
    const replies = new Comments(comment_id, this.depth + 1);
    const extra = build("div");
    const isOwn = client.session?.user_id === comment.user_id;
    const isGone = comment.is_deleted || comment.is_removed;
    const item = build("li", { "data-comment": comment_id });
    const like = build("button", { type: "button", class: "quiet", "aria-pressed": String(comment.user_has_liked), onclick: action(async () => {
      await ensureSession();
      const found = await client.request(`${comment.user_has_liked ? "DELETE" : "PUT"} /v1/comments/{comment_id}/like`, { path: { comment_id } });
      Object.assign(comment, { user_has_liked: found.is_liked, like_count: found.like_count ?? comment.like_count });
      like.setAttribute("aria-pressed", String(comment.user_has_liked));
      like.textContent = t("creation.like_count", { count: comment.like_count });
    }) }, t("creation.like_count", { count: comment.like_count }));
    replace(item,
      build("p", { class: "small" }, authorOf(comment), " · ", dateTime(comment.created_at), comment.is_edited && ` · ${t("creation.edited")}`),
      build("p", { class: "said" }, isGone ? build("em", {}, t(comment.is_removed ? "creation.comment_removed" : "creation.comment_deleted")) : comment.content),
      build("p", { class: "row" }, !isGone && like,
        this.depth < 7 && build("button", { type: "button", class: "quiet", onclick: action(async () => {
          if (!extra.children.length) {
            replace(extra, replies.root, replies.form());
            await replies.read();
          }
          extra.querySelector("textarea").focus();
        }) }, t("creation.replies")),
        isOwn && !isGone && build("button", { type: "button", class: "quiet", onclick: action(async () => {
          if (!await askToConfirm(t("creation.delete_comment"), { danger: true })) return;
          await client.request("DELETE /v1/comments/{comment_id}", { path: { comment_id } });
          item.remove();
        }) }, t("creation.delete"))),
      extra);
    return item;
  }
}

// ------------------------------------------------------------------ the page

function likeButton(creation) {
  const text = () => t("creation.like_count", { count: creation.like_count });
  const button = build("button", { type: "button", id: "like", "aria-pressed": String(creation.user_has_liked), onclick: action(async () => {
    await ensureSession();
    const found = await client.request(`${creation.user_has_liked ? "DELETE" : "PUT"} /v1/creations/{creation_id}/like`, { path });
    Object.assign(creation, { user_has_liked: found.is_liked, like_count: found.like_count ?? creation.like_count });
    button.setAttribute("aria-pressed", String(creation.user_has_liked));
    button.textContent = text();
  }) }, text());
  return button;
}

function reporter() {
  const reason = build("select", { id: "reason" }, REASONS.map((each) => build("option", { value: each }, t(`creation.reason.${each}`))));
  return build("details", {}, build("summary", {}, t("creation.report")), build("form", { class: "row", onsubmit: action(async () => {
    await ensureSession();
    await client.request("POST /v1/reports", { body: { creation_id: path.creation_id, reason: reason.value } });
    announce(t("creation.reported"));
  }) }, labelled(t("creation.why"), reason), build("button", { class: "quiet" }, t("creation.send_report"))));
}

function ownButtons(creation) {
  const change = (endpoint) => action(async () => {
    await client.request(endpoint, { path });
    await open();
  });
  return [
    creation.status === "published"
      ? build("button", { type: "button", class: "quiet", onclick: change("POST /v1/creations/{creation_id}/archive") }, t("creation.archive"))
      : build("button", { type: "button", onclick: change("POST /v1/creations/{creation_id}/publish") }, t("creations.publish")),
    build("button", { type: "button", class: "bad", onclick: action(async () => {
      if (!await askToConfirm(t("creation.delete_question", { title: creation.title }), { danger: true })) return;
      await client.request("DELETE /v1/creations/{creation_id}", { path });
      location.href = "/creations?feed=mine";
    }) }, t("creation.delete")),
  ];
}

async function open() {
  const creation = await client.request("GET /v1/creations/{creation_id}", { path });
  const isOwn = client.session?.user_id === creation.user_id;
  const comments = new Comments();
  const isOut = creation.status === "published";
  document.title = t("page.title", { page: creation.title });
  replace(main, build("h1", {}, creation.title),
    build("p", { class: "small" }, authorOf(creation), " · ", dateTime(creation.published_at ?? creation.created_at), " · ", creation.license,
      !isOut && ` · ${t(`creations.status.${creation.status}`)}`, " · ", t("creation.view_count", { count: creation.view_count })),
    drawFile(creation),
    creation.description && build("p", { class: "said" }, creation.description),
    creation.tags.length > 0 && build("p", { class: "row" }, creation.tags.map((tag) => build("a", { href: `/creations?tag=${encodeURIComponent(tag)}` }, `#${tag}`))),
    creation.remix_of && build("p", { class: "small" }, build("a", { href: `/creations/${creation.remix_of}` }, t("creation.remix_of"))),
    build("p", { class: "row" }, isOut && likeButton(creation), isOwn && ownButtons(creation)),
    !isOwn && reporter(),
    isOut && build("section", { id: "comments" }, build("h2", {}, t("creation.comments", { count: creation.comment_count })), comments.root, comments.form()));
  if (isOut) {
    await comments.read();
    if (!isOwn) await client.request("POST /v1/creations/{creation_id}/views", { path });
  } else if (creation.status === "processing") setTimeout(action(open), WAIT_MS);
}

open().catch((error) => replace(main, build("h1", {}, t("creations.title")),
  build("p", { role: "alert" }, error instanceof RequestRefused && error.status === 404 ? t("creation.missing") : error.message),
  build("p", {}, build("a", { href: "/creations" }, t("creation.all")))));
