// Lets an account at the OpenID provider stand for whoever is signed in; fetched where there is a provider.
import { html, useState } from "../dom.js";
import { link as text } from "../strings-session.js";

export const LINKED = "#/keys?linked=1";

export function OpenIdLink({ session, isDone, problem: before }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(before);
  const { openid, user } = session.who;
  const leave = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await session.leaveToSignIn(LINKED, { link: true });
    } catch (error) {
      setBusy(false);
      setProblem(error.message);
    }
  };
  return html`<section class="panel key-link" aria-labelledby="key-link">
    <h2 id="key-link">${text.heading(openid)}</h2>
    ${isDone && html`<p role="status">${text.done(openid, user)}</p>`}
    <p class="muted">${text.about(openid)}</p>
    <p><button type="button" class="button" disabled=${busy} onClick=${leave}>${busy ? text.leaving : text.link(openid)}</button></p>
    ${problem && html`<p class="inline-error" role="alert">${problem}</p>`}
  </section>`;
}
