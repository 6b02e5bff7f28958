import { InfraError } from '../../../src/errors.ts'

/** Returns the `InfraError` that `work` throws; fails if it throws anything else, or nothing. */
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
