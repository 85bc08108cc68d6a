/** The central profiles: versions, what differs, and publishing the next one with a look at whom it moves. */
import { useState } from "preact/hooks";
import { change, type Failure, newKey, type UserError } from "../api";
import { graphql, type ResultOf } from "../documents";
import { keyOf, type Row, withoutKey, withRow } from "../draft";
import { useAnswer, useKept } from "../hooks";
import { may } from "../session";
import { who } from "../town";
import { Busy, Empty, Field, Problem, Problems, Select, useTitle, When } from "../ui";
import { Builder } from "./builder";
import { modelOptions, Table } from "./models";

const PROFILES = graphql(/* GraphQL */ `
  query Profiles {
    profiles { name title current { version townsFollowing townsDue } }
  }
`);

const PROFILE = graphql(/* GraphQL */ `
  query Profile($name: String!) {
    profile(name: $name) {
      name
      title
      current {
        version
        smallModel
        townsFollowing
        townsDue
        rules { key title role label model }
      }
      versions(first: 20) {
        edges {
          node {
            version
            reason
            publishedAt
            publishedBy { displayName onBehalfOf }
            smallModel
            diff { key before after }
          }
        }
      }
    }
    models(includeDeprecated: true) { modelId displayName deprecatedAt replacedBy }
    labels { name description }
  }
`);

const PREVIEW = graphql(/* GraphQL */ `
  query PreviewProfile($draft: ProfileDraft!) {
    previewProfileVersion(draft: $draft) {
      baseVersion
      townsFollowing
      mayorsMoved
      changes { key before after }
      userErrors { code message path }
    }
  }
`);

const PUBLISH = graphql(/* GraphQL */ `
  mutation PublishProfile($input: PublishProfileVersionInput!) {
    publishProfileVersion(input: $input) {
      currentVersion
      townsUpdated
      townsFollowing
      mayorRestartsSignalled
      userErrors { code message path }
    }
  }
`);

type Answer = ResultOf<typeof PROFILE>;
type Found = NonNullable<Answer["profile"]>;

export function ProfilesPage({ name }: { name?: string }) {
  useTitle(name ? `Profile ${name}` : "Profiles");
  if (!may.administer.value) return <Empty>Profiles are kept by those with the scope admin, for all towns.</Empty>;
  return name ? <ProfileOf key={name} name={name} /> : <List />;
}

function List() {
  const asked = useAnswer(PROFILES, {});
  return (
    <>
      <h1>Profiles</h1>
      <Problem failure={asked.failure} again={asked.again} />
      <Busy busy={asked.busy && !asked.data} />
      <ul class="cards">
        {asked.data?.profiles.map((profile) => (
          <li key={profile.name}>
            <a href={`/profiles/${profile.name}`}>
              <strong>{profile.title}</strong>
              <span>version {profile.current.version}</span>
              <span>{following(profile.current.townsFollowing)}</span>
            </a>
          </li>
        ))}
      </ul>
    </>
  );
}

function ProfileOf({ name }: { name: string }) {
  const asked = useAnswer(PROFILE, { name }, { every: 5_000 });
  const found = asked.data?.profile;
  return (
    <>
      <h1>{found?.title ?? name}</h1>
      <Problem failure={asked.failure} again={asked.again} />
      <Busy busy={asked.busy && !asked.data} />
      {asked.data && !found && (
        <Empty>
          There is no profile “{name}”. <a href="/profiles">See the profiles</a>.
        </Empty>
      )}
      {asked.data && found && (
        <>
          <Rollout found={found} />
          <Next answer={asked.data} found={found} again={asked.again} />
          <h2>Versions</h2>
          <ol class="timeline">
            {found.versions.edges.map(({ node: version }) => (
              <li key={version.version}>
                <p>
                  <strong>Version {version.version}</strong>, <When instant={version.publishedAt} /> by {who(version.publishedBy)}
                  {version.reason && <>: “{version.reason}”</>}
                </p>
                <Diff changes={version.diff} />
              </li>
            ))}
          </ol>
        </>
      )}
    </>
  );
}

function following(towns: number): string {
  return `${towns.toLocaleString("en")} ${towns === 1 ? "town follows" : "towns follow"} it`;
}

function Rollout({ found }: { found: Found }) {
  const { townsFollowing: all, townsDue: due, version } = found.current;
  return (
    <p role="status" class="standing">
      Version {version}; {following(all)}.{" "}
      {due > 0 && (
        <label>
          It has reached {all - due}: <progress max={all} value={all - due} />
        </label>
      )}
    </p>
  );
}

function Diff({ changes }: { changes: readonly { key: string; before?: string | null; after?: string | null }[] }) {
  if (changes.length === 0) return <p class="hint">No rule differs.</p>;
  return (
    <ul class="diff">
      {changes.map((change) => (
        <li key={change.key}>
          {change.key}: {change.before ?? "no rule"} → {change.after ?? "no rule"}
        </li>
      ))}
    </ul>
  );
}

/** Kept in the browser until it is published, or thrown away. `base` is the version it was made over. */
interface Drafted {
  base: number;
  smallModel: string;
  rules: Row[];
  reason: string;
}

function Next({ answer, found, again }: { answer: Answer; found: Found; again: () => void }) {
  const published = found.current.rules.map(
    (rule): Row => ({ role: rule.role ?? null, label: rule.label ?? null, rigId: null, model: rule.model }),
  );
  const [drafted, setDrafted] = useKept<Drafted | null>(`profile.${found.name}`, null);
  const [building, setBuilding] = useState(false);
  const [key, setKey] = useState(newKey);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure>();
  const [errors, setErrors] = useState<readonly UserError[]>([]);
  const [told, setTold] = useState("");
  const draft: Drafted = drafted ?? {
    base: found.current.version,
    smallModel: found.current.smallModel,
    rules: published,
    reason: "",
  };
  const { reason } = draft;
  const rules = draft.rules.map(({ role, label, model }) => ({ role, label, model }));
  const asked = useAnswer(
    PREVIEW,
    drafted ? { draft: { name: found.name, smallModel: draft.smallModel, rules } } : null,
    { wait: 200, every: 10_000 },
  );
  const preview = asked.data?.previewProfileVersion;
  const latest = preview?.baseVersion ?? null;
  const newer = latest !== null && latest > draft.base ? latest : null;
  const publish = async (): Promise<void> => {
    setBusy(true);
    setFailure(undefined);
    try {
      const input = {
        name: found.name,
        expectedVersion: draft.base,
        smallModel: draft.smallModel,
        rules,
        reason,
        idempotencyKey: key,
      };
      const { publishProfileVersion: payload } = await change(PUBLISH, { input });
      setErrors(payload.userErrors);
      if (payload.userErrors.length === 0) {
        setDrafted(null);
        setKey(newKey());
        setTold(
          `Version ${payload.currentVersion} is published; ${payload.townsUpdated} of ${payload.townsFollowing} towns have it, ` +
            `${payload.mayorRestartsSignalled} mayors have to restart.`,
        );
        again();
      }
    } catch (error) {
      setFailure(error as Failure);
    } finally {
      setBusy(false);
    }
  };
  if (!drafted)
    return (
      <section aria-label="What it says">
        {told && (
          <p class="notice good" role="status">
            {told}
          </p>
        )}
        <Table caption={`Version ${found.current.version}; small model ${found.current.smallModel}`} rows={found.current.rules} />
        <button type="button" onClick={() => setDrafted(draft)}>
          Draft the next version
        </button>
      </section>
    );
  const options = modelOptions(answer.models);
  return (
    <section aria-label="The next version">
      <Field label="Small model">
        {(id) => (
          <Select
            id={id}
            value={draft.smallModel}
            options={options}
            onChange={(smallModel) => setDrafted({ ...draft, smallModel })}
          />
        )}
      </Field>
      <table class="rows">
        <caption>Rules of the draft</caption>
        <thead>
          <tr>
            <th scope="col">For</th>
            <th scope="col">Model</th>
            <th scope="col">To do</th>
          </tr>
        </thead>
        <tbody>
          {draft.rules.map((row) => (
            <tr key={keyOf(row)}>
              <th scope="row">{keyOf(row)}</th>
              <td>
                <Select
                  label={`Model for ${keyOf(row)}`}
                  value={row.model}
                  options={modelOptions(answer.models, row.model)}
                  onChange={(model) => setDrafted({ ...draft, rules: withRow(draft.rules, { ...row, model }) })}
                />
              </td>
              <td>
                <button
                  type="button"
                  class="plain"
                  aria-label={`Remove ${keyOf(row)}`}
                  onClick={() => setDrafted({ ...draft, rules: withoutKey(draft.rules, keyOf(row)) })}
                >
                  Remove
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {building ? (
        <Builder
          models={answer.models}
          labels={answer.labels}
          rigs={[]}
          taken={draft.rules.map(keyOf)}
          onDone={(row) => {
            if (row) setDrafted({ ...draft, rules: withRow(draft.rules, row) });
            setBuilding(false);
          }}
        />
      ) : (
        <button type="button" onClick={() => setBuilding(true)}>
          Add rule…
        </button>
      )}
      <h2>What publishing it does</h2>
      <Problem failure={asked.failure} again={asked.again} />
      <Busy busy={asked.busy && !preview} what="Looking whom it moves" />
      {preview && (
        <>
          <Problems errors={preview.userErrors} />
          <p role="status">
            {preview.townsFollowing} {preview.townsFollowing === 1 ? "town gets" : "towns get"} it; {preview.mayorsMoved}{" "}
            {preview.mayorsMoved === 1 ? "mayor moves" : "mayors move"} to another model.
          </p>
          <Diff changes={preview.changes} />
          {newer !== null && (
            <div class="notice warn" role="alert">
              <p>
                Version {newer} was published meanwhile; your draft was made over version {draft.base}. What you see above is
                what would change in version {newer}.
              </p>
              <button type="button" onClick={() => setDrafted({ ...draft, base: newer })}>
                Put my draft on top of it
              </button>
            </div>
          )}
        </>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void publish();
        }}
      >
        <Field label="Why? It is kept with the change, in each town.">
          {(id) => (
            <textarea id={id} required maxLength={500} value={reason} onInput={(event) => setDrafted({ ...draft, reason: event.currentTarget.value })} />
          )}
        </Field>
        <Problem failure={failure} />
        <Problems errors={errors} />
        <div class="actions">
          <button type="button" onClick={() => setDrafted(null)}>
            Discard
          </button>
          <button type="submit" class="main" disabled={busy || !preview || preview.userErrors.length > 0 || newer !== null || !reason.trim()}>
            {busy ? "Publishing…" : `Publish version ${draft.base + 1}`}
          </button>
        </div>
      </form>
    </section>
  );
}
