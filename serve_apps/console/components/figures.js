// The few numbers that say how good a run is, large.
import { html } from "../dom.js";
import { number, share } from "../format.js";
import { strings } from "../strings.js";

const text = strings.figures;

export function Figures({ job }) {
  const { metrics, facts } = job;
  const value = (name) => (Number.isFinite(metrics[name]) ? metrics[name] : Number.isFinite(facts[name]) ? facts[name] : null);
  const figures = [
    [text.val_accuracy, value("val_accuracy"), share],
    [text.best_val_loss, job.best_val_loss, number, job.best_epoch !== null && text.best_epoch(job.best_epoch)],
    [text.macro_f1, value("macro_f1"), share],
    [text.train_loss, value("train_loss"), number],
    [text.images_per_second, value("images_per_second"), (speed) => number(speed, 3), text.perSecond],
    [text.dataset_size, job.dataset_size ?? facts.dataset_size ?? null, number, split(job)],
  ].filter(([, figure]) => figure !== null);
  if (figures.length === 0) return null;
  return html`<dl class="panel figures" aria-label=${strings.job.overview}>
    ${figures.map(
      ([label, figure, format, note]) => html`<div class="figure" key=${label}>
        <dt>${label}</dt><dd>${format(figure)}${note && html`<small>${note}</small>`}</dd>
      </div>`,
    )}
  </dl>`;
}

function split({ facts, train_samples, val_samples }) {
  const train = facts.train_samples ?? train_samples;
  const val = facts.val_samples ?? val_samples;
  return train && val ? text.split(number(train), number(val)) : null;
}
