// The log of the open job, which the stream goes on with.
import { html, useEffect, useMemo } from "../../dom.js";
import { LogLines } from "../../loglines.js";
import { Log } from "./log.js";

export function LogPanel({ detail, isFinal }) {
  const lines = useMemo(() => new LogLines(detail.id), [detail]);
  useEffect(() => {
    detail.log = lines;
    void lines.refresh();
    return () => {
      detail.log = null;
      lines.close();
    };
  }, [lines]);
  return html`<section class="panel log-panel" aria-labelledby="log-heading"><${Log} lines=${lines} jobId=${detail.id} isFinal=${isFinal} /></section>`;
}
