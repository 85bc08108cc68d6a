/** A town's main page: its profile, its overrides, and the draft of what comes next. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { graphql, type ResultOf } from "../documents";
import { type Choice, type Draft, draftOf, edits, keep, keyOf, type Row, titleOf, withoutKey, withRow } from "../draft";
import { useAnswer } from "../hooks";
import { may } from "../session";
import { choiceOf, type TownAnswer, type TownFound, who, WithTown } from "../town";
import { Badge, ModelName, type Option, Problem, Problems, Select, When } from "../ui";
import { Builder } from "./builder";
import { Review } from "./review";

export const PREVIEW = graphql(/* GraphQL */ `
  query Preview($town: ID!, $draft: OverrideSetDraft!) {
    preview(townId: $town, draft: $draft) {
      baseVersion
      userErrors { code message path }
      warnings { code key message }
      changeDetection {
        changedBeadCount
        mayorChanged
        mayorRestartRequired
        mayorBefore { model smallModel }
        mayorAfter { model smallModel }
        changedBeads(first: 50) {
          edges { node { bead { beadId title } before { model because } after { model because } } }
          pageInfo { hasNextPage }
        }
      }
    }
  }
`);

export type PreviewFound = ResultOf<typeof PREVIEW>["preview"];

export function wireDraft({ profile, honorBeadModels, overrides }: Choice): Choice {
  return { profile, honorBeadModels, overrides };
}

export function ModelsPage({ town }: { town: string }) {
  return (
    <WithTown town={town}>
      {(answer, found, again) => <Models key={found.townId} answer={answer} found={found} again={again} />}
    </WithTown>
  );
}

function Models({ answer, found, again }: { answer: TownAnswer; found: TownFound; again: () => void }) {
  const set = found.overrideSet;
  const published = choiceOf(set);
  const draft: Draft = draftOf(found.townId) ?? { ...published, base: set.version, was: published };
  const [building, setBuilding] = useState(false);
  const [told, setTold] = useState("");
  const adding = useRef<HTMLButtonElement>(null);
  const standing = useRef<HTMLParagraphElement>(null);
  const change = (choice: Partial<Choice>): void => {
    setTold("");
    keep(found.townId, { ...draft, ...choice });
  };
  const setRow = (row: Row): void => change({ overrides: withRow(draft.overrides, row) });
  const dropKey = (key: string): void => change({ overrides: withoutKey(draft.overrides, key) });
  const editable = may.edit.value;
  const profile = answer.profiles.find((each) => each.name === draft.profile);
  // the set lies over its own version of the profile; another profile is taken at its latest
  const version = draft.profile === set.profile.name ? set.profileVersion : profile?.current;
  const table = version ?? set.profileVersion;
  return (
    <>
      {told && (
        <p class="notice good" role="status">
          {told}
        </p>
      )}
      <p class="standing" ref={standing} tabIndex={-1}>
        Version {set.version}, <When instant={set.createdAt} /> by {who(set.createdBy)}
        {set.reason && <>: “{set.reason}”</>}
      </p>
      <section aria-labelledby="profile">
        <h2 id="profile">Profile</h2>
        <div class="choices" role="radiogroup" aria-labelledby="profile">
          {answer.profiles.map((each) => (
            <label key={each.name} class="choice">
              <input
                type="radio"
                name="profile"
                value={each.name}
                checked={each.name === draft.profile}
                disabled={!editable}
                onChange={() => change({ profile: each.name })}
              />
              <span>
                <strong>{each.title}</strong>
                {each.town && <Badge kind="plain">this town's own</Badge>}
                <small>
                  mayor <ModelName id={modelFor(each.current.rules, "mayor")} />, polecat{" "}
                  <ModelName id={modelFor(each.current.rules, "polecat")} />
                </small>
              </span>
            </label>
          ))}
        </div>
        <Table
          caption={`What ${profile?.title ?? draft.profile} (version ${table.version}) says; small model ${table.smallModel}`}
          rows={table.rules}
          mark={(rule) => (
            <Deprecated models={answer.models} id={rule.model}>
              {(instead) => {
                const row = editable ? parsed(rule.key) : null;
                if (!row || draft.overrides.some((each) => keyOf(each) === rule.key)) return null;
                return (
                  <button type="button" class="mend" onClick={() => setRow({ ...row, model: instead })}>
                    Override with {instead}
                  </button>
                );
              }}
            </Deprecated>
          )}
        />
        <Deprecated models={answer.models} id={table.smallModel}>
          {(instead) => <small>The profile's small model; whoever keeps the profile can move it to {instead}.</small>}
        </Deprecated>
        <label class="switch">
          <input
            type="checkbox"
            role="switch"
            checked={draft.honorBeadModels}
            disabled={!editable}
            onChange={(event) => change({ honorBeadModels: event.currentTarget.checked })}
          />
          <span>
            <strong>Honour models asked for by beads</strong>
            <small>
              A bead that was slung with a model runs on it, whatever profile and overrides say. The mayor never does. Hosts
              often store a model that nobody chose: leave it off unless you know.
            </small>
          </span>
        </label>
      </section>
      <details class="overrides" open={draft.overrides.length > 0 || building}>
        <summary>
          <h2>Advanced overrides ({draft.overrides.length} set)</h2>
        </summary>
        <Overrides
          answer={answer}
          found={found}
          draft={draft}
          rules={table.rules}
          editable={editable}
          setRow={setRow}
          dropKey={dropKey}
        />
        {editable && !building && (
          <button type="button" ref={adding} onClick={() => setBuilding(true)}>
            Add override…
          </button>
        )}
        {building && (
          <Builder
            models={answer.models}
            labels={answer.labels}
            rigs={found.rigs}
            taken={draft.overrides.map(keyOf)}
            onDone={(row) => {
              if (row) setRow(row);
              setBuilding(false);
              requestAnimationFrame(() => adding.current?.focus());
            }}
          />
        )}
      </details>
      <Bar
        answer={answer}
        found={found}
        draft={draft}
        again={again}
        onPublished={(text) => {
          setTold(text);
          again();
          requestAnimationFrame(() => standing.current?.focus());
        }}
      />
    </>
  );
}

function modelFor(rules: readonly { key: string; model: string }[], key: string): string {
  return (rules.find((rule) => rule.key === key) ?? rules.find((rule) => rule.key === "*"))?.model ?? "the last resort";
}

interface Rule {
  key: string;
  title: string;
  model: string;
}

export function Table(props: { caption: string; rows: readonly Rule[]; mark?: (rule: Rule) => ComponentChildren }) {
  const { caption, rows, mark } = props;
  return (
    <table>
      <caption>{caption}</caption>
      <thead>
        <tr>
          <th scope="col">For</th>
          <th scope="col">Model</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.key}>
            <th scope="row">{row.title}</th>
            <td>
              <ModelName id={row.model} /> {mark?.(row)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Marks a model that is deprecated, with what there is to do about it where there is another to take instead. */
function Deprecated(props: { models: TownAnswer["models"]; id: string; children: (instead: string) => ComponentChildren }) {
  const model = props.models.find((each) => each.modelId === props.id);
  if (!model?.deprecatedAt) return null;
  return (
    <>
      <Badge kind="warn">deprecated model</Badge> {model.replacedBy && props.children(model.replacedBy)}
    </>
  );
}

export function modelOptions(models: TownAnswer["models"], chosen?: string): Option[] {
  const shown = models.filter((model) => !model.deprecatedAt || model.modelId === chosen);
  return shown.map((model) => ({
    value: model.modelId,
    text: model.deprecatedAt ? `${model.displayName} (deprecated)` : model.displayName,
  }));
}

const USE_PROFILE = "";

function Overrides(props: {
  answer: TownAnswer;
  found: TownFound;
  draft: Draft;
  rules: readonly { key: string; title: string; model: string }[];
  editable: boolean;
  setRow: (row: Row) => void;
  dropKey: (key: string) => void;
}) {
  const { answer, found, draft, rules, editable } = props;
  const inProfile = new Map(rules.map((rule) => [rule.key, rule.model]));
  const own = new Map(draft.overrides.map((row) => [keyOf(row), row]));
  const roles = rules
    .map((rule) => parsed(rule.key))
    .filter((row): row is Omit<Row, "model"> => row !== null)
    .filter((row) => !own.has(keyOf(row)));
  const rows = [...draft.overrides, ...roles.map((row) => ({ ...row, model: USE_PROFILE }))];
  return (
    <table class="rows">
      <caption>Each row follows the profile, or a model of its own.</caption>
      <thead>
        <tr>
          <th scope="col">For</th>
          <th scope="col">Model</th>
          <th scope="col">To know</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => {
          const key = keyOf(row);
          const followed = inProfile.get(key);
          const unset = followed ? `use profile (${followed})` : "use profile (remove)";
          return (
            <tr key={key} class={row.model ? "set" : ""}>
              <th scope="row">{titleOf(row)}</th>
              <td>
                <Select
                  label={`Model for ${titleOf(row)}`}
                  value={row.model}
                  disabled={!editable}
                  options={[{ value: USE_PROFILE, text: unset }, ...modelOptions(answer.models, row.model)]}
                  onChange={(model) => (model ? props.setRow({ ...row, model }) : props.dropKey(key))}
                />
              </td>
              <td>
                {row.model && (
                  <Marks
                    answer={answer}
                    found={found}
                    row={row}
                    editable={editable}
                    setRow={props.setRow}
                    dropKey={props.dropKey}
                  />
                )}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** What is to know about an override, each with one click to the mend. */
function Marks(props: {
  answer: TownAnswer;
  found: TownFound;
  row: Row;
  editable: boolean;
  setRow: (row: Row) => void;
  dropKey: (key: string) => void;
}) {
  const { answer, found, row, editable } = props;
  const key = keyOf(row);
  const stands = found.overrideSet.overrides.find((each) => each.key === key && each.model === row.model);
  const model = answer.models.find((each) => each.modelId === row.model);
  const warned = stands ? found.warnings.filter((warning) => warning.key === key) : [];
  return (
    <ul class="marks">
      {warned.map((warning) => (
        <li key={warning.code}>
          <Badge kind="warn">{MARKS[warning.code] ?? warning.code}</Badge> <small>{warning.message}</small>{" "}
          {editable && warning.code !== "DEPRECATED_MODEL" && (
            <button type="button" class="mend" onClick={() => props.dropKey(key)}>
              Use profile
            </button>
          )}
        </li>
      ))}
      {editable && model?.deprecatedAt && model.replacedBy && (
        <li>
          <button type="button" class="mend" onClick={() => props.setRow({ ...row, model: model.replacedBy! })}>
            Move to {model.replacedBy}
          </button>
        </li>
      )}
    </ul>
  );
}

export const MARKS: Record<string, string> = {
  STALE_OVERRIDE: "stale",
  SAME_AS_PROFILE: "redundant",
  NEVER_MATCHES: "never matches",
  RIG_REMOVED: "rig removed",
  DEPRECATED_MODEL: "deprecated model",
};

/** A profile's key as a row that can be set; null for what a town can't override. */
function parsed(key: string): Omit<Row, "model"> | null {
  const found = /^(\*|mayor|polecat|refinery)(?:\[(.+)\])?$/.exec(key);
  if (!found) return null;
  const role = found[1] === "*" ? null : (found[1]!.toUpperCase() as Row["role"]);
  return { role, label: found[2] ?? null, rigId: null };
}

function Bar(props: {
  answer: TownAnswer;
  found: TownFound;
  draft: Draft;
  again: () => void;
  onPublished: (told: string) => void;
}) {
  const { found, draft } = props;
  const [reviewing, setReviewing] = useState(false);
  const changed = edits(draft);
  const asked = useAnswer(
    PREVIEW,
    changed.length > 0 ? { town: found.townId, draft: wireDraft(draft) } : null,
    { wait: 200, every: 10_000 },
  );
  const preview = asked.data?.preview;
  const detection = preview?.changeDetection;
  const isEmpty = changed.length === 0;
  useEffect(() => {
    if (isEmpty) setReviewing(false); // it was published, thrown away, or is what others published
  }, [isEmpty]);
  if (isEmpty) return null;
  return (
    <aside class="bar" aria-label="Your draft">
      <div role="status">
        <strong>
          {changed.length} {changed.length === 1 ? "change" : "changes"} not published
        </strong>
        {detection && (
          <span>
            {beads(detection.changedBeadCount)} would change; {mayorTold(detection)}
          </span>
        )}
        {asked.busy && !detection && <span>Looking what it would change…</span>}
        {preview?.baseVersion != null && preview.baseVersion !== draft.base && (
          <span>Version {preview.baseVersion} was published meanwhile: the review shows what it changed.</span>
        )}
      </div>
      <Problem failure={asked.failure} again={asked.again} />
      {preview && <Problems errors={preview.userErrors} />}
      <div class="actions">
        <button type="button" onClick={() => keep(found.townId, undefined)}>
          Discard
        </button>
        <button type="button" class="main" disabled={!detection} onClick={() => setReviewing(true)}>
          Review
        </button>
      </div>
      {reviewing && preview && (
        <Review
          answer={props.answer}
          found={found}
          draft={draft}
          preview={preview}
          onClose={() => setReviewing(false)}
          onRebased={props.again}
          onPublished={props.onPublished}
        />
      )}
    </aside>
  );
}

export function mayorTold(detection: { mayorChanged: boolean; mayorRestartRequired: boolean }): string {
  if (detection.mayorRestartRequired)
    return detection.mayorChanged ? "the mayor would have to restart" : "the mayor has to restart already";
  return detection.mayorChanged ? "the mayor comes back to what it runs on" : "the mayor goes on";
}

export function beads(count: number): string {
  return `${count.toLocaleString("en")} ${count === 1 ? "bead" : "beads"}`;
}
