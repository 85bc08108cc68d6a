/** A town's models as they were when a version came into force: nothing can be changed here. */
import { graphql } from "../documents";
import { useAnswer } from "../hooks";
import { NoTown, TownFrame, who } from "../town";
import { Badge, Busy, ModelName, Problem, When } from "../ui";

const THEN = graphql(/* GraphQL */ `
  query Then($town: ID!, $version: Int!) {
    town(townId: $town) {
      name
      overrideSetAt(asOf: { version: $version }) {
        version
        reason
        createdAt
        createdBy { displayName onBehalfOf }
        honorBeadModels
        profile { title }
        profileVersion { version smallModel }
        effectiveRules { rule { key title model } source replaces { model } }
      }
    }
  }
`);

export function ThenPage({ town, version }: { town: string; version: string }) {
  const asked = useAnswer(THEN, { town, version: Number(version) || 0 });
  const set = asked.data?.town?.overrideSetAt;
  return (
    <TownFrame town={town} name={asked.data?.town?.name}>
      <Problem failure={asked.failure} again={asked.again} />
      <Busy busy={asked.busy && !asked.data} />
      {asked.data && !asked.data.town && <NoTown town={town} />}
      {set && (
        <>
          <p class="notice warn">
            This is version {set.version}, as it came into force <When instant={set.createdAt} />, by {who(set.createdBy)}
            {set.reason && <>: “{set.reason}”</>}. <a href={`/towns/${encodeURIComponent(town)}`}>See what is in force now</a>.
          </p>
          <table>
            <caption>
              {set.profile.title} version {set.profileVersion.version}, small model {set.profileVersion.smallModel}; models asked
              for by beads are {set.honorBeadModels ? "honoured" : "ignored"}
            </caption>
            <thead>
              <tr>
                <th scope="col">For</th>
                <th scope="col">Model</th>
                <th scope="col">From</th>
              </tr>
            </thead>
            <tbody>
              {set.effectiveRules.map(({ rule, source, replaces }) => (
                <tr key={rule.key}>
                  <th scope="row">{rule.title}</th>
                  <td>
                    <ModelName id={rule.model} />
                  </td>
                  <td>
                    {source === "OVERRIDE" ? <Badge kind="plain">override</Badge> : "profile"}
                    {replaces && <small> instead of {replaces.model}</small>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
    </TownFrame>
  );
}
