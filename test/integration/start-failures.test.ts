import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { startTree } from '../support/relay-tree.js'

test('a relay whose port is taken ends, and says which setting it is', async t => {
  const tree = await startTree(t, { relays: [{ id: 'root', under: 'root', nodes: [] }], absent: ['root'] })
  const root = tree.relay('root')
  for (const [setting, url] of [
    ['general.listen', root.localUrl],
    ['general.https_listen', root.url]
  ] as const) {
    await t.test(setting, async () => {
      const { port } = new URL(url)
      const taken = createServer().listen(Number(port), '127.0.0.1')
      await once(taken, 'listening')
      try {
        const says = new RegExp(`cannot start: ${setting}: cannot listen on 127.0.0.1:${port}: another program`)
        await assert.rejects(tree.restart('root'), says)
      } finally {
        taken.close()
        await once(taken, 'close')
      }
    })
  }
  await tree.restart('root')
})
