import { setTimeout as sleep } from 'node:timers/promises'
import { readProject } from '../read-project.ts'
import { renderStatus, type ServiceStatus } from '../report/render-status.ts'
import type { Host } from './command.ts'
import { observeServices } from './observe-services.ts'

const WATCH_INTERVAL_MS = 500

export interface StatusOptions {
  /** Whether to print JSON: a list of services or, with `watch`, one such list per line. */
  readonly json: boolean
  /** Whether to refresh the output until the command is interrupted. */
  readonly watch: boolean
}

/** Prints the status of every service. The exit code is 0 if all services are healthy. */
export async function status(host: Host, options: StatusOptions): Promise<number> {
  const spec = await readProject(host)
  const observe = () => observeServices(host.environment, spec)
  if (options.watch) {
    return watch(host, options.json, observe)
  }
  const statuses = await observe()
  host.stdout.write(options.json ? `${JSON.stringify(statuses, undefined, 2)}\n` : renderNow(host, statuses))
  return statuses.every(({ state }) => state === 'healthy') ? 0 : 1
}

/** In a terminal, redraws the table at every interval. Elsewhere, prints another table or list after each change. */
async function watch(host: Host, json: boolean, observe: () => Promise<readonly ServiceStatus[]>): Promise<never> {
  const { stdout } = host
  let before = ''
  let lines = 0
  for (;;) {
    const statuses = await observe()
    const text = json ? `${JSON.stringify(statuses)}\n` : renderNow(host, statuses)
    const news = JSON.stringify(json ? statuses : statuses.map(({ service, state, since }) => [service, state, since]))
    if (stdout.isTTY && !json) {
      stdout.write(lines > 0 ? `\x1b[${lines}A\x1b[J${text}` : text)
      lines = text.split('\n').length - 1
    } else if (news !== before) {
      stdout.write(text)
    }
    before = news
    await sleep(WATCH_INTERVAL_MS)
  }
}

function renderNow({ stdout }: Host, statuses: readonly ServiceStatus[]): string {
  return renderStatus(statuses, { nowMs: Date.now(), stream: stdout })
}
