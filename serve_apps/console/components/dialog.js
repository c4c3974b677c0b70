// A question before something that cannot be taken back. The browser's own modal dialog: focus is
// kept inside, Escape closes it, and focus returns to the button that opened it.
import { html, useEffect, useRef } from "../dom.js";
import { strings } from "../strings.js";

export function Confirm({ title, text, action, keep = strings.actions.keep, isDanger = true, busy, error, onConfirm, onClose }) {
  const ref = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    ref.current.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  return html`<dialog class="dialog" ref=${ref} aria-labelledby="dialog-title" onClose=${onClose}>
    <h2 id="dialog-title">${title}</h2>
    <p>${text}</p>
    ${error && html`<p class="dialog-error" role="alert">${error}</p>`}
    <div class="dialog-actions">
      <button type="button" class="button" onClick=${() => ref.current.close()}>${keep}</button>
      <button type="button" class=${`button ${isDanger ? "button-danger" : "button-primary"}`} disabled=${busy} onClick=${onConfirm}>
        ${busy ? strings.actions.working : action}
      </button>
    </div>
  </dialog>`;
}
