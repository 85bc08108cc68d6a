/** How a town's active beads were spread over models, from version to version. */
import { ModelName } from "../ui";

interface Version {
  version: number;
  modelSpread: readonly { model: string; beads: number }[];
}

const WIDTH = 640;
const HEIGHT = 160;
const SHADES = 6;

export function Spread({ versions }: { versions: readonly Version[] }) {
  const shown = [...versions].sort((one, other) => one.version - other.version);
  const models = [...new Set(shown.flatMap((each) => each.modelSpread.map((count) => count.model)))].sort();
  const most = Math.max(1, ...shown.map((each) => each.modelSpread.reduce((sum, count) => sum + count.beads, 0)));
  if (models.length === 0) return null;
  const step = WIDTH / shown.length;
  return (
    <figure class="spread">
      <figcaption>Active beads by model, when each version came into force</figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT + 20}`} role="img" aria-label="Bars of active beads by model, one a version; the table below has the numbers">
        {shown.map((each, index) => {
          let top = HEIGHT;
          return (
            <g key={each.version} transform={`translate(${index * step} 0)`}>
              {models.map((model, shade) => {
                const count = each.modelSpread.find((found) => found.model === model)?.beads ?? 0;
                const height = (count / most) * HEIGHT;
                top -= height;
                return (
                  <rect key={model} class={`shade-${shade % SHADES}`} x={step * 0.1} width={step * 0.8} y={top} height={height}>
                    <title>{`version ${each.version}: ${count} on ${model}`}</title>
                  </rect>
                );
              })}
              <text x={step / 2} y={HEIGHT + 15} text-anchor="middle">
                {each.version}
              </text>
            </g>
          );
        })}
      </svg>
      <ul class="legend">
        {models.map((model, shade) => (
          <li key={model}>
            <span class={`swatch shade-${shade % SHADES}`} /> <ModelName id={model} />
          </li>
        ))}
      </ul>
      <details>
        <summary>As a table</summary>
        <div class="scrolled" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">Version</th>
                {models.map((model) => (
                  <th key={model} scope="col">
                    {model}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {shown.map((each) => (
                <tr key={each.version}>
                  <th scope="row">{each.version}</th>
                  {models.map((model) => (
                    <td key={model}>{each.modelSpread.find((found) => found.model === model)?.beads ?? 0}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}
