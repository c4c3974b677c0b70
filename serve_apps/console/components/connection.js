// Whether the page is live: a quiet word in the header, and a banner while the connection is lost.
import { html, useNow, useSource } from "../dom.js";
import { strings } from "../strings.js";

export function ConnectionBadge({ live }) {
  useSource(live);
  return html`<p class=${`connection connection-${live.state}`} role="status">
    <span class="connection-dot" aria-hidden="true"></span>${strings.connection[live.state]}
  </p>`;
}

export function ConnectionBanner({ live }) {
  useSource(live);
  if (live.state !== "lost") return null;
  return html`<div class="banner" role="alert">
    <p>${strings.connection.lostLong}</p>
    <${RetryClock} live=${live} />
  </div>`;
}

// Apart from the alert's text, so that a screen reader does not read out every second.
function RetryClock({ live }) {
  const now = useNow(500);
  const seconds = Math.ceil((live.retryAt - now) / 1000);
  return html`<p class="banner-retry" aria-live="off">
    <span>${seconds > 0 ? strings.connection.retryIn(seconds) : strings.connection.retrying}</span>
    <button type="button" class="button" onClick=${() => live.retryNow()}>${strings.connection.retryNow}</button>
  </p>`;
}
