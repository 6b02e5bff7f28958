import { parseEnv } from 'node:util'

/** Where a variable's value can come from, the first that has it wins. */
export interface EnvironmentLayers {
  /** The process's own environment. */
  readonly process: Readonly<Record<string, string | undefined>>
  /** The text of `.env`, if there is one. */
  readonly envFile?: string
  /** The text of `.env.example`, if there is one. */
  readonly envExample?: string
}

/** Answers for a variable's name with its value, an empty one counting as none. */
export type VariableLookup = (name: string) => string | undefined

/** Settles the layers into one lookup: process, then `.env`, then `.env.example`. */
export function createVariableLookup(layers: EnvironmentLayers): VariableLookup {
  const sources = [layers.process, parseEnv(layers.envFile ?? ''), parseEnv(layers.envExample ?? '')]
  return (name) => {
    for (const source of sources) {
      const value = source[name]
      if (value !== undefined && value !== '') {
        return value
      }
    }
    return undefined
  }
}

/** The names that an env file sets. */
export function variableNames(envText: string): string[] {
  return Object.keys(parseEnv(envText))
}
