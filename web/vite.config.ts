import preact from "@preact/preset-vite";
import { defineConfig } from "vite";

// `npx vite` serves the sources while they are worked on; the API is then `make serve` beside it.
export default defineConfig({
  plugins: [preact()],
  build: { outDir: "../api/static", emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: Object.fromEntries(["/graphql", "/audit", "/sign-in"].map((path) => [path, "http://127.0.0.1:8000"])) },
});
