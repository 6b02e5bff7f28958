import type { Readable } from 'node:stream'
import { onChunks } from '../engine/demultiplex.ts'

const BYTES_KEPT = 256 * 1024

/** The end of what a container prints, kept here because a container that has ended is gone, and its log with it. */
export class ContainerOutput {
  readonly #chunks: Buffer[] = []
  #bytes = 0

  constructor(stream: Readable) {
    onChunks(stream, (chunk) => this.#keep(chunk))
  }

  /** The last `count` lines. */
  tail(count: number): string {
    const lines = Buffer.concat(this.#chunks).toString('utf8').trimEnd().split('\n')
    return lines.slice(-count).join('\n')
  }

  #keep(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    while (this.#bytes - (this.#chunks[0]?.length ?? 0) >= BYTES_KEPT) {
      this.#bytes -= this.#chunks.shift()?.length ?? 0
    }
  }
}
