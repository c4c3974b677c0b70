// Die Wörter der angehaltenen Warteschlange.
export const hold = {
  paused: (by, since) => `${by} hat die Warteschlange am ${since} angehalten: Nichts Neues beginnt; was läuft, läuft weiter.`,
  pausedWhy: (by, since, why) => `${by} hat die Warteschlange am ${since} angehalten (${why}): Nichts Neues beginnt; was läuft, läuft weiter.`,
  manage: "Warteschlange",
};
