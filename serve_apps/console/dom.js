// The view library in one import: Preact, its hooks, and htm bound to it.
// Everything interpolated becomes a text node or a property, never HTML.
import { h, render, Component } from "./vendor/preact.js";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/preact-hooks.js";
import htm from "./vendor/htm.js";

export { h, render, Component, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState };
export const html = htm.bind(h);

/** A component that renders again only when one of its properties is another object. */
export function memo(view) {
  return class Memo extends Component {
    shouldComponentUpdate(next) {
      const now = this.props;
      for (const name in next) if (next[name] !== now[name]) return true;
      for (const name in now) if (!(name in next)) return true;
      return false;
    }
    render() {
      return h(view, this.props);
    }
  };
}

/** A component whose module is fetched when it is first shown: what most pages do not need. */
export function lazy(load, css = null) {
  let View = null;
  return function Lazy(props) {
    const [, bump] = useState(0);
    useEffect(() => {
      if (View) return;
      // Where it cannot be had, the rest of the page stands without.
      Promise.all([load(), css && stylesheet(css)]).then(([loaded]) => bump(((View = loaded), 1)), () => {});
    }, []);
    return View && h(View, props);
  };
}

const sheets = new Map();

/** Add a stylesheet, once; it holds when the promise is kept. */
export function stylesheet(href) {
  if (!sheets.has(href)) {
    const added = new Promise((done) => {
      document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href, onload: done, onerror: done }));
    });
    sheets.set(href, added);
  }
  return sheets.get(href);
}

/** Re-render when `source` (anything with `subscribe(listener) -> unsubscribe`) changes. */
export function useSource(source) {
  const [, bump] = useState(0);
  useLayoutEffect(() => source.subscribe(() => bump((count) => count + 1)), [source]); // after a paint it would miss some
  return source;
}

// One timer per period for the whole page, so that a hundred ages tick together.
const clocks = new Map();

/** The time now in ms, renewed every `periodMs` while the page is visible. */
export function useNow(periodMs = 1000) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    let clock = clocks.get(periodMs);
    if (!clock) {
      const listeners = new Set();
      const timer = setInterval(() => {
        if (!document.hidden) for (const listener of listeners) listener(Date.now());
      }, periodMs);
      clock = { listeners, timer };
      clocks.set(periodMs, clock);
    }
    clock.listeners.add(setNow);
    return () => {
      clock.listeners.delete(setNow);
      if (clock.listeners.size === 0) {
        clearInterval(clock.timer);
        clocks.delete(periodMs);
      }
    };
  }, [periodMs]);
  return now;
}

/** True while a media query holds. */
export function useMedia(query) {
  const [holds, setHolds] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const listen = () => setHolds(media.matches);
    media.addEventListener("change", listen);
    return () => media.removeEventListener("change", listen);
  }, [query]);
  return holds;
}
