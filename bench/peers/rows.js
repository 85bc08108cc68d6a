// What both GraphQL servers share: the schema, and a bead looked up with what stands around it by one joined statement.
// Nothing is decided here: the model and the rule are the ones of the town's first override.
import pg from "pg";

export const SCHEMA = `
  enum RuleSource { BEAD OVERRIDE PROFILE SYSTEM_DEFAULT }
  type MatchedRule { source: RuleSource! key: String! title: String! }
  type Resolution {
    model: String! smallModel: String! because: String! fingerprint: String! overrideSetVersion: Int!
    matchedRule: MatchedRule!
  }
  type Query { resolution(beadId: ID!): Resolution }
`;

const FINGERPRINT = "f2bfad10f4056ec0b9735cd144fcd05d1748fb0273e2ff789eb8d9e14f0c3796";
const LOOKUP = {
  name: "lookup",
  text: `
    SELECT h.version, v.small_model, o.key, o.model
      FROM beads b
      JOIN heads h ON h.chain = b.town_id
      JOIN override_sets s ON s.town_id = h.chain AND s.version = h.version
      JOIN profile_versions v
        ON v.owner = s.profile_owner AND v.name = s.profile_name AND v.version = s.profile_version
      JOIN overrides o ON o.town_id = s.town_id AND o.version = s.version AND o.key = 'polecat[gt:triage]@web'
     WHERE b.bead_id = $1`,
};

const pool = new pg.Pool({ host: process.env.BENCH_PGHOST, user: "postgres", password: process.env.BENCH_PGPASSWORD, database: process.env.BENCH_PGDATABASE, max: 5 });

export async function resolution(beadId) {
  const { rows } = await pool.query({ ...LOOKUP, values: [beadId] });
  if (rows.length === 0) return null;
  const row = rows[0];
  return {
    model: row.model,
    smallModel: row.small_model,
    because: `override “Polecat — label: gt:triage, rig: web”`,
    fingerprint: FINGERPRINT,
    overrideSetVersion: row.version,
    matchedRule: { source: "OVERRIDE", key: row.key, title: "Polecat — label: gt:triage, rig: web" },
  };
}

export const PORT = Number(process.env.BENCH_PORT);
