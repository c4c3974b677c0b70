// A new job: its kind, where it runs, its settings, and what it would cost.
import { html, useEffect, useMemo, useRef, useSource } from "../dom.js";
import { Estimate, Snippets } from "../components/form/aside.js";
import { Group, idOf, labelOf, marked } from "../components/form/fields.js";
import { COMING } from "../form/arrival.js";
import { NewJob } from "../form/newjob.js";
import { SIGN_IN } from "../form/starting.js";
import { go, jobHref } from "../router.js";
import { newJob as text } from "../strings-new.js";
import { strings } from "../strings.js";

export function NewView({ app, params }) {
  const form = useMemo(() => new NewJob(), []);
  const wanted = { kind: params.get("kind"), backend: params.get("backend"), like: params.get("like") };
  useEffect(() => {
    document.title = text.title;
    void form.open(wanted).then(async () => {
      await (app.session.who ?? app.session.load().catch(() => {}));
      app.store.onAnswer(null); // the page is live from here on, where somebody may look
      // A copy of a job is in the draft from here on: a reload must not copy it again.
      if (wanted.like && form.root) go("#/new", { replace: true });
      else {
        const outcome = await form.resumeStart();
        follow(outcome);
        // Somebody who came back without having signed in goes on filling in.
        if (outcome?.is === "signIn") app.session.lost();
      }
    });
    return () => form.close();
  }, [form]);
  useSource(form);
  if (form.error) {
    return html`<p class="inline-error" role="alert">${text.failedToLoad}: ${form.error.message}
      <button type="button" class="button button-small" onClick=${() => form.reload(wanted)}>${strings.actions.tryAgain}</button></p>`;
  }
  if (!form.root) return html`<p class="notice muted" role="status">${text.loading}</p>`;
  return html`<${Form} app=${app} form=${form} />`;
}

/** To the job, where there is one. */
function follow(outcome) {
  if (outcome?.is === "started") go(jobHref(outcome.job.id));
}

function Form({ app, form }) {
  const box = useRef(null);
  const submit = async (event) => {
    event.preventDefault();
    if (form.busy || form.arrival.isOn) return;
    const outcome = await form.start();
    follow(outcome);
    if (outcome.is === "signIn") {
      app.session.lost();
      go(SIGN_IN);
    }
    // After the page has shown what is wrong.
    if (outcome.is === "invalid" || outcome.is === "refused") requestAnimationFrame(() => requestAnimationFrame(() => lead(box.current, form, outcome.problem)));
  };
  const keys = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) box.current.requestSubmit();
  };
  const { body } = form.read();
  return html`<div class="list-head"><h1>${text.heading}</h1><span class="spacer"></span>
      <button type="button" class="button button-small" onClick=${() => form.clear()}>${text.clear}</button></div>
    <${Notice} form=${form} />
    <form class="form" novalidate ref=${box} onSubmit=${submit} onKeyDown=${keys} aria-label=${text.heading}>
      <div class="form-main">
        <${What} form=${form} />
        <${Settings} form=${form} />
      </div>
      <div class="form-aside">
        <${Estimate} estimate=${form.estimate} />
        <${Wrong} form=${form} />
        ${form.arrival.isOn && html`<p class="form-notice form-arrival" role="status">${text.arrival}
          <button type="button" class="button button-small" onClick=${() => form.arrival.callOff()}>${text.callOff}</button></p>`}
        <button type="submit" class="button button-primary form-start" disabled=${form.busy || form.arrival.isOn}>
          ${form.busy ? text.starting : form.arrival.isOn ? text.waits : form.notice === "signIn" ? text.signIn : text.start}</button>
        <${Snippets} body=${body} />
      </div>
    </form>`;
}

function Notice({ form }) {
  if (form.notice === "brought") {
    return html`<p class="form-notice" role="status">${text.brought}
      <button type="button" class="button button-small" onClick=${() => form.bringBack()}>${text.bringBack}</button></p>`;
  }
  if (form.notice !== "signIn") return null;
  return html`<p class="form-notice" role="status">${text.signInText} <a href=${SIGN_IN}>${text.toSignIn}</a></p>`;
}

/** The kind and where it runs. */
function What({ form }) {
  const kinds = [...new Set(form.kinds.map(({ kind }) => kind))];
  const backends = form.kinds.filter(({ kind }) => kind === form.kind).map(({ backend }) => backend);
  const chosen = form.kinds.find(({ kind, backend }) => kind === form.kind && backend === form.backend);
  const provider = form.providers[form.backend];
  const segments = (label, names, now, word, choose) => html`<div class="form-choice"><span class="form-label" aria-hidden="true">${label}</span>
    <div class="segments" role="group" aria-label=${label}>
      ${names.map((name) => html`<button type="button" class="segment" key=${name} aria-pressed=${name === now ? "true" : "false"}
        onClick=${() => name !== now && choose(name)}>${word(name)}</button>`)}
    </div></div>`;
  return html`<section class="panel form-what" aria-label=${text.kind}>
    ${segments(text.kind, kinds, form.kind, (name) => text.kinds[name] ?? labelOf({ name }), (kind) => form.choose(kind))}
    ${backends.length > 1 && segments(text.backend, backends, form.backend, (name) => strings.backends[name] ?? name, (backend) => form.choose(form.kind, backend))}
    <p class="form-help">${marked(chosen.description)}</p>
    ${provider && !provider.configured && html`<p class="form-help form-warn">${text.notSetUp(strings.backends[form.backend] ?? form.backend, provider.setting)}</p>`}
  </section>`;
}

/** The members of the specification; what is in its groups stands on a level with its own. */
function Settings({ form }) {
  const { fields } = form.root;
  const config = fields.find(({ name }) => name === "config");
  const own = { ...form.root, fields: fields.filter((field) => field !== config) };
  const name = own.fields.find(({ required }) => required);
  const rest = { ...own, fields: own.fields.filter((field) => field !== name) };
  return html`<section class="form-settings" aria-label=${labelOf({ name: "settings" })}>
    ${name && html`<${Group} form=${form} field=${{ ...own, fields: [name] }} />`}
    ${config && html`<${Group} form=${form} field=${config} path=${["config"]} key=${`${form.kind}/${form.backend}`} />`}
    <${Group} form=${form} field=${rest} />
  </section>`;
}

function Wrong({ form }) {
  const general = ["", "config"].map((key) => form.refused.get(key)).filter(Boolean).join("; ");
  const problems = form.read().problems.filter(({ code }) => code !== COMING);
  const shown = form.touched.has("*") ? problems.length + [...form.refused.keys()].filter((key) => key !== "" && key !== "config").length : 0;
  const told = form.failure ?? general;
  if (!told && shown === 0) return null;
  return html`<p class="inline-error form-error" role="alert" id="form-wrong" tabindex="-1">
    ${told ? `${text.refused}: ${told}` : text.lookAt(shown)}</p>`;
}

/** The keyboard to the first field that needs a look. */
function lead(box, form, problem) {
  const first = problem?.path ?? [...form.refused.keys()].find((key) => key !== "" && key !== "config")?.split(".");
  const place = first && firstOf(first);
  (place ?? box.querySelector("#form-wrong"))?.focus();
}

function firstOf(path) {
  for (let length = path.length; length > 0; length -= 1) {
    const found = document.getElementById(idOf(path.slice(0, length)));
    if (found) return found;
  }
  return null;
}
