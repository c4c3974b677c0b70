// The words of the administration and of the paused queue; they are fetched with them.
import { localize } from "./language.js";

export const hold = {
  paused: (by, since) => `The queue is paused by ${by} since ${since}: nothing new starts, what runs goes on.`,
  pausedWhy: (by, since, why) => `The queue is paused by ${by} since ${since} (${why}): nothing new starts, what runs goes on.`,
  manage: "Queue",
};

export const admin = {
  title: (part) => `${part} · Admin · Thornback`,
  heading: "Admin",
  only: "For admins only",
  onlyText: (user) => (user ? `${user} is no admin here. An admin can change that under Users.` : "Sign in as an admin."),
  parts: "Parts of the administration",
  part: {
    teams: "Teams",
    quotas: "Quotas",
    hooks: "Webhooks out",
    audit: "Audit log",
    queue: "Queue",
    users: "Users",
    keys: "API keys",
    providers: "Providers",
    letters: "Dead letters",
    storage: "Storage",
    system: "System",
    alerts: "Alerts",
  },
  loading: "Loading…",
  failedToLoad: "This could not be loaded",
  never: "never",
  none: "none",
  yes: "yes",
  no: "no",
};

export const queue = {
  going: "The queue goes on.",
  pause: "Pause the queue",
  resume: "Resume the queue",
  why: "Reason, shown wherever a job waits",
  whyHint: "e.g. a node is replaced",
  of: { ray: "Waiting for this cluster", replicate: "Waiting for Replicate", fal: "Waiting for fal" },
  ofOther: (name) => `Waiting for ${name}`,
  empty: "Nobody waits",
  emptyText: "Every job that was asked for has started or ended.",
  columns: { place: "Place", job: "Job", user: "Owner", priority: "Priority", reason: "Waits for", move: "Move" },
  priorityOf: (name) => `Priority of ${name}, from -100 to 100`,
  first: "First",
  up: "Up",
  down: "Down",
  last: "Last",
  move: (where, name) => `${where}: ${name}`,
  notYet: "not looked at yet",
  order: "Higher priorities come first; among equals those whose users hold the least, then the oldest.",
};

export const users = {
  add: "Add a user",
  name: "Name",
  role: "Role",
  roles: { viewer: "viewer: looks", trainer: "trainer: trains", admin: "admin: may do everything" },
  password: "Password",
  passwordHint: "left out: by API key only",
  submit: "Add",
  columns: { name: "Name", role: "Role", password: "Password", since: "Since", state: "State" },
  roleOf: (name) => `Role of ${name}`,
  hasPassword: "set",
  noPassword: "none",
  active: "may come in",
  inactive: "switched off",
  off: "Switch off",
  on: "Let in again",
  offOf: (name) => `Switch off: ${name}`,
  onOf: (name) => `Let in again: ${name}`,
  offTitle: (name) => `Switch ${name} off?`,
  offText: "All sessions end, and no API key of this user works any more. The jobs stay.",
  keep: "Not now",
  reset: "New password",
  resetOf: (name) => `New password for ${name}`,
  set: "Set",
  cancel: "Cancel",
  done: (name) => `${name} has a new password; all sessions have ended.`,
  open: "There is no access control here: whoever reaches this server may do everything. With THORNBACK_ACCESS=on everybody says who they are.",
};

export const keys = {
  columns: { label: "For", user: "User", role: "At most", created: "Made", used: "Last used", state: "State" },
  all: "all the user may",
  works: "works",
  until: (when) => `until ${when}`,
  revoked: (when) => `revoked ${when}`,
  expired: (when) => `expired ${when}`,
  revoke: "Revoke",
  revokeOf: (label, user) => `Revoke ${label} of ${user}`,
  revokeTitle: "Revoke this key?",
  revokeText: (label, user) => `Programs of ${user} that use “${label}” are refused from now on. This cannot be taken back.`,
  keep: "Keep it",
  empty: "No keys yet",
  emptyText: "Everybody makes their own under API keys.",
};

export const providers = {
  ready: "ready",
  off: (setting) => `not set up: ${setting} is missing`,
  troubled: "has a problem",
  breaker: "Breaker",
  breakers: { closed: "closed: calls go through", open: "open: left alone for a while", half_open: "half open: one call tries" },
  failures: (n) => (n === 1 ? "1 failure in a row" : `${n} failures in a row`),
  retryAt: (when) => `next call ${when}`,
  limits: "Limits",
  limited: (when) => `asked us to wait until ${when}`,
  unlimited: "no limit asked of us",
  orders: "Open orders",
  slots: (open, slots) => `${open} of ${slots} at once`,
  webhooks: "Webhooks",
  on: "on",
  polling: "off",
  lastError: "Last error",
  unknown: "not known",
};

export const letters = {
  text: "Webhooks whose signature was good and that could not be used. They change nothing until they are replayed.",
  empty: "No dead letters",
  emptyText: "Every webhook that came in could be used.",
  replay: "Replay",
  replayOf: (id) => `Replay delivery ${id}`,
  discard: "Discard",
  discardOf: (id) => `Discard delivery ${id}`,
  discardTitle: "Discard this delivery?",
  discardText: "What it said is forgotten. This cannot be taken back.",
  keep: "Keep it",
  body: "What was sent",
  applied: (events) => (events === 1 ? "Applied: 1 event." : `Applied: ${events} events.`),
  still: (problem) => `Still no use: ${problem}`,
  job: "job",
  more: "Show more",
};

export const storage = {
  at: "Where",
  measured: (when) => `Looked at ${when}`,
  measuring: "Looking now…",
  again: "Look again",
  sweep: "Delete temporary files",
  sweepText: "Temporary files go by themselves a day after they were written; this does it now.",
  swept: (files, size) => (files === 0 ? "There was nothing to delete." : `${files.toLocaleString()} files deleted, ${size}.`),
  columns: { area: "Part", files: "Files", size: "Size" },
  areas: {
    loras: "Versions of models",
    datasets: "Datasets made from videos",
    uploads: "Uploads of people",
    "training-images": "Image sets",
    temp: "Temporary files",
    caches: "Caches",
    runs: "Runs: checkpoints, logs, artifacts",
  },
  total: "All",
};

export const system = {
  health: "Health",
  ok: "well",
  columns: { part: "Part", state: "State", took: "Answered in" },
  versions: "Versions",
  names: { thornback: "Thornback", python: "Python", ray: "Ray", torch: "PyTorch", database: "Database", schema: "Tables" },
  absent: "not installed here, or no answer",
  part: { database: "Database", metrics: "Metrics actor", dispatcher: "Dispatcher", ray: "Ray" },
  streams: (n) => (n === 1 ? "1 live client of this replica" : `${n.toLocaleString()} live clients of this replica`),
  again: "Look again",
};

export const alerts = {
  empty: "No alerts in the last 30 days",
  emptyRules: (n) => (n === 1 ? "One rule looks at every failure." : `${n} rules look at every failure.`),
  noRules: "No rule is set: THORNBACK_ALERTS says which failures are worth an alert.",
  jobs: (n) => (n === 1 ? "1 job" : `${n} jobs`),
  look: "Look at the job",
};

await localize("strings-admin.js", { hold, admin, queue, users, keys, providers, letters, storage, system, alerts });
