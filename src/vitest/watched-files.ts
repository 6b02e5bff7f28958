import { resolve } from 'node:path'
import type { Vitest } from 'vitest/node'
import { DEFAULT_SEED_FOLDERS } from '../seeds/find-seed-files.ts'
import type { Seed } from '../config/infra-options.ts'
import type { ResolvedSpec } from '../config/resolve-spec.ts'

/** Returns the files and folders from which PostgreSQL's templates are built, including those that do not exist. */
export function templateFiles({ root, postgres }: ResolvedSpec): readonly string[] {
  const { migrations, seeds } = DEFAULT_SEED_FOLDERS.postgres
  const sources = postgres?.templates.flatMap((template) => [
    ...(template.migrations ?? [migrations]),
    ...(template.seeds ?? [seeds]),
  ])
  return (sources ?? []).flatMap(filesOf).map((path) => resolve(root, path))
}

/** Returns the files and folders that seed each Redis. */
export function redisFiles({ root, redis }: ResolvedSpec): readonly string[] {
  const seeds = redis && (redis.seeds ?? [DEFAULT_SEED_FOLDERS.redis.seeds])
  return (seeds ?? []).map((path) => resolve(root, path))
}

function filesOf(seed: Seed): readonly string[] {
  return typeof seed === 'string' ? [seed] : 'files' in seed ? seed.files : []
}

/**
 * In watch mode, makes every change of these files and folders rerun all tests.
 *
 * @returns a function that stops watching
 */
export function watchFiles({ config, vite, watcher }: Vitest, paths: readonly string[]): () => void {
  const added = paths.map(forwardSlashes).filter((path) => !config.forceRerunTriggers.includes(escapePattern(path)))
  if (!config.watch || added.length === 0) {
    return () => {}
  }
  const patterns = added.map(escapePattern).flatMap((path) => [path, `${path}/**`])
  config.forceRerunTriggers.push(...patterns)
  const onDelete = (path: string) => {
    const deleted = forwardSlashes(path)
    if (added.includes(deleted)) {
      // Outside Vite's root, the watcher no longer watches a path after its deletion.
      vite.watcher.add(path)
    }
    if (added.some((ours) => deleted === ours || deleted.startsWith(`${ours}/`))) {
      // Vitest does not rerun tests for a deleted file, and ignores the file until the next rerun. The microtask runs
      // after Vitest's own listener.
      queueMicrotask(() => {
        watcher.invalidates.delete(deleted)
        watcher.onFileChange(deleted)
      })
    }
  }
  vite.watcher.add(added)
  vite.watcher.on('unlink', onDelete).on('unlinkDir', onDelete)
  return () => {
    config.forceRerunTriggers = config.forceRerunTriggers.filter((pattern) => !patterns.includes(pattern))
    vite.watcher.off('unlink', onDelete).off('unlinkDir', onDelete)
  }
}

/** Escapes a path for use in Vitest's patterns, which use forward slashes. */
function escapePattern(path: string): string {
  return forwardSlashes(path).replaceAll(/[()[\]{}!*?+@|]/g, (character) => `\\${character}`)
}

function forwardSlashes(path: string): string {
  return path.replaceAll('\\', '/')
}
