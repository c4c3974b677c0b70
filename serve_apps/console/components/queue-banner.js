// Says on every page that the queue is paused. Asked for once the first view stands, and again when the stream tells
// that somebody holds it or lets it go.
import { html, useEffect, useSource, useState } from "../dom.js";
import { request } from "../api.js";
import { dateTime } from "../format.js";
import { hold as text } from "../strings-hold.js";
import { useEvents, useLoad } from "./load.js";

const QUEUE = ["queue"];

export function QueueBanner({ app }) {
  const { who, isOpen, isSignedIn } = useSource(app.session);
  return (isOpen || isSignedIn) && html`<${Banner} app=${app} isAdmin=${who.role === "admin"} />`;
}

function Banner({ app, isAdmin }) {
  const { value, reload } = useLoad("hold", (signal) => request("GET", "../queue", { params: { limit: 0 }, signal, stays: true }));
  const [place, setPlace] = useState(() => location.hash);
  useEvents(app.store, QUEUE, reload, 0);
  useEffect(() => {
    const moved = () => setPlace(location.hash);
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  const paused = value?.paused;
  if (!paused || /^#\/admin(\?part=queue)?$/.test(place)) return null; // there it stands in its own place
  const since = dateTime(paused.at);
  return html`<div class="banner queue-banner" role="status">
    <span>${paused.reason ? text.pausedWhy(paused.by, since, paused.reason) : text.paused(paused.by, since)}</span>
    ${isAdmin && html`<a href="#/admin?part=queue">${text.manage}</a>`}
  </div>`;
}
