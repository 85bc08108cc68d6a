/** Who looks at the pages, and what they may do. */
import { computed, signal } from "@preact/signals";
import type { Failure } from "./api";
import type { Scope } from "./documents";

export interface Viewer {
  name: string;
  actsFor?: string | null;
  scopes: Scope[];
  towns?: string[] | null;
}

const KEPT = "townclerk.token";

/** Kept for the tab: closing it signs out. */
export const token = signal<string | null>(sessionStorage.getItem(KEPT));
/** Undefined while nobody knows; null for someone who has to sign in. */
export const viewer = signal<Viewer | null | undefined>(undefined);
export const refusal = signal<string | null>(null);

export function signIn(given: string): void {
  sessionStorage.setItem(KEPT, given.trim());
  refusal.value = null;
  viewer.value = undefined;
  token.value = given.trim();
}

export function signOut(): void {
  refusal.value = null;
  forget();
}

export function turnedAway(failure: Failure): void {
  if (token.value) refusal.value = failure.message; // it stays, also when who comes without a token is turned away next
  forget();
}

function forget(): void {
  sessionStorage.removeItem(KEPT);
  token.value = null;
  viewer.value = null;
}

const has = (...scopes: Scope[]) => computed(() => scopes.some((scope) => viewer.value?.scopes.includes(scope)));

/** What the viewer may not do is not offered. */
export const may = {
  read: has("READER", "EDITOR", "AUDITOR", "ADMIN"),
  edit: has("EDITOR"),
  audit: has("AUDITOR", "ADMIN"),
  administer: computed(() => Boolean(viewer.value?.scopes.includes("ADMIN") && viewer.value.towns == null)),
};
