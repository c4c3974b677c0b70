// How far a job was at which time: drawn and as a table, each point marked with whose word it is.
import { html, useEffect, useMemo, useState } from "../dom.js";
import { request } from "../api.js";
import { duration } from "../format.js";
import { ProgressPoints } from "../progresspoints.js";
import { strings } from "../strings.js";
import { history as text } from "../strings-history.js";
import { Chart } from "./chart.js";
import { Failed } from "./load.js";

const origins = strings.job.origin;
const MOST_RUNS = 50; // rows of the table, the newest ones
const share = (value) => (Number.isFinite(value) ? `${value.toFixed(1)} %` : "–");
const whole = (value) => `${Math.round(value)} %`;

export function History({ store, id }) {
  const { points, version, error, hasRead, reload } = usePoints(store, id);
  const names = useMemo(() => points.origins(), [points, version]);
  const columns = useMemo(() => points.columns(names), [points, version, names.join()]);
  if (error) return html`<${Failed} what=${text.failed} error=${error} onAgain=${reload} />`;
  if (columns[0].length === 0) return html`<p class="muted">${hasRead ? text.none : text.loading}</p>`;
  const curves = [{ name: "all", label: "", isFaint: true }, ...names.map((name) => ({ name, label: origins[name].label, isDashed: name === "estimated" }))];
  return html`<div class="history">
    <${Chart} title=${text.title} curves=${curves} columns=${columns} sync=${`${id}-progress`} isWhole=${false} format=${share} tick=${whole} />
    <${Runs} runs=${points.runs()} />
  </div>`;
}

/** What the server holds, and what the stream brings from then on. */
function usePoints(store, id) {
  const [state, setState] = useState({ points: new ProgressPoints(), version: 0, error: null, hasRead: false });
  const [turn, setTurn] = useState(0);
  const reload = () => setTurn((count) => count + 1);
  useEffect(() => {
    const points = new ProgressPoints();
    const closing = new AbortController();
    let frame = null;
    const tell = (change = {}) => setState((before) => ({ ...before, ...change, points, version: points.version }));
    const drawSoon = () => (frame ??= requestAnimationFrame(() => ((frame = null), tell())));
    // Before the list is read, so that no event falls between the two.
    const taker = {
      take: (event) => {
        const before = points.version;
        if (event.job_id === id) points.take(event);
        if (points.version !== before) drawSoon();
      },
      fresh: reload,
    };
    store.takers.add(taker);
    request("GET", `jobs/${encodeURIComponent(id)}/progress`, { signal: closing.signal }).then(
      ({ points: found }) => (found.forEach((point) => points.add(point)), tell({ error: null, hasRead: true })),
      (error) => closing.signal.aborted || tell({ error }),
    );
    return () => {
      closing.abort();
      store.takers.delete(taker);
      cancelAnimationFrame(frame);
    };
  }, [store, id, turn]);
  return { ...state, reload };
}

function Runs({ runs }) {
  const shown = runs.slice(-MOST_RUNS).reverse();
  const words = text.columns;
  return html`<div class="scroll history-runs" tabindex="0" role="region" aria-label=${text.caption}>
    <table class="table">
      <caption class="visually-hidden">${text.caption}</caption>
      <thead><tr><th scope="col">${words.origin}</th><th scope="col">${words.time}</th><th scope="col">${words.progress}</th></tr></thead>
      <tbody>${shown.map(({ origin, attempt, from, to, begins, ends }) => html`<tr key=${`${attempt}:${from}:${origin}`}>
        <th scope="row"><span class=${`origin origin-${origin}`} title=${origins[origin].help}>${origins[origin].label}</span></th>
        <td>${from === to ? duration(from) : text.span(duration(from), duration(to))}</td>
        <td>${begins === ends ? share(begins) : text.span(share(begins), share(ends))}</td>
      </tr>`)}</tbody>
    </table>
  </div>`;
}
