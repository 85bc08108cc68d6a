// Mercurius on Fastify, with its JIT compiler of queries from the first request on.
import Fastify from "fastify";
import mercurius from "mercurius";
import { PORT, SCHEMA, resolution } from "./rows.js";

const app = Fastify({ logger: false });
app.register(mercurius, {
  schema: SCHEMA,
  resolvers: { Query: { resolution: (_, { beadId }) => resolution(beadId) } },
  jit: 1,
  path: "/graphql",
});
await app.listen({ port: PORT, host: "127.0.0.1" });
