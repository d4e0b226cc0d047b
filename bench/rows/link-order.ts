import { join } from 'node:path'
import { putFile } from '../support/put.js'
import type { Relay } from '../support/relay.js'
import type { Measurement, Row, RowContext } from '../support/row.js'
import { makeSignedFile } from '../support/sign.js'
import { startTwoBranches } from '../support/two-branches.js'

const GIB = 1024 ** 3
const ORDERS = 1_000
const MOST_MORE_MS = 20
/** From asking to the end, and so to the start as well. */
const MOST_MS = 200
/** More than the order itself sends. */
const LEAST_BYTES = 256 * 1024

export const linkOrder: Row = {
  name: 'link-order',
  what: 'an order to a node while a 1 GiB file goes down the same link, 99th percentile',
  reference: 'the same without the file',
  bound: `under ${MOST_MORE_MS} ms more, none over ${MOST_MS} ms`,
  run: measure
}

async function measure(context: RowContext): Promise<Measurement> {
  const { root, signer } = await startTwoBranches(context)
  const signed = await makeSignedFile(join(context.folder, 'large'), GIB, signer)
  const alone = await orders(root)
  let isSending = true
  const sending = (async () => {
    const url = root.url('shared-files/target-linked/source/large?ttl=1day')
    while (isSending) await putFile(url, signed.bodyFile)
  })()
  const beside = await orders(root, () => sentOverLinks(root))
  isSending = false
  await sending
  context.say(`alone ${describe(alone)}; beside the file ${describe(beside)}`)
  return {
    checks: [
      {
        what: '99th percentile, more than alone',
        value: percentile(beside, 0.99) - percentile(alone, 0.99),
        unit: 'ms',
        bound: { atMost: MOST_MORE_MS }
      },
      { what: 'the slowest of them, to its end', value: percentile(beside, 1), unit: 'ms', bound: { atMost: MOST_MS } }
    ],
    notes: [`alone ${describe(alone)}; beside the file ${describe(beside)}`]
  }
}

/**
 * @param sent where only those count during which the file went down the link: half of the time it is still on its way to
 *   the root, and what that costs is not the link's
 * @returns how long each took, to its end, in ms
 */
async function orders(root: Relay, sent?: () => Promise<number>): Promise<number[]> {
  const times: number[] = []
  while (times.length < ORDERS) {
    const before = await sent?.()
    const startedAt = performance.now()
    await root.post('remote-run/nodes/target-linked', { keep_output: 'true' })
    const ms = performance.now() - startedAt
    const went = ((await sent?.()) ?? 0) - (before ?? 0)
    if (sent === undefined || went > LEAST_BYTES) times.push(ms)
  }
  return times.sort((a, b) => a - b)
}

async function sentOverLinks(root: Relay): Promise<number> {
  const answer = await fetch(new URL('/v1/relay/links', root.url('')))
  const { result } = (await answer.json()) as { result: { sent: number }[] }
  return result.reduce((sum, { sent }) => sum + sent, 0)
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

function describe(sorted: readonly number[]): string {
  const at = (share: number) => percentile(sorted, share).toFixed(1)
  return `median ${at(0.5)}, 99 % ${at(0.99)}, most ${at(1)} ms`
}
