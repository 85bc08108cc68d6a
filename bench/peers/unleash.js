// Unleash as it is shipped, without what would ask its makers' servers for anything.
import { start } from "unleash-server";

await start({
  db: {
    host: process.env.BENCH_PGHOST,
    port: 5432,
    user: "postgres",
    password: process.env.BENCH_PGPASSWORD,
    database: process.env.BENCH_PGDATABASE,
    ssl: false,
  },
  server: { host: "127.0.0.1", port: Number(process.env.BENCH_PORT), enableRequestLogger: false },
  authentication: { createAdminUser: false },
  versionCheck: { enable: false },
  telemetry: false,
  logLevel: "error",
});
