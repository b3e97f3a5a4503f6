// Companions: a conversation with one, its answers as they are written, and what it remembers.

import { RequestRefused } from "/sdk/playhall.js";
import { action, askToConfirm, client, ensureSession, showError } from "/static/site.js";
import { build, labelled, replace } from "/static/dom.js";
import { number, t } from "/static/strings.js";

const STREAM_MS = 600_000;
const RETRY_MS = 1000;
const RETRIES = 20;
const MESSAGES = 50;

const main = document.querySelector("main");
let luminor = null;
let conversation = null;
let answering = null; // the id of the answer that is being written
let isBusy = false; // something is being said
let opening = Promise.resolve(); // what is said waits for the conversation

const said = build("ol", { class: "log chat-log", id: "messages", tabindex: 0, "aria-live": "polite", "aria-label": t("companion.messages") });
const aside = build("div", { class: "companion-side" });
const text = build("textarea", { id: "say", rows: 2, maxlength: 4000, required: true });
const send = build("button", { id: "send" }, t("companion.send"));
const stop = build("button", { type: "button", id: "stop", class: "quiet", hidden: true, onclick: action(stopAnswer) }, t("companion.stop"));

// ------------------------------------------------------------------ server-sent events

/** Read the events of a stream: `[event, data]`. */
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value.replaceAll("\r\n", "\n");
    const blocks = buffer.split("\n\n");
    buffer = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").filter((line) => line.includes(": ")).map((line) => {
        const at = line.indexOf(": ");
        return [line.slice(0, at), line.slice(at + 2)];
      }));
      if (fields.data) yield [fields.event, JSON.parse(fields.data)];
    }
  }
}

async function openStream(address, init = {}) {
  const response = await client.fetch(address, { ...init, signal: AbortSignal.timeout(STREAM_MS) });
  if (response.ok) return response;
  const { message, code } = await response.json();
  throw Object.assign(new Error(message), { code });
}

/** Follow an answer to its end, however often the connection breaks. */
async function followAnswer(first, shown) {
  let response = first;
  let offset = 0;
  for (let tries = 0; ; tries += 1) {
    try {
      response ??= await openStream(`/v1/companion-messages/${answering}/stream?offset=${offset}`);
      for await (const [event, data] of eventsOf(response)) {
        tries = 0;
        if (event === "said") {
          answering = data.answer_id;
          stop.hidden = false;
        } else if (event === "delta" && data.next_offset > offset) {
          shown.append(data.text);
          offset = data.next_offset;
          said.scrollTop = said.scrollHeight;
        } else if (event === "message") return data;
        else if (event === "error") throw Object.assign(new Error(data.message), { code: data.code });
      }
    } catch (error) {
      if (error.code || tries >= RETRIES || !answering) throw error; // what the server says is not a broken line
    }
    if (!answering) throw new Error(t("companion.lost"));
    response = null;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

// ------------------------------------------------------------------ the conversation

function line(message) {
  const body = build("p", { class: "said" }, message.content);
  const foot = build("p", { class: "row small" });
  const item = build("li", { "data-role": message.role, "data-message": message.message_id },
    build("p", { class: "small" }, message.role === "user" ? t("companion.you") : luminor.name), body, foot);
  return { item, body, foot };
}

function finish(message, foot) {
  const words = message.status === "complete" ? null : t(`companion.status.${message.status}`);
  const rate = (is_helpful) => build("button", { type: "button", class: "quiet", "aria-pressed": String(message.was_helpful === is_helpful), onclick: action(async () => {
    finish(await client.request("PUT /v1/companion-messages/{message_id}/rating", { path: { message_id: message.message_id }, body: { was_helpful: is_helpful } }), foot);
  }) }, t(is_helpful ? "companion.helpful" : "companion.not_helpful"));
  replace(foot, words, message.role === "assistant" && message.status !== "streaming" && [rate(true), rate(false)]);
}

async function say() {
  const words = text.value.trim();
  if (!words || answering || isBusy) return;
  isBusy = true;
  await opening.catch(() => {});
  const mine = line({ role: "user", content: words, message_id: "" });
  const answer = line({ role: "assistant", content: "", message_id: "" });
  said.append(mine.item, answer.item);
  said.scrollTop = said.scrollHeight;
  said.querySelector(".empty")?.remove();
  send.disabled = true;
  try {
    // The id lets a message be sent again without being said twice.
    const response = await openStream(`/v1/conversations/${conversation.conversation_id}/messages`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ text: words, request_id: newId() }),
    });
    text.value = "";
    const message = await followAnswer(response, answer.body);
    answer.body.textContent = message.content;
    answer.item.dataset.message = message.message_id;
    finish(message, answer.foot);
    await drawSide();
  } catch (error) {
    if (!answering) {
      mine.item.remove();
      answer.item.remove();
    }
    throw error;
  } finally {
    isBusy = false;
    answering = null;
    stop.hidden = true;
    send.disabled = false;
    text.focus();
  }
}

// `crypto.randomUUID` needs https; this is no secret.
const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

async function stopAnswer() {
  if (answering) await client.request("POST /v1/companion-messages/{message_id}/stop", { path: { message_id: answering } });
}

/** Go on with an answer that was being written when the page was left. */
async function resume(message, { body, foot }) {
  answering = message.message_id;
  stop.hidden = false;
  send.disabled = true;
  body.textContent = "";
  try {
    const whole = await followAnswer(null, body);
    body.textContent = whole.content;
    finish(whole, foot);
  } finally {
    answering = null;
    stop.hidden = true;
    send.disabled = false;
  }
}

function openConversation(chosen) {
  opening = readConversation(chosen);
  return opening;
}

async function readConversation(chosen) {
  conversation = chosen;
  remember();
  const { messages } = await client.request("GET /v1/conversations/{conversation_id}/messages", { path: { conversation_id: chosen.conversation_id }, query: { limit: MESSAGES } });
  replace(said, messages.length ? [] : build("li", { class: "empty" }, luminor.greeting_message));
  for (const message of messages.toReversed()) {
    const drawn = line(message);
    said.append(drawn.item);
    if (message.status === "streaming") resume(message, drawn).catch(showError);
    else finish(message, drawn.foot);
  }
  said.scrollTop = said.scrollHeight;
  await drawSide();
}

function remember() {
  history.replaceState(null, "", `?with=${encodeURIComponent(luminor.slug)}&conversation=${conversation.conversation_id}`);
}

// ------------------------------------------------------------------ beside it

async function drawSide() {
  const path = { luminor_id: luminor.luminor_id };
  const [bond, { memories }, { conversations }] = await Promise.all([
    client.request("GET /v1/luminors/{luminor_id}/bond", { path }),
    client.request("GET /v1/luminors/{luminor_id}/memories", { path }),
    client.request("GET /v1/conversations", { query: path }),
  ]);
  replace(aside,
    build("section", { class: "panel" }, build("h2", {}, t("companion.bond", { level: bond.bond_level })),
      build("meter", { min: 0, max: 100, value: bond.level_progress_percent, "aria-label": t("companion.bond_progress") }),
      build("p", { class: "small" }, t("companion.xp", { xp: bond.bond_xp, next: bond.xp_for_next_level }))),
    build("section", { class: "panel", id: "memories" }, build("h2", {}, t("companion.memories")), build("p", { class: "small" }, t("companion.memories_lead")),
      memories.length ? build("ul", { class: "plain-list memories" }, memories.map(memoryLine)) : build("p", { class: "empty" }, t("companion.no_memories")), addMemory(path)),
    build("section", { class: "panel" }, build("h2", {}, t("companion.conversations")),
      build("ul", { class: "plain-list" }, conversations.map((each) => build("li", {}, build("button", {
        type: "button", class: "quiet", "aria-current": each.conversation_id === conversation.conversation_id && "true", onclick: action(() => openConversation(each)),
      }, each.title ?? t("companion.untitled"), ` · ${number.format(each.message_count)}`)))),
      build("p", { class: "row" },
        build("button", { type: "button", class: "quiet", onclick: action(newConversation) }, t("companion.new")),
        build("button", { type: "button", class: "quiet", onclick: action(deleteConversation) }, t("companion.delete")))));
}

function memoryLine(memory) {
  const path = { memory_id: memory.memory_id };
  const field = build("input", { "aria-label": t("companion.memory"), value: memory.content, maxlength: 1000 });
  return build("li", {}, build("form", { class: "row", onsubmit: action(async () => {
    await client.request("PATCH /v1/companion-memories/{memory_id}", { path, body: { content: field.value } });
    await drawSide();
  }) }, field, build("button", { class: "quiet" }, t("companion.change")),
  build("button", { type: "button", class: "quiet", onclick: action(async () => {
    await client.request("DELETE /v1/companion-memories/{memory_id}", { path });
    await drawSide();
  }) }, t("companion.forget"))));
}

function addMemory(path) {
  const field = build("input", { id: "remember", required: true, maxlength: 1000, autocomplete: "off" });
  return build("form", { onsubmit: action(async () => {
    await client.request("POST /v1/luminors/{luminor_id}/memories", { path, body: { content: field.value } });
    await drawSide();
  }) }, labelled(t("companion.remember"), field), build("button", { class: "quiet" }, t("companion.add")));
}

async function newConversation() {
  await openConversation(await client.request("POST /v1/conversations", { body: { luminor_id: luminor.luminor_id, session_id: newId() } }));
  text.focus();
}

async function deleteConversation() {
  if (!await askToConfirm(t("companion.delete_question"), { danger: true })) return;
  await client.request("DELETE /v1/conversations/{conversation_id}", { path: { conversation_id: conversation.conversation_id } });
  await openConversation(await client.request("POST /v1/conversations", { body: { luminor_id: luminor.luminor_id } }));
}

// ------------------------------------------------------------------ the page

async function talkTo(chosen, conversation_id = null) {
  await ensureSession();
  luminor = chosen;
  document.title = t("page.title", { page: luminor.name });
  text.onkeydown = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    text.form.requestSubmit();
  };
  replace(main, build("p", {}, build("a", { href: "/companions" }, t("companion.all"))),
    build("h1", {}, luminor.name), build("p", { class: "lead" }, luminor.title),
    build("div", { class: "companion" }, build("div", {}, said,
      build("form", { onsubmit: action(say) }, labelled(t("companion.say", { name: luminor.name }), text, t("companion.say_hint")), build("p", { class: "row" }, send, stop))), aside));
  const found = conversation_id && await client.request("GET /v1/conversations/{conversation_id}", { path: { conversation_id } }).catch((error) => {
    if (error instanceof RequestRefused) return null; // somebody else's, or deleted
    throw error;
  });
  await openConversation(found || await client.request("POST /v1/conversations", { body: { luminor_id: luminor.luminor_id } }));
}

async function open() {
  const asked = new URLSearchParams(location.search);
  const { luminors, is_offline: isOffline } = await client.request("GET /v1/luminors");
  const chosen = luminors.find(({ slug, luminor_id }) => [slug, luminor_id].includes(asked.get("with")));
  if (chosen) return talkTo(chosen, asked.get("conversation"));
  document.title = t("page.title", { page: t("companion.title") });
  replace(main, build("h1", {}, t("companion.title")), build("p", { class: "lead" }, t("companion.lead")),
    isOffline && build("p", { class: "panel small" }, t("companion.offline")),
    build("ul", { class: "list", id: "companions" }, luminors.map((each) => build("li", {},
      build("span", {}, build("strong", {}, each.name), " ", each.title, build("span", { class: "small" }, ` · ${each.specialty}`)),
      build("button", { type: "button", "data-companion": each.slug, onclick: action(() => talkTo(each)) }, t("companion.talk", { name: each.name }))))));
  return null;
}

open().catch((error) => replace(main, build("h1", {}, t("companion.title")), build("p", { role: "alert" }, error.message)));
