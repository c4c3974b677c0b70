// A part of a page that is fetched when it comes near what is looked at.
import { h, html, stylesheet, useEffect, useRef, useState } from "../dom.js";

const NEAR = "250px";

/** A component whose module is fetched then; until it is here, an empty box of class `place` stands for it. */
export function whenSeen(load, css, place) {
  let View = null;
  return function Seen(props) {
    const box = useRef(null);
    const [, bump] = useState(0);
    useEffect(() => {
      if (View) return undefined;
      const near = new IntersectionObserver(([entry]) => {
        if (!entry.isIntersecting) return;
        near.disconnect();
        Promise.all([load(), stylesheet(css)]).then(([loaded]) => bump(((View = loaded), 1)), () => {});
      }, { rootMargin: NEAR });
      near.observe(box.current);
      return () => near.disconnect();
    }, []);
    return View ? h(View, props) : html`<div class=${place} ref=${box}></div>`;
  };
}
