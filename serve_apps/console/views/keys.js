// API keys: made here and shown once, listed, revoked.
import { html, stylesheet, useEffect, useRef, useSource, useState } from "../dom.js";
import { request } from "../api.js";
import { Confirm } from "../components/dialog.js";
import { CopyButton } from "../components/copy.js";
import { dateTime } from "../format.js";
import { keys as text } from "../strings-session.js";
import { strings } from "../strings.js";

await stylesheet("css/session.css");

const DAYS = [7, 30, 90, 365];
const ROLES = ["viewer", "trainer"];
const SCOPES = ["jobs:read", "jobs:write", "data:read", "data:write", "models:read", "models:write", "webhooks:read",
  "webhooks:write", "reports:read", "admin"];

export function KeysView({ app, params }) {
  const { session } = app;
  useSource(session);
  const [keys, setKeys] = useState(null);
  const [error, setError] = useState(null);
  const [made, setMade] = useState(null);
  const [Link, setLink] = useState(null); // most servers have no provider, so its part comes when it is wanted
  const load = async () => {
    try {
      setKeys((await request("GET", "../keys")).keys);
      setError(null);
    } catch (problem) {
      setError(problem);
    }
    app.store.onAnswer(null); // the page is live from here on, though nothing here needs it
  };
  useEffect(() => {
    document.title = text.title;
    if (!session.who) void session.load().catch(() => {}); // the keys themselves tell what is wrong
    void load();
  }, []);
  const canLink = Boolean(session.who?.openid) && session.who.via === "session";
  useEffect(() => {
    if (canLink) void import("../components/openid-link.js").then((part) => setLink(() => part.OpenIdLink));
  }, [canLink]);
  if (session.isOpen) return html`<section class="notice"><h1>${text.heading}</h1><p class="muted">${text.open}</p></section>`;
  const onMade = (key) => {
    setMade(key);
    void load();
  };
  return html`
    <div class="page-head"><h1>${text.heading}</h1></div>
    ${made && html`<${Made} made=${made} onHide=${() => setMade(null)} />`}
    <${Make} role=${session.who?.role} teams=${session.who?.teams ?? []} onMade=${onMade} />
    ${error && html`<p class="inline-error" role="alert">${text.failedToLoad}: ${error.message}
      <button type="button" class="button button-small" onClick=${load}>${strings.actions.tryAgain}</button></p>`}
    <${List} keys=${keys} me=${session.who?.user} onChange=${load} />
    ${canLink && Link && html`<${Link} session=${session} isDone=${params?.get("linked") === "1"}
      problem=${params?.get("problem")} />`}
  `;
}

function Made({ made, onHide }) {
  const box = useRef(null);
  useEffect(() => box.current.focus(), [made]);
  return html`<section class="panel key-made" aria-labelledby="key-made" tabindex="-1" ref=${box}>
    <h2 id="key-made">${text.made}</h2>
    <p class="muted">${text.madeText}</p>
    <p class="key-text"><code>${made.api_key}</code><${CopyButton} text=${made.api_key} label=${text.copy} />
      <button type="button" class="button button-small" onClick=${onHide}>${text.hide}</button></p>
  </section>`;
}

function Make({ role, teams, onMade }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const box = useRef(null);
  const make = async (event) => {
    event.preventDefault();
    const { label, limit, days, scopes, team } = box.current.elements;
    if (busy || !label.value.trim()) return label.focus();
    setBusy(true);
    setError(null);
    const wanted = { label: label.value.trim(), role: limit.value || null, days: days.value ? Number(days.value) : null };
    const chosen = [...scopes.selectedOptions].map((option) => option.value);
    if (chosen.length > 0) wanted.scopes = chosen;
    if (team?.value) wanted.teams = [team.value];
    try {
      onMade(await request("POST", "../keys", { body: JSON.stringify(wanted) }));
      box.current?.reset();
    } catch (problem) {
      setError(problem.message);
    }
    return setBusy(false);
  };
  // A key for less than its user may do is all that there is to choose.
  const less = ROLES.slice(0, Math.max(0, ["viewer", "trainer", "admin"].indexOf(role)));
  return html`<form class="panel key-make" ref=${box} onSubmit=${make} aria-label=${text.make}>
    <label class="key-field key-label">${text.label}
      <input class="field" name="label" required maxlength="100" placeholder=${text.labelHint} autocomplete="off" /></label>
    <label class="key-field">${text.role}
      <select class="field" name="limit"><option value="">${text.roleAll}</option>
        ${less.map((name) => html`<option key=${name} value=${name}>${text.roles[name]}</option>`)}</select></label>
    ${teams.length > 0 && html`<label class="key-field">${text.team}
      <select class="field" name="team"><option value="">${text.teamAll}</option>
        ${teams.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}</select></label>`}
    <label class="key-field">${text.days}
      <select class="field" name="days"><option value="">${text.forever}</option>
        ${DAYS.map((n) => html`<option key=${n} value=${n}>${text.dayCount(n)}</option>`)}</select></label>
    <details class="key-scopes"><summary>${text.scopes}</summary>
      <label class="key-field">${text.scopesHint}
        <select class="field" name="scopes" multiple size=${SCOPES.length}>
          ${SCOPES.map((name) => html`<option key=${name} value=${name}>${text.scope[name] ?? name}</option>`)}</select></label></details>
    <button type="submit" class="button button-primary" disabled=${busy}>${busy ? text.making : text.make}</button>
    ${error && html`<p class="inline-error" role="alert">${error}</p>`}
  </form>`;
}

function List({ keys, me, onChange }) {
  const [asked, setAsked] = useState(null); // the key that is to be revoked
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  if (keys === null) return html`<p class="notice muted" role="status">${text.loading}</p>`;
  const revoke = async () => {
    setBusy(true);
    try {
      await request("DELETE", `../keys/${encodeURIComponent(asked.id)}`);
      setAsked(null);
      onChange();
    } catch (problem) {
      setError(problem.message);
    }
    setBusy(false);
  };
  const ask = (key) => {
    setError(null);
    setAsked(key);
  };
  return html`<section class="panel keys-list" aria-labelledby="keys-list">
    <div class="panel-head"><h2 id="keys-list">${text.list}</h2></div>
    ${keys.length === 0
      ? html`<p class="panel-note">${text.none}</p>`
      : html`<ul>${keys.map((key) => html`<${Key} key=${key.id} of=${key} me=${me} onRevoke=${() => ask(key)} />`)}</ul>`}
    ${asked && html`<${Confirm} title=${text.revokeTitle} text=${text.revokeText(asked.label)} action=${text.revoke}
      keep=${text.keep} busy=${busy} error=${error} onConfirm=${revoke} onClose=${() => setAsked(null)} />`}
  </section>`;
}

function Key({ of, me, onRevoke }) {
  const isOver = of.revoked_at !== null || Date.parse(of.expires_at) <= Date.now();
  const notes = [
    of.user !== me && `${text.columns.user}: ${of.user}`,
    of.role && (text.roles[of.role] ?? of.role),
    ...(of.scopes ?? []).map((name) => text.scope[name] ?? name),
    ...(of.teams ?? []).map((name) => `${text.team}: ${name}`),
    ...(of.kinds ?? []).map((name) => `${text.kind}: ${name}`),
    `${text.columns.created}: ${dateTime(of.created_at)}`,
    `${text.columns.used}: ${of.used_at ? dateTime(of.used_at) : text.never}`,
  ];
  return html`<li class=${isOver ? "key key-over" : "key"}>
    <span class="key-about"><b>${of.label}</b><small class="num">${notes.filter(Boolean).join(" · ")}</small></span>
    <span class="muted num">${stateOf(of)}</span>
    ${!isOver && html`<button type="button" class="button button-small" aria-label=${text.revokeOf(of.label)} onClick=${onRevoke}>
      ${text.revoke}</button>`}
  </li>`;
}

function stateOf({ revoked_at: revoked, expires_at: expires }) {
  if (revoked) return text.revoked(dateTime(revoked));
  if (!expires) return text.holds;
  return Date.parse(expires) <= Date.now() ? text.expired(dateTime(expires)) : text.until(dateTime(expires));
}
