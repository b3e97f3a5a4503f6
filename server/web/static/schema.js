// JSON schemas as people read them: a type in words, and a table of fields.

import { build, prose } from "/static/dom.js";

export const nameOf = (ref) => ref.slice(ref.lastIndexOf("/") + 1);

const isId = (schema) => schema.pattern?.startsWith("^[0-9a-f]{8}-") ?? false;

const RANGES = [["minLength", "maxLength", " characters"], ["minimum", "maximum", ""], ["minItems", "maxItems", " items"]];

const shown = (limit) => (limit === Number.MAX_SAFE_INTEGER ? "2⁵³ − 1" : String(limit));

function range(least, most, unit) {
  if (least === undefined) return `at most ${shown(most)}${unit}`;
  if (most === undefined) return `at least ${shown(least)}${unit}`;
  return least === most ? `${shown(least)}${unit}` : `${shown(least)} to ${shown(most)}${unit}`;
}

function bounds(schema) {
  const said = (schema.anyOf ?? []).flatMap(bounds);
  if ("default" in schema && schema.default !== null) said.push(`default ${JSON.stringify(schema.default)}`);
  if (isId(schema)) return said;
  for (const [least, most, unit] of RANGES) {
    if (least in schema || most in schema) said.push(range(schema[least], schema[most], unit));
  }
  if (schema.pattern) said.push(build("code", {}, schema.pattern));
  return said;
}

function separated(parts, separator) {
  return parts.flatMap((part, at) => (at ? [separator, part] : [part])).flat();
}

function typeOf(schema, linkTo) {
  if (schema.$ref) return [build("a", { href: `#${linkTo(nameOf(schema.$ref))}` }, nameOf(schema.$ref))];
  if ("const" in schema) return [build("code", {}, JSON.stringify(schema.const))];
  if (schema.enum) return separated(schema.enum.map((value) => [build("code", {}, JSON.stringify(value))]), " or ");
  if (schema.anyOf) return separated(schema.anyOf.map((each) => typeOf(each, linkTo)), " or ");
  if (isId(schema)) return ["UUID"];
  if (schema.type === "array") return ["list of ", ...typeOf(schema.items ?? {}, linkTo)];
  return [schema.type ?? "any value"];
}

function row([name, schema], required, linkTo) {
  const notes = [...prose(schema.description ?? "")];
  const limits = separated(bounds(schema).map((each) => [each]), ", ");
  if (limits.length) notes.push(build("span", { class: "small" }, schema.description ? " " : "", ...limits));
  return build("tr", {},
    build("th", { scope: "row" }, build("code", {}, name),
      required ? build("span", { class: "required", title: "required" }, "*") : null),
    build("td", {}, typeOf(schema, linkTo)),
    build("td", {}, notes));
}

export function fields(schema, linkTo, skip = []) {
  const rows = Object.entries(schema.properties ?? {}).filter(([name]) => !skip.includes(name));
  if (!rows.length) return build("p", { class: "small" }, "No fields.");
  const required = schema.required ?? [];
  return build("div", { class: "scroll" }, build("table", {},
    build("tbody", {}, rows.map((each) => row(each, required.includes(each[0]), linkTo)))));
}
