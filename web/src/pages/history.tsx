/** How a town came to be as it is: versions, how its beads were spread, and the record. */
import { useState } from "preact/hooks";
import { change, Failure, headers, newKey, type UserError } from "../api";
import { graphql, type AuditAction, type ResultOf } from "../documents";
import { useAnswer, useKept } from "../hooks";
import { may } from "../session";
import { NoTown, TownFrame, who } from "../town";
import { Badge, Busy, Dialog, Empty, Field, Problem, Problems, Select, When } from "../ui";
import { beads, mayorTold, PREVIEW } from "./models";
import { ChangedBeads } from "./review";
import { Spread } from "./spread";

const VERSIONS = graphql(/* GraphQL */ `
  query Versions($town: ID!, $after: String) {
    town(townId: $town) {
      name
      overrideSet { version profile { name } }
      overrideSets(first: 20, after: $after) {
        edges {
          node {
            version
            cause
            revertOf
            reason
            createdAt
            createdBy { displayName onBehalfOf }
            profile { name title }
            honorBeadModels
            overrides { role label rigId model }
            modelSpread { model beads }
            diff {
              profileBefore
              profileAfter
              profileVersionBefore
              profileVersionAfter
              honorBeadModelsBefore
              honorBeadModelsAfter
              changes { key before after }
            }
          }
        }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`);

const REVERT = graphql(/* GraphQL */ `
  mutation Revert($input: RevertOverrideSetInput!) {
    revertOverrideSet(input: $input) { currentVersion userErrors { code message path } }
  }
`);

type Version = NonNullable<ResultOf<typeof VERSIONS>["town"]>["overrideSets"]["edges"][number]["node"];

export function HistoryPage({ town }: { town: string }) {
  const [pages, setPages] = useState<(string | null)[]>([null]);
  const after = pages.at(-1) ?? null;
  const asked = useAnswer(VERSIONS, { town, after });
  const found = asked.data?.town;
  const versions = found?.overrideSets.edges.map((edge) => edge.node) ?? [];
  const end = found?.overrideSets.pageInfo.endCursor;
  return (
    <TownFrame town={town} name={found?.name}>
      <Problem failure={asked.failure} again={asked.again} />
      <Busy busy={asked.busy && !asked.data} />
      {asked.data && !found && <NoTown town={town} />}
      {found && (
        <>
          <Spread versions={versions} />
          <h2>Versions</h2>
          <ol class="timeline">
            {versions.map((version) => (
              <VersionEntry
                key={version.version}
                town={town}
                version={version}
                current={found.overrideSet.version}
                onReverted={() => {
                  setPages([null]);
                  asked.again();
                }}
              />
            ))}
          </ol>
          <div class="actions">
            {pages.length > 1 && (
              <button type="button" onClick={() => setPages(pages.slice(0, -1))}>
                Newer
              </button>
            )}
            {found.overrideSets.pageInfo.hasNextPage && end && (
              <button type="button" onClick={() => setPages([...pages, end])}>
                Older
              </button>
            )}
          </div>
          {may.audit.value ? (
            <Record town={town} />
          ) : (
            <p class="hint">The record of everything else that happened takes a credential of scope auditor.</p>
          )}
        </>
      )}
    </TownFrame>
  );
}

const CAUSES: Record<Version["cause"], string> = {
  TOWN_CREATED: "The town was made",
  PUBLISHED: "Published",
  PROFILE_SELECTED: "Another profile",
  REVERTED: "Reverted",
  PROFILE_UPDATED: "The profile was updated",
};

function VersionEntry(props: { town: string; version: Version; current: number; onReverted: () => void }) {
  const { town, version, current } = props;
  const [reverting, setReverting] = useState(false);
  const { diff } = version;
  const lines: string[] = [];
  if (diff.profileBefore !== diff.profileAfter) lines.push(`Profile: ${diff.profileBefore} → ${diff.profileAfter}`);
  else if (diff.profileVersionBefore !== diff.profileVersionAfter)
    lines.push(`Profile ${diff.profileAfter}: version ${diff.profileVersionBefore} → ${diff.profileVersionAfter}`);
  if (diff.honorBeadModelsBefore !== diff.honorBeadModelsAfter)
    lines.push(`Models asked for by beads: ${diff.honorBeadModelsAfter ? "ignored → honoured" : "honoured → ignored"}`);
  for (const change of diff.changes)
    lines.push(`${change.key}: ${change.before ?? "as the profile says"} → ${change.after ?? "as the profile says"}`);
  return (
    <li>
      <p>
        <strong>Version {version.version}</strong> <Badge kind="plain">{CAUSES[version.cause]}</Badge>
        {version.revertOf && <> to version {version.revertOf}</>}
        {version.version === current && <Badge kind="good">in force</Badge>}
      </p>
      <p>
        <When instant={version.createdAt} /> by {who(version.createdBy)}
        {version.reason && <>: “{version.reason}”</>}
      </p>
      {lines.length > 0 && (
        <ul class="diff">
          {lines.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      )}
      <div class="actions">
        <a href={`/towns/${encodeURIComponent(town)}/at/${version.version}`}>As it was then</a>
        {may.edit.value && version.version !== current && (
          <button type="button" class="plain" onClick={() => setReverting(true)}>
            Revert to this…
          </button>
        )}
      </div>
      {reverting && <Revert {...props} onClose={() => setReverting(false)} />}
    </li>
  );
}

function Revert(props: { town: string; version: Version; current: number; onReverted: () => void; onClose: () => void }) {
  const { town, version } = props;
  const [reason, setReason] = useKept(`revert.${town}.${version.version}`, "");
  const [key] = useState(newKey);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure>();
  const [errors, setErrors] = useState<readonly UserError[]>([]);
  const draft = {
    profile: version.profile.name,
    honorBeadModels: version.honorBeadModels,
    overrides: version.overrides,
  };
  const asked = useAnswer(PREVIEW, { town, draft });
  const preview = asked.data?.preview;
  const detection = preview?.changeDetection;
  const revert = async (): Promise<void> => {
    setBusy(true);
    setFailure(undefined);
    try {
      const input = {
        townId: town,
        expectedVersion: preview?.baseVersion ?? props.current,
        toVersion: version.version,
        reason,
        idempotencyKey: key,
      };
      const { revertOverrideSet: payload } = await change(REVERT, { input });
      setErrors(payload.userErrors);
      if (payload.userErrors.length === 0) {
        setReason("");
        props.onReverted();
        props.onClose();
      }
    } catch (error) {
      setFailure(error as Failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Revert to version ${version.version}`} onClose={props.onClose}>
      <p>What it said comes back as the next version, over the latest version of its profile. Nothing is taken out of the history.</p>
      <Busy busy={asked.busy && !preview} what="Looking what it would change" />
      <Problem failure={asked.failure} again={asked.again} />
      {preview && <Problems errors={preview.userErrors} />}
      {detection && (
        <>
          <p>
            {beads(detection.changedBeadCount)} would change; {mayorTold(detection)}.
          </p>
          <ChangedBeads edges={detection.changedBeads.edges} more={detection.changedBeads.pageInfo.hasNextPage} />
        </>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void revert();
        }}
      >
        <Field label="Why? It is kept with the change.">
          {(id) => (
            <textarea id={id} required maxLength={500} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
          )}
        </Field>
        <Problem failure={failure} />
        <Problems errors={errors} />
        <div class="actions">
          <button type="submit" class="main" disabled={busy || !reason.trim()}>
            {busy ? "Reverting…" : "Revert"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

// ---- the record

const ENTRIES = graphql(/* GraphQL */ `
  query Entries($town: ID!, $filter: AuditFilter, $after: String) {
    auditEntries(townId: $town, filter: $filter, first: 25, after: $after) {
      edges {
        node {
          sequence
          occurredAt
          action
          targetType
          targetId
          reason
          requestId
          before
          after
          hash
          actor { displayName onBehalfOf }
        }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
`);

const VERIFY = graphql(/* GraphQL */ `
  query Verify($town: ID!) {
    verifyAudit(townId: $town) { ok entries problem firstBadSequence head { sequence hash } }
  }
`);

const ACTIONS: AuditAction[] = [
  "TOWN_CREATED",
  "TOWN_IMPORTED",
  "RIG_REGISTERED",
  "RIG_REMOVED",
  "BEADS_SYNCED",
  "OVERRIDE_SET_PUBLISHED",
  "PROFILE_SELECTED",
  "OVERRIDE_SET_REVERTED",
  "PROFILE_VERSION_ADOPTED",
  "MAYOR_OBSERVED",
];

const spoken = (word: string): string => word[0] + word.slice(1).toLowerCase().replaceAll("_", " ");

function Record({ town }: { town: string }) {
  const [action, setAction] = useState("");
  const [since, setSince] = useState("");
  const [until, setUntil] = useState("");
  const [pages, setPages] = useState<(string | null)[]>([null]);
  const narrowed = (set: (value: string) => void) => (value: string) => {
    set(value);
    setPages([null]);
  };
  const filter = {
    actions: action ? [action as AuditAction] : null,
    since: since ? new Date(since).toISOString() : null,
    until: until ? new Date(until).toISOString() : null,
  };
  const asked = useAnswer(ENTRIES, { town, filter, after: pages.at(-1) ?? null });
  const page = asked.data?.auditEntries;
  const end = page?.pageInfo.endCursor;
  return (
    <section aria-labelledby="record">
      <h2 id="record">Record</h2>
      <Verification town={town} />
      <div class="row">
        <Field label="What happened">
          {(id) => (
            <Select
              id={id}
              value={action}
              options={[{ value: "", text: "anything" }, ...ACTIONS.map((each) => ({ value: each, text: spoken(each) }))]}
              onChange={narrowed(setAction)}
            />
          )}
        </Field>
        <Field label="Since">
          {(id) => (
            <input id={id} type="datetime-local" value={since} onChange={(event) => narrowed(setSince)(event.currentTarget.value)} />
          )}
        </Field>
        <Field label="Until">
          {(id) => (
            <input id={id} type="datetime-local" value={until} onChange={(event) => narrowed(setUntil)(event.currentTarget.value)} />
          )}
        </Field>
      </div>
      <Problem failure={asked.failure} again={asked.again} />
      <Busy busy={asked.busy && !page} />
      {page?.edges.length === 0 && <Empty>Nothing like that is on record: widen what you look for.</Empty>}
      <ol class="timeline">
        {page?.edges.map(({ node: entry }) => (
          <li key={entry.sequence}>
            <p>
              <strong>{spoken(entry.action)}</strong> <small>#{entry.sequence}</small>
            </p>
            <p>
              <When instant={entry.occurredAt} /> by {who(entry.actor)}
              {entry.reason && <>: “{entry.reason}”</>}
            </p>
            <details>
              <summary>
                {entry.targetType} {entry.targetId}
              </summary>
              <div class="beside">
                <pre role="group" aria-label="Before" tabIndex={0}>{entry.before === null ? "nothing" : JSON.stringify(entry.before, null, 2)}</pre>
                <pre role="group" aria-label="After" tabIndex={0}>{JSON.stringify(entry.after, null, 2)}</pre>
              </div>
              <small>
                request {entry.requestId}, hash <code>{entry.hash}</code>
              </small>
            </details>
          </li>
        ))}
      </ol>
      <div class="actions">
        {pages.length > 1 && (
          <button type="button" onClick={() => setPages(pages.slice(0, -1))}>
            Newer entries
          </button>
        )}
        {page?.pageInfo.hasNextPage && end && (
          <button type="button" onClick={() => setPages([...pages, end])}>
            Older entries
          </button>
        )}
      </div>
    </section>
  );
}

function Verification({ town }: { town: string }) {
  const [wanted, setWanted] = useState(false);
  const [failure, setFailure] = useState<Failure>();
  const asked = useAnswer(VERIFY, wanted ? { town } : null);
  const found = asked.data?.verifyAudit;
  const download = async (format: string): Promise<void> => {
    setFailure(undefined);
    try {
      const answer = await fetch(`/audit/export?${new URLSearchParams({ townId: town, format })}`, { headers: headers() });
      if (!answer.ok) throw new Failure("EXPORT", "The export was refused: sign in with a credential of scope auditor.");
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = `townclerk-audit-${town}.${format}`;
      link.click();
      URL.revokeObjectURL(link.href);
    } catch (error) {
      setFailure(error instanceof Failure ? error : new Failure("EXPORT", "The export broke off: try again."));
    }
  };
  return (
    <>
      <div class="actions start">
        <button type="button" onClick={() => (wanted ? asked.again() : setWanted(true))}>
          Verify
        </button>
        <button type="button" onClick={() => void download("jsonl")}>
          Export as JSONL
        </button>
        <button type="button" onClick={() => void download("csv")}>
          Export as CSV
        </button>
      </div>
      <Busy busy={asked.busy} what="Following the chain" />
      <Problem failure={asked.failure ?? failure} again={wanted ? asked.again : () => setFailure(undefined)} />
      {found && !asked.busy && (
        <p class={found.ok ? "notice good" : "notice bad"} role="status">
          {found.ok ? (
            <>
              Nobody touched the record: {found.entries} entries, and all that is stored is what they tell. It ends at{" "}
              {found.head.sequence}:<code>{found.head.hash}</code>
            </>
          ) : (
            <>
              The record does not hold{found.firstBadSequence && <> from entry {found.firstBadSequence} on</>}: {found.problem}
            </>
          )}
        </p>
      )}
    </>
  );
}
