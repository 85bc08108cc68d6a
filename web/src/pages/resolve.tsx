/** Pick a bead, or describe a task: the model, and why; as published and under the draft. */
import { useState } from "preact/hooks";
import { graphql, type BeadType, type ResultOf, type Role } from "../documents";
import { draftOf } from "../draft";
import { useAnswer } from "../hooks";
import { type TownAnswer, type TownFound, WithTown } from "../town";
import { Badge, Busy, Empty, Field, ModelName, Problem, Problems, Select } from "../ui";
import { modelOptions, wireDraft } from "./models";

const BEADS = graphql(/* GraphQL */ `
  query Beads($town: ID!, $filter: BeadFilter) {
    town(townId: $town) {
      beads(filter: $filter, first: 20) {
        edges { node { beadId title labels status rig { rigId name } } }
        pageInfo { hasNextPage }
      }
    }
  }
`);

const OF_BEAD = graphql(/* GraphQL */ `
  query OfBead($bead: ID!) {
    bead(beadId: $bead) { beadId title labels role type model status rig { rigId name } }
    resolution(beadId: $bead) { ...Resolved }
  }
`);

const OF_TASK = graphql(/* GraphQL */ `
  query OfTask($town: ID!, $task: TaskInput!) {
    taskResolution(townId: $town, task: $task) { ...Resolved }
  }
`);

const DRAFTED_BEAD = graphql(/* GraphQL */ `
  query DraftedBead($town: ID!, $draft: OverrideSetDraft!, $bead: ID!) {
    preview(townId: $town, draft: $draft) {
      userErrors { code message path }
      resolution(beadId: $bead) { ...Resolved }
    }
  }
`);

const DRAFTED_TASK = graphql(/* GraphQL */ `
  query DraftedTask($town: ID!, $draft: OverrideSetDraft!, $task: TaskInput!) {
    preview(townId: $town, draft: $draft) {
      userErrors { code message path }
      taskResolution(task: $task) { ...Resolved }
    }
  }
`);

const RESOLVED = graphql(/* GraphQL */ `
  fragment Resolved on Resolution {
    role
    model
    smallModel
    because
    overrideSetVersion
    profileName
    profileVersion
    matchedRule { key source }
    considered { source key title model outcome }
  }
`);

type Resolved = ResultOf<typeof RESOLVED>;
type Subject = { bead: string } | { task: Task };

interface Task {
  role: Role | null;
  type: BeadType | null;
  labels: string[];
  rigId: string | null;
  model: string | null;
}

export function ResolvePage({ town }: { town: string }) {
  return <WithTown town={town}>{(answer, found) => <Resolve key={town} answer={answer} found={found} />}</WithTown>;
}

function Resolve({ answer, found }: { answer: TownAnswer; found: TownFound }) {
  const [way, setWay] = useState<"bead" | "task">("bead");
  const [subject, setSubject] = useState<Subject | null>(null);
  const turn = (next: typeof way): void => {
    setWay(next);
    setSubject(next === "task" ? { task: NO_TASK } : null);
  };
  return (
    <div class="two">
      <section aria-label="What to ask about">
        <div class="ways" role="group" aria-label="Ask about">
          <button type="button" aria-pressed={way === "bead"} onClick={() => turn("bead")}>
            Pick a bead
          </button>
          <button type="button" aria-pressed={way === "task"} onClick={() => turn("task")}>
            Describe a task
          </button>
        </div>
        {way === "bead" ? (
          <BeadPicker
            answer={answer}
            found={found}
            picked={subject && "bead" in subject ? subject.bead : null}
            onPick={(bead) => setSubject({ bead })}
          />
        ) : (
          <TaskForm answer={answer} found={found} onChange={(task) => setSubject({ task })} />
        )}
      </section>
      <section aria-label="The answer" aria-live="polite">
        {subject ? <Answers found={found} subject={subject} /> : <Empty>Pick a bead to see its model, and why.</Empty>}
      </section>
    </div>
  );
}

function BeadPicker(props: {
  answer: TownAnswer;
  found: TownFound;
  picked: string | null;
  onPick: (bead: string) => void;
}) {
  const { answer, found } = props;
  const [title, setTitle] = useState("");
  const [label, setLabel] = useState("");
  const [rig, setRig] = useState("");
  const filter = { titleContains: title || null, labels: label ? [label] : null, rigId: rig || null };
  const asked = useAnswer(BEADS, { town: found.townId, filter }, { wait: 120 });
  const page = asked.data?.town?.beads;
  const narrowed = title || label || rig;
  return (
    <>
      <Field label="Title">
        {(id) => <input id={id} type="search" value={title} onInput={(event) => setTitle(event.currentTarget.value)} />}
      </Field>
      <div class="row">
        <Field label="Label">
          {(id) => (
            <Select
              id={id}
              value={label}
              options={[{ value: "", text: "any" }, ...answer.labels.map((each) => ({ value: each.name, text: each.name }))]}
              onChange={setLabel}
            />
          )}
        </Field>
        <Field label="Rig">
          {(id) => (
            <Select
              id={id}
              value={rig}
              options={[{ value: "", text: "any" }, ...found.rigs.map((each) => ({ value: each.rigId, text: each.name }))]}
              onChange={setRig}
            />
          )}
        </Field>
      </div>
      <Problem failure={asked.failure} again={asked.again} />
      <Busy busy={asked.busy && !page} />
      {page?.edges.length === 0 && (
        <Empty>{narrowed ? "No bead is like that: widen the search." : "No bead yet: the host syncs them before it dispatches them."}</Empty>
      )}
      <ul class="picks" aria-label="Beads">
        {page?.edges.map(({ node: bead }) => (
          <li key={bead.beadId}>
            <button type="button" aria-pressed={bead.beadId === props.picked} onClick={() => props.onPick(bead.beadId)}>
              <strong>{bead.title || bead.beadId}</strong>
              <small>
                {bead.beadId}
                {bead.rig && ` in ${bead.rig.name}`} {bead.labels.join(" ")}
              </small>
            </button>
          </li>
        ))}
      </ul>
      {page?.pageInfo.hasNextPage && <p class="hint">There are more: narrow the search.</p>}
    </>
  );
}

const NO_TASK: Task = { role: "POLECAT", type: null, labels: [], rigId: null, model: null };

function TaskForm(props: { answer: TownAnswer; found: TownFound; onChange: (task: Task) => void }) {
  const { answer, found } = props;
  const [task, setTask] = useState<Task>(NO_TASK);
  const change = (part: Partial<Task>): void => {
    const next = { ...task, ...part };
    setTask(next);
    props.onChange(next);
  };
  return (
    <form class="builder" aria-label="A task">
      <Field label="Role">
        {(id) => (
          <Select
            id={id}
            value={task.role ?? ""}
            options={[
              { value: "POLECAT", text: "Polecat" },
              { value: "REFINERY", text: "Refinery" },
              { value: "MAYOR", text: "Mayor" },
            ]}
            onChange={(role) => change({ role: role as Role })}
          />
        )}
      </Field>
      <fieldset>
        <legend>Labels</legend>
        {answer.labels.map((label) => (
          <label key={label.name} class="tick" title={label.description}>
            <input
              type="checkbox"
              checked={task.labels.includes(label.name)}
              onChange={(event) =>
                change({
                  labels: event.currentTarget.checked
                    ? [...task.labels, label.name]
                    : task.labels.filter((each) => each !== label.name),
                })
              }
            />
            {label.name}
          </label>
        ))}
      </fieldset>
      <Field label="Rig">
        {(id) => (
          <Select
            id={id}
            value={task.rigId ?? ""}
            options={[{ value: "", text: "none" }, ...found.rigs.map((each) => ({ value: each.rigId, text: each.name }))]}
            onChange={(rigId) => change({ rigId: rigId || null })}
          />
        )}
      </Field>
      <Field label="Model asked for by the bead">
        {(id) => (
          <Select
            id={id}
            value={task.model ?? ""}
            options={[{ value: "", text: "none" }, ...modelOptions(answer.models)]}
            onChange={(model) => change({ model: model || null })}
          />
        )}
      </Field>
    </form>
  );
}

function Answers({ found, subject }: { found: TownFound; subject: Subject }) {
  const town = found.townId;
  const draft = draftOf(town);
  const [bead, task] = "bead" in subject ? [subject.bead, null] : [null, subject.task];
  const ofBead = useAnswer(OF_BEAD, bead === null ? null : { bead }, { every: 15_000 });
  const ofTask = useAnswer(OF_TASK, task === null ? null : { town, task }, { every: 15_000 });
  const over = draft ? wireDraft(draft) : null;
  const draftedBead = useAnswer(DRAFTED_BEAD, over && bead !== null ? { town, draft: over, bead } : null);
  const draftedTask = useAnswer(DRAFTED_TASK, over && task !== null ? { town, draft: over, task } : null);
  const [now, drafted] = bead === null ? [ofTask, draftedTask] : [ofBead, draftedBead];
  const resolved = bead === null ? ofTask.data?.taskResolution : ofBead.data?.resolution;
  const under = bead === null ? draftedTask.data?.preview.taskResolution : draftedBead.data?.preview.resolution;
  const refused = drafted.data?.preview.userErrors ?? [];
  const what = ofBead.data?.bead;
  return (
    <>
      {what && bead !== null && (
        <p class="subject">
          <strong>{what.title || what.beadId}</strong> <small>{what.beadId}</small>{" "}
          {what.labels.map((label) => (
            <Badge key={label} kind="plain">
              {label}
            </Badge>
          ))}
        </p>
      )}
      <Problem failure={now.failure ?? drafted.failure} again={now.again} />
      <Busy busy={now.busy && !resolved} />
      <div class={draft ? "beside" : ""}>
        {resolved && <Answer title={`As published (version ${resolved.overrideSetVersion})`} resolved={resolved} />}
        {draft && <Problems errors={refused} />}
        {draft && under && <Answer title="Under your draft" resolved={under} than={resolved ?? undefined} />}
      </div>
    </>
  );
}

export function Answer({ title, resolved, than }: { title: string; resolved: Resolved; than?: Resolved | undefined }) {
  const moved = than && (than.model !== resolved.model || than.because !== resolved.because);
  return (
    <article class={moved ? "answer moved" : "answer"}>
      <h2>{title}</h2>
      <p class="runs">
        <ModelName id={resolved.model} />
      </p>
      <p>
        because: <strong>{resolved.because}</strong>
      </p>
      <p>
        Small model <ModelName id={resolved.smallModel} />; profile {resolved.profileName} version {resolved.profileVersion}
      </p>
      <details open>
        <summary>All {resolved.considered.length} rules considered</summary>
        <table class="ladder">
          <thead>
            <tr>
              <th scope="col">Rule</th>
              <th scope="col">Model</th>
              <th scope="col">What became of it</th>
            </tr>
          </thead>
          <tbody>
            {resolved.considered.map((rule) => (
              <tr key={rule.source + rule.key} class={rule.outcome === "MATCHED" ? "matched" : ""}>
                <th scope="row">
                  {rule.title}
                  <small>{SOURCES[rule.source]}</small>
                </th>
                <td>
                  <ModelName id={rule.model} />
                </td>
                <td>{OUTCOMES[rule.outcome]}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </article>
  );
}

const SOURCES: Record<Resolved["considered"][number]["source"], string> = {
  BEAD: "the bead's own model",
  OVERRIDE: "override",
  PROFILE: "profile",
  SYSTEM_DEFAULT: "last resort",
};

const OUTCOMES: Record<Resolved["considered"][number]["outcome"], string> = {
  MATCHED: "decides",
  LESS_SPECIFIC: "fits, but a more specific rule decides",
  REPLACED_BY_OVERRIDE: "replaced by an override",
  LOST_TO_LABEL: "fits, but another label comes first",
  LABEL_NOT_ON_BEAD: "the bead lacks the label",
  OTHER_RIG: "is for another rig",
  OTHER_ROLE: "is for another role",
  IGNORED_FOR_MAYOR: "never for the mayor",
  BEAD_MODEL_NOT_HONORED: "models of beads are ignored",
};
