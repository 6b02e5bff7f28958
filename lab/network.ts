import { readFileSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Lab } from './lab.ts'
import { LabError } from './report.ts'
import { run } from './run.ts'

/**
 * One clone's part of the machine's network: a bridge for the engine's default network, and a
 * range for the networks that compose and tests make.
 *
 * The engine itself is told to leave iptables alone. Its chains have fixed names, and an engine
 * that starts empties them: two engines on one machine would cut each other's containers off.
 * Ports are published by docker-proxy, which needs no rule. What is left, the way out of the
 * containers, are four rules that name this clone's range and nothing else.
 */
export interface LabNetwork {
  readonly bridge: string
  /** Everything of this clone, e.g. `10.140.32.0/19`. */
  readonly range: string
  readonly gateway: string
  /** The part of the range from which networks of users are cut. */
  readonly pool: string
}

interface Tools {
  readonly busybox: string
  readonly iptables: string
}

interface Span {
  readonly first: number
  readonly last: number
}

const RANGE_BITS = 19
const RANGE_SIZE = 2 ** (32 - RANGE_BITS)
/** The private address blocks in the order of attempts; conflicts are rarest in the first. */
const BLOCKS = ['10.128.0.0/9', '172.16.0.0/12', '192.168.0.0/16']

/** Brings the bridge and the rules up, in a range that nothing else on this machine uses now. */
export async function createNetwork(lab: Lab, tools: Tools): Promise<LabNetwork> {
  const network = resolveNetwork(lab.layout.id)
  await writeFile(lab.layout.networkRecord, JSON.stringify(network))
  await createBridge(lab, tools, network)
  await createRules(lab, tools, network)
  return network
}

/** Removes the bridge, the bridges that the engine left, and the rules. Returns whether there were any. */
export async function dropNetwork(lab: Lab, tools: Tools): Promise<boolean> {
  const network = await readNetwork(lab)
  if (network === undefined) return false
  const bridges = await findBridges(lab, tools, network)
  for (const bridge of bridges) await ip(lab, tools, ['link', 'del', bridge])
  let rules = 0
  for (const rule of rulesOf(network)) {
    while (rules < 100 && (await changeRule(lab, tools, '-D', rule))) rules += 1
  }
  await rm(lab.layout.networkRecord, { force: true })
  return bridges.length + rules > 0
}

async function readNetwork(lab: Lab): Promise<LabNetwork | undefined> {
  const text = await readFile(lab.layout.networkRecord, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as LabNetwork)
}

function resolveNetwork(id: string): LabNetwork {
  const bridge = `vi-${id}`
  const taken = readRoutes()
    .filter(({ device }) => device !== bridge)
    .map(({ span }) => span)
  const candidates = BLOCKS.flatMap((block) => rangesOf(block, id))
  const first = candidates.find(
    (start) => !taken.some((span) => overlaps(span, { first: start, last: start + RANGE_SIZE - 1 })),
  )
  if (first === undefined) {
    throw new LabError(
      'Cannot choose a network for the engine: routes cover every private address range',
      'Look at `ip route`, and free a range of /19',
    )
  }
  return {
    bridge,
    range: `${render(first)}/${RANGE_BITS}`,
    gateway: render(first + 1),
    pool: `${render(first + RANGE_SIZE / 2)}/${RANGE_BITS + 1}`,
  }
}

/** Every range of a block, beginning at one that depends on the clone: clones seldom try the same one. */
function rangesOf(block: string, id: string): readonly number[] {
  const { first, last } = spanOf(block)
  const count = (last - first + 1) / RANGE_SIZE
  const start = Number.parseInt(id.slice(0, 8), 16) % count
  return Array.from({ length: count }, (_, index) => first + ((start + index) % count) * RANGE_SIZE)
}

function readRoutes(): readonly { readonly device: string; readonly span: Span }[] {
  const lines = readFileSync('/proc/net/route', 'utf8').trim().split('\n').slice(1)
  return lines.flatMap((line) => {
    const [device = '', destination = '', , , , , , mask = ''] = line.split('\t')
    const first = fromKernel(destination)
    const size = 2 ** 32 - fromKernel(mask)
    // The default route covers everything and takes nothing.
    return size === 2 ** 32 ? [] : [{ device, span: { first, last: first + size - 1 } }]
  })
}

/** The kernel prints an address as a number in the processor's byte order: small end first on amd64 and arm64. */
function fromKernel(hex: string): number {
  return Buffer.from(hex.padStart(8, '0'), 'hex').readUInt32LE()
}

function overlaps(one: Span, other: Span): boolean {
  return one.first <= other.last && other.first <= one.last
}

function spanOf(range: string): Span {
  const [address = '', bits = '32'] = range.split('/')
  const first = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
  return { first, last: first + 2 ** (32 - Number(bits)) - 1 }
}

function render(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.')
}

async function createBridge(lab: Lab, tools: Tools, { bridge, gateway }: LabNetwork): Promise<void> {
  const links = await ip(lab, tools, ['-o', 'link'])
  if (links.includes(` ${bridge}: `)) await ip(lab, tools, ['link', 'del', bridge])
  await ip(lab, tools, ['link', 'add', bridge, 'type', 'bridge'])
  await ip(lab, tools, ['addr', 'add', `${gateway}/24`, 'dev', bridge])
  await ip(lab, tools, ['link', 'set', bridge, 'up'])
}

async function findBridges(lab: Lab, tools: Tools, { bridge, range }: LabNetwork): Promise<readonly string[]> {
  const own = spanOf(range)
  const addresses = await ip(lab, tools, ['-o', '-4', 'addr'])
  const devices = [...addresses.matchAll(/^\d+:\s+(\S+)\s+inet (\S+)/gm)]
  return devices
    .filter(
      ([, device, address]) =>
        device === bridge || (device?.startsWith('br-') && overlaps(own, spanOf(`${address?.split('/')[0] ?? ''}/32`))),
    )
    .map(([, device]) => device ?? '')
}

function ip(lab: Lab, { busybox }: Tools, args: readonly string[]): Promise<string> {
  return run(busybox, ['ip', ...args], { log: join(lab.layout.logs, 'network.log') })
}

type Rule = readonly [chain: string, table: string, ...match: string[]]

function rulesOf({ range }: LabNetwork): readonly Rule[] {
  // Each is inserted at the top, so that the first one here ends up last.
  return [
    ['FORWARD', 'filter', '-d', range, '-j', 'DROP'],
    ['FORWARD', 'filter', '-d', range, '-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'ACCEPT'],
    ['FORWARD', 'filter', '-s', range, '-j', 'ACCEPT'],
    ['POSTROUTING', 'nat', '-s', range, '!', '-d', range, '-j', 'MASQUERADE'],
  ]
}

async function createRules(lab: Lab, tools: Tools, network: LabNetwork): Promise<void> {
  for (const rule of rulesOf(network)) {
    if (await changeRule(lab, tools, '-C', rule)) continue
    if (!(await changeRule(lab, tools, '-I', rule))) {
      lab.report.line(
        `iptables refused a rule, so containers have no way out to the internet; ports on 127.0.0.1 work (${join(lab.layout.logs, 'network.log')})`,
      )
      return
    }
  }
}

async function changeRule(
  lab: Lab,
  { iptables }: Tools,
  action: '-C' | '-I' | '-D',
  [chain, table, ...match]: Rule,
): Promise<boolean> {
  try {
    await run(iptables, ['-w', '5', '-t', table, action, chain, ...match], {
      log: join(lab.layout.logs, 'network.log'),
    })
    return true
  } catch {
    return false
  }
}
