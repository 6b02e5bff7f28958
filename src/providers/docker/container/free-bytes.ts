/** From a line of `df -P -k`; undefined where it is none. */
export function freeBytesOf(line: string): number | undefined {
  return Number(line.trim().split(/\s+/)[3]) * 1024 || undefined
}
