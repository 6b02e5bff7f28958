import { InfraError } from '../errors.ts'

/** Throws `INFRA_MIRROR_DIFFERS`, naming the first line that differs, unless a file says what the code says. */
export function assertMirror(file: string, actual: string, expected: string): void {
  const actualLines = actual.split('\n')
  const expectedLines = expected.split('\n')
  const count = Math.max(actualLines.length, expectedLines.length)
  for (let index = 0; index < count; index += 1) {
    if (actualLines[index] !== expectedLines[index]) {
      throw new InfraError('INFRA_MIRROR_DIFFERS', {
        problem: `Cannot trust ${file}:${index + 1}: it says ${say(actualLines[index])}, the code ${say(expectedLines[index])}`,
        remedy:
          'Render it again with vitest-infra compose --write (in this repository: npm run render), or change the spec',
      })
    }
  }
}

function say(line: string | undefined): string {
  return line === undefined ? 'nothing more' : JSON.stringify(line)
}
