// The docs page, drawn from /asyncapi.json and /openapi.json.

import { build, getJson, prose } from "/static/dom.js";
import { fields, nameOf } from "/static/schema.js";
import "/static/site.js";
import { tryIt } from "/static/try_it.js";

const byTag = (entries) => Map.groupBy
  ? Map.groupBy(entries, (entry) => entry.tag)
  : entries.reduce((groups, entry) => groups.set(entry.tag, [...(groups.get(entry.tag) ?? []), entry]), new Map());

// ---------------------------------------------------------------- the websocket

function websocketEntries(doc) {
  const linkTo = (name) => `ws-${name}`;
  const schemaOf = (message) => doc.components.schemas[nameOf(doc.components.messages[message].payload.$ref)];
  return Object.entries(doc.operations).map(([name, operation]) => {
    const isCommand = operation.action === "receive";
    const reply = isCommand ? nameOf(operation.reply.messages[0].$ref) : null;
    return {
      tag: operation.tags[0].name,
      id: linkTo(name),
      label: name,
      card: card(linkTo(name), isCommand ? "command" : "update", name, schemaOf(name).description ?? operation.summary, [
        fields(schemaOf(name), linkTo, ["type", "id"]),
        isCommand ? answer(`Reply: ${doc.components.messages[reply].summary}`, fields(schemaOf(reply), linkTo, ["re", "type"])) : null,
      ]),
    };
  });
}

// ---------------------------------------------------------------- HTTP

function httpEntries(doc) {
  const linkTo = (name) => `http-${name}`;
  const schemaIn = (content) => {
    const schema = content?.["application/json"]?.schema;
    return schema && doc.components.schemas[nameOf(schema.$ref)];
  };
  return Object.entries(doc.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      tag: operation.tags[0],
      id: operation.operationId,
      label: `${method.toUpperCase()} ${path}`,
      card: named(method, path, card(operation.operationId, method, path, operation.summary, [
        access(operation.security),
        operation.parameters.length ? answer("Parameters", fields(parameters(operation), linkTo)) : null,
        body(operation.requestBody, schemaIn, linkTo),
        success(operation.responses["200"], schemaIn, linkTo),
        refusals(operation.responses),
        tryIt(method, path, operation, doc),
      ])),
    })));
}

function named(method, path, element) {
  Object.assign(element.dataset, { path, endpoint: `${method.toUpperCase()} ${path}` });
  return element;
}

function access(security) {
  if (!security.length) return null;
  const optional = security.some((each) => !("bearer" in each));
  return build("p", { class: "small" }, optional ? "An access token is optional." : "Needs an access token.");
}

function parameters(operation) {
  return {
    properties: Object.fromEntries(operation.parameters.map((each) => [each.name, each.schema])),
    required: operation.parameters.filter((each) => each.required).map((each) => each.name),
  };
}

// A body that is no JSON is the bytes of a file.
function body(requestBody, schemaIn, linkTo) {
  if (!requestBody) return null;
  const schema = schemaIn(requestBody.content);
  return answer("Body", schema ? fields(schema, linkTo) : build("p", { class: "small" }, Object.keys(requestBody.content).join(", ")));
}

function success(response, schemaIn, linkTo) {
  const schema = schemaIn(response.content);
  return schema ? answer(`Answer: ${response.description}`, fields(schema, linkTo)) : null;
}

function refusals(responses) {
  const lines = Object.entries(responses).filter(([status]) => status !== "200")
    .map(([status, response]) => build("li", {}, `${status} `, ...prose(response.description)));
  return build("details", {}, build("summary", {}, "Errors"), build("ul", { class: "small" }, lines));
}

// ---------------------------------------------------------------- shared parts

// Those in groups are a level below the group's heading.
function card(id, kind, name, description, parts, heading = "h4") {
  return build("article", { class: "card", id },
    build(heading, {}, build("span", { class: `kind ${kind}` }, kind), build("a", { href: `#${id}` }, name)),
    paragraphs(description),
    ...parts);
}

function paragraphs(text, attributes = {}) {
  return (text ?? "").split("\n\n").filter(Boolean).map((part) => build("p", attributes, ...prose(part)));
}

function answer(title, content) {
  return build("details", {}, build("summary", {}, ...prose(title)), content);
}

function section(id, title, lead, content) {
  return build("section", { id }, build("h2", {}, title), paragraphs(lead, { class: "lead" }), ...content);
}

function groups(entries) {
  return [...byTag(entries)].flatMap(([tag, members]) =>
    [build("h3", { class: "tag" }, tag), ...members.map((entry) => entry.card)]);
}

function shapes(doc, prefix) {
  const messages = new Set(Object.values(doc.components.messages ?? {}).map((each) => nameOf(each.payload.$ref)));
  return Object.entries(doc.components.schemas).filter(([name]) => !messages.has(name)).map(([name, schema]) =>
    card(`${prefix}-${name}`, "shape", name, schema.description, [fields(schema, (inner) => `${prefix}-${inner}`)], "h3"));
}

function table(heads, rows) {
  return build("div", { class: "scroll" }, build("table", {},
    build("thead", {}, build("tr", {}, heads.map((head) => build("th", { scope: "col" }, head)))),
    build("tbody", {}, rows.map((cells) => build("tr", {}, cells.map((cell) => build("td", {}, ...[cell].flat())))))));
}

const code = (text) => build("code", {}, String(text));
const again = (retry) => (retry ? "yes" : "no");

function sections(asyncapi, openapi) {
  const live = websocketEntries(asyncapi);
  const http = httpEntries(openapi);
  const drawn = [
    section("websocket", "Websocket", asyncapi.info.description, groups(live)),
    section("shapes", "Shapes on the websocket", null, shapes(asyncapi, "ws")),
    section("http", "HTTP", openapi.info.description, groups(http)),
    section("http-shapes", "Shapes over HTTP", null, shapes(openapi, "http")),
    section("errors", "Errors", "The same codes on the websocket and over HTTP; rulesets add their own for refused moves.", [
      table(["code", "meaning", "HTTP", "retry helps"],
        asyncapi["x-errors"].map((each) => [code(each.code), prose(each.meaning), String(each.status), again(each.retry)]))]),
    section("closing", "Close codes", "Why the server closes a websocket: After `4000` to `4099`, reconnect after a random pause.", [
      table(["code", "reason", "retry helps"],
        asyncapi["x-close-codes"].map((each) => [code(each.code), code(each.reason), again(each.retry)]))]),
    section("limits", "Limits", null, [
      table(["limit", "value"], Object.entries(asyncapi["x-limits"]).map(([name, value]) => [code(name), String(value)]))]),
  ];
  return { drawn, contents: [["Websocket", "websocket", live], ["HTTP", "http", http]] };
}

function contents(parts, drawn) {
  const rest = drawn.filter((each) => !parts.some(([, id]) => id === each.id));
  return [
    ...parts.flatMap(([title, id, entries]) => [
      build("a", { href: `#${id}`, class: "part" }, title),
      ...[...byTag(entries)].map(([tag, members]) => build("details", { open: id === "websocket" },
        build("summary", {}, tag),
        ...members.map((entry) => build("a", { href: `#${entry.id}` }, entry.label)))),
    ]),
    ...rest.map((each) => build("a", { href: `#${each.id}`, class: "part" }, each.querySelector("h2").textContent)),
  ];
}

function filterBy(text) {
  const wanted = text.trim().toLowerCase();
  for (const each of document.querySelectorAll(".card, tbody tr")) {
    if (each.closest(".card") === each || !each.closest(".card")) {
      each.hidden = wanted !== "" && !each.textContent.toLowerCase().includes(wanted);
    }
  }
  document.body.classList.toggle("filtered", wanted !== "");
}

/**
 * Go to what the address names: an id, or a name as one writes it: `#game.act`, `#GET /v1/me`,
 * `#/v1/me`, `#rate_limited`.
 */
function goToHash() {
  const name = decodeURIComponent(location.hash.slice(1));
  if (!name) return;
  const found = document.getElementById(name) ?? document.getElementById(`ws-${name}`)
    ?? [...document.querySelectorAll(".card")].find((each) => [each.dataset.path, each.dataset.endpoint].includes(name))
    ?? [...document.querySelectorAll("#errors tr")].find((row) => row.querySelector("code")?.textContent === name);
  found?.scrollIntoView();
  found?.querySelector("a")?.focus({ preventScroll: true });
}

async function draw() {
  try {
    const [asyncapi, openapi] = await Promise.all([getJson("/asyncapi.json"), getJson("/openapi.json")]);
    const { drawn, contents: parts } = sections(asyncapi, openapi);
    document.getElementById("drawn").replaceChildren(build("p", { class: "small" }, `Version ${asyncapi.info.version}`), ...drawn);
    document.getElementById("contents").replaceChildren(...contents(parts, drawn));
    document.body.dataset.drawn = "yes";
    goToHash();
  } catch (error) {
    document.getElementById("drawn").replaceChildren(build("p", { role: "alert" }, `The documents could not be loaded: ${error.message}.`));
  }
}

document.getElementById("filter").addEventListener("input", (event) => filterBy(event.target.value));
window.addEventListener("hashchange", goToHash);
draw();
