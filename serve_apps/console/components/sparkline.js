// A small curve without axes, for one row of a list. Decorative: the newest value stands beside it.
import { html, memo } from "../dom.js";
import { sparkPaths } from "../series.js";

const WIDTH = 96;
const HEIGHT = 22;

export const Sparkline = memo(function Sparkline({ curves }) {
  const paths = sparkPaths(curves.map(({ values }) => values), WIDTH, HEIGHT);
  return html`<svg class="sparkline" viewBox=${`-2 -2 ${WIDTH + 4} ${HEIGHT + 4}`} aria-hidden="true">
    ${curves.map(({ name }, i) => html`<path key=${name} class=${`line-${name}`} d=${paths[i]} />`)}
  </svg>`;
});
