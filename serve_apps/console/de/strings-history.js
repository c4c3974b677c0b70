// Der Fortschritt über die Zeit.
export const history = {
  title: "Fortschritt über die Zeit (%, Minuten)",
  caption: "Woher der Fortschritt bekannt ist, das Neueste zuerst",
  columns: { origin: "Quelle", time: "Seit dem ersten Punkt", progress: "Fortschritt" },
  span: (from, to) => `${from} bis ${to}`,
  loading: "Wird geladen…",
  none: "Noch ist nicht bekannt, wie weit er ist.",
  failed: "Der bisherige Fortschritt konnte nicht geladen werden",
};
