// Searching a log: the server finds the lines, this goes from one to the next.
import { html, useCallback, useEffect, useRef, useState } from "../../dom.js";
import { words } from "../../strings-log.js";

const TYPING_MS = 300;
const MOST = 100_000; // matches; after so many nobody goes through them one by one
const NONE = { numbers: [], set: new Set(), share: 100, error: null };

/** What is searched for, what was found, and which match is looked at. */
function useMatches(lines) {
  const [query, setQuery] = useState({ text: "", isRegex: false, isExact: false });
  const [found, setFound] = useState(NONE);
  const [at, setAt] = useState(null);
  const [turn, setTurn] = useState(0); // looked at again, though it is the same line
  useEffect(() => {
    setFound(NONE);
    setAt(null);
    if (!query.text) return undefined;
    const closing = new AbortController();
    const timer = setTimeout(() => void collect(lines, query, closing.signal, setFound, setAt), TYPING_MS);
    return () => {
      clearTimeout(timer);
      closing.abort();
    };
  }, [query.text, query.isRegex, query.isExact, lines.rank]);
  const step = (by) => {
    const count = found.numbers.length;
    if (count === 0) return;
    setAt((old) => ((old ?? 0) + by + count) % count);
    setTurn((old) => old + 1);
  };
  const has = useCallback((number) => found.set.has(number), [found]);
  const line = at === null ? null : (found.numbers[at] ?? null);
  return { query, setQuery, found, at, turn, line, step, has };
}

async function collect(lines, query, signal, setFound, setAt) {
  const numbers = [];
  const set = new Set();
  try {
    if (query.isRegex) new RegExp(query.text); // half of a pattern, as it is being typed, is not worth asking for
    for await (const part of lines.search(query.text, { ...query, signal })) {
      for (const number of part.lines) {
        numbers.push(number);
        set.add(number);
      }
      const isEnough = numbers.length >= MOST;
      const share = part.next === null ? 100 : Math.floor((100 * part.next) / Math.max(1, part.total));
      setFound({ numbers, set, share, error: null, isMore: isEnough && part.next !== null });
      // The newest match is what somebody who looks at a log looks for; further ones do not move the view.
      if (part.next === null || isEnough) setAt((old) => old ?? (numbers.length > 0 ? numbers.length - 1 : null));
      if (isEnough) return;
    }
  } catch (error) {
    if (error.name !== "AbortError") setFound({ ...NONE, error: error.errors?.[0]?.message ?? error.message });
  }
}

/** `onMatches` is told which lines have the text, and which of them is looked at. */
export function Search({ lines, onMatches }) {
  const { query, setQuery, found, at, step, line, turn, has } = useMatches(lines);
  const field = useRef(null);
  useEffect(() => field.current.focus(), []);
  useEffect(() => onMatches({ line, turn, has }), [line, turn, has]);
  const onKey = (event) => {
    if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") setQuery({ ...query, text: "" });
    else return;
    event.preventDefault();
  };
  const toggle = (name) => () => setQuery({ ...query, [name]: !query[name] });
  return html`<search class="log-search">
    <input class="field field-small" type="search" ref=${field} value=${query.text} placeholder=${words.search} aria-label=${words.search} maxlength="500"
      autocomplete="off" spellcheck=${false} onInput=${(event) => setQuery({ ...query, text: event.target.value })} onKeyDown=${onKey} />
    <${Toggle} isOn=${query.isExact} label=${words.exact} sign=${words.exactShort} onClick=${toggle("isExact")} />
    <${Toggle} isOn=${query.isRegex} label=${words.regex} sign=${words.regexShort} onClick=${toggle("isRegex")} />
    ${query.text && html`<button type="button" class="button button-small" aria-label=${words.previous} title=${words.previous} onClick=${() => step(-1)}>↑</button>
      <button type="button" class="button button-small" aria-label=${words.next} title=${words.next} onClick=${() => step(1)}>↓</button>
      <span class="log-count num" role="status">${told(found, at)}</span>`}
  </search>`;
}

function told({ numbers, share, error, isMore }, at) {
  if (error) return html`<span class="log-wrong">${error}</span>`;
  if (share < 100 && !isMore) return words.searching(share);
  return numbers.length === 0 || at === null ? words.none : words.matches(at + 1, numbers.length, isMore);
}

const Toggle = ({ isOn, label, sign, onClick }) => html`<button type="button" class="button button-small log-toggle" aria-pressed=${isOn ? "true" : "false"}
  aria-label=${label} title=${label} onClick=${onClick}>${sign}</button>`;
