import { EnvFile } from './env-file.ts'

/** Sources of variables. The first one with a value wins. */
export interface EnvironmentLayers {
  /** The process's own environment. */
  readonly process: Readonly<Record<string, string | undefined>>
  /** The text of `.env`, if there is one. */
  readonly envFile?: string | undefined
  /** The text of `.env.example`, if there is one. */
  readonly envExample?: string | undefined
}

/** Returns a variable's value; an empty value counts as unset. */
export interface VariableLookup {
  (name: string): string | undefined
  /** Returns the variable's name for errors, with the file and line if a file sets it. */
  placeOf(name: string): string
}

/** Combines the layers into one lookup: process, then `.env`, then `.env.example`. */
export function createVariableLookup(layers: EnvironmentLayers): VariableLookup {
  const files = [new EnvFile('.env', layers.envFile ?? ''), new EnvFile('.env.example', layers.envExample ?? '')]
  const inProcess = (name: string) => layers.process[name] || undefined
  const fileWith = (name: string) => files.find((file) => file.valueOf(name))
  return Object.assign((name: string) => inProcess(name) ?? fileWith(name)?.valueOf(name), {
    placeOf(name: string) {
      const file = inProcess(name) === undefined ? fileWith(name) : undefined
      return file === undefined ? name : `${name} (${file.placeOf(name)})`
    },
  })
}

/** Returns the names of the variables that an env file sets. */
export function variableNames(envText: string): string[] {
  return new EnvFile('.env.example', envText).names
}
