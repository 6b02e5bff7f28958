import type { TestProject, Vite } from 'vitest/node'
import type { InfraOptions } from '../config/infra-options.ts'
import { registry } from './registry.ts'

/**
 * Vitest reads a config file anew for projects that extend it, and a global setup for each project, so that functions in
 * them are other objects each time. Options at the same place of the same file are the same: those that were read first
 * replace those that are read later, as far as they look alike.
 */
export function asFirstRead(project: TestProject, place: string | undefined, options: InfraOptions): InfraOptions {
  if (place === undefined) {
    return options
  }
  const { written } = registry()
  // A new one where Vitest restarts, since the file may have changed.
  const { vite } = project.vitest
  const known = written.get(vite) ?? new Map<string, InfraOptions>()
  written.set(vite, known)
  const first = known.get(place)
  if (first === undefined) {
    known.set(place, options)
  }
  return first !== undefined && looksAlike(first, options) ? first : options
}

/** The place of a plugin in a config file; undefined for one of a project's own config, which is read once. */
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

/** The lines in files of the user's from which a function was called; undefined where they are not known. */
export function placeOfCall(called: (...args: never[]) => unknown): string | undefined {
  const trace: { stack?: string } = {}
  Error.captureStackTrace(trace, called)
  const lines = trace.stack?.split('\n').slice(1) ?? []
  const end = lines.findIndex((line) => /node_modules|node:internal/.test(line))
  return lines.slice(0, end < 0 ? undefined : end).join('\n') || undefined
}

function looksAlike(one: InfraOptions, other: InfraOptions): boolean {
  try {
    return textOf(one) === textOf(other)
  } catch {
    return false
  }
}

function textOf(options: InfraOptions): string {
  return JSON.stringify(options, (_key, value: unknown) => (typeof value === 'function' ? String(value) : value))
}
