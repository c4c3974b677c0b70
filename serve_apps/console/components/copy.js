// A button that copies text, and says that it did.
import { html, useEffect, useState } from "../dom.js";
import { strings } from "../strings.js";

const SHOWN_MS = 1500;

export function CopyButton({ text, label }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => setCopied(await copyText(text));
  return html`<button type="button" class="button button-small" aria-label=${label} onClick=${copy}>
    <span aria-live="polite">${copied ? strings.actions.copied : strings.actions.copy}</span>
  </button>`;
}

/** True where the text is on the clipboard. Browsers give the clipboard to secure pages only; on
 *  plain HTTP from another machine a selected text field and the old command do it. */
export async function copyText(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // not allowed here; the way below asks for no permission
    }
  }
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}
