import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/network/http.js'
import { showRun } from '../support/relays/agents.js'
import { proxyUpstream } from '../support/relays/relay-behind-proxy.js'
import { startTree } from '../support/relays/relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

/** Far more than the way holds on its own, in sockets and windows. */
const FILE_BYTES = 48 * 1024 * 1024
const HOLD_BEYOND_BYTES = 1024 * 1024
const API = '/rudder/relay-api'

/** Under the condition `hang` it notes that it began, and does not end by itself. */
const AGENT = `#!/bin/sh
for last do :; done
echo "agent of $last"
case "$*" in *hang*) touch "$(dirname "$0")/began"; exec sleep 600 ;; esac
`

test('orders and cancels pass while a file on the same link does not get on', async t => {
  const tree = await startTree(t, {
    relays: [
      { id: 'root', under: 'root', nodes: ['node-r1'] },
      { id: 'relay-a', under: 'root', nodes: ['node-a1'], byLink: true }
    ],
    absent: ['relay-a'],
    agent: AGENT,
    settings: { general: ['response_timeout = "10min"'] }
  })
  const [root, relayA] = [tree.relay('root'), tree.relay('relay-a')]
  const proxy = await proxyUpstream(t, tree, 'relay-a')
  await tree.restart('relay-a')
  const linksOpened = () => tree.processes.get('root')?.log.filter(line => line.includes('"link opened"')).length
  await eventually('the link', () => linksOpened() === 1)

  proxy.holdBeyond(HOLD_BEYOND_BYTES)
  const file = signContent('node-a1', tree.member('node-r1'), 'large', Buffer.alloc(FILE_BYTES, 'x'))
  let isShared = false
  const sharing = ask(root, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body }).then(answer => {
    isShared = true
    return answer
  })
  await eventually('the file to be held', () => proxy.held > 0)

  await t.test('an order starts, and ends', async () => {
    const answer = await postForm(root, `${API}/remote-run/nodes/node-a1`, { keep_output: 'true' })
    assert.equal(answer.text, 'agent of node-a1.example.test\n')
    assert.equal(answer.status, 200)
  })

  await t.test('a cancel arrives', async () => {
    const form = { asynchronous: 'true', classes: 'hang' }
    const started = await postForm(root, `${API}/remote-run/nodes/node-a1`, form)
    const runId = String(started.headers['treeline-run-id'])
    await eventually('the run', () => existsSync(join(tree.folder, 'began')))
    await postForm(root, `${API}/runs/${runId}/cancel`, {})
    await eventually('its end below', async () => (await showRun(tree, 'relay-a', runId)).state === 'cancelled')
    assert.equal((await showRun(tree, 'root', runId)).node_records[0]?.outcome, 'cancelled')
  })

  assert.equal(isShared, false, 'the file is under way all the time')
  assert.equal(proxy.held, 1)
  proxy.heal()
  const answer = await sharing
  assert.equal(answer.status, 200, answer.text)
  const path = join(relayA.sharedFilesPath, 'node-a1', 'files', 'node-r1', 'large')
  assert.ok((await readFile(path)).equals(file.content))
  assert.equal(linksOpened(), 1, 'the link stood')
})
