// Die Wörter der Teile, die nur LoRA-Trainings auf diesem Cluster zeigen.
export const samples = {
  heading: "Proben",
  newest: (step) => `die neueste bei Schritt ${step.toLocaleString("de")}`,
  none: "Die ersten Bilder erscheinen hier.",
  step: (step) => `Schritt ${step.toLocaleString("de")}`,
  prompt: (n) => `Prompt ${n}`,
  alt: (step, prompt) => `Probe bei Schritt ${step}: ${prompt}`,
  older: (n) => `${n} ältere`,
};

export const wishes = {
  save: { label: "Jetzt sichern", help: "Ein Checkpoint und seine LoRA-Datei nach dem jetzigen Schritt" },
  sample: { label: "Jetzt Proben", help: "Bilder der Probe-Prompts nach dem jetzigen Schritt" },
  finish: { label: "Beenden und behalten", help: "Nach dem jetzigen Schritt enden und das Ergebnis behalten" },
  asked: (what, time) => `„${what}“ wurde um ${time} verlangt; es geschieht nach dem jetzigen Schritt.`,
  finishTitle: "Beenden und das Ergebnis behalten?",
  finishText: (name) => `„${name}“ endet nach dem jetzigen Schritt, und was bis dahin gelernt ist, wird veröffentlicht.`,
  goOn: "Weiter trainieren",
};

export const keepVersion = {
  make: "Zur Modellversion machen",
  help: "Die trainierte Datei als nächste Version eines Modells behalten",
  title: "Zur Version eines Modells machen",
  explain: "Die trainierte Datei wird kopiert und ist dann die nächste Version des Modells. Sie bleibt, auch wenn der Job gelöscht wird.",
  model: "Modell",
  nameHelp: "Ein neuer Name oder der eines vorhandenen Modells: Buchstaben, Ziffern, Punkt, Bindestrich und Unterstrich.",
  next: (model) => `Es wird die nächste Version von ${model}.`,
  made: (model, version) => `${model}, Version ${version}`,
};
