import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { makeFifo } from '../support/machine/make-fifo.js'
import { makeReceiver, put } from '../support/work/receivers.js'

test('a command that hangs keeps no other file waiting; its destination is left alone until it has ended, and is recorded', async t => {
  const { folder, relay, begin } = await makeReceiver(t, own => [
    [
      join(own, 'one'),
      `command = ["/bin/sh", "-c", "cat ${join(own, 'one')} >> ${join(own, 'runs')}; read line < ${join(own, 'pipe')}"]`
    ],
    [join(own, 'two')]
  ])
  await makeFifo(join(folder, 'pipe'))
  const content = (name: string) => readFile(join(folder, name), 'utf8').catch(() => '')
  const lateEnds: string[] = []
  const { receive, commandOf, stop } = await begin({ turnMs: 0, onLateEnd: entry => lateEnds.push(entry.destination) })
  put(relay, 'first\n', Date.now())
  assert.equal(await receive(0), true)
  assert.match(commandOf(0) ?? '', /^its command \/bin\/sh has run since 20\d\d-.*Z$/)
  assert.equal(await receive(1), true)
  assert.equal(await content('two'), 'first\n')

  put(relay, 'second\n', Date.now() + 1)
  assert.equal(await receive(0), false)
  assert.equal(await content('one'), 'first\n')
  await eventually('the start of the command', async () => (await content('runs')) === 'first\n')
  await writeFile(join(folder, 'pipe'), 'go on\n')
  await eventually('its end', () => lateEnds.length === 1)
  assert.equal(commandOf(0), undefined)
  assert.equal(await receive(0), true)
  await eventually('the next start', async () => (await content('runs')) === 'first\nsecond\n')
  await writeFile(join(folder, 'pipe'), 'go on\n')
  await eventually('the next end', () => lateEnds.length === 2)
  assert.equal(await receive(0), false)
  assert.equal(await (await begin()).receive(0), false, 'it is recorded that it has run')

  put(relay, 'third\n', Date.now() + 2)
  assert.equal(await receive(0), true)
  await stop()
  const again = await begin({ turnMs: 0 })
  assert.equal(await again.receive(0), true, 'a command that was stopped runs again')
  await again.stop()
})
