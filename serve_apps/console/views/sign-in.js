// Signing in: with name and password or with an API key, and back to where somebody wanted to go.
import { html, stylesheet, useEffect, useNow, useRef, useSource, useState } from "../dom.js";
import { Drafts, isIntended } from "../form/draft.js";
import { go } from "../router.js";
import { signIn as text } from "../strings-session.js";

await stylesheet("css/session.css");

const WAYS = { password: ["name", "password"], key: ["api_key"] };

export function SignInView({ app, params }) {
  const { session } = app;
  useSource(session);
  const starts = isIntended(new Drafts(localStorage).read(), Date.now());
  const back = placeOf(params.get("back")) ?? (starts ? "#/new" : "#/");
  useEffect(() => {
    document.title = text.title;
    const known = session.who?.openid !== undefined ? Promise.resolve() : session.load();
    // The form is there whatever the answer; and the page is live from here on, for whoever may read.
    known.catch(() => {}).finally(() => app.store.onAnswer(null));
  }, [session]);
  if (session.isOpen) return html`<${Notice} heading=${text.open} note=${text.openText} href=${back} />`;
  if (session.isSignedIn) return html`<${Notice} heading=${text.done(session.who.user)} href=${back} />`;
  return html`<section class="panel sign-in" aria-labelledby="sign-in">
    <h1 id="sign-in">${text.heading}</h1>
    ${starts ? html`<p class="muted">${text.start}</p>` : params.get("back") && html`<p class="muted">${text.ended}</p>`}
    ${session.who?.openid && html`<${Elsewhere} session=${session} back=${back} problem=${params.get("problem")} />`}
    <${Form} session=${session} onDone=${() => go(back, { replace: true })} />
  </section>`;
}

/** A place on this page, or null: an address of elsewhere is none. */
const placeOf = (back) => (back?.startsWith("#/") && !back.startsWith("#/sign-in") ? back : null);

function Notice({ heading, note, href }) {
  return html`<section class="notice"><h1>${heading}</h1>
    ${note && html`<p class="muted">${note}</p>`}<a class="button" href=${href}>${text.goOn}</a></section>`;
}

/** The way over the OpenID provider; the form that was filled in is there when it leads back. */
function Elsewhere({ session, back, problem: told }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(told);
  const leave = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await session.leaveToSignIn(back);
    } catch (error) {
      setBusy(false);
      setProblem(error.message);
    }
  };
  return html`<div class="sign-in-elsewhere">
    <button type="button" class="button" disabled=${busy} onClick=${leave}>${busy ? text.leaving : text.elsewhere(session.who.openid)}</button>
    ${problem && html`<p class="inline-error" role="alert">${problem}</p>`}
    <p class="muted">${text.or}</p>
  </div>`;
}

function Form({ session, onDone }) {
  const [way, setWay] = useState("password");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const [until, setUntil] = useState(0); // ms; no try before
  const [missing, setMissing] = useState(null);
  const box = useRef(null);
  const wait = Math.ceil((until - useNow(500)) / 1000);
  useEffect(() => box.current.querySelector("input").focus(), [way]);
  const submit = async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(WAYS[way].map((name) => [name, box.current.elements[name].value]));
    const empty = WAYS[way].find((name) => !given[name].trim());
    setMissing(empty ?? null);
    if (empty) return box.current.elements[empty].focus();
    if (busy || wait > 0) return undefined;
    setBusy(true);
    setProblem(null);
    try {
      await session.signIn(given);
      return onDone();
    } catch (error) {
      setBusy(false);
      if (error.retryAfterS) setUntil(Date.now() + error.retryAfterS * 1000);
      else setProblem(error.message);
      return box.current?.elements[WAYS[way].at(-1)].select();
    }
  };
  const choose = (name) => {
    setWay(name);
    setProblem(null);
    setMissing(null);
  };
  return html`<form ref=${box} novalidate onSubmit=${submit} aria-labelledby="sign-in">
    <div class="segments" role="group" aria-label=${text.with}>
      ${Object.keys(WAYS).map((name) => html`<button type="button" class="segment" key=${name}
        aria-pressed=${name === way ? "true" : "false"} onClick=${() => choose(name)}>${text.ways[name]}</button>`)}
    </div>
    ${way === "password"
      ? html`<${Field} key="name" name="name" label=${text.name} autocomplete="username" missing=${missing} />
          <${Field} key="password" name="password" label=${text.password} type="password" autocomplete="current-password" missing=${missing} />`
      : html`<${Field} key="key" name="api_key" label=${text.key} type="password" autocomplete="off" help=${text.keyHelp} missing=${missing} />`}
    ${problem && html`<p class="inline-error" role="alert">${problem}</p>`}
    ${wait > 0 && html`<p class="inline-error num" role="alert">${text.wait(wait)}</p>`}
    <button type="submit" class="button button-primary" disabled=${busy || wait > 0}>${busy ? text.working : text.submit}</button>
  </form>`;
}

function Field({ name, label, type = "text", help, missing, ...rest }) {
  const isMissing = missing === name;
  const note = isMissing ? text.missing : help;
  return html`<div class="sign-in-field"><label for=${`sign-in-${name}`}>${label}</label>
    <input class="field" id=${`sign-in-${name}`} name=${name} type=${type} required spellcheck=${false} autocapitalize="none" maxlength="1000"
      aria-invalid=${isMissing ? "true" : undefined} aria-describedby=${note ? `${name}-note` : undefined} ...${rest} />
    ${note && html`<small id=${`${name}-note`}>${note}</small>`}
  </div>`;
}
