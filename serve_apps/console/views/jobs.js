// The list of jobs: filter, search, live rows, pages by cursor, work on many at once, the keyboard.
import { html, lazy, useCallback, useEffect, useLayoutEffect, useMedia, useMemo, useRef, useSource, useState } from "../dom.js";
import { JobList } from "../joblist.js";
import { jobHref, listHref } from "../router.js";
import { Sparks } from "../sparks.js";
import { strings } from "../strings.js";
import { words } from "../strings-jobs.js";
import { CopyButton } from "../components/copy.js";
import { keep, recall, template, titleOf, useColumns } from "../components/list/columns.js";
import { More, Search, StatusFilter, filtersOf } from "../components/list/filters.js";
import { Row } from "../components/list/row.js";
import { useRowWindow } from "../components/list/window.js";

const text = strings.jobs;
const Bulk = lazy(() => import("../components/list/bulk.js").then((module) => module.Bulk));
const ROW_PX = 68; // as in list.css
const PHONE_ROW_PX = 144;
const SHORTCUTS = "thornback.shortcuts";

export function JobsView({ app, params }) {
  app.sparks ??= new Sparks(app.store);
  const filters = filtersOf(params);
  const list = useMemo(() => new JobList(app.store, filters), [app, ...Object.values(filters)]);
  useLayoutEffect(() => list.open(), [list]); // an effect would begin a frame later
  useSource(list);
  const [columns, hidden, toggleColumn] = useColumns();
  const [shortcuts, setShortcuts] = useState(() => recall(SHORTCUTS) !== "off");
  useEffect(() => {
    document.title = strings.title.jobs;
  }, []);
  const onShortcuts = (are) => {
    keep(SHORTCUTS, are ? "on" : "off");
    setShortcuts(are);
  };
  const isFiltered = Object.entries(filters).some(([name, value]) => value && name !== "sort");
  return html`
    <div class="list-head">
      <h1>${text.heading}</h1>
      <${StatusFilter} filters=${filters} />
      <${Search} filters=${filters} />
      <${More} filters=${filters} known=${knownOf(app.store)} hidden=${hidden} onColumn=${toggleColumn}
        shortcuts=${shortcuts} onShortcuts=${onShortcuts} />
    </div>
    ${filters.parent && html`<${PartsOf} id=${filters.parent} store=${app.store} />`}
    ${list.error && html`<p class="inline-error" role="alert">${text.failedToLoad}: ${list.error.message}
      <button type="button" class="button button-small" onClick=${() => list.refresh()}>${strings.actions.tryAgain}</button></p>`}
    <${Body} app=${app} list=${list} columns=${columns} isFiltered=${isFiltered} shortcuts=${shortcuts} />
  `;
}

/** Owners and tags of the jobs that the page knows: what may be filtered by. */
function knownOf(store) {
  const users = new Set();
  const tags = new Set();
  for (const { job } of store.jobs.values()) {
    users.add(job.user);
    for (const [key, value] of Object.entries(job.tags ?? {})) tags.add(`${key}=${value}`);
    if (tags.size > 200) break;
  }
  return { users: [...users].sort(), tags: [...tags].sort() };
}

function PartsOf({ id, store }) {
  return html`<p class="list-parent">${words.partsOf} <a href=${jobHref(id)}>${store.job(id)?.job_name ?? id}</a>
    <a href=${`#/compare?parent=${id}`}>${words.compareParts}</a><a href=${listHref({})}>${text.clear}</a></p>`;
}

function Body({ app, list, columns, isFiltered, shortcuts }) {
  if (!list.loaded) return list.error ? null : html`<p class="panel notice muted" role="status">${text.loading}</p>`;
  const rows = list.rows();
  if (rows.length === 0) return isFiltered ? html`<${NoMatch} />` : html`<${Empty} />`;
  return html`<${Rows} app=${app} list=${list} rows=${rows} columns=${columns} shortcuts=${shortcuts} />`;
}

function Rows({ app, list, rows, columns, shortcuts }) {
  const box = useRef(null);
  const isPhone = useMedia("(max-width: 900px)");
  const height = isPhone ? PHONE_ROW_PX : ROW_PX;
  const [first, end] = useRowWindow(box, rows.length, height);
  const selection = useSelection(rows);
  useKeys(shortcuts, box, rows, height, selection);
  const onToggle = useCallback((id) => void list.toggle(id), [list]);
  const count = rows.filter(({ depth }) => depth === 0).length;
  return html`<section class="panel jobs" aria-label=${text.list} style=${{ "--columns": template(columns) }}>
    <div class="jobs-columns">
      <input type="checkbox" class="job-select" checked=${selection.isAll} aria-label=${words.selectAll(rows.length)} onClick=${selection.toggleAll} />
      ${columns.slice(1).map((name) => html`<span key=${name} class=${`job-cell-${name}`} aria-hidden="true">${titleOf(name)}</span>`)}
    </div>
    <ul ref=${box} style=${{ paddingTop: `${first * height}px`, paddingBottom: `${(rows.length - end) * height}px` }}>
      ${rows.slice(first, end).map(({ job, depth }, i) => html`<${Row} key=${job.id} job=${job} at=${first + i} of=${list.nextCursor === null ? rows.length : -1}
        depth=${depth} columns=${columns} selected=${selection.has(job.id)} parts=${list.parts.get(job.id) ?? 0}
        unfolded=${list.unfolded.get(job.id)?.length ?? null} sparks=${app.sparks} onSelect=${selection.toggle} onToggle=${onToggle} />`)}
    </ul>
    <${Foot} list=${list} count=${count} />
  </section>
  ${selection.wasUsed && html`<${Bulk} ids=${selection.ids} store=${app.store} onClear=${selection.clear} />`}`;
}

/** How many there are; the next page is fetched as the end comes near. */
function Foot({ list, count }) {
  const end = useRef(null);
  const hasMore = list.nextCursor !== null;
  useEffect(() => {
    if (!hasMore || list.loadingMore) return undefined;
    const near = new IntersectionObserver(([entry]) => entry.isIntersecting && list.more(), { rootMargin: "0px 0px 800px" });
    near.observe(end.current);
    return () => near.disconnect();
  }, [list, hasMore, list.loadingMore]);
  return html`<div class="list-foot" ref=${end}>
    <span class="muted num" role="status">${text.count(count, Math.max(list.total, count))}</span>
    ${hasMore && html`<button type="button" class="button" disabled=${list.loadingMore} onClick=${() => list.more()}>${text.more}</button>`}
  </div>`;
}

/** Which jobs are selected; with Shift everything from the last one on. */
function useSelection(rows) {
  const [chosen, setChosen] = useState(() => new Set());
  const [wasUsed, setUsed] = useState(false);
  const now = useRef({});
  now.current = { ...now.current, rows };
  const toggle = useCallback((id, isRange) => {
    const order = now.current.rows.map(({ job }) => job.id);
    const from = isRange ? order.indexOf(now.current.last) : -1;
    const to = order.indexOf(id);
    now.current.last = id;
    setUsed(true);
    setChosen((old) => {
      const next = new Set(old);
      const are = !old.has(id);
      for (const one of from < 0 ? [id] : order.slice(Math.min(from, to), Math.max(from, to) + 1)) next[are ? "add" : "delete"](one);
      return next;
    });
  }, []);
  const clear = useCallback(() => setChosen(new Set()), []);
  const ids = rows.map(({ job }) => job.id).filter((id) => chosen.has(id)); // what is gone is not selected any more
  const isAll = ids.length === rows.length;
  const toggleAll = () => {
    setUsed(true);
    setChosen(isAll ? new Set() : new Set(rows.map(({ job }) => job.id)));
  };
  return { ids, isAll, wasUsed, toggle, toggleAll, clear, has: (id) => chosen.has(id) };
}

/** j, k, x, / and Escape, where nobody is typing. */
function useKeys(isOn, box, rows, height, selection) {
  const now = useRef({});
  now.current = { ...now.current, rows, height, selection };
  useLayoutEffect(() => {
    // The row may not have been in the page when it was asked for.
    const { wanted } = now.current;
    const link = wanted && box.current?.querySelector(`[data-id="${wanted}"] .job-name`);
    if (!link) return;
    now.current.wanted = null;
    link.focus({ preventScroll: true });
  });
  useEffect(() => {
    if (!isOn) return undefined;
    const onKey = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), select, textarea, dialog")) return;
      KEYS[event.key]?.(event, now.current, box.current);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [isOn]);
}

const current = () => document.activeElement?.closest(".job-row")?.dataset.id ?? null;

function move(event, state, box, by) {
  event.preventDefault();
  const { rows, height } = state;
  const at = rows.findIndex(({ job }) => job.id === current());
  const next = at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by));
  const id = rows[next].job.id;
  const top = box.getBoundingClientRect().top + next * height;
  const margin = 120; // what sticks to the top and to the bottom of the page
  if (top < margin) scrollBy(0, top - margin);
  else if (top + height > innerHeight - margin) scrollBy(0, top + height - innerHeight + margin);
  const link = box.querySelector(`[data-id="${id}"] .job-name`);
  if (link) link.focus({ preventScroll: true });
  else state.wanted = id;
}

const KEYS = {
  __proto__: null,
  j: (event, state, box) => move(event, state, box, 1),
  k: (event, state, box) => move(event, state, box, -1),
  x: (event, { selection }) => current() && selection.toggle(current(), false),
  "/": (event) => {
    event.preventDefault();
    document.querySelector("[data-search]")?.focus();
  },
  Escape: (event, { selection }) => selection.clear(),
};

function Empty() {
  // As it stands: the platform's own dataset, a model small enough for a CPU, no weights to fetch.
  const config = { model_architecture: "convnext_atto", pretrained: false, epochs: 5, warmup_epochs: 1 };
  const body = { job_name: "My first run", config };
  const url = new URL("api/v1/training/jobs", document.baseURI);
  const command = `curl -X POST ${url} \\\n  -H "Content-Type: application/json" \\\n  -d '${JSON.stringify(body)}'`;
  return html`<section class="panel notice">
    <h2>${text.none}</h2>
    <p class="muted">${text.noneText}</p>
    <div class="command"><pre><code>${command}</code></pre><${CopyButton} text=${command} /></div>
  </section>`;
}

function NoMatch() {
  return html`<section class="panel notice">
    <h2>${text.noMatch}</h2>
    <p class="muted">${text.noMatchText}</p>
    <a class="button" href=${listHref({})}>${text.clear}</a>
  </section>`;
}
