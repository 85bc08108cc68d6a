/** What the mayor should run on, what it runs on, and whether it has to restart; as it happens. */
import { useEffect } from "preact/hooks";
import { graphql, type SignalCause, type SignalClosure } from "../documents";
import { useAnswer, useFeed } from "../hooks";
import { NoTown, TownFrame } from "../town";
import { Badge, Busy, Empty, ModelName, Problem, When } from "../ui";

const MAYOR = graphql(/* GraphQL */ `
  query Mayor($town: ID!) {
    town(townId: $town) {
      name
      mayor {
        desired { model smallModel }
        observed { model smallModel }
        observedAt
        restartRequired
        overrideSetVersion
        signal { sequence cause raisedAt overrideSetVersion before { model smallModel } after { model smallModel } }
        signals(first: 20) {
          edges {
            node {
              sequence
              cause
              raisedAt
              overrideSetVersion
              closedAt
              closedBecause
              before { model smallModel }
              after { model smallModel }
            }
          }
        }
      }
    }
  }
`);

const SIGNALS = graphql(/* GraphQL */ `
  subscription Signals($town: ID!) {
    mayorRestartSignals(townId: $town) { sequence closedAt }
  }
`);

export function MayorPage({ town }: { town: string }) {
  const asked = useAnswer(MAYOR, { town }, { every: 15_000 });
  const connected = useFeed(SIGNALS, { town }, asked.again);
  useEffect(() => {
    if (connected !== undefined) asked.again(); // what came to pass while the feed was away, it does not tell
  }, [connected]);
  const found = asked.data?.town;
  const mayor = found?.mayor;
  return (
    <TownFrame town={town} name={found?.name}>
      <Problem failure={asked.failure} again={asked.again} />
      <Busy busy={asked.busy && !asked.data} />
      {asked.data && !found && <NoTown town={town} />}
      {mayor && (
        <>
          <p class={mayor.restartRequired ? "notice warn" : "notice good"} role="status">
            {mayor.signal ? (
              <>
                <strong>The mayor must restart</strong>, since <When instant={mayor.signal.raisedAt} />:{" "}
                {CAUSES[mayor.signal.cause]} (version {mayor.signal.overrideSetVersion}).
              </>
            ) : (
              <strong>The mayor need not restart.</strong>
            )}
          </p>
          <dl class="pairs">
            <dt>Should run on</dt>
            <dd>
              <ModelName id={mayor.desired.model} />, small <ModelName id={mayor.desired.smallModel} />
            </dd>
            <dt>Runs on</dt>
            <dd>
              {mayor.observed ? (
                <>
                  <ModelName id={mayor.observed.model} />, small <ModelName id={mayor.observed.smallModel} />, as the host said{" "}
                  {mayor.observedAt && <When instant={mayor.observedAt} />}
                </>
              ) : (
                "The host has not said yet: it does with detectMayorChange."
              )}
            </dd>
          </dl>
          <p class="live" role="status">
            {connected ? "Live: what changes shows by itself." : "Connecting…"}
          </p>
          <h2>Restart signals</h2>
          {mayor.signals.edges.length === 0 && <Empty>There has been none: publishing another model for the mayor raises one.</Empty>}
          <ol class="timeline">
            {mayor.signals.edges.map(({ node: signal }) => (
              <li key={signal.sequence}>
                <p>
                  <strong>
                    <ModelName id={signal.before.model} /> → <ModelName id={signal.after.model} />
                  </strong>{" "}
                  {signal.closedAt ? <Badge kind="plain">closed</Badge> : <Badge kind="warn">open</Badge>}
                </p>
                <p>
                  <When instant={signal.raisedAt} />: {CAUSES[signal.cause]}, version {signal.overrideSetVersion}
                  {signal.closedAt && (
                    <>
                      ; closed <When instant={signal.closedAt} />
                      {signal.closedBecause && <>, {CLOSURES[signal.closedBecause]}</>}
                    </>
                  )}
                </p>
              </li>
            ))}
          </ol>
        </>
      )}
    </TownFrame>
  );
}

const CAUSES: Record<SignalCause, string> = {
  CONFIG_CHANGED: "what it should run on was changed",
  OBSERVED_DRIFT: "the host told that it runs on something else",
};
const CLOSURES: Record<SignalClosure, string> = {
  OBSERVED: "since it restarted",
  CANCELLED: "since what it should run on came back",
  SUPERSEDED: "since another took its place",
};
