/** What the pages of a town have in common. */
import type { ComponentChildren } from "preact";
import { useLocation } from "preact-iso";
import { graphql, type ResultOf } from "./documents";
import type { Choice, Row } from "./draft";
import { useAnswer } from "./hooks";
import { Busy, Empty, Problem, useTitle } from "./ui";

export const TOWN = graphql(/* GraphQL */ `
  query Town($town: ID!) {
    town(townId: $town) {
      townId
      name
      overrideSet {
        version
        honorBeadModels
        reason
        createdAt
        createdBy { displayName onBehalfOf }
        profile { name title }
        profileVersion { version smallModel rules { key title model } }
        overrides { key title role label rigId model stale profileModelWhenSet profileModelNow }
      }
      rigs { rigId name removedAt }
      warnings { code key message }
    }
    profiles(townId: $town) {
      name
      title
      town { townId }
      current { version smallModel rules { key title model } }
    }
    models(includeDeprecated: true) { modelId displayName deprecatedAt replacedBy }
    labels { name description }
  }
`);

export type TownAnswer = ResultOf<typeof TOWN>;
export type TownFound = NonNullable<TownAnswer["town"]>;

const TABS = [
  ["", "Models"],
  ["/resolve", "Which model, and why"],
  ["/mayor", "Mayor"],
  ["/history", "History"],
] as const;

export function TownFrame({ town, name, children }: { town: string; name?: string | undefined; children: ComponentChildren }) {
  const { path } = useLocation();
  const base = `/towns/${encodeURIComponent(town)}`;
  useTitle(name ?? town);
  return (
    <>
      <h1>{name ?? town}</h1>
      <nav class="tabs" aria-label="Pages of this town">
        {TABS.map(([end, text]) => (
          <a key={end} href={base + end} aria-current={path === base + end ? "page" : undefined}>
            {text}
          </a>
        ))}
      </nav>
      {children}
    </>
  );
}

export function NoTown({ town }: { town: string }) {
  return (
    <Empty>
      There is no town “{town}”, or it is not yours. <a href="/">See the towns</a>.
    </Empty>
  );
}

/** Reads a town and hands it on; says so where it is not there. */
export function WithTown(props: {
  town: string;
  children: (answer: TownAnswer, found: TownFound, again: () => void) => ComponentChildren;
}) {
  const asked = useAnswer(TOWN, { town: props.town }, { every: 15_000 });
  const found = asked.data?.town;
  const isMissing = asked.failure?.code === "NOT_FOUND"; // as its profiles are answered
  return (
    <TownFrame town={props.town} name={found?.name}>
      <Problem failure={isMissing ? undefined : asked.failure} again={asked.again} />
      <Busy busy={asked.busy && !asked.data} />
      {isMissing && <NoTown town={props.town} />}
      {asked.data && found && props.children(asked.data, found, asked.again)}
    </TownFrame>
  );
}

export function choiceOf(set: TownFound["overrideSet"]): Choice {
  const overrides = set.overrides.map(
    ({ role, label, rigId, model }): Row => ({ role: role ?? null, label: label ?? null, rigId: rigId ?? null, model }),
  );
  return { profile: set.profile.name, honorBeadModels: set.honorBeadModels, overrides };
}

export function who(actor: { displayName: string; onBehalfOf?: string | null }): string {
  return actor.onBehalfOf ? `${actor.onBehalfOf} (through ${actor.displayName})` : actor.displayName;
}
