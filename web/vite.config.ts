import { defineConfig } from 'vite';

// The server's own files stand beside it, so the page is built into the package.
export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../src/bethink/server/static',
    emptyOutDir: true,
    target: 'es2022',
    // The policy of the page forbids data: fonts and scripts; every file is a file.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8199', '/preview': 'http://127.0.0.1:8199' } },
});
