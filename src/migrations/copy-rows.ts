import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ClientBase } from 'pg'

const CHUNK_BYTES = 256 * 1024

/** Runs a `COPY … FROM stdin` statement with its rows. */
export async function copyRows(client: ClientBase, sql: string, rows: string): Promise<void> {
  const { from } = await import('pg-copy-streams')
  await pipeline(Readable.from(chunksOf(Buffer.from(rows))), client.query(from(sql)))
}

function* chunksOf(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    yield bytes.subarray(start, start + CHUNK_BYTES)
  }
}
