// The page behind a mailed link: the code is behind the #, so no server's log has it.

import { build, labelled, replace } from "/static/dom.js";
import { action, client } from "/static/site.js";
import { t } from "/static/strings.js";

const code = location.hash.slice(1);
history.replaceState(null, "", location.pathname); // out of the history, and out of sight

const main = document.querySelector("main");
const password = build("input", { id: "password", type: "password", autocomplete: "new-password", minlength: 8, maxlength: 512 });
const form = build("form", { class: "panel", id: "form", onsubmit: action(confirm) },
  labelled(t("confirm.password"), password, t("confirm.hint")),
  build("p", { class: "actions" }, build("button", {}, t("confirm.button"))));
const said = build("p", { id: "said", role: "status", "aria-live": "polite" });

async function confirm() {
  const body = password.value ? { code, password: password.value } : { code };
  const { done, tokens } = await client.request("POST /v1/auth/email/confirm", { body, auth: false });
  if (tokens) client.useTokens(tokens);
  replace(said, t(`confirm.${done}`), " ", build("a", { href: client.session ? "/" : "/account" }, t(client.session ? "nav.play" : "session.sign_in")));
  form.hidden = true;
}

replace(main, build("h1", {}, t("confirm.title")), code && form, said);
if (!code) said.textContent = t("confirm.no_code");
