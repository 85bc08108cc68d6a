import { useEffect, useState } from "preact/hooks";
import { graphql } from "../documents";
import { useAnswer } from "../hooks";
import { may } from "../session";
import { Badge, Busy, Empty, Field, Problem, useTitle } from "../ui";

const TOWNS = graphql(/* GraphQL */ `
  query Towns($nameContains: String, $after: String) {
    towns(nameContains: $nameContains, after: $after, first: 30) {
      edges {
        node {
          townId
          name
          overrideSet { version profile { title } }
          mayor { restartRequired }
          warnings { code }
        }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
`);

export function TownsPage() {
  useTitle("Towns");
  const [search, setSearch] = useState("");
  const [pages, setPages] = useState<(string | null)[]>([null]);
  useEffect(() => setPages([null]), [search]);
  return (
    <>
      <h1>Towns</h1>
      {may.read.value && (
        <Field label="Search by name">
          {(id) => (
            <input id={id} type="search" value={search} onInput={(event) => setSearch(event.currentTarget.value)} />
          )}
        </Field>
      )}
      {!may.read.value && <Empty>Your credential may look at no town: it takes the scope reader.</Empty>}
      {may.read.value &&
        pages.map((after, index) => (
          <TownsOfPage
            key={`${search}:${after}`}
            search={search}
            after={after}
            onMore={index === pages.length - 1 ? (next) => setPages([...pages, next]) : undefined}
          />
        ))}
    </>
  );
}

function TownsOfPage(props: { search: string; after: string | null; onMore: ((after: string) => void) | undefined }) {
  const { search, after, onMore } = props;
  const towns = useAnswer(TOWNS, { nameContains: search || null, after }, { wait: search ? 150 : 0 });
  const page = towns.data?.towns;
  const end = page?.pageInfo.endCursor;
  return (
    <>
      <Problem failure={towns.failure} again={towns.again} />
      <Busy busy={towns.busy && !page} />
      {page && page.edges.length === 0 && !after && (
        <Empty>
          {search ? `No town has “${search}” in its name.` : "There is no town yet: make one with the mutation createTown or importTown."}
        </Empty>
      )}
      <ul class="cards">
        {page?.edges.map(({ node: town }) => (
          <li key={town.townId}>
            <a href={`/towns/${encodeURIComponent(town.townId)}`}>
              <strong>{town.name}</strong>
              <span>
                {town.overrideSet.profile.title}, version {town.overrideSet.version}
              </span>
              <span>
                {town.mayor.restartRequired && <Badge kind="warn">mayor must restart</Badge>}{" "}
                {town.warnings.length > 0 && <Badge kind="warn">{town.warnings.length} to look at</Badge>}
              </span>
            </a>
          </li>
        ))}
      </ul>
      {onMore && page?.pageInfo.hasNextPage && end && (
        <button type="button" onClick={() => onMore(end)}>
          Show more
        </button>
      )}
    </>
  );
}
