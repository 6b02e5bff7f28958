/** How many of these processes run. */
export function countRunning(processes: readonly number[]): number {
  return processes.filter(isRunning).length
}

function isRunning(pid: number): boolean {
  try {
    // No signal, only the question.
    return process.kill(pid, 0)
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM'
  }
}
