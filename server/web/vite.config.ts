import vue from "@vitejs/plugin-vue";
import { defineConfig, type Plugin } from "vite";
import { VitePWA } from "vite-plugin-pwa";

/** Vant names a server of others as a second source of its icons: nothing is ever asked of anybody else. */
const ownFonts: Plugin = {
  name: "own-fonts",
  enforce: "pre",
  transform(code, id) {
    return id.endsWith("vant/lib/index.css") ? code.replace(/,\s*url\(["']?(?:https?:)?\/\/[^)]*\)\s*format\([^)]*\)/g, "") : null;
  },
};

export default defineConfig({
  plugins: [
    ownFonts,
    vue(),
    VitePWA({
      // A new version waits until the person says so.
      registerType: "prompt",
      injectRegister: false,
      manifest: {
        name: "台账通",
        short_name: "台账通",
        description: "台账离线填写与同步",
        lang: "zh-CN",
        display: "standalone",
        start_url: "/",
        scope: "/",
        theme_color: "#b3261e",
        background_color: "#ffffff",
        icons: [
          { src: "icon-192.png", sizes: "192x192", type: "image/png" },
          { src: "icon-512.png", sizes: "512x512", type: "image/png" },
          { src: "icon-512.png", sizes: "512x512", type: "image/png", purpose: "maskable" },
        ],
      },
      workbox: {
        globPatterns: ["**/*.{html,js,css,wasm,png,webmanifest}"],
        maximumFileSizeToCacheInBytes: 8 << 20,
        navigateFallback: "/index.html",
        navigateFallbackDenylist: [/^\/api\//, /^\/sync\//, /^\/verify/, /^\/status/],
        cleanupOutdatedCaches: true,
      },
    }),
  ],
  build: {
    outDir: process.env["TAIZHANG_WEB_OUT"] ?? "dist",
    emptyOutDir: true,
    target: "es2022",
    // No inline images: the policy of the page is simple.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
  },
});
