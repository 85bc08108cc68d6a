/** A draft of a town's next override set: kept in the browser until it is published, or thrown away. */
import { signal } from "@preact/signals";
import type { Role } from "./documents";
import { may } from "./session";

export interface Row {
  role: Role | null;
  label: string | null;
  rigId: string | null;
  model: string;
}

/** What a set says, as far as people choose it. */
export interface Choice {
  profile: string;
  honorBeadModels: boolean;
  overrides: Row[];
}

/** `was` is what the set of version `base` says, so that it shows which choices are the draft's own. */
export interface Draft extends Choice {
  base: number;
  was: Choice;
  reason?: string;
}

export interface Edit {
  what: string;
  before: string | null;
  after: string | null;
}

const drafts = signal<Record<string, Draft | undefined>>({});
const place = (town: string): string => `townclerk.draft.${town}`;

/** Undefined where there is none, and for those who could not publish it. */
export function draftOf(town: string): Draft | undefined {
  if (!may.edit.value) return undefined;
  if (!(town in drafts.value)) {
    const kept = localStorage.getItem(place(town));
    drafts.value = { ...drafts.value, [town]: kept ? (JSON.parse(kept) as Draft) : undefined };
  }
  return drafts.value[town];
}

export function keep(town: string, draft: Draft | undefined): void {
  const kept = draft && edits(draft).length > 0 ? draft : undefined;
  if (kept) localStorage.setItem(place(town), JSON.stringify(kept));
  else localStorage.removeItem(place(town));
  drafts.value = { ...drafts.value, [town]: kept };
}

addEventListener("storage", (event) => {
  const town = event.key?.startsWith(place("")) ? event.key.slice(place("").length) : null;
  if (town !== null)
    drafts.value = { ...drafts.value, [town]: event.newValue ? (JSON.parse(event.newValue) as Draft) : undefined };
});

/** A rule's key in the spelling of the API: `polecat[gt:pr-fixup]@web`. */
export function keyOf(row: Pick<Row, "role" | "label" | "rigId">): string {
  const role = row.role?.toLowerCase() ?? "*";
  return `${role}${row.label ? `[${row.label}]` : ""}${row.rigId ? `@${row.rigId}` : ""}`;
}

export function titleOf(row: Pick<Row, "role" | "label" | "rigId">): string {
  const role = row.role ? row.role[0] + row.role.slice(1).toLowerCase() : "Any role";
  const narrowed = [row.label && `label: ${row.label}`, row.rigId && `rig: ${row.rigId}`].filter(Boolean).join(", ");
  if (narrowed) return `${role} — ${narrowed}`;
  return row.role === "MAYOR" ? role : `${role} (default)`;
}

/** What the draft changes, in the order in which it is best read. */
export function edits({ was, ...now }: Choice & { was: Choice }): Edit[] {
  const found: Edit[] = [];
  if (was.profile !== now.profile) found.push({ what: "Profile", before: was.profile, after: now.profile });
  if (was.honorBeadModels !== now.honorBeadModels) {
    const told = (honored: boolean): string => (honored ? "honoured" : "ignored");
    found.push({ what: "Models asked for by beads", before: told(was.honorBeadModels), after: told(now.honorBeadModels) });
  }
  const [before, after] = [byKey(was.overrides), byKey(now.overrides)];
  for (const [key, row] of new Map([...before, ...after])) {
    const [old, next] = [before.get(key)?.model ?? null, after.get(key)?.model ?? null];
    if (old !== next) found.push({ what: titleOf(row), before: old, after: next });
  }
  return found;
}

/** The draft's own choices put on top of another set than the one they were made over. */
export function rebased(draft: Draft, base: number, current: Choice): Draft {
  const [was, mine, rows] = [byKey(draft.was.overrides), byKey(draft.overrides), byKey(current.overrides)];
  for (const key of new Set([...was.keys(), ...mine.keys()])) {
    const row = mine.get(key);
    if (was.get(key)?.model === row?.model) continue;
    if (row) rows.set(key, row);
    else rows.delete(key);
  }
  return {
    base,
    was: current,
    reason: draft.reason,
    profile: draft.profile === draft.was.profile ? current.profile : draft.profile,
    honorBeadModels:
      draft.honorBeadModels === draft.was.honorBeadModels ? current.honorBeadModels : draft.honorBeadModels,
    overrides: [...rows.values()],
  };
}

export function withRow(rows: Row[], row: Row): Row[] {
  return [...byKey(rows).set(keyOf(row), row).values()];
}

export function withoutKey(rows: Row[], key: string): Row[] {
  return rows.filter((row) => keyOf(row) !== key);
}

function byKey(rows: Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [keyOf(row), row]));
}
