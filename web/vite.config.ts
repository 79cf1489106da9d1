import { defineConfig, type Plugin } from 'vite';

/** Every browser that runs this page reads woff2: KaTeX's other fonts would be two megabytes that nobody fetches. */
const woff2Only: Plugin = {
  name: 'woff2-only',
  enforce: 'pre',
  transform: (code, id) =>
    /katex(?:\.min)?\.css/.test(id) ? { code: code.replaceAll(/,\s*url\([^)]*\.(?:woff|ttf)\)\s*format\([^)]*\)/g, ''), map: null } : null,
};

// The server's own files stand beside it, so the page is built into the package.
export default defineConfig({
  plugins: [woff2Only],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../src/bethink/server/static',
    emptyOutDir: true,
    target: 'es2022',
    // What the newest two years of browsers know needs no translation.
    cssTarget: ['chrome123', 'firefox128', 'safari17.5'],
    // The policy of the page forbids data: fonts and scripts; every file is a file.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8114', '/preview': 'http://127.0.0.1:8114' } },
});
