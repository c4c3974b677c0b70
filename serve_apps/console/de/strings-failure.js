// Was nach einem Fehlschlag zu tun ist, und der Weg zu Ray.
export const failure = {
  why: "Warum er fehlschlug",
  todo: "Was zu tun ist",
  log: "Das Ende seines Logs",
  logNone: "Er gab nichts aus.",
  retry: "Noch einmal versuchen",
  retrying: "Wird gestartet…",
  retryFrom: "Als neuer Job, vom letzten Checkpoint an, wo es einen gibt",
  like: "Ändern und neu beginnen",
  training: "Das Training dieses Jobs",
  does: {
    invalid_data: "Bessere den Datensatz aus, den die Meldung nennt, und starte den Job dann neu. Eine bloße Wiederholung endet genauso.",
    weights_unavailable: "Prüfe den Namen des Modells und ob dieser Rechner dorthin kommt, wo es liegt; oder gib einen Ordner an, der es enthält.",
    impossible_resources: "Verlange weniger Geräte oder Kerne, oder füge einen Rechner hinzu, der sie hat.",
    out_of_memory: "Nimm einen kleineren Batch, ein kleineres Modell oder eine geringere Auflösung; bei LoRA hilft auch Gradient Checkpointing.",
    diverged: "Senke die Lernrate oder verlängere das Aufwärmen.",
    exception: "Das Ende des Logs nennt die Zeile. Wiederhole, wenn der Fehler vorübergehend war; sonst ändere, was es nennt.",
    exit_code: "Das Ende des Logs sagt, wie weit er kam. Wiederhole; endet er ebenso, dann senke den Speicher, den er braucht.",
    worker_lost: "Wiederhole: Es geht vom letzten Checkpoint an weiter. Verschwinden immer wieder Worker, so fehlt vielleicht Speicher.",
    node_lost: "Wiederhole, sobald der Rechner wieder da ist oder ein anderer Platz hat: Es geht vom letzten Checkpoint an weiter.",
    driver_lost: "Wiederhole: Es geht vom letzten Checkpoint an weiter.",
    submit_failed: "Sieh nach, ob es Ray gut geht, und wiederhole dann.",
    provider_refused: "Prüfe, was die Meldung nennt: die Eingaben, den Schlüssel, das Guthaben beim Anbieter.",
    provider_failed: "Das Log des Anbieters sagt, warum. Ändere, was es nennt, und bestelle dann noch einmal.",
    provider_lost: "Sieh auf der Seite des Anbieters nach, ob es gemacht wurde; wenn nicht, bestelle noch einmal.",
    output_lost: "Die Dateien liegen vielleicht noch beim Anbieter: Drücke „Jetzt abgleichen“ oder hole sie dort.",
    provider_cancelled: "Bestelle noch einmal, wenn niemand es beenden wollte.",
    moved: "Nichts: Es geht vom Checkpoint an weiter, sobald Platz ist.",
    quota_reached: "Bitte einen Admin, das Kontingent anzuheben, oder warte, bis es neu beginnt; beim Wiederholen geht es vom letzten Checkpoint weiter.",
    part_cancelled: "Starte ihn neu; was vor dem Training getan war, wird nicht noch einmal getan.",
    other: "Lies die Meldung und das Ende des Logs, und wiederhole dann.",
  },
};

export const ray = {
  link: "Ray-Dashboard",
  help: "Dieser Job auf dem Dashboard von Ray, in einem neuen Tab",
};
