import { removeRunningServices } from '../providers/docker/reuse/running-services.ts'
import { readProject } from '../read-project.ts'
import { count } from '../report/reporter.ts'

/** Stops the servers that `up` and earlier runs of this project left running. Returns a message with their number. */
export async function down(environment: Record<string, string | undefined>, directory: string): Promise<string> {
  const { root } = await readProject({ directory, environment })
  return `${count(await removeRunningServices(environment, root), 'server')} ended`
}
