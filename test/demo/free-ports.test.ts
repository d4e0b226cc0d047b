import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { usualPorts } from '../../demo/free-ports.js'

test('the usual ports are given once, and others when one of them is taken', async t => {
  const [first, usual] = await firstUsualPorts()
  const again = await usualPorts(first, 2)
  assert.ok(
    again.every(port => !usual.includes(port)),
    `${again}`
  )
  const second = first + 4
  const other = createServer().listen(second + 2, '127.0.0.1')
  t.after(() => other.close())
  await Promise.race([once(other, 'listening'), once(other, 'error')])
  assert.ok(!(await usualPorts(second, 2)).includes(second + 2))
})

/** Tries until both ports after the first one are free. They are below those of `freePorts`. */
async function firstUsualPorts(): Promise<[first: number, usual: number[]]> {
  for (let tries = 0; tries < 100; tries += 1) {
    const first = 3_000 + ((process.pid + tries) % 500) * 10
    const usual = await usualPorts(first, 2)
    if (usual[0] === first + 1 && usual[1] === first + 2) return [first, usual]
  }
  return assert.fail('the ports that were asked for are never given')
}
