import { resolve } from 'node:path'
import type { Vitest } from 'vitest/node'
import { DEFAULT_SEED_FOLDERS } from '../seeds/find-seed-files.ts'
import type { Seed } from '../spec/infra-options.ts'
import type { ResolvedSpec } from '../spec/resolve-spec.ts'

/** The files and folders that PostgreSQL's templates are made from, whether they are there or not. */
export function templateFiles({ root, postgres }: ResolvedSpec): readonly string[] {
  const { migrations, seeds } = DEFAULT_SEED_FOLDERS.postgres
  const sources = postgres?.templates.flatMap((template) => [
    ...(template.migrations ?? [migrations]),
    ...(template.seeds ?? [seeds]),
  ])
  return (sources ?? []).flatMap(filesOf).map((path) => resolve(root, path))
}

/** The files and folders that each Redis starts with. */
export function redisFiles({ root, redis }: ResolvedSpec): readonly string[] {
  const seeds = redis && (redis.seeds ?? [DEFAULT_SEED_FOLDERS.redis.seeds])
  return (seeds ?? []).map((path) => resolve(root, path))
}

function filesOf(seed: Seed): readonly string[] {
  return typeof seed === 'string' ? [seed] : 'files' in seed ? seed.files : []
}

/**
 * In watch mode, has a change of these files and folders run all tests again.
 *
 * @returns a function that ends it
 */
export function watchFiles({ config, vite }: Vitest, paths: readonly string[]): () => void {
  if (!config.watch || paths.length === 0) {
    return () => {}
  }
  const patterns = paths.map(escapePattern).flatMap((path) => [path, `${path}/**`])
  const added = patterns.filter((pattern) => !config.forceRerunTriggers.includes(pattern))
  config.forceRerunTriggers.push(...added)
  vite.watcher.add([...paths])
  return () => {
    config.forceRerunTriggers = config.forceRerunTriggers.filter((pattern) => !added.includes(pattern))
  }
}

/** Vitest matches with forward slashes, and a path may have characters that mean something in a pattern. */
function escapePattern(path: string): string {
  return path.replaceAll('\\', '/').replaceAll(/[()[\]{}!*?+@|]/g, (character) => `\\${character}`)
}
