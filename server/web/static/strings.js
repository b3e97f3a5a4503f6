// Every text that a visitor reads, by key. A translation is another file with the same keys.
// `{name}` is filled in; where a number decides about the form, the text is one per plural form.

const STRINGS = {
  // ---- what all pages share
  "site.name": "Playhall",
  "site.skip": "Skip to the content",
  "nav.label": "Pages",
  "nav.play": "Play",
  "nav.lobbies": "Lobbies",
  "nav.docs": "Docs",
  "session.guest": "Guest",
  "session.account": "Your account",
  "session.sign_in": "Sign in",
  "session.sign_out": "Sign out",
  "session.leave_guest": "You play as a guest. Once you sign out, nobody can get back to this account. Sign out?",
  "connection.lost": "The connection is lost. Nothing that was confirmed is lost with it.",
  "connection.next_try": { one: "Next try in one second.", other: "Next try in {count} seconds." },
  "connection.trying": "Reconnecting …",
  "connection.restored": "You are connected again.",
  "connection.superseded": "You play in another tab or on another device.",
  "connection.take_over": "Play here",
  "connection.ended": "The connection has ended: {reason}",
  "connection.again": "Connect again",
  "dialog.yes": "Yes",
  "dialog.no": "Cancel",
  "dialog.ok": "OK",
  "error.unknown": "Something went wrong: {message}",
  "error.close": "Dismiss",
  "page.loading": "Loading …",
  "seats": { one: "{count} player", other: "{count} players" },

  // ---- /

  // ---- /lobbies

  // ---- /play/{game}

  // ---- /account

  // ---- /peers

  // ---- /watch, /replay

  // ---- /players, /leaderboards

  // ---- /epochs

  // ---- /creations, /companions, /me

  // ---- /admin
};

const plural = new Intl.PluralRules("en");
export const number = new Intl.NumberFormat("en");

/** The text of a key; `count` chooses the plural form. A key without text is shown as it is. */
export function t(key, values = {}) {
  const entry = STRINGS[key];
  if (entry === undefined) return key;
  const text = typeof entry === "string" ? entry : entry[plural.select(values.count)] ?? entry.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name] ?? "";
    return typeof value === "number" ? number.format(value) : value;
  });
}

/** Whether there is a text; for words of rulesets, which may have none. */
export const has = (key) => key in STRINGS;
