import { connect } from 'node:net'
import type { Redis } from 'ioredis'
import type { RedisAddress } from '../environment/variable-set.ts'
import { digest } from '../internal/digest.ts'
import { withRedis } from './redis.ts'
import type { Address, ClientCount } from './service.ts'

const ANSWER_TIMEOUT_MS = 1_000
const RESET_TIMEOUT_MS = 2_000

/**
 * Settings that differ between instances. They are not restored: after a change of its port, an instance is
 * unreachable.
 */
const OWN_SETTINGS = ['port', 'dir']

/** Matches a rule of an ACL user. A selector is one rule, with spaces in its parentheses. */
const ACL_RULE = /\([^)]*\)|\S+/g

/** Commands that healthchecks send, or that clients send when they connect. They do not count as use. */
export const INSPECTION_COMMANDS = new Set([
  'ping',
  'info',
  'client',
  'hello',
  'auth',
  'select',
  'command',
  'quit',
  'echo',
])

/**
 * `CLIENT_ID` matches the reply to `CLIENT ID`, the number of connections so far, at the end of all replies.
 * `LAST_REPLY` also matches an error in its place.
 */
const CLIENT_ID = /^:(\d+)\r\n$/m
const LAST_REPLY = /^(?::\d+|-.*)\r\n$/m

/** The state of a server apart from its data, before its first use. */
export interface RedisState {
  /** All settings, as `CONFIG GET *` returns them. */
  readonly configuration: ReadonlyMap<string, string>
  /** The rules of every user, as `ACL LIST` returns them. */
  readonly users: ReadonlyMap<string, string>
}

/** Returns whether a Redis answers. An error reply, such as one that requires a password, is an answer too. */
export function answersPing(address: Address): Promise<boolean> {
  return ask(address, 'PING', () => true).then(
    () => true,
    () => false,
  )
}

/**
 * Returns how many connections a server has accepted since its process started, including this one; NaN if it does not
 * answer.
 */
export async function countConnections(address: Address): Promise<number> {
  // Nothing resets this number, whereas CONFIG RESETSTAT resets the one in INFO.
  return Number(CLIENT_ID.exec(await ask(address, 'CLIENT ID', (text) => text.includes('\n')).catch(() => ''))?.[1])
}

/** Returns how many commands a server has received, except for those in {@link INSPECTION_COMMANDS}. */
export async function countCommands(address: Address): Promise<number> {
  const text = await withRedis(address, (client) => client.info('commandstats'), { timeoutMs: ANSWER_TIMEOUT_MS })
  const calls = [...text.matchAll(/^cmdstat_([^:|]+)[^:]*:calls=(\d+)/gm)]
  return calls.reduce((sum, [, name = '', count]) => sum + (INSPECTION_COMMANDS.has(name) ? 0 : Number(count)), 0)
}

/**
 * Counts the clients of a Redis since `resetClientCount()`. Rejects if the server does not answer or replies with an
 * error.
 */
export async function countClients(address: Address): Promise<ClientCount> {
  const figures = [/^connected_clients:(\d+)\r$/m, /^total_connections_received:(\d+)\r$/m, CLIENT_ID]
  const sections = ['commandstats', 'clients', 'stats'].map((section) => `INFO ${section}`)
  // The last reply is a single line: once it is there, all replies are complete.
  const reply = await ask(address, [...sections, 'CLIENT ID'].join('\r\n'), (text) => LAST_REPLY.test(text))
  const [connected = 0, received = 0, connections = 0] = figures.map((figure) => Number(figure.exec(reply)?.[1]))
  if (Number.isNaN(connected + received + connections)) {
    throw new Error(reply.trim())
  }
  const kills = Number(/^cmdstat_client\|kill:calls=(\d+)/m.exec(reply)?.[1] ?? 0)
  return { connected: connected - 1, received: received - 1, kills, connections }
}

/** Resets the statistics of a Redis, so that it counts its clients from now on. */
export async function resetClientCount(address: Address): Promise<void> {
  await ask(address, 'CONFIG RESETSTAT', (text) => text.includes('\n'))
}

/** Sends a command over a plain socket, without a client library or a password, because this runs at each lease. */
function ask({ host, port }: Address, command: string, isWhole: (reply: string) => boolean): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect({ host, port })
  const give = (text: string, isOver: boolean) =>
    isOver ? resolve(text) : text.startsWith('-') && reject(new Error(text.trim()))
  let reply = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    reply += text
    give(reply, isWhole(reply))
  })
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => reject(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)))
  // An engine's proxy accepts connections before the server listens, and closes them again.
  socket.once('error', reject).once('close', () => reject(new Error('the connection was closed')))
  socket.write(`${command}\r\n`)
  return promise.finally(() => socket.destroy())
}

/**
 * Returns how many clients are connected to a logical database, without ours; undefined if `CLIENT LIST` is forbidden.
 */
export async function countClientsOf(address: RedisAddress): Promise<number | undefined> {
  const clients = await withRedis(address, listClients).catch(() => undefined)
  return clients?.filter(({ database }) => database === (address.database ?? 0)).length
}

/** A connection to a Redis. */
export interface ConnectedClient {
  /** The client's address, as the server sees it. */
  readonly from: string
  /** The name that the client has set; empty for most clients. */
  readonly name: string
  readonly database: number
  /** The last command that the client has sent. */
  readonly command: string
  /** Whether the command waits for data, such as `BLPOP`. */
  readonly isBlocked: boolean
}

/** Lists all clients except this one. */
export async function listClients(client: Redis): Promise<readonly ConnectedClient[]> {
  const [own, list] = await Promise.all([client.client('ID'), client.client('LIST')])
  return String(list)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith(`id=${own} `))
    .map(readClient)
}

function readClient(line: string): ConnectedClient {
  const fields = new Map(line.split(' ').map((field) => field.split(/=(.*)/s, 2) as [string, string]))
  const read = (name: string) => fields.get(name) ?? ''
  return {
    from: read('addr'),
    name: read('name'),
    database: Number(read('db')),
    command: read('cmd'),
    isBlocked: read('flags').includes('b'),
  }
}

export async function readRedisState(address: RedisAddress): Promise<RedisState> {
  return withRedis(address, async (client) => ({
    configuration: await readConfiguration(client),
    users: await readUsers(client),
  }))
}

/**
 * Returns a digest, equal for equal states. It reveals no password, because Redis itself stores digests of passwords.
 */
export function digestRedisState({ configuration, users }: RedisState): string {
  const entries = [...configuration, ...users].map(([name, value]) => `${name} ${value}`)
  return digest(entries.toSorted().join('\n'))
}

/**
 * Resets a Redis to its state before first use, while its clients stay connected: data, settings, users, scripts,
 * functions and statistics. The state of a connection remains: its subscriptions, its transaction, its blocking
 * command.
 *
 * Rejects if the server cannot be reset: it is gone, frozen, paused, on another port, or requires a password.
 */
export async function resetRedis(address: RedisAddress, state: RedisState): Promise<void> {
  await withRedis(address, (client) => restore(client, state), { timeoutMs: RESET_TIMEOUT_MS })
}

async function restore(client: Redis, state: RedisState): Promise<void> {
  // First end what would block the commands below: endless scripts, paused clients, and replicas or settings that
  // forbid writing.
  await endScripts(client)
  await callIfPossible(client, 'CLIENT', 'UNPAUSE')
  await client.call('REPLICAOF', 'NO', 'ONE')
  await restoreConfiguration(client, state.configuration)
  await restoreUsers(client, state.users)
  await client.call('FLUSHALL', 'SYNC')
  await client.call('SCRIPT', 'FLUSH')
  await callIfPossible(client, 'FUNCTION', 'FLUSH')
  await client.call('CONFIG', 'RESETSTAT')
  await client.call('SLOWLOG', 'RESET')
  await client.call('LATENCY', 'RESET')
  await client.call('ACL', 'LOG', 'RESET')
}

/** Kills running scripts and waits until they have ended, because a killed script runs on for a moment. */
async function endScripts(client: Redis): Promise<void> {
  let isBusy = true
  while (isBusy) {
    await callIfPossible(client, 'SCRIPT', 'KILL')
    await callIfPossible(client, 'FUNCTION', 'KILL')
    isBusy = (await callIfPossible(client, 'PING')) === undefined
  }
}

/**
 * Runs a command. Returns undefined if an older server does not know it, a running script blocks it, or no script is
 * running.
 */
async function callIfPossible(client: Redis, command: string, ...args: string[]): Promise<unknown> {
  return client.call(command, ...args).catch((error: Error) => {
    if (!/^(?:NOT)?BUSY|unknown (?:sub)?command/i.test(error.message)) {
      throw error
    }
  })
}

async function readConfiguration(client: Redis): Promise<ReadonlyMap<string, string>> {
  const flat = await client.config('GET', '*')
  const pairs = flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1] ?? ''] as const] : []))
  return new Map(pairs.filter(([name]) => !OWN_SETTINGS.includes(name)))
}

async function restoreConfiguration(client: Redis, wanted: ReadonlyMap<string, string>): Promise<void> {
  const current = await readConfiguration(client)
  for (const [name, value] of wanted) {
    if (current.get(name) !== value) {
      await client.config('SET', name, value)
    }
  }
}

async function readUsers(client: Redis): Promise<ReadonlyMap<string, string>> {
  const lines = (await client.call('ACL', 'LIST')) as string[]
  return new Map(
    lines.map((line) => {
      const [, name = '', ...rules] = line.split(' ')
      return [name, rules.join(' ')]
    }),
  )
}

async function restoreUsers(client: Redis, wanted: ReadonlyMap<string, string>): Promise<void> {
  const current = await readUsers(client)
  for (const [name, rules] of wanted) {
    if (current.get(name) !== rules) {
      await client.call('ACL', 'SETUSER', name, 'reset', ...(rules.match(ACL_RULE) ?? []))
    }
  }
  const added = [...current.keys()].filter((name) => !wanted.has(name))
  if (added.length > 0) {
    // This also disconnects the clients that have logged in as one of these users.
    await client.call('ACL', 'DELUSER', ...added)
  }
}
