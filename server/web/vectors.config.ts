// Builds `vectors.ts` for Node.
import { defineConfig } from "vite";

export default defineConfig({
  build: { ssr: "vectors.ts", target: "node20", emptyOutDir: false },
  ssr: { noExternal: true },
});
