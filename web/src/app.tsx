import { effect, signal } from "@preact/signals";
import { LocationProvider, Route, Router, useLocation } from "preact-iso";
import { ask, type Failure } from "./api";
import { graphql } from "./documents";
import { comeBack, terms } from "./elsewhere";
import { HistoryPage } from "./pages/history";
import { MayorPage } from "./pages/mayor";
import { ModelsPage } from "./pages/models";
import { ProfilesPage } from "./pages/profiles";
import { ResolvePage } from "./pages/resolve";
import { SignInPage } from "./pages/sign-in";
import { ThenPage } from "./pages/then";
import { TownsPage } from "./pages/towns";
import { may, refusal, signOut, token, viewer } from "./session";
import { Busy, Empty, Problem } from "./ui";

const VIEWER = graphql(/* GraphQL */ `
  query Viewer {
    viewer {
      name
      actsFor
      scopes
      towns
    }
  }
`);

const RETRY = 2_000; // milliseconds until a server that could not be reached is asked again
const unreached = signal<Failure | undefined>(undefined);
const round = signal(0);

const failed = (failure: Failure): void => {
  if (failure.code === "UNREACHABLE") {
    unreached.value = failure;
    setTimeout(() => (round.value += 1), RETRY);
    return;
  }
  viewer.value = null;
  if (failure.code !== "UNAUTHENTICATED") refusal.value = failure.message;
};

void comeBack()
  .catch(failed)
  .then(() =>
    effect(() => {
      [token.value, round.value]; // asked anew with each token
      const enter = token.value ? Promise.resolve(true) : terms().then((told) => told?.open ?? true);
      enter
        .then((may) => (may ? ask(VIEWER, {}) : null))
        .then((answer) => (viewer.value = answer?.viewer ?? null))
        .catch(failed);
    }),
  );

export function App() {
  if (viewer.value === undefined)
    return (
      <main>
        <Busy busy />
        <Problem failure={unreached.value} />
      </main>
    );
  if (viewer.value === null) return <SignInPage />;
  return (
    <LocationProvider>
      <Top />
      <main id="main">
        <Router>
          <Route path="/" component={TownsPage} />
          <Route path="/towns/:town" component={ModelsPage} />
          <Route path="/towns/:town/resolve" component={ResolvePage} />
          <Route path="/towns/:town/mayor" component={MayorPage} />
          <Route path="/towns/:town/history" component={HistoryPage} />
          <Route path="/towns/:town/at/:version" component={ThenPage} />
          <Route path="/profiles/:name?" component={ProfilesPage} />
          <Route default component={Nowhere} />
        </Router>
      </main>
    </LocationProvider>
  );
}

function Top() {
  const { path } = useLocation();
  const name = viewer.value?.name.replace(/^oidc:/, "");
  return (
    <header class="top">
      <a class="skip" href="#main">
        Skip to content
      </a>
      <a class="brand" href="/">
        Townclerk
      </a>
      <nav aria-label="Townclerk">
        <a href="/" aria-current={path === "/" || path.startsWith("/towns") ? "page" : undefined}>
          Towns
        </a>
        {may.administer.value && (
          <a href="/profiles" aria-current={path.startsWith("/profiles") ? "page" : undefined}>
            Profiles
          </a>
        )}
      </nav>
      <span class="who">
        {viewer.value?.actsFor ? `${viewer.value.actsFor} through ${name}` : name}
        {token.value && (
          <button type="button" class="plain" onClick={signOut}>
            Sign out
          </button>
        )}
      </span>
    </header>
  );
}

function Nowhere() {
  return (
    <Empty>
      There is no such page. <a href="/">See the towns</a>.
    </Empty>
  );
}
