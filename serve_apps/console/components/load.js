// Something read from the server once a part of the page shows it, and how to say that it could not be.
import { html, useCallback, useEffect, useState } from "../dom.js";
import { strings } from "../strings.js";

/** `{value, error, reload}` of `load(signal)`, which is called again where `key` is another or `reload` is called.
 *  The value stays while a newer one is on its way; that of another key does not. */
export function useLoad(key, load) {
  const [state, setState] = useState({ key, value: null, error: null });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const closing = new AbortController();
    load(closing.signal).then(
      (value) => closing.signal.aborted || setState({ key, value, error: null }),
      (error) => closing.signal.aborted || setState((before) => ({ key, value: before.key === key ? before.value : null, error })),
    );
    return () => closing.abort();
  }, [key, turn]);
  const reload = useCallback(() => setTurn((count) => count + 1), []);
  const isOld = state.key !== key;
  return { value: isOld ? null : state.value, error: isOld ? null : state.error, reload };
}

export function Failed({ what, error, onAgain }) {
  return html`<p class="inline-error" role="alert">${what}: ${error.message}
    <button type="button" class="button button-small" onClick=${onAgain}>${strings.actions.tryAgain}</button></p>`;
}

/** Work that somebody asked for: `{busy, error, run(work)}`; `run` is true where it was done. */
export function useWork() {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const run = async (work) => {
    setBusy(true);
    setError(null);
    try {
      await work();
      return true;
    } catch (problem) {
      setError(problem.message);
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, error, run, forget: () => setError(null) };
}

const SETTLE_MS = 600;

/** Call `reload` after events of one of these kinds, and where the stream begins anew; several within `settleMs` are one. */
export function useEvents(store, kinds, reload, settleMs = SETTLE_MS) {
  useEffect(() => {
    let timer = null;
    const soon = () => {
      clearTimeout(timer);
      timer = setTimeout(reload, settleMs);
    };
    const taker = { take: (event) => kinds.includes(event.kind) && soon(), fresh: soon };
    store.takers.add(taker);
    return () => {
      store.takers.delete(taker);
      clearTimeout(timer);
    };
  }, [store, reload]);
}
