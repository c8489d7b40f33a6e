// Bundles the tests into dist-tests/, or what tests/it drives into dist-harness/, both with
// stand-ins for what the application has.
import { readdirSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

const shared = { bundle: true, format: 'esm', jsx: 'automatic', tsconfig: 'tsconfig.tests.json', logLevel: 'warning' };
const onNode = { ...shared, platform: 'node', outExtension: { '.js': '.mjs' } };

if (process.argv.includes('--harness')) {
  rmSync('dist-harness', { recursive: true, force: true });
  await build({
    ...shared,
    entryPoints: ['harness/page.tsx'],
    outdir: 'dist-harness',
    // What the application's own build would put in.
    define: { 'process.env.NEXT_PUBLIC_SOCKET_URL': 'window.SOCKET_URL', 'process.env.NODE_ENV': '"production"' },
  });
  await build({ ...onNode, entryPoints: ['harness/emitter.mjs'], outdir: 'dist-harness', packages: 'external' });
} else {
  rmSync('dist-tests', { recursive: true, force: true });
  const tests = readdirSync('test').filter((name) => /\.test\.tsx?$/.test(name));
  await build({ ...onNode, entryPoints: tests.map((name) => `test/${name}`), outdir: 'dist-tests', packages: 'external' });
}
