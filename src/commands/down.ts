import { removeRunning } from '../providers/docker/reuse/remove-running.ts'
import { readProject } from '../read-project.ts'
import { count } from '../report/reporter.ts'

/** Ends what runs of this project and `up` have left up, and says how many servers there were. */
export async function down(environment: Record<string, string | undefined>, directory: string): Promise<string> {
  const { root } = await readProject({ directory, environment })
  return `${count(await removeRunning(environment, root), 'server')} ended`
}
