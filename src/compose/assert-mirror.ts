import { InfraError } from '../errors.ts'

/**
 * Checks that a file matches the text rendered from the options.
 *
 * @throws InfraError `INFRA_MIRROR_DIFFERS`, with the first line that differs
 */
export function assertMirror(file: string, actual: string, expected: string): void {
  const actualLines = actual.split('\n')
  const expectedLines = expected.split('\n')
  const count = Math.max(actualLines.length, expectedLines.length)
  for (let index = 0; index < count; index += 1) {
    if (actualLines[index] !== expectedLines[index]) {
      throw new InfraError('INFRA_MIRROR_DIFFERS', {
        problem: `Cannot accept ${file}:${index + 1}: it has ${show(actualLines[index])} instead of ${show(expectedLines[index])}`,
        remedy:
          'Render it again with vitest-infra compose --write (in this repository: npm run render), or change the options',
      })
    }
  }
}

function show(line: string | undefined): string {
  return line === undefined ? 'the end of the file' : JSON.stringify(line)
}
