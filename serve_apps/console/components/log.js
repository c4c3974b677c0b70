// The log of a job: follows its end until the reader scrolls away, and loads older lines upwards.
// Lines are real text in the page, so that the browser's own search, selection and zoom work;
// blocks that are out of sight cost nothing (`content-visibility` in the style sheet).
import { html, memo, useLayoutEffect, useRef, useState } from "../dom.js";
import { strings } from "../strings.js";
import { clockTime, dateTime } from "../format.js";

const NEAR_END_PX = 32;

/** @param {{log: import("../logbuffer.js").LogBuffer, state: {loaded: boolean, error: string | null,
 *   hasOlder: boolean}, isFinal: boolean, download: {href: string, name: string},
 *   onOlder: () => Promise<void>}} props */
export function Log({ log, state, isFinal, download, onOlder }) {
  const box = useRef(null);
  const [follow, setFollow] = useState(true);
  const [wrap, setWrap] = useState(false);
  const [loading, setLoading] = useState(false);
  const drawn = useRef({ first: null, height: 0 });

  useLayoutEffect(() => {
    const view = box.current;
    const first = log.blocks[0]?.rows[0].id ?? null;
    const before = drawn.current;
    if (follow) view.scrollTop = view.scrollHeight;
    // Older lines came in above: what the reader looks at stays where it is.
    else if (before.first !== null && first < before.first) view.scrollTop += view.scrollHeight - before.height;
    drawn.current = { first, height: view.scrollHeight };
  }, [log.version, follow, wrap]);

  const onScroll = ({ currentTarget: view }) => {
    const atEnd = view.scrollHeight - view.scrollTop - view.clientHeight < NEAR_END_PX;
    if (atEnd !== follow) setFollow(atEnd);
  };
  const older = async () => {
    setLoading(true);
    await onOlder();
    setLoading(false);
  };
  return html`<section class="panel log-panel" aria-labelledby="log-heading">
    <div class="panel-head">
      <h2 id="log-heading">${strings.log.heading}</h2>
      <span class="muted num">${log.lineCount > 0 && strings.log.lines(log.lineCount)}</span>
      <span class="spacer"></span>
      <label class="check"><input type="checkbox" checked=${wrap} onChange=${(event) => setWrap(event.target.checked)} />
        ${strings.log.wrap}</label>
      <a class="button button-small" href=${download.href} download=${download.name}>${strings.log.download}</a>
    </div>
    ${state.error && html`<p class="inline-error" role="alert">${strings.log.failedToLoad}: ${state.error}</p>`}
    <div class="log-frame">
      <div class=${`log${wrap ? " log-wrap" : ""}`} ref=${box} onScroll=${onScroll} tabindex="0" role="log"
        aria-live="off" aria-label=${strings.log.label}>
        <${Head} log=${log} hasOlder=${state.hasOlder} loading=${loading} onOlder=${older} />
        ${log.blocks.map((block) => html`<${Block} key=${block.id} rows=${block.rows} ranks=${log.severalRanks} />`)}
        ${log.lineCount === 0 &&
        state.loaded &&
        html`<p class="log-note">${isFinal ? strings.log.emptyFinal : strings.log.empty}</p>`}
      </div>
      ${!follow &&
      html`<button type="button" class="button log-end" onClick=${() => setFollow(true)}>${strings.log.toEnd} ↓</button>`}
    </div>
  </section>`;
}

function Head({ log, hasOlder, loading, onOlder }) {
  if (log.lineCount === 0) return null;
  if (log.dropped > 0) return html`<p class="log-note">${strings.log.dropped(log.dropped)}</p>`;
  if (!hasOlder) return null;
  return html`<p class="log-note">
    <button type="button" class="button button-small" disabled=${loading} onClick=${onOlder}>
      ${loading ? strings.log.loadingOlder : strings.log.older}
    </button>
  </p>`;
}

const Block = memo(function Block({ rows, ranks }) {
  return html`<div class="log-block">
    ${rows.map(
      (row) => html`${row.isNewAttempt && html`<p class="log-note" key=${`a${row.id}`}>${strings.job.attempt(row.attempt)}</p>`}
        <div class="log-row" key=${row.id}>
          <time class="log-time" datetime=${row.at} title=${dateTime(row.at)}>${clockTime(row.at)}</time>
          ${ranks && html`<span class="log-rank">${row.rank < 0 ? strings.log.driver : strings.log.rank(row.rank)}</span>`}
          <span class="log-text">${row.text}</span>
        </div>`,
    )}
  </div>`;
});
