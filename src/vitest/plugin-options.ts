import type { TestProject, Vite } from 'vitest/node'
import type { InfraOptions } from '../config/infra-options.ts'
import { PLUGIN_NAME, registry } from './registry.ts'

/** Whether a project's own Vite configuration has the plugin. */
export function hasPlugin(project: TestProject): boolean {
  return pluginOf(project) !== undefined
}

/** Returns the plugin's options from a project's configuration, or else from the root's. */
export function pluginOptions(project: TestProject): InfraOptions | undefined {
  const owner = [project, project.vitest.getRootProject()].find(hasPlugin)
  const plugin = owner && pluginOf(owner)
  return plugin && canonicalOptions(owner, placeInConfig(plugin, owner), plugin.api as InfraOptions)
}

/** Returns a project's plugin. If it also inherits one from a project that it extends, its own comes last. */
function pluginOf({ vite }: TestProject): Vite.Plugin | undefined {
  return vite.config.plugins.findLast(({ name }) => name === PLUGIN_NAME)
}

/**
 * Returns the first options that were read at the same location of the same file, if their text is equal; otherwise
 * `options`. Vitest reads a config file again for each project that extends it, and a global setup for each project.
 * Their functions are therefore different objects each time.
 */
export function canonicalOptions(project: TestProject, place: string | undefined, options: InfraOptions): InfraOptions {
  if (place === undefined) {
    return options
  }
  const { written } = registry()
  // Each Vite server has its own map, as the config file may change before Vitest restarts.
  const { vite } = project.vitest
  const known = written.get(vite) ?? new Map<string, InfraOptions>()
  written.set(vite, known)
  const first = known.get(place)
  if (first === undefined) {
    known.set(place, options)
  }
  return first !== undefined && haveEqualText(first, options) ? first : options
}

/**
 * Returns the location of a plugin in a config file. Returns undefined for an inline project, whose configuration is
 * read only once.
 */
function placeInConfig(plugin: Vite.Plugin, { vite }: TestProject): string | undefined {
  const { configFile, inlineConfig, plugins } = vite.config
  if (configFile === undefined || isIn([inlineConfig.plugins], plugin)) {
    return undefined
  }
  const ours = plugins.filter(({ name }) => name === plugin.name)
  return `${configFile} ${ours.indexOf(plugin)}`
}

function isIn(plugins: readonly unknown[], wanted: Vite.Plugin): boolean {
  return plugins.some((plugin) => (Array.isArray(plugin) ? isIn(plugin, wanted) : plugin === wanted))
}

/** Returns the user's source lines from which a function was called; undefined if they are unknown. */
export function placeOfCall(called: (...args: never[]) => unknown): string | undefined {
  const trace: { stack?: string } = {}
  Error.captureStackTrace(trace, called)
  const lines = trace.stack?.split('\n').slice(1) ?? []
  const end = lines.findIndex((line) => /node_modules|node:internal/.test(line))
  return lines.slice(0, end < 0 ? undefined : end).join('\n') || undefined
}

function haveEqualText(one: InfraOptions, other: InfraOptions): boolean {
  try {
    return textOf(one) === textOf(other)
  } catch {
    return false
  }
}

function textOf(options: InfraOptions): string {
  return JSON.stringify(options, (_key, value: unknown) => (typeof value === 'function' ? String(value) : value))
}
