// Sign in, keep a guest's account, and look after it.

import { RequestRefused } from "/sdk/playhall.js";
import { build, labelled, replace } from "/static/dom.js";
import { action, announce, askToConfirm, client, showError } from "/static/site.js";
import { t } from "/static/strings.js";

const main = document.querySelector("main");
const PASSWORD_CHARS_MIN = 8;

const emailField = (id) => build("input", { id, type: "email", autocomplete: "email", required: true, maxlength: 254 });
const passwordField = (id, kind) => build("input", { id, type: "password", autocomplete: `${kind}-password`, required: true,
  maxlength: 512, ...(kind === "new" ? { minlength: PASSWORD_CHARS_MIN } : {}) });

function panel(title, ...content) {
  return build("section", { class: "panel" }, build("h2", {}, title), ...content);
}

/** A form that is replaced by what it led to. */
function form(fields, button, work) {
  const element = build("form", { onsubmit: action(async () => {
    const done = await work();
    if (done) replace(element, build("p", { role: "status" }, done));
  }) }, fields, build("p", { class: "actions" }, build("button", {}, button)));
  return element;
}

// ---------------------------------------------------------------------------------- signed out

function showSignIn({ methods }) {
  const [email, password, address, name] = [emailField("email"), passwordField("password", "current"), emailField("address"),
    build("input", { id: "guest-name", maxlength: 32, autocomplete: "nickname" })];
  replace(main, build("h1", {}, t("account.sign_in")),
    build("div", { class: "halves" },
      methods.includes("email") && panel(t("account.with_email"),
        form([labelled(t("account.email"), email), labelled(t("account.password"), password)], t("account.sign_in"), () => signIn(email.value, password.value))),
      methods.includes("email") && panel(t("account.new_or_forgotten"), build("p", { class: "small" }, t("account.new_hint")),
        form([labelled(t("account.email"), address)], t("account.mail_me"), () => mailCode(address.value))),
      methods.includes("guest") && panel(t("account.guest"), build("p", { class: "small" }, t("account.guest_hint")),
        form([labelled(t("account.display_name"), name, t("account.name_hint"))], t("account.play_as_guest"), async () => {
          await client.signInAsGuest({ name: name.value.trim() });
        }))));
}

async function signIn(email, password, reactivate = false) {
  try {
    await client.signIn({ email, password, ...(reactivate ? { reactivate } : {}) });
  } catch (error) {
    if (!(error instanceof RequestRefused) || error.code !== "deactivated" || reactivate) throw error;
    if (await askToConfirm(t("account.reactivate"))) await signIn(email, password, true);
  }
}

async function mailCode(email) {
  await client.request("POST /v1/auth/email", { body: { email }, auth: false });
  return t("account.mailed");
}

// ----------------------------------------------------------------------------------- signed in

async function showAccount({ methods }) {
  const [me, own, { sessions }] = await Promise.all([
    client.request("GET /v1/me"), client.request("GET /v1/me/methods"), client.request("GET /v1/me/sessions"),
  ]);
  const hasEmail = own.methods.some((method) => method.kind === "email");
  const name = build("input", { id: "display-name", value: me.display_name, maxlength: 32, required: true, autocomplete: "nickname" });
  const [email, old, password] = [emailField("email"), passwordField("old", "current"), passwordField("password", "new")];
  replace(main, build("h1", {}, t("session.account")),
    me.is_anonymous && build("p", { class: "panel warning" }, t("account.is_guest")),
    build("div", { class: "halves" },
      panel(t("account.display_name"), form([labelled(t("account.display_name"), name)], t("account.save"), async () => {
        const changed = await client.request("PATCH /v1/me", { body: { display_name: name.value.trim() } });
        client.account.set({ ...client.session, display_name: changed.display_name });
        announce(t("account.saved"));
      })),
      !hasEmail && methods.includes("email") && panel(t("account.keep"), build("p", { class: "small" }, t("account.keep_hint")),
        form([labelled(t("account.email"), email)], t("account.mail_me"), async () => {
          await client.request("POST /v1/me/methods/email", { body: { email: email.value } });
          return t("account.mailed");
        })),
      hasEmail && panel(t("account.change_password"),
        form([labelled(t("account.old_password"), old), labelled(t("account.new_password"), password)], t("account.save"), async () => {
          const body = { password: old.value, new_password: password.value };
          const { ended } = await client.request("POST /v1/me/password", { body });
          return t("account.password_changed", { count: ended });
        })),
      panel(t("account.sessions"), build("ul", { class: "list" }, sessions.map(drawSession)))));
}

function drawSession(session) {
  const used = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" }).format(new Date(session.used_at));
  const item = build("li", {}, build("span", {}, t("account.session", { method: session.method, used })),
    session.is_this ? build("span", { class: "small" }, t("account.this_session"))
      : build("button", { type: "button", class: "quiet", onclick: action(async () => {
        await client.request("DELETE /v1/me/sessions/{session_id}", { path: { session_id: session.session_id } });
        item.remove();
      }) }, t("account.end_session")));
  return item;
}

async function show() {
  const offered = await client.request("GET /v1/auth/methods", { auth: false });
  if (client.session) await showAccount(offered);
  else showSignIn(offered);
}

let who = client.session?.user_id;
client.on("session", (session) => {
  if (session?.user_id === who) return;
  who = session?.user_id;
  show().catch(showError);
});
show().catch(showError);
