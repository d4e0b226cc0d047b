import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

const LOG = new URL('../../src/relay/log.ts', import.meta.url).href

/** What a relay writes to its standard output. */
async function written(isTerminal: boolean): Promise<string[]> {
  const script = `import { createLog } from '${LOG}'
    process.stdout.isTTY = ${isTerminal}
    const log = await createLog({ logging: { level: 'info' }, general: { nodeId: 'relay-1' } })
    log.debug({}, 'not shown')
    log.info({ nodes: 3, password: 'hidden-1', headers: { authorization: 'hidden-2' } }, 'ready')`
  const args = ['--import', 'tsx', '--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return stdout.trimEnd().split('\n')
}

test('a line is JSON with level, time, node and what it is about, and holds no secret', async () => {
  const [line = '', ...more] = await written(false)
  const { level, time, node, nodes, msg, password, headers } = JSON.parse(line)
  assert.deepEqual([level, node, nodes, msg, more], [30, 'relay-1', 3, 'ready', []])
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 600_000, time)
  assert.deepEqual([password, headers.authorization], ['[secret]', '[secret]'])
})

test('on a terminal it is a line for people, and holds no secret either', async () => {
  const [line = '', ...more] = await written(true)
  assert.match(line, /^\[?\d\d:\d\d:\d\d.*INFO.*ready.*"nodes":3/)
  assert.doesNotMatch(line, /hidden-[12]/)
  assert.deepEqual(more, [])
})
