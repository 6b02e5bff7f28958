import { createHash } from 'node:crypto'

/** What a text is known by: its SHA-256, in hexadecimal. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
