import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { generateLoad, requireStatus } from '../support/load.js'
import { putFile } from '../support/put.js'
import type { Relay } from '../support/relay.js'
import type { Measurement, Row, RowContext } from '../support/row.js'
import { makeSignedFile } from '../support/sign.js'
import { sharedFilePath, startSingleRelay } from '../support/single-relay.js'

const FILES = 10_000
const FILE_BYTES = 1_024
const CONNECTIONS = 50
const REQUESTS_PER_SECOND = 1_000
const MOST_MS = 50
/** All files expire at the same moment, which is this far off when the first one is sent. */
const LIFETIME_MS = 40_000
const PURGED_WITHIN_MS = 60_000
const POLL_EVERY_MS = 500

export const purge10000: Row = {
  name: 'purge-10000',
  what: 'requests while 10,000 expired files are purged: the slowest',
  reference: '–',
  bound: `under ${MOST_MS} ms`,
  run: measurePurge
}

async function measurePurge(context: RowContext): Promise<Measurement> {
  const { relay, signer } = await startSingleRelay(context, { cleanupFrequency: '2s' })
  const signed = await makeSignedFile(join(context.folder, 'small'), FILE_BYTES, signer)
  const kept = sharedFilePath('kept', 'ttl=1day')
  await putFile(relay.url(kept), signed.bodyFile)
  const expiresAtMs = Date.now() + LIFETIME_MS
  await putShortLived(relay, signed.bodyFile, expiresAtMs)
  context.say(`${FILES} files are there; they expire in ${((expiresAtMs - Date.now()) / 1000).toFixed(0)} s`)
  await delay(Math.max(0, expiresAtMs - Date.now() - 2_000))

  const untilFile = join(context.folder, 'enough')
  const load = generateLoad({
    port: relay.setup.port,
    method: 'HEAD',
    path: relay.path(sharedFilePath('kept', `hash=${signed.hash}`)),
    connections: CONNECTIONS,
    perSecond: REQUESTS_PER_SECOND,
    untilFile
  })
  let delayMs = 0
  try {
    await relay.metrics()
    delayMs = await untilPurged(relay)
  } finally {
    await writeFile(untilFile, '')
  }
  const result = await load
  requireStatus(result, 200)
  return {
    checks: [{ what: 'slowest HEAD', value: result.maxMs, unit: 'ms', bound: { atMost: MOST_MS } }],
    notes: [
      `event loop held up ${delayMs.toFixed(1)} ms at most, the load generator's own ${result.generatorStallMs.toFixed(1)} ms`
    ]
  }
}

async function putShortLived(relay: Relay, bodyFile: string, expiresAtMs: number): Promise<void> {
  const result = await generateLoad({
    port: relay.setup.port,
    method: 'PUT',
    path: relay.path(sharedFilePath('short-{n}', 'ttl={ttl}')),
    connections: CONNECTIONS,
    count: FILES,
    bodyFile,
    ttlUntilMs: expiresAtMs
  })
  requireStatus(result, 200)
  if (Date.now() > expiresAtMs) throw new Error('the first files expired before the last was there')
}

/** @returns the longest that the event loop was held up meanwhile, in ms */
async function untilPurged(relay: Relay): Promise<number> {
  const deadline = performance.now() + PURGED_WITHIN_MS
  let delayMs = 0
  while (performance.now() < deadline) {
    await delay(POLL_EVERY_MS)
    const metrics = await relay.metrics()
    delayMs = Math.max(delayMs, metrics.eventLoopDelayMs())
    if (metrics.sum('treeline_purged_files_total') >= FILES) return delayMs
  }
  throw new Error(`not purged within ${PURGED_WITHIN_MS / 1000} s`)
}
