// The words of signing in and of API keys; they are fetched with these views.
import { localize } from "./language.js";

export const who = {
  menu: (user) => `Signed in as ${user}`,
  roles: { viewer: "viewer", trainer: "trainer", admin: "admin" },
  keys: "API keys",
  signOut: "Sign out",
  signIn: "Sign in",
};

export const signIn = {
  title: "Sign in · Thornback",
  heading: "Sign in",
  with: "Sign in with",
  ways: { password: "Password", key: "API key" },
  name: "Name",
  password: "Password",
  key: "API key",
  keyHelp: "A key for less than its user may do signs nobody in.",
  start: "The training that you filled in starts by itself once you have signed in.",
  ended: "The page goes on where you were.",
  submit: "Sign in",
  working: "Signing in…",
  wait: (seconds) => (seconds === 1 ? "Too many tries. The next one is possible in 1 s." : `Too many tries. The next one is possible in ${seconds} s.`),
  open: "Nobody has to sign in here",
  openText: "This server has no access control: whoever reaches it may do everything.",
  done: (user) => `You are signed in as ${user}`,
  goOn: "Go on",
  missing: "Fill this in.",
};

export const keys = {
  title: "API keys · Thornback",
  heading: "API keys",
  intro: "For programs that train in your name: `Authorization: Bearer tbk_…`.",
  label: "What it is for",
  labelHint: "e.g. notebook on the GPU box",
  role: "May",
  roleAll: "all that you may",
  roles: { viewer: "look only", trainer: "look and train" },
  days: "Holds for",
  forever: "until revoked",
  dayCount: (n) => (n === 1 ? "1 day" : `${n} days`),
  make: "Make a key",
  making: "Making…",
  made: "Your new key",
  madeText: "Copy it now: it is shown this once and kept nowhere.",
  copy: "Copy the key",
  hide: "I have it",
  list: "Keys that were made",
  loading: "Loading keys…",
  failedToLoad: "The keys could not be loaded",
  none: "No keys yet.",
  columns: { label: "For", user: "User", role: "May", created: "Made", used: "Last used", state: "State" },
  never: "never",
  holds: "works",
  until: (when) => `works until ${when}`,
  revoked: (when) => `revoked ${when}`,
  expired: (when) => `expired ${when}`,
  revoke: "Revoke",
  revokeOf: (label) => `Revoke ${label}`,
  revokeTitle: "Revoke this key?",
  revokeText: (label) => `Programs that use “${label}” are refused from now on. This cannot be taken back.`,
  keep: "Keep it",
  open: "Nobody has to sign in here, so keys open nothing.",
};

await localize("strings-session.js", { who, signIn, keys });
