import assert from 'node:assert/strict'
import { createHash, sign } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { type KeyMaterial, makeKey } from '../../../demo/agent-keys.js'
import { RELAYD } from '../../../src/hops/dialect.js'
import type { HopOutcome } from '../../../src/hops/hop.js'
import { startNeighbours } from '../parts/neighbours.js'
import { startTextRelay } from './text-relay.js'

function signedFile(key: KeyMaterial, bytes: Buffer): { body: Buffer; hash: string } {
  const hash = createHash('sha512').update(bytes).digest('hex')
  const lines = [
    'header=rudder-signature-v1',
    'algorithm=sha512',
    `digest=${sign('sha512', bytes, key.privateKey).toString('hex')}`,
    `hash_value=${hash}`,
    `short_pubkey=${key.publicKeyPkcs1Base64}`,
    'hostname=node1.example.com',
    'keydate=2018-10-31 18:21:43.653257143 +0100',
    'keyid=B29D02BB'
  ]
  return { body: Buffer.concat([Buffer.from(`${lines.join('\n')}\n\n`), bytes]), hash }
}

async function status(outcome: HopOutcome): Promise<number | undefined> {
  if (outcome.kind !== 'unreachable') await text(outcome.body)
  return outcome.status
}

test('the stand-in for an existing relay keeps the files of its own nodes, and no others', async t => {
  const key = await makeKey('rsa')
  const relay = await startTextRelay(t, {
    nodes: new Map([
      ['n1', key.keyHash],
      ['n2', undefined]
    ])
  })
  const { neighbours } = await startNeighbours(t, { port: relay.port, pins: [relay.certificate] })
  const hop = neighbours.down('relay1')
  const { body, hash } = signedFile(key, Buffer.from('some\n\nbytes'))
  const put = async (path: string, bytes = body) =>
    status(await hop.request({ method: 'PUT', path: `shared-files/${path}`, headers: {}, body: () => bytes }))
  const head = async (path: string) =>
    status(await hop.request({ method: 'HEAD', path: `shared-files/${path}`, headers: {} }))
  assert.equal(await head(`n2/n1/f?hash=${hash}`), 404)
  assert.equal(await put('n2/n1/f?ttl=1h+3s'), 200)
  assert.equal(await head(`n2/n1/f?hash=${hash}`), 200)
  assert.equal(await head('n2/n1/f?hash='), 404)
  assert.equal(String(relay.files.get('n2/n1/f')?.bytes), 'some\n\nbytes')
  assert.equal(await put('n2/stranger/f?ttl=60'), 404)
  assert.equal(await put('nowhere/n1/f?ttl=60'), 404)
  assert.equal(await put('n2/n1/g?ttl=soon'), 400)
  assert.equal(await put('n2/n1/g?ttl=60', Buffer.concat([body, Buffer.from('!')])), 500)
  assert.equal(relay.files.size, 1)
  assert.equal(neighbours.down('relay1').dialect, RELAYD)
})

test('it hands files for others up, as seen on the wire', async t => {
  const key = await makeKey('rsa')
  const upper = await startTextRelay(t, { nodes: new Map() })
  const relay = await startTextRelay(t, { nodes: new Map([['n1', key.keyHash]]), upperPort: upper.port })
  const { neighbours } = await startNeighbours(t, { port: relay.port, pins: [relay.certificate] })
  const { body } = signedFile(key, Buffer.from('bytes'))
  const path = 'shared-files/far/n1/f?ttl=60'
  await status(await neighbours.down('relay1').request({ method: 'PUT', path, headers: {}, body: () => body }))
  const [got] = upper.requests
  assert.ok(got)
  assert.equal(got.url, '//relay-api/shared-files/far/n1/f?ttl=60')
  assert.equal(got.headers['content-type'], undefined)
  assert.deepEqual(got.body, body)
})

test('it runs its nodes in the four combinations, and asks others with classes', async t => {
  const relay = await startTextRelay(t, {
    nodes: new Map([
      ['n1', undefined],
      ['n2', undefined]
    ])
  })
  const flags = [true, false]
  for (const [keepOutput, asynchronous] of flags.flatMap(a => flags.map(b => [a, b] as const))) {
    const answer = await relay.sendRemoteRun(relay.port, 'nodes', {
      keepOutput,
      asynchronous,
      nodes: ['n2', 'unknown']
    })
    assert.equal(answer.statusCode, 200)
    assert.equal(await text(answer), keepOutput ? 'output of n2\n' : '')
  }
  assert.equal(
    (await relay.sendRemoteRun(relay.port, 'nodes', { keepOutput: true, asynchronous: false })).statusCode,
    400
  )
  await text(
    await relay.sendRemoteRun(relay.port, 'all', { keepOutput: true, asynchronous: false, classes: ['a', 'b'] })
  )
  assert.equal(String(relay.requests.at(-1)?.body), 'keep_output=true&asynchronous=false&classes=a%2Cb')
  assert.deepEqual(relay.runs.slice(-2), [
    { node: 'n1', conditions: ['a', 'b'] },
    { node: 'n2', conditions: ['a', 'b'] }
  ])
})
