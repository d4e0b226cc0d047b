import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { TREELINE } from '../../src/hops/dialect.js'
import type { HopOutcome } from '../../src/hops/hop.js'
import { askForRevocations } from '../../src/membership/revocations/revocation-inquiry.js'
import { MAX_LIST_LENGTH } from '../../src/membership/revocations/revocation-list.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'
import { makeRevocations } from '../support/parts/revocations.js'

test('a list that the policy server has is taken; whatever else it answers changes nothing', async t => {
  const folder = await temporaryFolder(t)
  const above = await makeRevocations(join(folder, 'above'))
  await above.revoke('rel-2', 'ab'.repeat(32))
  const { text } = above.revocations
  const own = above.another(join(folder, 'own'))
  const asked: string[] = []
  const given: string[] = []
  const ask = (answer: HopOutcome) =>
    askForRevocations(
      {
        up: () => ({
          id: 'above',
          dialect: TREELINE,
          request: async ({ method, headers, body }) => {
            if (method === 'GET') asked.push(headers['if-none-match'] ?? '')
            else given.push(new URLSearchParams(String(body?.())).get('list') ?? '')
            return method === 'GET' ? answer : { ...answered(Readable.from([])), status: 204 }
          }
        })
      },
      own,
      silentLogger,
      new AbortController().signal
    )
  const answered = (body: Readable, status = 200): HopOutcome => ({ kind: 'answered', status, headers: {}, body })
  const broken = new Readable({
    read() {
      this.push(text.slice(0, 80))
      this.destroy(new Error('lost'))
    }
  })
  for (const status of [204, 304]) assert.equal(await ask(answered(Readable.from([]), status)), 'unchanged')
  for (const answer of [
    answered(Readable.from([Buffer.from(text.replace('rel-2', 'rel-3'))])),
    answered(Readable.from([Buffer.alloc(MAX_LIST_LENGTH + 10, 'x')])),
    answered(broken),
    { kind: 'refused', status: 404, headers: {}, body: Readable.from([]) },
    { kind: 'unreachable', reason: 'away', sent: false }
  ] as const) {
    assert.equal(await ask(answer), 'failed')
  }
  assert.equal(own.text, '')
  assert.equal(await ask(answered(Readable.from([Buffer.from(text)]))), 'newer')
  assert.equal(own.text, text)
  assert.equal(await ask(answered(Readable.from([]), 304)), 'unchanged')
  assert.deepEqual([asked[0], asked.at(-1)], ['"0"', '"1"'])
  assert.deepEqual(given, [])

  await t.test('one that is older than ours, or none at all: it is given ours', async () => {
    await above.revoke('rel-3', 'cd'.repeat(32))
    assert.equal(await own.take(above.revocations.text), true)
    await ask(answered(Readable.from([Buffer.from(text)])))
    await ask(answered(Readable.from([]), 204))
    assert.deepEqual(given, [own.text, own.text])
    await ask(answered(Readable.from([Buffer.from(own.text)])))
    assert.equal(given.length, 2, 'what it has as well it is not given')
  })
})
