import fc from 'fast-check'
import { InfraError } from '../../../src/errors.ts'

/** In CI always the same inputs; elsewhere random ones. A failure is printed with its seed, which repeats it. */
const seed = Number(process.env['FAST_CHECK_SEED'] ?? (process.env['CI'] ? 20_261_125 : Date.now() % 2 ** 31))

export interface ForAllOptions {
  /** How many inputs are tried. */
  readonly runs?: number
}

/** The body of a test: a property of every input. */
export function forAll<Input>(
  inputs: fc.Arbitrary<Input>,
  holds: (input: Input) => void | Promise<void>,
  { runs = 300 }: ForAllOptions = {},
): () => Promise<void> {
  return () =>
    fc.assert(
      fc.asyncProperty(inputs, async (input) => holds(input)),
      { seed, numRuns: runs },
    )
}

/** Characters with a meaning for one of the parsers. */
const SPECIAL = [
  ...Array.from('\'"`\\$;:@/?#%&=+*~!(){}[]<>|-_., \t\n\r'),
  'a',
  'Z',
  '0',
  'é',
  '😀',
  '\ufeff',
  '\u2028',
  '\u0001',
]

/** Text of any characters that are whole and not NUL. */
export const anyText = fc
  .oneof(fc.string({ unit: fc.constantFrom(...SPECIAL) }), fc.string({ unit: 'binary' }))
  .filter((text) => !text.includes('\0'))

/** Text that resembles valid input, so that the parser gets beyond its first characters. */
export function textOf(...pieces: readonly string[]): fc.Arbitrary<string> {
  const piece = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...pieces) }, { weight: 1, arbitrary: anyText })
  return fc.array(piece, { maxLength: 40 }).map((all) => all.join(''))
}

/** The result of `work`, or `undefined` if it refuses its input; any other error is a fault. */
export function unlessRefused<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof InfraError) {
      return undefined
    }
    throw error
  }
}
