import { stripVTControlCharacters, styleText } from 'node:util'
import { renderDuration } from '../internal/duration.ts'
import type { EventOf, InfraEvent, Report } from './events.ts'
import { versioned } from './versioned.ts'

const PLAIN_PROGRESS_INTERVAL_MS = 10_000
const MEGABYTE = 1024 * 1024
const OBJECTS_LISTED = 3
const QUERY_SHOWN = 60
const LOG_LINES_SHOWN = 20
/** Indentation as wide as the prefix of a line. */
const INDENT = '       '

/** The destination of lines. This is standard error, so that the JSON of a reporter on standard output stays valid. */
export interface LineStream {
  readonly isTTY?: boolean
  write(text: string): unknown
}

/** Creates a report that prints lines. Pull progress is redrawn in a terminal, and printed every 10 s elsewhere. */
export function createReporter(stream: LineStream, now: () => number = () => performance.now()): Report {
  let nextPlainMs = now()
  let redrawing = false
  return (event) => {
    const text = `${styleText('cyan', 'infra', { stream: stream as NodeJS.WriteStream })}  ${renderEvent(event)}`
    if (event.type !== 'pull-progress') {
      stream.write(`${redrawing ? '\r\x1b[K' : ''}${text}\n`)
      redrawing = false
    } else if (stream.isTTY) {
      redrawing = true
      stream.write(`\r\x1b[K${text}`)
    } else if (now() >= nextPlainMs) {
      nextPlainMs = now() + PLAIN_PROGRESS_INTERVAL_MS
      stream.write(`${text}\n`)
    }
  }
}

const ORIGINS = {
  new: '',
  snapshot: ', from a snapshot',
  'earlier run': ', still running from an earlier run',
  restart: ', restarted',
} as const

/** Renders an event as a line without colour. */
export function renderEvent(event: InfraEvent): string {
  switch (event.type) {
    case 'provider-selected':
      return event.description
    case 'pull-progress':
      return `pulling ${event.image}: ${event.layersDone} of ${event.layersTotal} layers, ${megabytes(event)}`
    case 'pull-finished':
      return `pulled ${event.image} in ${seconds(event.elapsedMs)}`
    case 'service-healthy':
      return `${versioned(event.service, event.version)} healthy after ${seconds(event.elapsedMs)}${ORIGINS[event.origin]}`
    case 'service-replaced':
      return `${event.service} of an earlier run was replaced: ${event.reason}`
    case 'snapshot-taken':
      return `snapshot of ${event.service} taken in ${seconds(event.elapsedMs)}, for the next run`
    case 'snapshot-failed':
      return `no snapshot of ${event.service} was taken: ${event.reason}`
    case 'snapshot-discarded':
      return `snapshot of ${event.service} discarded, starting without it: ${event.reason}`
    case 'seeds-loaded':
      return `${event.service} seeded from ${count(event.files, 'file')} in ${seconds(event.elapsedMs)}`
    case 'template-ready':
      return `template "${event.template}" ${event.isNew ? 'built' : 'found'} in ${seconds(event.elapsedMs)}`
    case 'leases-summary':
      return `${count(event.count, 'lease')}, waited ${renderWaits(event)}`
    case 'lease-waiting':
      return `${event.owner} waits for ${event.service}: all ${event.count} that can be leased at once are in use (${event.reason})`
    case 'capacity-waiting':
      return `waiting for capacity on ${event.service}: ${event.reason}`
    case 'test-log':
      return renderLog(event)
    case 'database-retained':
      return `the database of ${event.owner} stays until the tests run again: ${event.command}`
    case 'connections-left':
      return `${event.owner} left ${count(event.sessions.length, 'connection')} open: ${countEqual(event.sessions)}`
    case 'lease-unused':
      return renderUnusedLease(event)
    case 'service-unused':
      return renderUnusedService(event)
    case 'main-shared':
      return `${countNamed(event.projects, 'project')} ${event.projects.length === 1 ? 'uses' : 'use'} the main database and the main Redis for all files (isolation: 'shared')`
    case 'clients-left':
      return `${event.owner} left a client connected to its Redis, perhaps in a child process; no other file gets that Redis until the client disconnects: close clients and queues in afterAll, and stop child processes`
    case 'objects-dropped':
      return `dropped after ${event.file}, as the template does not have it: ${listSome(event.objects, OBJECTS_LISTED)}`
    case 'statements-late':
      return renderLate(event)
    case 'server-replaced':
      return `${event.service} of a worker was restarted between two files, as it could not be reset: ${event.reason}`
    case 'service-lost':
      return renderLoss(event)
    case 'servers-left-running':
      return `the servers keep running for the next run, and stop after ${renderDuration(event.idleTimeoutMs)} without use; to stop them now: npx vitest-infra down`
    case 'summary':
      return event.line
    case 'stop-failed':
      return event.message
    case 'ended-early':
      return `this process exits while vitest-infra waits for ${event.awaited}: the run is incomplete, so it fails with exit code 1`
    default:
      return event satisfies never
  }
}

const LATE = {
  postgres: {
    used: 'database',
    nameless: 'a session without application_name',
    remedy: 'stop timers and await queries in afterAll',
  },
  redis: {
    used: 'Redis',
    nameless: 'a client without a name',
    remedy: 'stop timers, close queues and await commands in afterAll',
  },
} as const

function renderLate({ service, file, isFirst, statements }: EventOf<'statements-late'>): string {
  const { used, nameless, remedy } = LATE[service]
  const queries = statements.map(({ session, query }) => `${nameSession(session, nameless)}: ${shorten(query)}`)
  const files = isFirst ? file : `${file}, or a file before it in its worker,`
  return `${files} left code running that still uses its ${used} (${listSome(queries, OBJECTS_LISTED)}), which later files use too: ${remedy}`
}

function shorten(query: string): string {
  const line = stripVTControlCharacters(query).replaceAll(/\s+/g, ' ').trim()
  return line.length > QUERY_SHOWN ? `${line.slice(0, QUERY_SHOWN - 1)}…` : line
}

function megabytes({ bytesDone, bytesTotal }: { bytesDone: number; bytesTotal: number }): string {
  return `${(bytesDone / MEGABYTE).toFixed(1)} of ${(bytesTotal / MEGABYTE).toFixed(1)} MB`
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

/** Reference to the README, for names and addresses that cannot be changed. */
const STRAY = 'see "Connections that leave the lease" in the README'

function renderUnusedLease({ service, owners, common }: EventOf<'lease-unused'>): string {
  const files = `${count(owners.length, 'file')} (${listSome(owners, OBJECTS_LISTED)})`
  if (service === 'redis') {
    return `${files} never connected to the leased Redis, but the main one, which all files share, was used: is its address hard-coded? Let the code read REDIS_URL; ${STRAY}`
  }
  const names = common.map((name) => `"${name}"`).join(', ')
  return `${files} never connected to the leased database, but ${names}, which all files share, was used: is a name hard-coded, or missing in a URL? Let the code read DATABASE_URL or DB_NAME, or set postgres.isolation to 'server'; ${STRAY}`
}

function renderUnusedService({ service, others, isListed, changed }: EventOf<'service-unused'>): string {
  if (changed.length > 0) {
    const values = changed.map(({ name, value }) => `${name} (now ${value})`).join(', ')
    const owners = [...new Set(changed.flatMap((variable) => variable.owners))]
    return `${service}: no client connected, as ${values} was changed after vitest-infra had set it, in ${count(owners.length, 'file')} (${listSome(owners, OBJECTS_LISTED)}): remove that assignment from your setup files, from what they load (dotenv with override), or from the tests`
  }
  const list = `[${others.map((name) => `'${name}'`).join(', ')}]`
  return `${service}: no client connected; if no test needs it, remove it with services: ${isListed ? list : `{ ${service}: false }`}`
}

/** Renders `project "a"`, or `projects "a", "b"`. */
function countNamed(names: readonly string[], noun: string): string {
  return `${noun}${names.length === 1 ? '' : 's'} ${names.map((name) => `"${name}"`).join(', ')}`
}

/** Renders the log lines below the test's name. */
function renderLog({ owner, lines, more }: EventOf<'test-log'>): string {
  const shown = lines.slice(0, LOG_LINES_SHOWN).map((line) => stripVTControlCharacters(line))
  const left = more + lines.length - shown.length
  const rest = left > 0 ? [`and ${count(left, 'more line')}`] : []
  return [`PostgreSQL's log for ${owner}:`, ...shown, ...rest].join(`\n${INDENT}`)
}

function renderLoss({ message, label, lines }: EventOf<'service-lost'>): string {
  const log = lines.map((line) => stripVTControlCharacters(line))
  const title = log.length > 0 ? `Last lines of the log of ${label}:` : `The log of ${label} is empty or gone`
  return [...message.split('\n'), title, ...log].join(`\n${INDENT}`)
}

/** Renders `table a, table b, table c and 3 more`. */
export function listSome(names: readonly string[], most: number): string {
  const more = names.length - most
  return `${names.slice(0, most).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/** Renders `"api" (3), "worker" (1)`. */
function countEqual(names: readonly string[]): string {
  const counts = Map.groupBy(names, (name) => name)
  return [...counts]
    .map(([name, equal]) => `${nameSession(name, '(no application_name)')} (${equal.length})`)
    .join(', ')
}

function nameSession(applicationName: string, nameless: string): string {
  return applicationName === '' ? nameless : `"${applicationName}"`
}

function renderWaits({ count: leases, medianMs, p95Ms }: EventOf<'leases-summary'>): string {
  return leases === 1
    ? milliseconds(medianMs)
    : `${milliseconds(medianMs)} (median), ${milliseconds(p95Ms)} (95th percentile)`
}

function milliseconds(value: number): string {
  return `${value.toFixed(1)} ms`
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}
