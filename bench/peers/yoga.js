// GraphQL Yoga as its guide has it, on Node's own HTTP server.
import { createServer } from "node:http";
import { createSchema, createYoga } from "graphql-yoga";
import { PORT, SCHEMA, resolution } from "./rows.js";

const schema = createSchema({
  typeDefs: SCHEMA,
  resolvers: { Query: { resolution: (_, { beadId }) => resolution(beadId) } },
});
const yoga = createYoga({ schema, logging: false, graphiql: false });
createServer(yoga).listen(PORT, "127.0.0.1");
