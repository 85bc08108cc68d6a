/** Small things that all pages are made of. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Failure, UserError } from "./api";

export function Problem({ failure, again }: { failure: Failure | undefined; again?: () => void }) {
  if (!failure) return null;
  return (
    <div class="notice bad" role="alert">
      <p>{failure.message}</p>
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Problems({ errors }: { errors: readonly UserError[] }) {
  if (errors.length === 0) return null;
  return (
    <ul class="notice bad" role="alert">
      {errors.map((error) => (
        <li key={error.path.join(".") + error.code}>{error.message}</li>
      ))}
    </ul>
  );
}

/** What the browser calls the page. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Townclerk`;
  }, [title]);
}

export function Busy({ busy, what = "Loading" }: { busy: boolean; what?: string }) {
  return (
    <p class="busy" role="status">
      {busy ? `${what}…` : ""}
    </p>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

const STEPS: [number, Intl.RelativeTimeFormatUnit][] = [
  [60, "second"],
  [60, "minute"],
  [24, "hour"],
  [30, "day"],
  [12, "month"],
  [Infinity, "year"],
];
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export function relative(instant: string, now = Date.now()): string {
  let amount = (Date.parse(instant) - now) / 1000;
  for (const [size, unit] of STEPS) {
    if (Math.abs(amount) < size) return RELATIVE.format(Math.round(amount), unit);
    amount /= size;
  }
  return instant;
}

/** An instant as people say it; the exact one shows on hover. */
export function When({ instant }: { instant: string }) {
  const [, turn] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => turn((now) => now + 1), 30_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <time dateTime={instant} title={instant}>
      {relative(instant)}
    </time>
  );
}

export function ModelName({ id }: { id: string }) {
  return <code class="model">{id}</code>;
}

export function Badge({ kind, children }: { kind: string; children: ComponentChildren }) {
  return <span class={`badge ${kind}`}>{children}</span>;
}

export function Field({ label, children }: { label: string; children: (id: string) => ComponentChildren }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id)}
    </div>
  );
}

export interface Option {
  value: string;
  text: string;
}

export function Select(props: {
  id?: string;
  label?: string;
  value: string;
  options: readonly Option[];
  disabled?: boolean;
  onChange: (value: string) => void;
}) {
  return (
    <select
      id={props.id}
      aria-label={props.label}
      value={props.value}
      disabled={props.disabled}
      onChange={(event) => props.onChange(event.currentTarget.value)}
    >
      {props.options.map((option) => (
        <option key={option.value} value={option.value} selected={option.value === props.value}>
          {option.text}
        </option>
      ))}
    </select>
  );
}

/** A dialog over the page; Escape closes it. */
export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const isTold = useRef(false);
  const id = useId();
  useEffect(() => {
    dialog.current?.showModal();
  }, []);

  // Said at once: the browser's own word comes later, when another may have been asked for that would be taken for this.
  function tell() {
    if (!isTold.current) {
      isTold.current = true;
      onClose();
    }
  }

  function shut(event: Event) {
    event.preventDefault();
    dialog.current?.close();
    tell();
  }

  return (
    <dialog ref={dialog} aria-labelledby={id} onCancel={shut} onClose={tell}>
      <header>
        <h2 id={id}>{title}</h2>
        <button type="button" class="plain" aria-label="Close" onClick={shut}>
          ✕
        </button>
      </header>
      {children}
    </dialog>
  );
}
