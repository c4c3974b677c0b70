// The log of a job: follows its end until the reader scrolls away, and shows any part of a log of any length.
// Only the lines in sight are in the page; they stand where their numbers and the heights of the lines above put them.
import { html, lazy, useEffect, useLayoutEffect, useRef, useSource, useState } from "../../dom.js";
import { logUrl } from "../../api.js";
import { words } from "../../strings-log.js";
import { Lines } from "./lines.js";

const Search = lazy(() => import("./search.js").then((module) => module.Search));
const NO_MATCHES = { line: null, turn: 0, has: () => false };
const LINE_PX = 20; // as in log.css
const NEAR_END_PX = 32;
const BEYOND = 30; // lines above and below those in sight
const MOST_PX = 15_000_000; // browsers end the height of an element not far above this
const MOST_COPIED = 20_000;

/** @param {{lines: import("../../loglines.js").LogLines, jobId: string, isFinal: boolean}} props */
export function Log({ lines, jobId, isFinal }) {
  useSource(lines);
  const [wrap, setWrap] = useState(null); // heights.js, where lines are wrapped
  const [isSearching, setSearching] = useState(false);
  const [matches, setMatches] = useState(NO_MATCHES);
  const view = useView(lines, wrap, matches);
  const onWrap = async (event) => setWrap(event.target.checked ? await import("../../heights.js") : null);
  const { box, follow } = view;
  return html`<div class="panel-head">
      <h2 id="log-heading">${words.heading}</h2>
      <span class="muted num">${lines.total > 0 && words.lines(lines.total)}</span>
      ${isSearching
        ? html`<${Search} lines=${lines} onMatches=${setMatches} />`
        : html`<button type="button" class="button button-small log-seek" onClick=${() => setSearching(true)}>${words.search}</button>`}
      <span class="spacer"></span>
      ${lines.ranks.length > 1 && html`<${Ranks} lines=${lines} />`}
      <label class="check"><input type="checkbox" checked=${wrap !== null} onChange=${onWrap} />${words.wrap}</label>
      <${Copy} lines=${lines} />
      <a class="button button-small" href=${logUrl(jobId)} download=${`${jobId}.log`}>${words.download}</a>
    </div>
    ${lines.error && html`<p class="inline-error" role="alert">${words.failedToLoad}: ${lines.error}</p>`}
    <div class="log-frame">
      <div class=${`log${wrap ? " log-wrap" : ""}`} ref=${box} onScroll=${view.onScroll} onKeyDown=${view.onKey} tabindex="0" role="log"
        aria-live="off" aria-label=${words.label}>
        ${lines.total > 0 && html`<div class="log-all" style=${{ height: `${view.height}px` }}>
          <${Lines} lines=${lines} range=${view.range} top=${view.top} isMatch=${matches.has} current=${matches.line}
            ranks=${lines.ranks.length > 1 && lines.rank === null} onDrawn=${view.onDrawn} /></div>`}
        ${lines.total === 0 && lines.loaded && html`<p class="log-note">${isFinal ? words.emptyFinal : words.empty}</p>`}
      </div>
      ${!follow && html`<button type="button" class="button log-end" onClick=${view.toEnd}>${words.toEnd} ↓</button>`}
    </div>`;
}

function Ranks({ lines }) {
  const choose = (event) => lines.choose(event.target.value === "" ? null : Number(event.target.value));
  return html`<select class="field field-small" aria-label=${words.ranks} value=${lines.rank ?? ""} onChange=${choose}>
    <option value="">${words.allRanks}</option>
    ${lines.ranks.map((rank) => html`<option key=${rank} value=${rank}>${rank < 0 ? words.driver : words.rank(rank)}</option>`)}
  </select>`;
}

function Copy({ lines }) {
  const [isDone, setDone] = useState(false);
  useEffect(() => {
    if (!isDone) return undefined;
    const timer = setTimeout(() => setDone(false), 1500);
    return () => clearTimeout(timer);
  }, [isDone]);
  const copy = async () => setDone(await (await import("../copy.js")).copyText(await lines.text(MOST_COPIED)));
  return html`<button type="button" class="button button-small" title=${words.copyHelp(MOST_COPIED)} onClick=${() => void copy().catch(() => {})}>
    <span aria-live="polite">${isDone ? words.copied : words.copy}</span></button>`;
}

/** Which lines are drawn, and where; what scrolls there. */
function useView(lines, wrap, matches) {
  const box = useRef(null);
  const [follow, setFollow] = useState(true);
  const [scroll, setScroll] = useState({ top: 0, height: 460 });
  const heights = useRef(null);
  if (wrap) {
    heights.current ??= new wrap.Heights(LINE_PX);
    heights.current.grow(lines.total);
  } else heights.current = null;
  const place = placing(lines.total, heights.current, scroll.height);
  const now = useRef(null);
  now.current = { place, lines, follow };
  const seen = place.lineAt(scroll.top);
  const range = follow ? lastOnes(lines.total, scroll.height) : [Math.max(0, seen - BEYOND), Math.min(lines.total, place.lineAt(scroll.top + scroll.height) + BEYOND)];

  const goTo = (line) => {
    const view = box.current;
    setFollow(false);
    view.scrollTop = Math.max(0, now.current.place.px(line) - view.clientHeight / 2);
    setScroll({ top: view.scrollTop, height: view.clientHeight });
  };
  useLayoutEffect(() => {
    const view = box.current;
    if (follow) view.scrollTop = view.scrollHeight;
    if (view.clientHeight !== scroll.height) setScroll({ top: view.scrollTop, height: view.clientHeight });
    lines.want(...range);
  }, [lines.version, follow, wrap, ...range]);
  useEffect(() => {
    if (matches.line !== null) goTo(matches.line);
  }, [matches.line, matches.turn]);

  const onScroll = ({ currentTarget: view }) => {
    setFollow(view.scrollHeight - view.scrollTop - view.clientHeight < NEAR_END_PX);
    setScroll({ top: view.scrollTop, height: view.clientHeight });
  };
  // Lines that were only guessed have their heights now; what is looked at stays where it is.
  const onDrawn = (first, drawn) => {
    const known = heights.current;
    if (!known) return;
    const before = known.offset(seen);
    drawn.forEach((px, i) => known.set(first + i, px));
    const moved = known.offset(seen) - before;
    if (moved !== 0 && !now.current.follow) box.current.scrollTop += moved * place.scale;
    if (now.current.follow) box.current.scrollTop = box.current.scrollHeight;
  };
  const onKey = (event) => {
    if (event.key === "/" && !event.ctrlKey) {
      event.preventDefault();
      box.current.closest(".log-panel").querySelector(".log-seek")?.click();
      box.current.closest(".log-panel").querySelector("input[type=search]")?.focus();
    }
  };
  return { box, follow, range, height: place.height, top: place.px(range[0]), onScroll, onDrawn, onKey, toEnd: () => setFollow(true) };
}

/** The lines that fill the view from its end upwards. */
const lastOnes = (total, height) => [Math.max(0, total - Math.ceil(height / LINE_PX) - BEYOND), total];

/** From line numbers to px in the page and back; a log that is higher than a page can be is squeezed. */
function placing(total, heights, view) {
  const whole = heights ? heights.total : total * LINE_PX;
  const scale = whole > MOST_PX ? (MOST_PX - view) / (whole - view) : 1;
  const offset = (line) => (heights ? heights.offset(line) : line * LINE_PX);
  const lineAt = (px) => (heights ? heights.at(px / scale) : Math.floor(px / scale / LINE_PX));
  return { scale, height: Math.min(whole, MOST_PX), px: (line) => offset(line) * scale, lineAt: (px) => Math.min(lineAt(px), Math.max(0, total - 1)) };
}
