import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TreeRelay } from '../../demo/relay-tree.js'
import { eventually } from '../support/eventually.js'
import { steppingClock } from '../support/machine/stepping-clock.js'
import { ask, postForm } from '../support/network/http.js'
import { startTree } from '../support/relays/relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

const HOUR_SECONDS = 3_600
const DAY_SECONDS = 24 * 3_600

test('a clock that steps, forward and back', async t => {
  const tree = await startTree(t, {
    relays: [{ id: 'root', under: 'root', nodes: ['n1', 'n2'] }],
    absent: ['root'],
    settings: { shared_files: ['cleanup.frequency = "* * * * * *"'] }
  })
  const root = tree.relay('root')
  const secondsSince1970 = Math.floor(Date.now() / 1_000)
  const clock = steppingClock(join(root.directory, 'clock'), { offsetSeconds: 30 - secondsSince1970 })
  const process = await tree.restart('root', clock.environment)
  const put = async (name: string, content: string) => {
    const file = signContent('n1', tree.member('n2'), name, content)
    const answer = await ask(root, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
    return { ...file, status: answer.status, state: answer.headers['treeline-state'] }
  }
  const run = async () => (await postForm(root, '/rudder/relay-api/remote-run/nodes/n1', { keep_output: 'true' })).text

  await t.test('from 1970 to today: it goes on serving', async () => {
    assert.equal((await ask(root, '/uuid')).text, 'root')
    clock.set(0)
    assert.equal((await ask(root, '/uuid')).text, 'root')
    assert.match(await run(), /agent of n1/)
  })

  await t.test('ten minutes back: a newer file is kept, runs go on, and what expires still goes', async () => {
    assert.equal((await put('f', 'first')).status, 200)
    assert.match(await run(), /agent of n1/)
    clock.set(-600)
    const second = await put('f', 'second')
    assert.deepEqual([second.status, second.state], [200, undefined])
    assert.equal((await ask(root, second.path)).text, 'second')
    assert.equal((await ask(root, `${second.path}?hash=${second.hash}`, { method: 'HEAD' })).status, 200)
    assert.match(await run(), /agent of n1/)
    const short = signContent('n1', tree.member('n2'), 'short', 'content')
    assert.equal((await ask(root, `${short.path}?ttl=1`, { method: 'PUT', body: short.body })).status, 200)
    const kept = join(root.sharedFilesPath, 'n1/files/n2/short')
    await eventually('the purge', () => !existsSync(kept))
  })

  await t.test('a day forward: times of the purge that were jumped over are made up for once', async () => {
    clock.set(DAY_SECONDS)
    const late = signContent('n1', tree.member('n2'), 'late', 'content')
    assert.equal((await ask(root, `${late.path}?ttl=1h`, { method: 'PUT', body: late.body })).status, 200)
    const listed = await ask(root, '/shared-files/n1?file_id=late')
    const { files } = JSON.parse(listed.text)
    assert.ok(Date.parse(files[0].expires_at) > Date.now() + DAY_SECONDS * 1_000)
  })

  await process.stop()
})

test('two files of one name: the later one stays, wherever the clock of their first relay is set, through its restarts', async t => {
  const tree = await startTree(t, {
    relays: [
      { id: 'root', under: 'root', nodes: ['n1'] },
      { id: 'relay-a', under: 'root', nodes: ['n2'] }
    ],
    absent: ['relay-a', 'root']
  })
  const root = tree.relay('root')
  const relay = tree.relay('relay-a')
  const clock = steppingClock(join(relay.directory, 'clock'), { isKilled: true })
  const put = async (to: TreeRelay, content: string) => {
    const file = signContent('n1', tree.member('n2'), 'f', content)
    const answer = await ask(to, `${file.path}?ttl=10d`, { method: 'PUT', body: file.body })
    return [answer.status, answer.headers['treeline-state']]
  }
  const kept = async () => (await ask(root, signContent('n1', tree.member('n2'), 'f', '').path)).text
  let process = await tree.restart('relay-a', clock.environment)
  let above = await tree.restart('root')
  const restart = async (offsetSeconds: number) => {
    process.signal('SIGKILL')
    await process.ended
    clock.set(offsetSeconds)
    process = await tree.restart('relay-a', clock.environment)
  }

  for (const hours of [0, -0.5, 12, 0, -30, 24 * 365 * 74, 0, -24 * 365 * 50, 0]) {
    await t.test(`set by ${hours} hours`, async () => {
      await restart(hours * HOUR_SECONDS)
      for (const number of [1, 2]) {
        assert.deepEqual(await put(relay, `${hours} ${number}`), [200, undefined])
        assert.equal(await kept(), `${hours} ${number}`)
      }
    })
  }

  await t.test(
    'one that waited is not newer than one that another relay took since, though the clock was ahead',
    async () => {
      clock.set(12 * HOUR_SECONDS)
      assert.deepEqual(await put(relay, 'ahead'), [200, undefined])
      await restart(0)
      await above.stop()
      assert.deepEqual(await put(relay, 'waits'), [202, 'pending'])
      process.signal('SIGSTOP')
      above = await tree.restart('root')
      assert.deepEqual(await put(root, 'newer'), [200, undefined])
      process.signal('SIGCONT')
      await eventually('the file is given up', () => process.log.some(line => line.includes('a newer one is there')))
      assert.equal(await kept(), 'newer')
    }
  )
  await process.stop()
  await above.stop()
})
