// A part of a page that is fetched when it comes near what is looked at.
import { h, html, stylesheet, useEffect, useRef, useState } from "../dom.js";

/** A component whose module is fetched then; until it is here, an empty box of class `place` stands for it. `near`: how
 *  far it may be out of sight, or, below 0, how much of it has to be seen. */
export function whenSeen(load, css, place, near = "40px") {
  let View = null;
  return function Seen(props) {
    const box = useRef(null);
    const [, bump] = useState(0);
    useEffect(() => {
      if (View) return undefined;
      const watch = new IntersectionObserver(([entry]) => {
        if (!entry.isIntersecting) return;
        watch.disconnect();
        Promise.all([load(), css && stylesheet(css)]).then(([loaded]) => bump(((View = loaded), 1)), () => {});
      }, { rootMargin: near });
      watch.observe(box.current);
      return () => watch.disconnect();
    }, []);
    return View ? h(View, props) : html`<div class=${place} ref=${box}></div>`;
  };
}
