import { availableParallelism } from 'node:os'

import { CLAIMS, type Claim } from './check-claims.ts'
import { openDocker, type Docker } from './check-docker.ts'
import { findServing } from './ensure-lab.ts'
import { engineEnvironment } from './exec.ts'
import type { Lab } from './lab.ts'
import { resolveLayout } from './layout.ts'
import { createReport, reasonOf } from './report.ts'

/**
 * Asks the images on the serving engine for what the official ones promise, one line per claim.
 * `node lab/check.ts` asks for all, `node lab/check.ts WORD` for those with the word in their title.
 */
async function main(word: string | undefined): Promise<number> {
  const lab: Lab = {
    layout: resolveLayout(),
    report: createReport((text) => process.stderr.write(text)),
    environment: process.env,
    signal: new AbortController().signal,
  }
  const serving = await findServing(lab)
  if (serving.kind === 'none') {
    lab.report.line('Cannot check the images: no container engine answers')
    lab.report.line('Run "npm run -s lab" first')
    return 1
  }
  const variables = serving.kind === 'own' ? engineEnvironment(lab, serving.record) : {}
  const docker = await openDocker({ ...process.env, ...variables })
  try {
    return await checkAll(
      docker,
      CLAIMS.filter(({ title }) => word === undefined || title.includes(word)),
    )
  } finally {
    await docker.close()
  }
}

/** Several at once: most of a claim's time is waiting for a server. */
async function checkAll(docker: Docker, claims: readonly Claim[]): Promise<number> {
  const startedAt = performance.now()
  const waiting = [...claims]
  let failures = 0
  const work = async (): Promise<void> => {
    for (let claim = waiting.shift(); claim !== undefined; claim = waiting.shift()) {
      const failure = await check(docker, claim)
      failures += failure === undefined ? 0 : 1
      process.stdout.write(
        failure === undefined ? `ok    ${claim.title}\n` : `FAIL  ${claim.title}\n      ${failure}\n`,
      )
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() + 1 }, work))
  const tookS = ((performance.now() - startedAt) / 1000).toFixed(1)
  process.stdout.write(`${claims.length - failures} of ${claims.length} claims hold (${tookS} s)\n`)
  return failures === 0 ? 0 : 1
}

async function check(docker: Docker, claim: Claim): Promise<string | undefined> {
  try {
    await claim.check(docker)
    return undefined
  } catch (error) {
    return reasonOf(error).replaceAll('\n', '\n      ')
  }
}

process.exitCode = await main(process.argv[2])
