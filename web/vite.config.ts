// Vite 6 and TypeScript 5 run on every Node 20; what came after them wants a late one. Rollup as WebAssembly is one
// package for all machines.
import { defineConfig, type Plugin } from "vite";

/** The page runs its own scripts and styles and speaks to its own origin; nothing else. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/** In the build only: the development server injects scripts and styles of its own. */
function contentSecurityPolicy(): Plugin {
  return {
    name: "content-security-policy",
    apply: "build",
    transformIndexHtml: () => [
      {
        tag: "meta",
        attrs: { "http-equiv": "Content-Security-Policy", content: POLICY },
        injectTo: "head-prepend",
      },
    ],
  };
}

const frontDoor = process.env.PARLEY_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [contentSecurityPolicy()],
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  resolve: { conditions: ["source", "module", "browser", "development|production"] }, // the client's own sources: no build before this one
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: {
      input: ["index.html", "console.html"], // a page each
    },
  },
  server: {
    proxy: {
      "/v1": frontDoor,
      "^/console(/|$)": { target: frontDoor, bypass: () => "/console.html" }, // its screens are told apart by the page
      "/socket": { target: frontDoor, ws: true, rewrite: (path) => path.replace("/socket", "/") }, // at "/" the development server listens itself
    },
  },
});
