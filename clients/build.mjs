// Bundles the tests into dist-tests/, with stand-ins for what the application has.
import { readdirSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

rmSync('dist-tests', { recursive: true, force: true });
await build({
  entryPoints: readdirSync('test').filter((name) => /\.test\.tsx?$/.test(name)).map((name) => `test/${name}`),
  outdir: 'dist-tests',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  jsx: 'automatic',
  tsconfig: 'tsconfig.tests.json',
  logLevel: 'warning',
});
