// Who is signed in, in the header: name, role, keys, the way out. Nothing where nobody has to sign in.
import { html, useEffect, useRef, useSource, useState } from "../dom.js";
import { go, signInHref } from "../router.js";
import { who as text } from "../strings-session.js";

export function Who({ session }) {
  useSource(session);
  useEffect(() => {
    if (!session.who) void session.load().catch(() => {}); // the view itself tells what is wrong
  }, [session]);
  if (session.who === null || session.isOpen) return null;
  if (!session.isSignedIn && location.hash.startsWith("#/sign-in")) return null; // it is before their eyes
  if (session.isSignedIn) return html`<${Menu} session=${session} />`;
  return html`<a class="header-link who" href=${signInHref(location.hash)}>${text.signIn}</a>`;
}

function Menu({ session }) {
  const box = useRef(null);
  const [error, setError] = useState(null);
  const { user, role } = session.who;
  const close = () => {
    if (box.current) box.current.open = false;
  };
  useEffect(() => {
    const outside = (event) => box.current && !box.current.contains(event.target) && close();
    addEventListener("pointerdown", outside);
    addEventListener("hashchange", close);
    return () => {
      removeEventListener("pointerdown", outside);
      removeEventListener("hashchange", close);
    };
  }, []);
  const keys = (event) => {
    if (event.key !== "Escape" || !box.current.open) return;
    close();
    box.current.querySelector("summary").focus();
  };
  const leave = async () => {
    try {
      await session.signOut();
      go("#/sign-in");
    } catch (problem) {
      setError(problem.message);
    }
  };
  return html`<details class="who" ref=${box} onKeyDown=${keys}>
    <summary aria-label=${text.menu(user)}><span class="who-name">${user}</span></summary>
    <div class="who-menu">
      <p class="who-about"><b>${user}</b> <span class="muted">${text.roles[role] ?? role}</span></p>
      <a class="who-item" href="#/keys">${text.keys}</a>
      <button type="button" class="who-item" onClick=${leave}>${text.signOut}</button>
      ${error && html`<p class="who-error" role="alert">${error}</p>`}
    </div>
  </details>`;
}
