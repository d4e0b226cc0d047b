import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { type Answer, ask, postForm } from '../support/network/http.js'
import { changeConfig, proxyUpstream } from '../support/relays/relay-behind-proxy.js'
import { startTree } from '../support/relays/relay-tree.js'
import { type SignedFile, signContent } from '../support/work/signed-files.js'

/** Of each of the two tests. */
const CUTS = 15
const SIZES = [10, 30_000, 200_000]
/** Files from one link to the next, at most: while it is away they are accepted as fast as the disk takes them. */
const FILES_PER_LINK = 30
const RAN = /^agent of node-a1/m
/** Notes the conditions with which each run was made, and only then speaks: a cut ends it in between. */
const AGENT = `#!/bin/sh
for last do :; done
echo "$*" >> "$(dirname "$0")/calls"
echo "agent of $last"
`

for (const isAlsoReachedDirectly of [false, true]) {
  const way = isAlsoReachedDirectly ? 'which can be reached directly too' : 'which nobody can connect to'
  test(`the link of a relay, ${way}, is cut ${CUTS} times in a stream of requests: each gets one answer`, async t => {
    const relays = [
      { id: 'root', under: 'root', nodes: ['node-r1'] },
      { id: 'relay-a', under: 'root', nodes: ['node-a1'], byLink: !isAlsoReachedDirectly }
    ]
    const tree = await startTree(t, {
      relays,
      absent: ['relay-a'],
      agent: AGENT,
      settings: { links: ['longest_wait = "1s"'] }
    })
    const [root, relayA] = [tree.relay('root'), tree.relay('relay-a')]
    const proxy = await proxyUpstream(t, tree, 'relay-a')
    if (isAlsoReachedDirectly) await changeConfig(relayA, /\[links\]/, '[links]\ndial = true')
    await tree.restart('relay-a')
    await eventually('the link', () => tree.processes.get('root')?.log.some(line => line.includes('"link opened"')))

    let isOver = false
    let acceptedAtLink = 0
    let runOverLink = false
    const accepted: SignedFile[] = []
    const runs = new Map<string, Answer>()
    const statuses: Record<string, Record<number, number>> = { PUT: {}, HEAD: {}, run: {} }
    const count = (kind: string, { status }: Answer) => {
      const of = statuses[kind] ?? assert.fail()
      of[status] = (of[status] ?? 0) + 1
    }
    const streams = Array.from({ length: 3 }, async (_, stream) => {
      for (let index = 0; !isOver; index += 1) {
        await eventually('the next link', () => isOver || accepted.length < acceptedAtLink + FILES_PER_LINK)
        const size = SIZES[(stream + index) % SIZES.length] ?? 0
        const file = signContent('node-a1', tree.member('node-r1'), `file-${stream}-${index}`, randomBytes(size))
        const put = await ask(root, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
        count('PUT', put)
        assert.ok(put.status === 200 || put.status === 202, `${put.status} ${put.text}`)
        accepted.push(file)
        const head = await ask(root, `${file.path}?hash=${file.hash}`, { method: 'HEAD' })
        count('HEAD', head)
        assert.ok([200, 404, 502].includes(head.status), `HEAD: ${head.status}`)
        if (stream !== 0) continue
        const name = `run_${index}_`
        const form = { keep_output: 'true', classes: name }
        const run = await postForm(root, '/rudder/relay-api/remote-run/nodes/node-a1', form)
        count('run', run)
        runs.set(name, run)
        runOverLink ||= RAN.test(run.text)
      }
    })
    const streaming = Promise.all(streams)
    let last: string | undefined
    for (let cuts = 0; cuts < CUTS; cuts += 1) {
      last = await eventually('another link', async () => {
        const { result } = JSON.parse((await ask(root, '/v1/relay/links')).text)
        const connectedAt = result[0]?.connected_at
        return connectedAt !== last && connectedAt
      })
      acceptedAtLink = accepted.length
      runOverLink = false
      const isUsed = () => accepted.length > acceptedAtLink + 2 && (runOverLink || cuts % 2 === 0)
      const isFull = () => accepted.length >= acceptedAtLink + FILES_PER_LINK
      await Promise.race([eventually('requests', () => isUsed() || isFull()), streaming])
      if (cuts % 3 === 0) proxy.halve()
      else proxy.cut()
    }
    isOver = true
    await streaming
    t.diagnostic(JSON.stringify(statuses))

    const calls = (await readFile(join(tree.folder, 'calls'), 'utf8')).split('\n')
    for (const [name, { status, text }] of runs) {
      const times = calls.filter(line => line.includes(name)).length
      assert.ok(times <= 1, `${name} ran ${times} times`)
      if (RAN.test(text)) assert.equal(times, 1, name)
      else assert.ok(status === 502 || /^error: /m.test(text), `${name}: ${status} ${text}`)
    }
    for (const file of accepted) {
      await eventually(`${file.path}`, async () => {
        return (await ask(relayA, `${file.path}?hash=${file.hash}`, { method: 'HEAD' })).status === 200
      })
      const got = await ask(relayA, file.path, { as: tree.member('node-a1') })
      assert.ok(file.content.equals(got.body))
    }
    const { entries } = JSON.parse((await ask(root, '/outbox')).text)
    assert.deepEqual(entries, [])
    assert.ok((statuses.PUT?.[200] ?? 0) > CUTS && (statuses.PUT?.[202] ?? 0) > 0, 'there were requests of both kinds')
  })
}
