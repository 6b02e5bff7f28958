import { connect } from 'node:net'
import type { Redis } from 'ioredis'
import type { RedisAddress } from '../environment/variable-set.ts'
import { digest } from '../internal/digest.ts'
import { withRedis } from './redis.ts'
import type { Address, ClientCount } from './service.ts'

const ANSWER_TIMEOUT_MS = 1_000
const RESET_TIMEOUT_MS = 2_000

/** Instances differ in these; the tests of one that changes its port cannot be found any more. */
const OWN_SETTINGS = ['port', 'dir']

/** A rule of an ACL user; that of a selector has spaces in its parentheses. */
const ACL_RULE = /\([^)]*\)|\S+/g

/** Commands of healthchecks, and of clients as they connect. */
export const LOOKS = new Set(['ping', 'info', 'client', 'hello', 'auth', 'select', 'command', 'quit', 'echo'])

/** The reply to `CLIENT ID`, which counts connections, where it comes last; and that reply or an error in its place. */
const CLIENT_ID = /^:(\d+)\r\n$/m
const LAST_REPLY = /^(?::\d+|-.*)\r\n$/m

/** What a server has apart from data, before its first use. */
export interface RedisState {
  /** All settings, as `CONFIG GET *` returns them. */
  readonly configuration: ReadonlyMap<string, string>
  /** The rules of every user, as `ACL LIST` returns them. */
  readonly users: ReadonlyMap<string, string>
}

/** Whether a Redis answers at all; an error reply, such as one that asks for a password, is an answer too. */
export function answersPing(address: Address): Promise<boolean> {
  return ask(address, 'PING', () => true).then(
    () => true,
    () => false,
  )
}

/** How many connections a server has accepted since its process began, this one too; NaN where it does not say. */
export async function countConnections(address: Address): Promise<number> {
  // Nothing sets this number back, as CONFIG RESETSTAT does with that of INFO.
  return Number(CLIENT_ID.exec(await ask(address, 'CLIENT ID', (text) => text.includes('\n')).catch(() => ''))?.[1])
}

/** How many commands a server was given, but for those by which it is only looked at. */
export async function countCommands(address: Address): Promise<number> {
  const text = await withRedis(address, (client) => client.info('commandstats'), { timeoutMs: ANSWER_TIMEOUT_MS })
  const calls = [...text.matchAll(/^cmdstat_([^:|]+)[^:]*:calls=(\d+)/gm)]
  return calls.reduce((sum, [, name = '', count]) => sum + (LOOKS.has(name) ? 0 : Number(count)), 0)
}

/** Counts the clients of a Redis since `resetClientCount()`. Rejects if the server does not answer or refuses. */
export async function countClients(address: Address): Promise<ClientCount> {
  const figures = [/^connected_clients:(\d+)\r$/m, /^total_connections_received:(\d+)\r$/m, CLIENT_ID]
  const sections = ['commandstats', 'clients', 'stats'].map((section) => `INFO ${section}`)
  // The reply that comes last is as short as a line, so all is there when it is.
  const reply = await ask(address, [...sections, 'CLIENT ID'].join('\r\n'), (text) => LAST_REPLY.test(text))
  const [connected = 0, received = 0, connections = 0] = figures.map((figure) => Number(figure.exec(reply)?.[1]))
  if (Number.isNaN(connected + received + connections)) {
    throw new Error(reply.trim())
  }
  const kills = Number(/^cmdstat_client\|kill:calls=(\d+)/m.exec(reply)?.[1] ?? 0)
  return { connected: connected - 1, received: received - 1, kills, connections }
}

/** Makes a Redis count its clients from now on. */
export async function resetClientCount(address: Address): Promise<void> {
  await ask(address, 'CONFIG RESETSTAT', (text) => text.includes('\n'))
}

/** Loads no client and knows no password: it is asked at each lease. */
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

/** How many clients are connected to a logical database, without ours; undefined where `CLIENT LIST` is forbidden. */
export async function countClientsOf(address: RedisAddress): Promise<number | undefined> {
  const clients = await withRedis(address, listClients).catch(() => undefined)
  return clients?.filter(({ database }) => database === (address.database ?? 0)).length
}

/** A connection to a Redis. */
export interface ConnectedClient {
  /** Where it comes from, as the server sees that. */
  readonly from: string
  /** Empty for most. */
  readonly name: string
  readonly database: number
  /** The last one that it has sent. */
  readonly command: string
  /** Whether that waits for data, such as `BLPOP`. */
  readonly isBlocked: boolean
}

/** All clients but this one. */
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

/** Equal for equal states; no password can be read from it, since Redis keeps digests itself. */
export function digestRedisState({ configuration, users }: RedisState): string {
  const entries = [...configuration, ...users].map(([name, value]) => `${name} ${value}`)
  return digest(entries.toSorted().join('\n'))
}

/**
 * Makes a Redis whose clients stay connected what it was when it started: data, settings, users, scripts, functions
 * and statistics. What belongs to a connection is left alone: its subscriptions, its transaction, its blocking command.
 *
 * Rejects when the server is not to be had: it is gone, frozen, paused, on another port, or asks us for a password.
 */
export async function resetRedis(address: RedisAddress, state: RedisState): Promise<void> {
  await withRedis(address, (client) => restore(client, state), { timeoutMs: RESET_TIMEOUT_MS })
}

async function restore(client: Redis, state: RedisState): Promise<void> {
  // First what would refuse the rest: a script that runs on and on, a replica's and a setting's ban on writing.
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

/** A script that was killed runs on for a moment. */
async function endScripts(client: Redis): Promise<void> {
  let isBusy = true
  while (isBusy) {
    await callIfPossible(client, 'SCRIPT', 'KILL')
    await callIfPossible(client, 'FUNCTION', 'KILL')
    isBusy = (await callIfPossible(client, 'PING')) === undefined
  }
}

/** Undefined for what a server of an older version does not know, or what a script that runs, or none, leaves no room for. */
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
    // Disconnects the clients that have logged in as one of them.
    await client.call('ACL', 'DELUSER', ...added)
  }
}
