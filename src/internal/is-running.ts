/** Whether a local process is running, of any user. */
export function isRunning(pid: number): boolean {
  try {
    // Signal 0 sends nothing: it only checks that the process exists.
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
