/** The last look at a draft before it is published, and what to do where someone else was quicker. */
import { useState } from "preact/hooks";
import { change, type Failure, newKey, type UserError } from "../api";
import { graphql, type ResultOf } from "../documents";
import { type Draft, edits, keep, rebased } from "../draft";
import { useAnswer } from "../hooks";
import { choiceOf, TOWN, type TownAnswer, type TownFound, who } from "../town";
import { Dialog, Field, ModelName, Problem, Problems, When } from "../ui";
import { beads, type PreviewFound, wireDraft } from "./models";

const PUBLISH = graphql(/* GraphQL */ `
  mutation Publish($input: PublishOverrideSetInput!) {
    publishOverrideSet(input: $input) {
      currentVersion
      userErrors { code message path }
      overrideSet { version }
    }
  }
`);

const SINCE = graphql(/* GraphQL */ `
  query Since($town: ID!, $version: Int!) {
    town(townId: $town) {
      overrideSetAt(asOf: { version: $version }) {
        version
        reason
        createdAt
        createdBy { displayName onBehalfOf }
      }
    }
  }
`);

export function Review(props: {
  answer: TownAnswer;
  found: TownFound;
  draft: Draft;
  preview: PreviewFound;
  onClose: () => void;
  onPublished: (told: string) => void;
  onRebased: () => void;
}) {
  const { found, draft, preview } = props;
  const reason = draft.reason ?? "";
  const [key] = useState(newKey);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure>();
  const [errors, setErrors] = useState<readonly UserError[]>([]);
  const [newer, setNewer] = useState<number | null>(draft.base === preview.baseVersion ? null : (preview.baseVersion ?? null));
  const detection = preview.changeDetection;
  const publish = async (): Promise<void> => {
    setBusy(true);
    setFailure(undefined);
    try {
      const input = {
        townId: found.townId,
        expectedVersion: draft.base,
        reason,
        idempotencyKey: `${key}-${draft.base}`,
        draft: wireDraft(draft),
      };
      const { publishOverrideSet: payload } = await change(PUBLISH, { input });
      const conflict = payload.userErrors.some((error) => error.code === "VERSION_CONFLICT");
      if (conflict) setNewer(payload.currentVersion ?? null);
      setErrors(conflict ? [] : payload.userErrors);
      if (payload.userErrors.length === 0) {
        props.onPublished(`Published as version ${payload.overrideSet?.version}.`);
        keep(found.townId, undefined);
      }
    } catch (error) {
      setFailure(error as Failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title="Review and publish" onClose={props.onClose}>
      {newer !== null && (
        <Conflict
          found={found}
          draft={draft}
          newer={newer}
          onRebased={() => {
            setNewer(null);
            props.onRebased();
          }}
        />
      )}
      <Changes draft={draft} />
      {detection && (
        <>
          <h3>What it does</h3>
          <p>
            {beads(detection.changedBeadCount)} would run on another model or by another rule.{" "}
            {detection.mayorChanged ? (
              <>
                The mayor moves from <ModelName id={detection.mayorBefore.model} /> to{" "}
                <ModelName id={detection.mayorAfter.model} />
                {detection.mayorRestartRequired ? " and has to restart." : ", which it runs on."}
              </>
            ) : (
              "The mayor's models stay as they are."
            )}
          </p>
          <ChangedBeads edges={detection.changedBeads.edges} more={detection.changedBeads.pageInfo.hasNextPage} />
        </>
      )}
      {preview.warnings.length > 0 && (
        <ul class="notice warn">
          {preview.warnings.map((warning) => (
            <li key={warning.code + warning.key}>{warning.message}</li>
          ))}
        </ul>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void publish();
        }}
      >
        <Field label="Why? It is kept with the change.">
          {(id) => (
            <textarea
              id={id}
              required
              maxLength={500}
              value={reason}
              onInput={(event) => keep(found.townId, { ...draft, reason: event.currentTarget.value })}
            />
          )}
        </Field>
        <Problem failure={failure} />
        <Problems errors={errors} />
        <div class="actions">
          <button type="submit" class="main" disabled={busy || newer !== null || !reason.trim()}>
            {busy ? "Publishing…" : `Publish as version ${draft.base + 1}`}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Changes({ draft }: { draft: Draft }) {
  return (
    <table>
      <caption>Changes to version {draft.base}</caption>
      <thead>
        <tr>
          <th scope="col">What</th>
          <th scope="col">Before</th>
          <th scope="col">After</th>
        </tr>
      </thead>
      <tbody>
        {edits(draft).map((edit) => (
          <tr key={edit.what}>
            <th scope="row">{edit.what}</th>
            <td>{edit.before ?? "as the profile says"}</td>
            <td>{edit.after ?? "as the profile says"}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

type Edges = NonNullable<PreviewFound["changeDetection"]>["changedBeads"]["edges"];

export function ChangedBeads({ edges, more }: { edges: Edges; more: boolean }) {
  if (edges.length === 0) return null;
  return (
    <div class="scrolled" tabIndex={0}>
      <table>
        <caption>{more ? `The first ${edges.length} of them` : "They are"}</caption>
        <thead>
          <tr>
            <th scope="col">Bead</th>
            <th scope="col">Before</th>
            <th scope="col">After</th>
          </tr>
        </thead>
        <tbody>
          {edges.map(({ node }) => (
            <tr key={node.bead.beadId}>
              <th scope="row">
                {node.bead.title || node.bead.beadId}
                <small>{node.bead.beadId}</small>
              </th>
              <td>
                <ModelName id={node.before.model} />
                <small>{node.before.because}</small>
              </td>
              <td>
                <ModelName id={node.after.model} />
                <small>{node.after.because}</small>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Shows what others did meanwhile, and offers to put the draft on top of it. */
function Conflict(props: { found: TownFound; draft: Draft; newer: number; onRebased: () => void }) {
  const { found, draft, newer } = props;
  const now = useAnswer(TOWN, { town: found.townId });
  const since = useAnswer(SINCE, { town: found.townId, version: newer });
  const set: ResultOf<typeof TOWN>["town"] = now.data?.town ?? null;
  const made = since.data?.town?.overrideSetAt;
  const current = set && set.overrideSet.version >= newer ? set.overrideSet : null;
  const theirs = current ? edits({ ...choiceOf(current), was: draft.was }) : [];
  return (
    <div class="notice warn" role="alert">
      <p>
        Version {newer} was published meanwhile
        {made && (
          <>
            {" "}
            by {who(made.createdBy)} <When instant={made.createdAt} />
            {made.reason && <>: “{made.reason}”</>}
          </>
        )}
        . Your draft was made over version {draft.base}.
      </p>
      {current && (
        <>
          <ul>
            {theirs.map((edit) => (
              <li key={edit.what}>
                {edit.what}: {edit.before ?? "as the profile says"} → {edit.after ?? "as the profile says"}
              </li>
            ))}
            {theirs.length === 0 && <li>Nothing of what you can choose was changed: the profile moved.</li>}
          </ul>
          <button
            type="button"
            onClick={() => {
              keep(found.townId, rebased(draft, current.version, choiceOf(current)));
              props.onRebased();
            }}
          >
            Put my draft on top of it
          </button>
        </>
      )}
      <Problem failure={now.failure ?? since.failure} again={now.again} />
    </div>
  );
}
