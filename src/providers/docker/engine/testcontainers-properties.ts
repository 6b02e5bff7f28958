import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Settings for all uses of Testcontainers by this account, written by Testcontainers Desktop, Testcontainers Cloud or
 * the user.
 */
export interface TestcontainersProperties {
  /** The value of `tc.host`. If this host answers, Testcontainers prefers it to all others. */
  readonly tcHost?: string
  readonly dockerHost?: string
  readonly dockerTlsVerify?: string
  readonly dockerCertPath?: string
}

/** Reads `~/.testcontainers.properties`; a missing or unreadable file counts as empty. */
export async function readTestcontainersProperties(homeDirectory: string): Promise<TestcontainersProperties> {
  const text = await readFile(join(homeDirectory, '.testcontainers.properties'), 'utf8').catch(() => '')
  const values = parseProperties(text)
  return {
    ...pick('tcHost', values.get('tc.host')),
    ...pick('dockerHost', values.get('docker.host')),
    ...pick('dockerTlsVerify', values.get('docker.tls.verify')),
    ...pick('dockerCertPath', values.get('docker.cert.path')),
  }
}

/** Parses properties as Testcontainers for Node does: splits only at `=` and unescapes nothing. */
function parseProperties(text: string): Map<string, string> {
  const pairs = text.matchAll(/^[ \t]*([\w.-]+)[ \t]*=[ \t]*(.*?)[ \t]*\r?$/gm)
  return new Map([...pairs].map(([, name = '', value = '']) => [name, value]))
}

function pick(name: keyof TestcontainersProperties, value: string | undefined): Partial<TestcontainersProperties> {
  return value ? { [name]: value } : {}
}
