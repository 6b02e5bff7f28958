// Runs in plain Node, started by read-project-in-node.ts: reports that it is ready, and answers each message with the
// outcome of readProject().
import { InfraError } from '../../../src/errors.ts'
import { readProject, type ReadProjectOptions } from '../../../src/read-project.ts'
import type { ProjectOutcome } from './read-project-in-node.ts'

process.on('message', (options: ReadProjectOptions) => {
  void outcomeOf(options).then((outcome) => process.send?.(outcome))
})
process.send?.('ready')

async function outcomeOf(options: ReadProjectOptions): Promise<ProjectOutcome> {
  try {
    return { spec: await readProject(options) }
  } catch (error) {
    const { code, message, cause } = error as InfraError
    return { error: { isInfraError: error instanceof InfraError, code, message, cause: (cause as Error)?.name } }
  }
}
