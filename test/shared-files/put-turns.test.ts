import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { RelayError } from '../../src/values/failures/relay-error.js'
import { countTurns } from '../support/count-turns.js'
import { eventually } from '../support/eventually.js'
import { sign, startSharedFiles } from '../support/parts/shared-file-relays.js'

const isUnknownSource = (error: unknown) => error instanceof RelayError && error.code === 'UNKNOWN_SOURCE'

test('metadata that ends in the same moment for many files is read in several turns of the event loop', async t => {
  const relay = await startSharedFiles(t)
  const file = sign('n1/n1/f', 'hello')
  const shortKey = /short_pubkey=(.*)/.exec(file.metadata)?.[1] ?? ''
  const bodies: PassThrough[] = []
  const counter = countTurns(t)
  const turns: number[] = []
  const puts = Array.from({ length: 300 }, (_, index) => {
    const body = new PassThrough()
    bodies.push(body)
    // many lines, and a key of its own, which has to be read: some 0.2 ms
    const key = Buffer.from(shortKey, 'base64')
    key.writeUInt16BE(index, 100)
    const more = Array.from({ length: 200 }, (_, line) => `x${line}=${'y'.repeat(280)}\n`).join('')
    body.write(file.metadata.replace(/short_pubkey=.*/, `short_pubkey=${key.toString('base64')}`) + more)
    const put = relay.put(file, { body, contentLength: undefined })
    return assert.rejects(put, isUnknownSource).then(() => turns.push(counter.turn))
  })
  await eventually('a wait for all the rest', () => bodies.every(body => body.readableLength === 0))
  for (const body of bodies) body.write('\n')
  await Promise.all(puts)
  assert.ok(new Set(turns).size >= 3, `${new Set(turns).size} turns`)
})
