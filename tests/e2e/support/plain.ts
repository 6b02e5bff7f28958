import { stripVTControlCharacters } from 'node:util'

/** Folders whose paths differ from run to run. */
export interface Places {
  /** The run's copy of the project. */
  readonly folder: string
  readonly consumer: string
}

/** A run's output without what differs from run to run, machine to machine and release to release. */
export function plain(output: string, { folder, consumer }: Places): string {
  return (
    stripVTControlCharacters(output)
      .replaceAll('\r', '')
      .replaceAll(`file://${folder}`, '<project>')
      .replaceAll(folder, '<project>')
      .replaceAll(consumer, '<consumer>')
      // Frames of a stack, which tell of Vitest's insides.
      .replace(/^ ❯ .*:\d+:\d+\n/gm, '')
      // Times, and the advice that Vitest gives on a busy machine.
      .replace(/^ *Start at .*\n/gm, '')
      .replace(/^ *Duration .*\n(?:\n?(?: {2,}|Environment ).*\n)*/gm, '')
      // What Vitest 5.1.2 and later say where no test was run.
      .replace(/^ *Test Files +no tests\n +Tests +no tests\n +Errors +1 error\n/gm, '')
      .replace(/^( (?:RUN|DEV) ) v[\d.]+/gm, '$1 v<version>')
      .replace(/Docker Engine .+ at .+ \(.+\)/g, 'Docker Engine <version> at <host> (<source>)')
      .replace(/\b(postgres|redis) \d+\.[\d.]+/g, '$1 <version>')
      .replace(/("version": )"[\d.]+"/g, '$1"<version>"')
      // The range from which ports are picked.
      .replace(/\b(3[2-9]\d{3}|[45]\d{4}|60\d{3})\b/g, '<port>')
      .replace(/\b[0-9a-f]{32}\b/g, '<password>')
      .replace(/\bvitest-infra-[0-9a-f]{8}-/g, 'vitest-infra-<run>-')
      .replace(/\/\S+\/vitest-infra-proxy-\w+/g, '<proxy>')
      .replace(/\bvitest_infra_[0-9a-f]{8}_\d+_\d+/g, '<leased database>')
      .replace(/\b\d+(\.\d+)? ?m?s\b/g, '<time>')
      .replace(/[ \t]+$/gm, '')
      .replace(/\n{3,}/g, '\n\n')
      .trim()
  )
}

/** Lines in the order of the alphabet, for output of things that run side by side. */
export function sortedLines(text: string): string {
  return text.split('\n').filter(Boolean).toSorted().join('\n')
}

/** The message of the error that ended a run, out of all that Vitest prints around it. */
export function errorMessage(stderr: string): string {
  return /⎯ Unhandled Error ⎯+\n(?:InfraError: )?([^]*?)\n+⎯{10}/.exec(stderr)?.[1] ?? `no error in:\n${stderr}`
}
