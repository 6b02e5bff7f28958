import { defineConfig } from 'rolldown'

/** Named as the sources are, so that `entryFile()` finds them here and there. */
const ENTRIES = [
  'cli',
  'global-setup',
  'index',
  'migrations',
  'migrations/migrate-with-kysely',
  'plugin',
  'providers/docker/container/start-guard-process',
  'providers/embedded/supervisor-process',
  'setup-file',
  'test',
]

// Few files instead of many: Node takes longer to find and read a module than to run it, and each worker does it anew.
export default defineConfig({
  input: Object.fromEntries(ENTRIES.map((name) => [name, `src/${name}.ts`])),
  platform: 'node',
  external: /^[^./]/,
  output: { dir: 'dist', entryFileNames: '[name].js', chunkFileNames: 'chunk-[name].js', comments: false },
})
