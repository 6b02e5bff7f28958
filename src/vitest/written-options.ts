import type { TestProject, Vite } from 'vitest/node'
import type { InfraOptions } from '../config/infra-options.ts'
import { registry } from './registry.ts'

/**
 * Vitest reads a config file again for each project that extends it, and a global setup for each project, so their
 * functions are different objects each time. This returns the first options that were read at the same location of the
 * same file, if their text is equal.
 */
export function asFirstRead(project: TestProject, place: string | undefined, options: InfraOptions): InfraOptions {
  if (place === undefined) {
    return options
  }
  const { written } = registry()
  // Each Vite server has its own map, as the file may change before Vitest restarts.
  const { vite } = project.vitest
  const known = written.get(vite) ?? new Map<string, InfraOptions>()
  written.set(vite, known)
  const first = known.get(place)
  if (first === undefined) {
    known.set(place, options)
  }
  return first !== undefined && haveEqualText(first, options) ? first : options
}

/** The location of a plugin in a config file; undefined for a project's inline config, which is read once. */
export function placeInConfig(plugin: Vite.Plugin, { vite }: TestProject): string | undefined {
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

/** The user's source lines from which a function was called; undefined if they are unknown. */
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
