import { existsSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { InfraError, messageOf } from './errors.ts'
import { ownPassword } from './internal/own-password.ts'
import { readTextIfPresent } from './internal/read-text.ts'
import { TimeLimitError, withTimeLimit } from './internal/time-limit.ts'
import { lineIn } from './internal/stack-line.ts'
import { userFolder } from './internal/user-folder.ts'
import { type InfraOptions, mergeOptions } from './config/infra-options.ts'
import { assertOptions } from './config/options-schema.ts'
import { type ResolvedSpec, resolveSpec } from './config/resolve-spec.ts'

/** Long enough for a secret that is fetched; what a run waits for without a word must come to an end. */
const LOAD_TIMEOUT_MS = 30_000

const CONFIG_FILES = ['infra.config.ts', 'infra.config.mts', 'infra.config.js', 'infra.config.mjs']

export interface ReadProjectOptions {
  /** Where the search for `infra.config.*` begins. */
  readonly directory: string
  /** The folder that paths start from where there is no `infra.config.*`. */
  readonly defaultRoot?: string
  /** @default {} */
  readonly options?: InfraOptions
  readonly environment: Readonly<Record<string, string | undefined>>
}

/**
 * Reads what a project says of its stack, and settles it: the nearest `infra.config.*` from `directory` upward, under
 * `options`; and `.env` and `.env.example` beside it.
 *
 * @throws InfraError `INFRA_CONFIG_LOAD`, also for a file that is not loaded within 30 s, and all that `resolveSpec` throws
 */
export async function readProject({
  directory,
  defaultRoot = directory,
  options = {},
  environment,
}: ReadProjectOptions): Promise<ResolvedSpec> {
  assertOptions(options, 'infra()')
  const file = findConfig(directory, defaultRoot)
  const root = file === undefined ? defaultRoot : dirname(file)
  const base = file === undefined ? {} : await loadConfig(file)
  return resolveSpec(mergeOptions(base, options), {
    root,
    source: file ?? 'infra()',
    environment: {
      process: environment,
      envFile: readTextIfPresent(join(root, '.env')),
      envExample: readTextIfPresent(join(root, '.env.example')),
    },
    ownPassword: () => ownPassword(userFolder(environment, process.platform)),
  })
}

/** The files that {@link readProject} reads, or would read if they were there. */
export function projectFiles({
  directory,
  defaultRoot = directory,
}: Pick<ReadProjectOptions, 'directory' | 'defaultRoot'>): readonly string[] {
  const file = findConfig(directory, defaultRoot)
  const root = file === undefined ? defaultRoot : dirname(file)
  return [...CONFIG_FILES, '.env', '.env.example'].map((name) => join(root, name))
}

/**
 * Looks no further up than the repository: what lies above is not the project's. Where there is none, as in a copy inside
 * a container, no further than the package or, in a monorepo, the folder that Vitest runs in.
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

async function loadConfig(file: string): Promise<InfraOptions> {
  const { default: options } = await importConfig(file)
  if (options instanceof Promise) {
    // Left alone, it would end this process where it fails.
    options.catch(() => {})
    throw new InfraError('INFRA_CONFIG_LOAD', {
      problem: `Cannot use ${file}: its default export is a promise`,
      remedy: 'Write: export default await …',
    })
  }
  if (typeof options !== 'object' || options === null) {
    throw new InfraError('INFRA_CONFIG_LOAD', {
      problem: `Cannot use ${file}: it has no default export that is an object`,
      remedy: 'Write: export default defineInfra({ … })',
    })
  }
  assertOptions(options, file)
  return options
}

/** Node itself loads the file, TypeScript included: no loader to wait for, and the same result from every entry. */
async function importConfig(file: string): Promise<{ default?: unknown }> {
  try {
    // Node remembers what it imported, but a watched file changes.
    const version = statSync(file).mtimeMs
    const load = () => import(`${pathToFileURL(file).href}?${version}`) as Promise<{ default?: unknown }>
    return await withTimeLimit(LOAD_TIMEOUT_MS, load)
  } catch (error) {
    throw error instanceof TimeLimitError ? configSilent(file, error) : configFailed(file, error)
  }
}

/** What it awaits at its top level may never come. */
function configSilent(file: string, cause: TimeLimitError): InfraError {
  return new InfraError('INFRA_CONFIG_LOAD', {
    problem: `Cannot load ${file}: it is not loaded after ${LOAD_TIMEOUT_MS / 1_000} s, the limit`,
    remedy:
      'See what it, or a file that it imports, awaits at its top level; move work that takes long into a template',
    cause,
  })
}

function configFailed(file: string, error: unknown): InfraError {
  const line = lineIn(file, error)
  const place = line === undefined ? file : `${file}:${line}`
  // One of our own functions, such as sqlFolder(), says itself what to do.
  const ours = error instanceof InfraError ? error : undefined
  return new InfraError(ours?.code ?? 'INFRA_CONFIG_LOAD', {
    problem: `Cannot load ${place}: ${ours ? messageOf(ours).split('\n')[0] : messageOf(error)}`,
    remedy:
      ours?.remedy ??
      (isTakenForCommonJs(file, error)
        ? `Name it ${basename(file).replace(/(?=[jt]s$)/, 'm')}, or set "type": "module" in package.json: it says "commonjs", so Node takes the file for no module`
        : 'Correct it; Node loads it as it stands, so write imports with file extensions and erasable TypeScript'),
    cause: error,
  })
}

/** As in a package of `npm init`, which writes `"type": "commonjs"`. */
function isTakenForCommonJs(file: string, error: unknown): boolean {
  return (
    !/\.m[jt]s$/.test(file) &&
    error instanceof SyntaxError &&
    /^Cannot use import statement outside a module|^Unexpected token 'export'/.test(error.message)
  )
}
