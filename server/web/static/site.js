// What all pages share: one client, the header, messages to the visitor, and questions.

import { Client, RequestRefused } from "/sdk/playhall.js";
import { build, replace } from "/static/dom.js";
import { t } from "/static/strings.js";

/** The pages in the header. The console is beside them, for those who have a role. */
const NAVIGATION = [
  { href: "/", text: "nav.play", paths: ["/play/"] },
  { href: "/lobbies", text: "nav.lobbies" },
  { href: "/leaderboards", text: "nav.boards", paths: ["/players/", "/people/"] },
  { href: "/epochs", text: "nav.epochs" },
  { href: "/creations", text: "nav.creations" },
  { href: "/companions", text: "nav.companions" },
  { href: "/me", text: "nav.me" },
  { href: "/docs", text: "nav.docs" },
];

/** The visitor's client. All tabs share the session; only the tab that plays opens a websocket. */
export const client = new Client(location.origin, { storage: localStorage, client: "playhall-pages" });

/** Be somebody: as who is signed in, or as a new guest. */
export async function ensureSession() {
  return client.session ?? client.signInAsGuest();
}

// An account has one connection, and the newest tab takes it. A tab that only looks on must not take
// it from one that plays, so the tab that has it holds a lock (where the browser has any).
const LOCK = "playhall.connection";

// Where a tab keeps the roles of its account, and for how long.
const ROLES = "playhall.roles";
const ROLES_KEPT_MS = 300_000;

/** Whether no other tab has the account's connection. */
export async function mayConnect() {
  const locks = await navigator.locks?.query();
  return !locks?.held.some((lock) => lock.name === LOCK);
}

/** Say to other tabs that this one has the connection, until it is closed or another one takes it. */
export function holdConnection() {
  navigator.locks?.request(LOCK, { steal: true }, () => new Promise(() => {})).catch(() => {});
}

// ------------------------------------------------------------------------------------- messages

const messages = build("div", { class: "messages", role: "status", "aria-live": "polite" });
const alerts = build("div", { class: "messages", role: "alert" });
const MESSAGE_MS = 6000;
const MESSAGES_MAX = 4;

/** Say something that passes. */
export function announce(text) {
  const message = build("p", { class: "message" }, text);
  messages.append(message);
  while (messages.children.length > MESSAGES_MAX) messages.firstChild.remove();
  setTimeout(() => message.remove(), MESSAGE_MS);
}

/** Say what went wrong; it stays until it is dismissed. The same text is not repeated. */
export function showError(error) {
  const text = error instanceof Error ? error.message || String(error) : String(error);
  if ([...alerts.children].some((each) => each.firstChild.textContent === text)) return;
  const message = build("p", { class: "message bad" }, build("span", {}, text),
    build("button", { type: "button", class: "quiet", onclick: () => message.remove() }, t("error.close")));
  alerts.append(message);
  while (alerts.children.length > MESSAGES_MAX) alerts.firstChild.remove();
}

/**
 * Make a listener that works on something and says what went wrong. The button that was pressed
 * cannot be pressed again meanwhile.
 */
export function action(work) {
  return async (event) => {
    event?.preventDefault?.();
    const button = event?.submitter ?? event?.currentTarget;
    const isButton = button instanceof HTMLButtonElement;
    if (isButton) button.disabled = true;
    try {
      await work(event);
    } catch (error) {
      showError(error);
    } finally {
      if (isButton) button.disabled = false;
    }
  };
}

/** Ask a question; resolves with true for yes. `danger` is for what cannot be undone. */
export function askToConfirm(question, { yes = t("dialog.yes"), danger = false } = {}) {
  return new Promise((resolve) => {
    const dialog = build("dialog", { "aria-label": question, onclose: () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    } }, build("form", { method: "dialog" },
      build("p", {}, question),
      build("p", { class: "actions" },
        build("button", { value: "yes", class: danger ? "bad" : null }, yes),
        build("button", { value: "no", class: "quiet", autofocus: true }, t("dialog.no")))));
    document.body.append(dialog);
    dialog.showModal();
  });
}

// --------------------------------------------------------------------------------------- header

/** `<site-header>`: navigation, who is signed in, and how the connection is doing. */
class SiteHeader extends HTMLElement {
  #session = build("div", { class: "session" });
  #connection = build("div", { class: "connection", role: "status", "aria-live": "polite", hidden: true });
  #timer = 0;
  #wasLost = false;

  connectedCallback() {
    const main = document.querySelector("main");
    if (main && !main.id) main.id = "content";
    if (main) main.tabIndex = -1;
    replace(this,
      build("a", { class: "skip", href: `#${main?.id ?? ""}` }, t("site.skip")),
      build("header", { class: "bar" },
        build("a", { class: "brand", href: "/" },
          build("img", { src: "/static/favicon.svg", alt: "", width: 28, height: 28 }), t("site.name")),
        build("nav", { "aria-label": t("nav.label") }, NAVIGATION.map(navigationLink)),
        this.#session),
      this.#connection);
    document.body.append(messages, alerts);
    client.on("session", () => this.#showSession());
    client.on("connection", () => this.#showConnection());
    this.#showSession();
  }

  #showSession() {
    const { session } = client;
    replace(this.#session,
      session && build("a", { href: "/account", title: t("session.account") }, session.display_name || t("session.guest")),
      session
        ? build("button", { type: "button", class: "quiet", "data-key": "sign-out", onclick: action(signOut) }, t("session.sign_out"))
        : build("a", { class: "button quiet", href: "/account" }, t("session.sign_in")));
    if (session) this.#showConsole(session.user_id).catch(() => {}); // the page itself says what is wrong
  }

  /** Link to the console for those who have a role, which is asked now and then. */
  async #showConsole(user) {
    let known = JSON.parse(sessionStorage.getItem(ROLES) ?? "null");
    if (known?.user !== user || known.at < Date.now() - ROLES_KEPT_MS) {
      const { roles } = await client.request("GET /v1/me/roles");
      known = { user, roles, at: Date.now() };
      sessionStorage.setItem(ROLES, JSON.stringify(known));
    }
    if (!known.roles.length || client.session?.user_id !== user || this.querySelector("[data-console]")) return;
    this.#session.prepend(build("a", { href: "/admin", "data-console": "" }, t("nav.console")));
  }

  #showConnection() {
    const { state, failure } = client.connection;
    clearInterval(this.#timer);
    if (state === "ready" && this.#wasLost) announce(t("connection.restored"));
    const isLost = state === "lost" || (state === "ended" && failure?.reason !== "closed");
    this.#wasLost = isLost || (this.#wasLost && state === "connecting");
    this.#connection.hidden = !this.#wasLost;
    if (!isLost) return;
    const line = build("span");
    const takeOver = failure?.reason === "superseded" ? "connection.take_over" : "connection.again";
    replace(this.#connection, line, state === "ended" && build("button", {
      type: "button", onclick: action(() => client.connection.restart()),
    }, t(takeOver)));
    const show = () => { line.textContent = connectionText(); };
    show();
    if (state === "lost") this.#timer = setInterval(show, 1000);
  }
}

function navigationLink({ href, text, paths = [] }) {
  const here = location.pathname === href || paths.some((path) => location.pathname.startsWith(path))
    || (href !== "/" && location.pathname.startsWith(`${href}/`));
  return build("a", { href, "aria-current": here && "page" }, t(text));
}

function connectionText() {
  const { state, failure, nextAttemptAt } = client.connection;
  if (state === "ended") {
    if (failure.reason === "superseded") return t("connection.superseded");
    return t("connection.ended", { reason: failure.message });
  }
  const seconds = Math.ceil((nextAttemptAt - Date.now()) / 1000);
  const next = seconds > 0 ? t("connection.next_try", { count: seconds }) : t("connection.trying");
  return `${t("connection.lost")} ${next}`;
}

/** Sign out; a guest is asked first, since there is no way back. */
export async function signOut() {
  let isGuest = false;
  try {
    isGuest = (await client.request("GET /v1/me")).is_anonymous;
  } catch (error) {
    if (!(error instanceof RequestRefused)) throw error; // the session has ended already
  }
  if (isGuest && !await askToConfirm(t("session.leave_guest"), { yes: t("session.sign_out"), danger: true })) return;
  await client.signOut();
}

customElements.define("site-header", SiteHeader);
