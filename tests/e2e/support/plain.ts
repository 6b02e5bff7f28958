import { stripVTControlCharacters } from 'node:util'

/** Folders whose paths differ between runs. */
export interface Places {
  /** The run's copy of the project. */
  readonly folder: string
  readonly consumer: string
}

/** Removes from a run's output what differs between runs, machines and releases. */
export function plain(output: string, { folder, consumer }: Places): string {
  return (
    stripVTControlCharacters(output)
      .replaceAll('\r', '')
      .replaceAll(`file://${folder}`, '<project>')
      .replaceAll(folder, '<project>')
      .replaceAll(consumer, '<consumer>')
      // Stack frames, which contain Vitest's internals.
      .replace(/^ ❯ .*:\d+:\d+\n/gm, '')
      // Times, and Vitest's advice on a busy machine.
      .replace(/^ *Start at .*\n/gm, '')
      .replace(/^ *Duration .*\n(?:\n?(?: {2,}|Environment ).*\n)*/gm, '')
      // Output of Vitest 5.1.2 and later if no test ran.
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

/** Sorts lines, for output of things that run in parallel. */
export function sortedLines(text: string): string {
  return text.split('\n').filter(Boolean).toSorted().join('\n')
}

/** Extracts the message of the error that ended a run from Vitest's output. */
export function errorMessage(stderr: string): string {
  return /⎯ Unhandled Error ⎯+\n(?:InfraError: )?([^]*?)\n+⎯{10}/.exec(stderr)?.[1] ?? `no error in:\n${stderr}`
}
