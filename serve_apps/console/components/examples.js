// Validation clips as spectrograms with what the network took them for, to be played by pointer or keyboard.
import { html, useEffect, useMemo, useRef, useState } from "../dom.js";
import { artifactUrl, request } from "../api.js";
import { share } from "../format.js";
import { examples as text } from "../strings-examples.js";
import { Failed, useLoad } from "./load.js";

export function Examples({ job }) {
  const file = (name) => artifactUrl(job.id, `examples/${name}`);
  const found = useLoad(job.id, (signal) => request("GET", file("examples.json"), { signal }));
  const [chosen, setChosen] = useState(null); // "wrong", "right", or null for all
  const [playing, setPlaying] = useState(null); // id of the clip
  const [part, setPart] = useState(0); // of it that was played
  const [failed, setFailed] = useState(null);
  const sound = useSound({ onEnd: () => setPlaying(null), onPart: setPart });
  const about = found.value;
  const all = about?.examples ?? [];
  const shown = useMemo(() => all.filter(({ right }) => chosen === null || right === (chosen === "right")), [about, chosen]);
  if (found.error) return html`<${Failed} what=${text.failedToLoad} error=${found.error} onAgain=${found.reload} />`;
  if (all.length === 0) return null;
  const toggle = async (id) => {
    setFailed(null);
    sound.stop();
    setPart(0);
    if (playing === id) return setPlaying(null);
    setPlaying(id);
    try {
      await sound.play(file(`${id}.wav`));
    } catch (error) {
      if (error.name === "AbortError") return undefined; // another one was asked for
      setPlaying(null);
      setFailed(id);
    }
    return undefined;
  };
  const wrong = all.filter(({ right }) => !right).length;
  const choices = [[null, text.all(all.length)], ["wrong", text.wrong(wrong)], ["right", text.right(all.length - wrong)]];
  return html`<section class="panel examples" aria-labelledby="examples">
    <div class="panel-head"><h2 id="examples">${text.heading}</h2>
      <span class="muted num">${text.summary(about.right, about.heard)}</span><span class="spacer"></span>
      <div class="segments" role="group" aria-label=${text.show}>${choices.map(
        ([name, label]) => html`<button type="button" class="segment num" key=${label} aria-pressed=${name === chosen ? "true" : "false"}
          onClick=${() => setChosen(name)}>${label}</button>`,
      )}</div></div>
    <ul class="examples-grid" aria-label=${text.list} onKeyDown=${between}>
      ${shown.map((example) => html`<${Example} key=${example.id} example=${example} picture=${file(`${example.id}.png`)}
        part=${playing === example.id ? part : null} hasFailed=${failed === example.id} onToggle=${() => toggle(example.id)} />`)}
    </ul>
    <p class="examples-hint muted">${text.hint}</p>
  </section>`;
}

/** Arrow keys lead from one button to the next; Tab does as well. */
function between(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const buttons = [...event.currentTarget.querySelectorAll("button")];
  buttons[buttons.indexOf(document.activeElement) + step]?.focus();
}

function Example({ example, picture, part, hasFailed, onToggle }) {
  const { label, prediction, probability, label_probability: truth, right } = example;
  const isPlaying = part !== null;
  return html`<li class=${`example example-${right ? "right" : "wrong"}`}>
    <button type="button" class="example-play" aria-pressed=${isPlaying ? "true" : "false"} onClick=${onToggle}>
      <img src=${picture} alt=${text.spectrogram(label)} loading="lazy" decoding="async" />
      ${isPlaying && html`<span class="example-line" style=${{ "--part": `${(100 * part).toFixed(1)}%` }}></span>`}
      <span class="example-sign"><svg class="icon" viewBox="0 0 16 16" aria-hidden="true">${isPlaying
        ? html`<path d="M5 3.500v9M11 3.500v9" />`
        : html`<path d="M5 3l7.500 5L5 13z" />`}</svg><span class="visually-hidden">${isPlaying ? text.stop : text.play}</span></span>
    </button>
    <p class="example-what"><b>${right ? text.isRight(label) : text.took(label, prediction)}</b></p>
    <p class="example-sure muted num">${text.sure(share(probability, 0))}${!right && ` · ${text.truth(label, share(truth, 0))}`}</p>
    ${hasFailed && html`<p class="example-error" role="alert">${text.cannotPlay}</p>`}
  </li>`;
}

/** One player for all: what plays stops where another one begins. */
function useSound({ onEnd, onPart }) {
  const player = useRef(null);
  const frame = useRef(0);
  const stop = () => {
    cancelAnimationFrame(frame.current);
    player.current?.pause();
  };
  useEffect(() => () => stop(), []);
  const follow = (audio) => {
    onPart(audio.duration > 0 ? audio.currentTime / audio.duration : 0);
    frame.current = requestAnimationFrame(() => follow(audio));
  };
  const play = async (url) => {
    const audio = new Audio(url);
    player.current = audio;
    audio.addEventListener("ended", () => {
      stop();
      onEnd();
    });
    await audio.play();
    if (player.current === audio && !audio.ended && !audio.paused) follow(audio);
  };
  return { play, stop };
}
