import assert from 'node:assert/strict'
import { test } from 'node:test'
import pino from 'pino'
import { buildApp } from '../../src/api/app.js'
import { API_PREFIX } from '../../src/network/api-prefix.js'
import { FORM } from '../../src/network/header-names.js'
import { countTurns } from '../support/count-turns.js'
import { makeRelayParts } from '../support/parts/relay-parts.js'

/** Takes some 0.3 ms to read. */
const payload = Array.from({ length: 999 }, (_, index) => `f${index}=%41%42%43`).join('&')

test('forms that are complete in the same moment are read in many turns of the event loop', async t => {
  const parts = await makeRelayParts({})
  t.after(() => parts.close())
  const app = await buildApp({ services: parts.services, logger: pino({ level: 'silent' }) })
  t.after(() => app.close())
  await app.ready()
  const counter = countTurns(t)
  const turns = new Set<number>()
  const post = async () => {
    const { statusCode } = await app.inject({
      method: 'POST',
      url: `${API_PREFIX}/v1/join`,
      headers: { 'content-type': FORM, host: 'localhost' },
      payload
    })
    assert.equal(statusCode, 400)
    turns.add(counter.turn)
  }
  await Promise.all(Array.from({ length: 300 }, post))
  assert.ok(turns.size >= 8, `${turns.size} turns`)
})
