// Of a long list only the rows in sight are in the page; its padding stands for the others.
import { useEffect, useLayoutEffect, useRef, useState } from "../../dom.js";

const BEYOND = 10; // rows above and below, so that the keyboard and a quick hand find some
const AT_FIRST = 12; // about a screen; the others follow when these have been painted
const STEP = 5; // the window moves by so many, not with every pixel

/** `[first, end]` of the rows to draw of `count` rows of `height` px inside the element of `ref`. */
export function useRowWindow(ref, count, height) {
  const [range, setRange] = useState([0, AT_FIRST]);
  const isPainted = useRef(false);
  const look = () => {
    if (!ref.current) return;
    const above = -ref.current.getBoundingClientRect().top;
    const beyond = isPainted.current ? BEYOND : 0;
    const first = Math.max(0, Math.floor(above / height / STEP) * STEP - beyond);
    const end = Math.ceil((above + innerHeight) / height / STEP) * STEP + beyond;
    setRange((old) => (old[0] === first && old[1] === end ? old : [first, end]));
  };
  useEffect(() => {
    let isDue = false;
    const soon = () => {
      if (isDue) return;
      isDue = true;
      requestAnimationFrame(() => {
        isDue = false;
        look();
      });
    };
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    return () => {
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
    };
  }, [height]);
  useLayoutEffect(look, [count, height]);
  useEffect(() => {
    if (count === 0) return;
    isPainted.current = true;
    look();
  }, [count === 0]);
  const end = Math.min(count, Math.max(range[1], 1));
  return [Math.min(range[0], Math.max(0, end - 1)), end];
}
