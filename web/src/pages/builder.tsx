/** Making an override: role first, then what may go with it. What can't be can't be picked. */
import { useEffect, useRef, useState } from "preact/hooks";
import { keyOf, type Row, titleOf } from "../draft";
import type { TownAnswer, TownFound } from "../town";
import { Field, Select } from "../ui";
import { modelOptions } from "./models";

const ROLES = [
  { value: "POLECAT", text: "Polecat (codes)" },
  { value: "REFINERY", text: "Refinery (reviews and merges)" },
  { value: "MAYOR", text: "Mayor (plans)" },
  { value: "", text: "Any role" },
];

export function Builder(props: {
  models: TownAnswer["models"];
  labels: TownAnswer["labels"];
  rigs: TownFound["rigs"];
  taken: string[];
  onDone: (row: Row | null) => void;
}) {
  const { taken } = props;
  const [role, setRole] = useState("POLECAT");
  const [label, setLabel] = useState("");
  const [rig, setRig] = useState("");
  const [model, setModel] = useState("");
  const labels = role === "POLECAT" || role === "REFINERY";
  const rigs = role !== "MAYOR";
  const row: Row = {
    role: (role || null) as Row["role"],
    label: (labels && label) || null,
    rigId: (rigs && rig) || null,
    model,
  };
  const there = taken.includes(keyOf(row));
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => form.current?.querySelector("select")?.focus(), []); // the button that opened it is gone
  return (
    <form
      ref={form}
      class="builder"
      aria-label="Add an override"
      onSubmit={(event) => {
        event.preventDefault();
        props.onDone(row);
      }}
    >
      <Field label="Role">{(id) => <Select id={id} value={role} options={ROLES} onChange={setRole} />}</Field>
      {labels && (
        <Field label="Only with the label">
          {(id) => (
            <Select
              id={id}
              value={label}
              options={[
                { value: "", text: "any or none" },
                ...props.labels.map((each) => ({ value: each.name, text: `${each.name} — ${each.description}` })),
              ]}
              onChange={setLabel}
            />
          )}
        </Field>
      )}
      {rigs && props.rigs.length > 0 && (
        <Field label="Only in the rig">
          {(id) => (
            <Select
              id={id}
              value={rig}
              options={[
                { value: "", text: "any" },
                ...props.rigs
                  .filter((each) => !each.removedAt)
                  .map((each) => ({ value: each.rigId, text: each.name === each.rigId ? each.name : `${each.name} (${each.rigId})` })),
              ]}
              onChange={setRig}
            />
          )}
        </Field>
      )}
      <Field label="Runs on">
        {(id) => (
          <Select
            id={id}
            value={model}
            options={[{ value: "", text: "choose a model" }, ...modelOptions(props.models)]}
            onChange={setModel}
          />
        )}
      </Field>
      <p role="status">{there ? `There is one for ${titleOf(row)} already: it gets this model.` : titleOf(row)}</p>
      <div class="actions">
        <button type="button" onClick={() => props.onDone(null)}>
          Cancel
        </button>
        <button type="submit" class="main" disabled={!model}>
          Add to the draft
        </button>
      </div>
    </form>
  );
}
