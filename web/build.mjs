// Bundles the pages into dist/, or the tests into dist-tests/.
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

const pages = ['kitchen', 'pos', 'guest'];
const shared = { bundle: true, jsx: 'automatic', jsxImportSource: 'preact', logLevel: 'warning' };

if (process.argv.includes('--tests')) {
  rmSync('dist-tests', { recursive: true, force: true });
  await build({
    ...shared,
    entryPoints: ['src/shared/tickets.test.ts', 'src/kitchen/display.test.ts', 'src/guest/tab.test.ts', 'src/admin/problems.test.ts'],
    outdir: 'dist-tests',
    entryNames: '[name]',
    outExtension: { '.js': '.mjs' },
    format: 'esm',
    platform: 'node',
  });
} else {
  rmSync('dist', { recursive: true, force: true });
  mkdirSync('dist');
  await build({
    ...shared,
    entryPoints: pages.map((page) => `src/${page}/${page}.tsx`),
    entryNames: '[name]',
    outdir: 'dist/assets',
    format: 'esm',
    target: 'es2022',
    minify: true,
  });
  // Apart from the demo's pages: it is served to operators alone.
  await build({
    ...shared,
    entryPoints: ['src/admin/admin.tsx'],
    outdir: 'dist/admin',
    format: 'esm',
    target: 'es2022',
    minify: true,
  });
  cpSync('src/admin/admin.html', 'dist/admin/admin.html');
  for (const page of pages) cpSync(`src/${page}/${page}.html`, `dist/${page}.html`);
}
