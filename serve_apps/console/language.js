// Which language the page speaks. English words stand in strings*.js; those of another language in a folder of its own,
// under the same names, and are laid over the English ones before anybody reads them. A part that is not translated
// yet stays English.
const KEY = "thornback-language";

/** The languages that there are, by what they call themselves. */
export const LANGUAGES = { __proto__: null, en: "English", de: "Deutsch" };

export const language = chosen();

/** For numbers and times; undefined: as the browser has it. */
export const locale = language === "en" ? undefined : language;

function chosen() {
  try {
    const kept = localStorage.getItem(KEY);
    return kept in LANGUAGES ? kept : "en";
  } catch {
    return "en"; // the browser keeps nothing for this page
  }
}

/** Keep another language; it holds from the next load on. */
export function choose(wanted) {
  try {
    localStorage.setItem(KEY, wanted);
  } catch {
    // it stays as it is
  }
}

/** Lay the words of the present language over `words`, the exports of `file` by name. */
export async function localize(file, words) {
  if (language === "en") return;
  lay(words, await import(`./${language}/${file}`));
}

function lay(under, over) {
  for (const [name, word] of Object.entries(over)) {
    if (typeof word === "object") lay(under[name], word);
    else under[name] = word;
  }
}
