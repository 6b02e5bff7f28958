import { existsSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { InfraError, messageOf } from './errors.ts'
import { ownPassword } from './internal/own-password.ts'
import { readTextIfPresent } from './internal/read-text.ts'
import { TimeLimitError, withTimeLimit } from './internal/time-limit.ts'
import { lineIn } from './internal/stack-line.ts'
import { userFolder } from './internal/user-folder.ts'
import type { InfraOptions } from './config/infra-options.ts'
import { type ResolvedSpec, resolveSpec } from './config/resolve-spec.ts'

/** Long enough for a config file to fetch a secret. Without a limit, a run could hang without any output. */
const LOAD_TIMEOUT_MS = 30_000

const CONFIG_FILES = ['infra.config.ts', 'infra.config.mts', 'infra.config.js', 'infra.config.mjs']

export interface ReadProjectOptions {
  /** The folder where the search for `infra.config.*` begins. */
  readonly directory: string
  /** The folder that relative paths are resolved against if there is no `infra.config.*`. */
  readonly defaultRoot?: string
  /**
   * Options that override those of `infra.config.*`.
   *
   * @default {}
   */
  readonly options?: InfraOptions
  readonly environment: Readonly<Record<string, string | undefined>>
}

/**
 * Reads and resolves a project's options: `options` override those of the nearest `infra.config.*` from `directory`
 * upward; `.env` and `.env.example` are read from the same folder.
 *
 * @throws InfraError `INFRA_CONFIG_LOAD`, also if the file does not load within 30 s, and every error of `resolveSpec`
 */
export async function readProject({
  directory,
  defaultRoot = directory,
  options = {},
  environment,
}: ReadProjectOptions): Promise<ResolvedSpec> {
  const file = findConfig(directory, defaultRoot)
  const root = file === undefined ? defaultRoot : dirname(file)
  const base = file === undefined ? undefined : { source: file, options: await loadConfig(file) }
  return resolveSpec(options, {
    root,
    source: 'infra()',
    base,
    environment: {
      process: environment,
      envFile: readTextIfPresent(join(root, '.env')),
      envExample: readTextIfPresent(join(root, '.env.example')),
    },
    ownPassword: () => ownPassword(userFolder(environment, process.platform)),
  })
}

/** Returns the files that {@link readProject} reads, even if they do not exist. */
export function projectFiles({
  directory,
  defaultRoot = directory,
}: Pick<ReadProjectOptions, 'directory' | 'defaultRoot'>): readonly string[] {
  const file = findConfig(directory, defaultRoot)
  const root = file === undefined ? defaultRoot : dirname(file)
  return [...CONFIG_FILES, '.env', '.env.example'].map((name) => join(root, name))
}

/**
 * Searches up to the repository's root, as files above it do not belong to the project. Without a repository, as in a
 * copy inside a container, it searches up to the package or, in a monorepo, up to the folder in which Vitest runs.
 */
function findConfig(directory: string, runRoot: string): string | undefined {
  const folders = ancestors(directory)
  const holds = (name: string) => folders.findIndex((folder) => existsSync(join(folder, name)))
  const repository = holds('.git')
  const last = repository >= 0 ? repository : Math.max(holds('package.json'), folders.indexOf(runRoot), 0)
  return folders
    .slice(0, last + 1)
    .flatMap((folder) => CONFIG_FILES.map((name) => join(folder, name)))
    .find((path) => existsSync(path))
}

function ancestors(directory: string): string[] {
  const parent = dirname(directory)
  return parent === directory ? [directory] : [directory, ...ancestors(parent)]
}

async function loadConfig(file: string): Promise<object> {
  const { default: options } = await importConfig(file)
  if (options instanceof Promise) {
    // A rejection would otherwise be unhandled and end the process.
    options.catch(() => {})
    throw new InfraError('INFRA_CONFIG_LOAD', {
      problem: `Cannot use ${file}: its default export is a promise`,
      remedy: 'Write: export default await …',
    })
  }
  if (typeof options !== 'object' || options === null) {
    throw new InfraError('INFRA_CONFIG_LOAD', {
      problem: `Cannot use ${file}: its default export is not an object`,
      remedy: 'Write: export default defineInfra({ … })',
    })
  }
  return options
}

/**
 * Imports the file with Node itself, TypeScript included. No loader is needed, and every entry point gets the same
 * result.
 */
async function importConfig(file: string): Promise<{ default?: unknown }> {
  try {
    // The version bypasses Node's module cache, because a watched file may change.
    const version = statSync(file).mtimeMs
    const load = () => import(`${pathToFileURL(file).href}?${version}`) as Promise<{ default?: unknown }>
    return await withTimeLimit(LOAD_TIMEOUT_MS, load)
  } catch (error) {
    throw error instanceof TimeLimitError ? configTimedOut(file, error) : configFailed(file, error)
  }
}

/** The error for a file whose top-level await takes too long. */
function configTimedOut(file: string, cause: TimeLimitError): InfraError {
  return new InfraError('INFRA_CONFIG_LOAD', {
    problem: `Cannot load ${file}: it did not load within ${LOAD_TIMEOUT_MS / 1_000} s`,
    remedy: 'Check what the file and its imports await at their top level; move slow work into a template',
    cause,
  })
}

function configFailed(file: string, error: unknown): InfraError {
  const line = lineIn(file, error)
  const place = line === undefined ? file : `${file}:${line}`
  // An error of our own functions, such as sqlFolder(), has its own remedy.
  const ours = error instanceof InfraError ? error : undefined
  return new InfraError(ours?.code ?? 'INFRA_CONFIG_LOAD', {
    problem: `Cannot load ${place}: ${ours ? messageOf(ours).split('\n')[0] : messageOf(error)}`,
    remedy:
      ours?.remedy ??
      (isLoadedAsCommonJs(file, error)
        ? `Name it ${basename(file).replace(/(?=[jt]s$)/, 'm')}, or set "type": "module" in package.json: it is "commonjs", so Node does not load the file as a module`
        : 'Correct it; Node loads the file without a bundler, so write imports with file extensions, and erasable TypeScript only'),
    cause: error,
  })
}

/** Whether Node loaded the file as CommonJS, as in a package from `npm init`, which writes `"type": "commonjs"`. */
function isLoadedAsCommonJs(file: string, error: unknown): boolean {
  return (
    !/\.m[jt]s$/.test(file) &&
    error instanceof SyntaxError &&
    /^Cannot use import statement outside a module|^Unexpected token 'export'/.test(error.message)
  )
}
