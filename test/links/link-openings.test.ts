import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { makeAgentCertificate } from '../../demo/pki.js'
import type { TreeMember } from '../../demo/relay-tree.js'
import { LinkOpenings } from '../../src/links/upper/accepting/link-openings.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { eventually } from '../support/eventually.js'
import { greet, openRawLink } from '../support/hostile/hostile-link.js'
import { startUpperSide } from '../support/parts/links.js'

test('a node that opens its link again and again gets no more than 120 a minute, and 30 lines of each message', async t => {
  const own = await makeAgentCertificate({ nodeId: 'node-1', hostname: 'node-1.example.com' })
  const known = new Map([[own.certificateDer.toString('base64'), 'node-1']])
  const messages: string[] = []
  const logger = pino({}, { write: line => void messages.push(JSON.parse(line).msg) })
  const upper = await startUpperSide(t, known, { logger })
  const open = async () => {
    const link = await openRawLink(t, upper.url.replace('wss', 'https'))
    const said = await greet(link, { certificate: own } as TreeMember)
    return { link, said }
  }
  for (let count = 0; count < 119; count += 1) {
    const { link, said } = await open()
    assert.equal(said.treeline, 'welcome', JSON.stringify(said))
    link.socket.terminate()
  }
  const { link: last, said } = await open()
  assert.equal(said.treeline, 'welcome')
  const refused = await open()
  assert.deepEqual(refused.said, { treeline: 'refused', reason: 'node-1 has opened 120 links within a minute' })
  assert.equal(await refused.link.closed, 4429)
  assert.equal(upper.registry.ofNode('node-1')?.isOpen, true, 'the link that stands is not replaced')
  last.socket.terminate()
  await eventually('its end', () => upper.registry.size === 0)
  const count = (message: string) => messages.filter(found => found === message).length
  assert.deepEqual([count('link opened'), count('link lost'), count('link refused')], [30, 30, 1])
})

test('each relay or node has openings of its own, and new ones after a minute; clients are not counted', () => {
  let nowMs = 0
  const openings = new LinkOpenings(silentLogger, 100, () => nowMs)
  const take = (id: string) => openings.take({ kind: 'node', id })
  for (let count = 0; count < 120; count += 1) assert.ok(take('n1'))
  assert.equal(take('n1'), false)
  assert.equal(take('n2'), true)
  nowMs = 59_999
  assert.equal(take('n1'), false)
  nowMs = 60_000
  assert.equal(take('n1'), true)
  for (let count = 0; count < 200; count += 1) assert.ok(openings.take({ kind: 'client', id: 'k', clientId: 'c' }))
})
