import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { getJson, startJoinedTree } from '../support/joined-tree.js'
import { startTreeline } from '../support/treeline-command.js'

test('join starts what has joined, and ends with it', async t => {
  const tree = await startJoinedTree(t)
  const links = async () => {
    const { result } = (await getJson(tree.root, '/v1/relay/links')) as { result: { id: string }[] }
    return result.map(({ id }) => id)
  }
  for (const [kind, id] of [
    ['--relay', 'relay-a'],
    ['--node', 'node-1']
  ] as const) {
    const line = await tree.token(kind)
    const { folder, host, port, local } = await tree.machine(id)
    const options = ['--dir', folder, '--id', id, '--host', `${host}:${port}`, '--listen', local]
    const joining = startTreeline(t, [...line, ...options])
    try {
      await joining.printed('it starts now')
      await eventually('its link', async () => (await links()).includes(id))
    } finally {
      joining.child.kill('SIGTERM')
    }
    const { code, stderr } = await joining.ended
    assert.equal(code, 0, stderr)
    await eventually('the end of its link', async () => !(await links()).includes(id))
  }
})
