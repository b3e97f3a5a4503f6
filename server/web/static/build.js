// Elements without markup in strings: text stays text, whatever it holds.

export function build(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// Text in which `code` is marked up.
export function prose(text) {
  return text.split("`").map((part, at) => (at % 2 ? build("code", {}, part) : part));
}

export async function getJson(address) {
  const response = await fetch(address, { signal: AbortSignal.timeout(5000) });
  if (!response.ok) throw new Error(`${address} answered ${response.status}`);
  return response.json();
}
