// The administration, in parts; which one is shown stands in the address.
import { html, lazy, stylesheet, useEffect, useSource } from "../dom.js";
import { Keys } from "../components/admin/keys.js";
import { Letters } from "../components/admin/letters.js";
import { Providers } from "../components/admin/providers.js";
import { Queue } from "../components/admin/queue.js";
import { Storage } from "../components/admin/storage.js";
import { Alerts, System } from "../components/admin/system.js";
import { Users } from "../components/admin/users.js";
import { admin as text } from "../strings-admin.js";

await stylesheet("css/report.css");

const SHEET = "css/control.css";
const Teams = lazy(() => import("../components/admin/teams.js").then((module) => module.Teams), SHEET);
const Quotas = lazy(() => import("../components/admin/quotas.js").then((module) => module.Quotas), SHEET);
const Hooks = lazy(() => import("../components/admin/hooks.js").then((module) => module.Hooks), SHEET);
const Audit = lazy(() => import("../components/admin/audit.js").then((module) => module.Audit), SHEET);

const PARTS = {
  __proto__: null,
  queue: Queue, users: Users, teams: Teams, keys: Keys, quotas: Quotas, providers: Providers, hooks: Hooks, letters: Letters,
  storage: Storage, audit: Audit, system: System, alerts: Alerts,
};

export function AdminView({ app, params }) {
  const { session } = app;
  useSource(session);
  const chosen = params.get("part");
  const name = chosen in PARTS ? chosen : "queue";
  useEffect(() => {
    if (!session.who) void session.load().catch(() => {}); // the part tells what is wrong
    app.store.onAnswer(null);
  }, []);
  useEffect(() => void (document.title = text.title(text.part[name])), [name]);
  if (session.who && session.who.role !== "admin") {
    return html`<section class="notice"><h1>${text.only}</h1><p class="muted">${text.onlyText(session.who.user)}</p></section>`;
  }
  return html`
    <div class="page-head"><h1>${text.heading}</h1>
      <nav class="segments parts" aria-label=${text.parts}>${Object.keys(PARTS).map(
        (part) => html`<a class="segment" key=${part} href=${`#/admin?part=${part}`} aria-current=${part === name ? "page" : undefined}>${text.part[part]}</a>`,
      )}</nav></div>
    ${session.who && html`<div class="stack"><${PARTS[name]} key=${name} app=${app} /></div>`}
  `;
}
