// The way to a job's page on the Ray dashboard, where this browser could reach it.
import { html, useEffect, useState } from "../dom.js";
import { request } from "../api.js";
import { ray as text } from "../strings-failure.js";

let known = null; // the address, asked for once

export function RayLink({ job }) {
  const [address, setAddress] = useState(null);
  useEffect(() => {
    known ??= request("GET", "../health").then(
      ({ checks }) => checks.ray?.detail.dashboard ?? null,
      () => (known = null), // another look may find it
    );
    let isHere = true;
    void known.then((found) => isHere && setAddress(found));
    return () => {
      isHere = false;
    };
  }, []);
  const url = dashboardUrl(address, job.submission_id, location.hostname);
  if (!url) return null;
  return html`<a href=${url} target="_blank" rel="noopener noreferrer" title=${text.help}>${text.link} ↗</a>`;
}

const isLoopback = (host) => host === "localhost" || host === "[::1]" || /^127\./.test(host);

/** The page of a submission; null where there is none, or only the server's own machine reaches it. */
export function dashboardUrl(address, submissionId, here) {
  if (!address || !submissionId || !URL.canParse(address)) return null;
  const url = new URL(address);
  if (!/^https?:$/.test(url.protocol) || (isLoopback(url.hostname) && !isLoopback(here))) return null;
  if (url.hostname === "0.0.0.0") url.hostname = here; // it listens everywhere
  url.hash = `/jobs/${encodeURIComponent(submissionId)}`;
  return url.href;
}
