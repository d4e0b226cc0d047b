import assert from 'node:assert/strict'
import { createServer as createHttp2Server } from 'node:http2'
import { test } from 'node:test'
import { MAX_LANES } from '../../src/links/wire/protocol.js'
import { WebSocketStream } from '../../src/links/wire/web-socket-stream.js'
import { MAX_HEADS_PER_HOP } from '../../src/shared-files/reading/head-file.js'
import { eventually } from '../support/eventually.js'
import { openHostileLane } from '../support/hostile/hostile-lane.js'
import {
  FRAME,
  frame,
  greet,
  HELLO,
  openHostileLink,
  openRawLink,
  requestsIn,
  settings,
  uint32
} from '../support/hostile/hostile-link.js'
import { assertOthersServed, fileFor, hostileTree, MIB, put, watchMemory } from '../support/hostile/hostile-tree.js'
import { ask, postForm } from '../support/network/http.js'

test('requests to a link that takes and answers nothing end by their limit, and memory is bounded', async t => {
  const tree = await hostileTree(t)
  const root = tree.relay('root')
  await assertOthersServed(tree)
  const checkMemory = await watchMemory(tree)
  const link = await openHostileLink(t, root, tree.member('evil'))
  await link.send(Buffer.concat([settings({ 4: 0 }), frame(FRAME.settings, 1, 0)]))

  const statuses = await Promise.all(
    Array.from({ length: 60 }, (_, index) => put(tree, 'e1', index % 6 === 0 ? 3 * MIB : 60_000))
  )
  assert.deepEqual(new Set(statuses), new Set([202]))
  assert.ok(requestsIn(link.bytes()).length > 20, `it was asked ${requestsIn(link.bytes()).length} times`)
  await assertOthersServed(tree)
  const run = await postForm(root, '/rudder/relay-api/remote-run/nodes/g1,e1', { keep_output: 'true' }).catch(
    () => undefined
  )
  assert.ok(run !== undefined)
  await checkMemory()
})

test('a link on which as many HEADs hang as there may be: a large file for it waits, the relay goes on', async t => {
  const tree = await hostileTree(t, '20s')
  const root = tree.relay('root')
  const link = await openHostileLink(t, root, tree.member('evil'))
  await link.send(HELLO)
  const stop = new AbortController()
  t.after(() => stop.abort())
  const file = fileFor(tree, 'e1', 10)
  const hanging = Array.from({ length: 1_100 }, () =>
    ask(root, `${file.path}?hash=${file.hash}`, { method: 'HEAD', signal: stop.signal }).catch(() => undefined)
  )
  await eventually('all slots to hang', () => requestsIn(link.bytes()).length >= MAX_HEADS_PER_HOP)
  assert.equal(await put(tree, 'e1', 3 * MIB), 202)
  await assertOthersServed(tree)
  await eventually('the end of the wait for a lane that nobody could ask for', async () => {
    const { entries } = JSON.parse((await ask(root, '/outbox')).text)
    return entries.length === 1 && /\S/.test(entries[0].last_error ?? '')
  })
  await assertOthersServed(tree)
  stop.abort()
  await Promise.all(hanging)
})

test('every request is reset at once, in a loop: each of them is told, and others are served', async t => {
  const tree = await hostileTree(t)
  const link = await openHostileLink(t, tree.relay('root'), tree.member('evil'))
  await link.send(HELLO)
  let answered = 0
  link.socket.on('message', () => {
    const streams = requestsIn(link.bytes())
    const resets = streams
      .slice(answered)
      .flatMap(stream => [
        frame(FRAME.reset, 0, stream, uint32(8)),
        frame(FRAME.reset, 0, stream, uint32(8)),
        frame(FRAME.headers, 5, stream, Buffer.from([0x88]))
      ])
    answered = streams.length
    if (resets.length > 0) link.socket.send(Buffer.concat(resets))
  })
  const statuses = await Promise.all(Array.from({ length: 300 }, () => put(tree, 'e1', 100)))
  assert.deepEqual(new Set(statuses), new Set([202]))
  await assertOthersServed(tree)
})

test('lanes: those beyond the bound are refused, and one that breaks within a file loses nothing', async t => {
  const tree = await hostileTree(t)
  const root = tree.relay('root')
  const evil = tree.member('evil')
  await t.test('unasked', async () => {
    const link = await openHostileLink(t, root, evil)
    await link.send(HELLO)
    const said: unknown[] = []
    for (let opened = 0; opened < MAX_LANES + 5; opened += 1) {
      const lane = opened % 2 === 0 ? await openRawLink(t, root.url) : await openHostileLane(t, root.url)
      said.push((await greet(lane, evil, { purpose: 'lane', link: link.id })).treeline)
    }
    assert.deepEqual(said, [...Array(MAX_LANES).fill('welcome'), ...Array(5).fill('refused')])
    await assertOthersServed(tree)
    link.socket.terminate()
  })
  for (const way of ['breaks', 'rubbish', 'raw: breaks', 'raw: ends', 'raw: rubbish'] as const) {
    await t.test(way, async () => {
      const link = await openHostileLink(t, root, evil)
      const server = createHttp2Server((_request, response) => {
        response.writeHead(204)
        response.end()
        void (way.startsWith('raw') ? openRaw() : openLane())
      })
      const openRaw = async () => {
        const lane = await openHostileLane(t, root.url)
        lane.socket.on('data', () => {
          if (way === 'raw: rubbish' && lane.bytes().length > 0) lane.socket.write('no HTTP\r\n\r\n')
          else if (lane.bytes().length < MIB) return
          else if (way === 'raw: ends') lane.socket.end()
          else lane.socket.destroy()
        })
        assert.equal((await greet(lane, evil, { purpose: 'lane', link: link.id })).treeline, 'welcome')
      }
      const openLane = async () => {
        const lane = await openRawLink(t, root.url)
        let isIn = false
        lane.socket.on('message', (_data: Buffer, isBinary) => {
          if (!isBinary) isIn = true
          else if (way === 'rubbish') lane.socket.send(Buffer.from('no HTTP\r\n\r\n'))
          else if (lane.bytes().length > MIB) lane.socket.terminate()
        })
        await greet(lane, evil, { purpose: 'lane', link: link.id })
        assert.ok(isIn)
      }
      server.on('sessionError', () => undefined)
      server.emit('connection', new WebSocketStream(link.socket))
      assert.equal(await put(tree, 'e1', 5 * MIB), 202)
      await assertOthersServed(tree)
      link.socket.terminate()
    })
  }
  await t.test('what was accepted arrives once its relay is itself', async () => {
    await tree.restart('evil')
    await eventually('an empty outbox', async () => {
      const { entries } = JSON.parse((await ask(root, '/outbox')).text)
      return entries.length === 0
    })
  })
})
