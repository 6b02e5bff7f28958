import { Buffer } from 'node:buffer'
import {
  recordArtifact,
  type RunnerTask,
  type RunnerTestCase,
  type RunnerTestSuite,
  type TestArtifactBase,
} from 'vitest'
import { currentLease } from './file-lease.ts'
import type { FailedTest, LogExcerpt } from '../leasing/lease-source.ts'

/** The lines that PostgreSQL logged for the database of a failed test. */
interface PostgresLogArtifact extends TestArtifactBase {
  type: 'vitest-infra:postgres-log'
}

declare module 'vitest' {
  interface TestArtifactRegistry {
    'vitest-infra:postgres-log': PostgresLogArtifact
  }
}

interface Failure {
  readonly name: string
  /** The failed test, or a suite whose hooks failed. */
  readonly task: RunnerTask
}

/**
 * Reports the failed tests of a file to the main process, including retried ones, and attaches the server's log lines
 * to each. Runs once per file. A hook for each test would slow down passing tests and set up the user's automatic
 * fixtures earlier.
 */
export async function reportFailures(file: Readonly<RunnerTestSuite>): Promise<void> {
  const failures = findFailures(file, [])
  const current = await currentLease()
  if (failures.length === 0 || !current || !('postgres' in current.lease.facts)) {
    return
  }
  const { access, client, owner, lease, testDatabases } = current
  const tests = failures.map(({ name, task }) => describeTest(name, task, testDatabases.get(task.id)))
  // A database that the worker's next file reuses cannot be retained.
  const retain = access.lifetime === 'file' && !access.reuse
  // Failures are ignored, as a run that is ending no longer answers and the test has its own error.
  const logs = await client.failed(lease.lease, { owner, retain, tests }).catch(() => [])
  await Promise.all(failures.map(({ task }, index) => attach(task, logs[index])))
}

function findFailures(task: Readonly<RunnerTask>, path: readonly string[]): readonly Failure[] {
  const children = 'tasks' in task ? task.tasks : []
  const ownErrors = task.result?.state === 'fail' ? (task.result.errors ?? []) : []
  const name = task.type === 'suite' ? [...path, 'hooks'] : path
  return [
    ...(ownErrors.length > 0 ? [{ name: name.join(' > '), task }] : []),
    ...children.flatMap((child) => findFailures(child, [...path, child.name])),
  ]
}

function describeTest(name: string, { result }: RunnerTask, databases: readonly string[] = []): FailedTest {
  const fromMs = result?.startTime ?? 0
  // The duration is not set while a suite's hooks run.
  const toMs = result?.duration === undefined ? Number.MAX_SAFE_INTEGER : fromMs + result.duration + 1
  return { name, fromMs, toMs, databases }
}

async function attach(task: RunnerTask, log: LogExcerpt | undefined): Promise<void> {
  if (task.type !== 'test' || !log || log.lines.length === 0) {
    return
  }
  const text = [...log.lines, ...(log.more > 0 ? [`and ${log.more} more lines`] : [])].join('\n')
  const body = Buffer.from(`${text}\n`).toString('base64')
  const attachments = [{ contentType: 'text/plain', body }]
  await recordArtifact(task satisfies RunnerTestCase, { type: 'vitest-infra:postgres-log', attachments })
}
