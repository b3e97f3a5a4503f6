// "Try it" on the docs page: sends a request with the visitor's own session, and shows the answer.

import { askToConfirm, action, client } from "/static/site.js";
import { build, labelled, replace } from "/static/dom.js";
import { nameOf } from "/static/schema.js";
import { t } from "/static/strings.js";

const SHOWN_CHARS = 20_000;
const DEPTH_MAX = 4;

/** A body to begin with: what is required, with a value of its type. */
function example(schema, doc, depth = 0) {
  if (!schema || depth > DEPTH_MAX) return null;
  if (schema.$ref) return example(doc.components.schemas[nameOf(schema.$ref)], doc, depth + 1);
  if ("const" in schema) return schema.const;
  if ("default" in schema) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return example(schema.anyOf[0], doc, depth + 1);
  if (schema.type === "object") {
    return Object.fromEntries((schema.required ?? []).map((name) => [name, example(schema.properties[name], doc, depth + 1)]));
  }
  return { array: [], string: "", integer: schema.minimum ?? 0, number: schema.minimum ?? 0, boolean: false }[schema.type] ?? null;
}

/** The part of an endpoint's card in which it is tried; the form is built when it is opened. */
export function tryIt(method, path, operation, doc) {
  const details = build("details", { class: "try", ontoggle: () => {
    if (details.open && details.children.length === 1) details.append(form(method, path, operation, doc));
  } }, build("summary", {}, t("try.title")));
  return details;
}

function form(method, path, operation, doc) {
  const id = (name) => `${operation.operationId}-${name}`;
  const inputs = operation.parameters.filter((each) => each.in !== "header").map((each) => ({
    each, field: build("input", { id: id(each.name), required: each.required, autocomplete: "off" }),
  }));
  const [type, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  const body = type?.includes("json") && build("textarea", { id: id("body"), rows: 6, spellcheck: "false" });
  if (body) body.value = JSON.stringify(example(content.schema, doc) ?? [], null, 2);
  const result = build("div", { role: "status", class: "try-result" });
  const send = action(async () => {
    if (method === "delete" && !await askToConfirm(t("try.delete", { path }), { danger: true })) return;
    let address = path;
    const query = new URLSearchParams();
    for (const { each, field } of inputs) {
      if (each.in === "path") address = address.replace(`{${each.name}}`, field.value.split("/").map(encodeURIComponent).join("/"));
      else if (field.value !== "") query.append(each.name, field.value);
    }
    if (query.size) address += `?${query}`;
    const began = performance.now();
    const response = await client.fetch(address, {
      method: method.toUpperCase(),
      ...(body ? { body: body.value, headers: { "Content-Type": type } } : {}),
    });
    await show(response, Math.round(performance.now() - began), result);
  });
  return build("form", { onsubmit: send },
    build("p", { class: "small" }, client.session ? t("try.as", { name: client.session.display_name }) : t("try.unsigned")),
    inputs.map(({ each, field }) => labelled(each.name, field)),
    body && labelled(t("try.body"), body),
    build("button", {}, t("try.send")), result);
}

async function show(response, ms, result) {
  const type = response.headers.get("Content-Type") ?? "";
  const isText = /json|text|svg/.test(type);
  let text = isText ? await response.text() : t("try.bytes", { count: (await response.arrayBuffer()).byteLength, type });
  if (type.includes("json") && text) text = JSON.stringify(JSON.parse(text), null, 2);
  result.dataset.status = response.status;
  replace(result, build("p", {}, build("strong", {}, `${response.status} ${response.statusText}`), ` · ${ms} ms`),
    build("pre", { tabindex: 0 }, build("code", {}, text.slice(0, SHOWN_CHARS), text.length > SHOWN_CHARS && " …")));
}
