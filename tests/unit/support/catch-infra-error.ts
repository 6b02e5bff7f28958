import { InfraError } from '../../../src/errors.ts'

/** The `InfraError` that `work` ends with; fails if it ends with anything else, or well. */
export async function catchInfraError(work: () => unknown): Promise<InfraError> {
  try {
    await work()
  } catch (error) {
    if (error instanceof InfraError) {
      return error
    }
    throw error
  }
  throw new Error('Expected an InfraError, but nothing was thrown')
}
