import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What Testcontainers Desktop and Cloud, or the user, wrote for every Testcontainers of this account. */
export interface TestcontainersProperties {
  /** `tc.host`: Testcontainers takes it before everything else, as long as it answers. */
  readonly tcHost?: string
  readonly dockerHost?: string
  readonly dockerTlsVerify?: string
  readonly dockerCertPath?: string
}

/** Reads `~/.testcontainers.properties`; a file that is missing or cannot be read says nothing. */
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

/** Testcontainers for Node splits at `=` alone and unescapes nothing; so do we, to find what it finds. */
function parseProperties(text: string): Map<string, string> {
  const pairs = text.matchAll(/^[ \t]*([\w.-]+)[ \t]*=[ \t]*(.*?)[ \t]*\r?$/gm)
  return new Map([...pairs].map(([, name = '', value = '']) => [name, value]))
}

function pick(name: keyof TestcontainersProperties, value: string | undefined): Partial<TestcontainersProperties> {
  return value ? { [name]: value } : {}
}
