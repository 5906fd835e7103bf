// Builds the app's own tests for Node: `npm test`.
import { defineConfig } from "vite";

export default defineConfig({
  build: { ssr: "test/all.ts", target: "node20", outDir: "generated/test", emptyOutDir: true },
  // The libraries stay outside: automerge finds its own wasm.
  ssr: { noExternal: [/^vue$/] },
});
