import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startTreeline, temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { startSmallRelay } from '../support/relays/small-relay.js'

test('nodes import that is ended puts the former file back, and the next one leaves nothing of its own', async t => {
  const folder = await temporaryFolder(t)
  const list = join(folder, 'nodeslist.json')
  const asked: (() => void)[] = []
  let isStuck = true
  const relay = await startSmallRelay(t, {
    'POST system/reload': () => {
      asked.shift()?.()
      return isStuck ? new Promise(() => undefined) : { result: 'success' }
    }
  })
  await writeFile(list, '{}')
  await writeFile(join(folder, 'new.json'), '{"root":{"hostname":"root.example","policy-server":"root"}}')
  await writeFile(
    join(folder, 'main.conf'),
    `[general]\nnode_id = "root"\nnodes_list_file = "${list}"\nnodes_certs_file = "${join(folder, 'certs.pem')}"\n`
  )
  await writeFile(join(folder, 'logging.conf'), '')
  const before = (await readdir(folder)).sort()
  const args = ['nodes', 'import', join(folder, 'new.json'), '--config', folder, '--server', relay.url]
  const ended = async (signal: NodeJS.Signals) => {
    const isAsked = new Promise<void>(resolve => asked.push(resolve))
    const { child, ended } = startTreeline(t, args)
    await isAsked
    child.kill(signal)
    return await ended
  }
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130]
  ] as const) {
    const { code: found, stderr } = await ended(signal)
    assert.equal(found, code, stderr)
    assert.match(stderr, /^treeline: interrupted: no new file stays in place/)
    assert.equal(await readFile(list, 'utf8'), '{}')
    assert.deepEqual((await readdir(folder)).sort(), before)
  }
  await ended('SIGKILL')
  const left = (await readdir(folder)).filter(name => !before.includes(name) && name !== '.nodes-import~')
  assert.equal(left.length, 1, 'the former list')
  isStuck = false
  assert.equal((await treeline(t, args)).code, 0)
  assert.deepEqual((await readdir(folder)).sort(), [...left, ...before].sort(), 'what was left stays for a minute')
})

test('of two imports at once, the second waits, and each is told of its own list alone', async t => {
  const folder = await temporaryFolder(t)
  const path = (name: string) => join(folder, name)
  const list = { root: { hostname: 'root.example', 'policy-server': 'root' } }
  const bad = { ...list, bad: { hostname: 'bad', 'policy-server': 'root' } }
  const good = { ...list, good: { hostname: 'good', 'policy-server': 'root' } }
  await writeFile(path('nodeslist.json'), JSON.stringify(list))
  await writeFile(path('bad.json'), JSON.stringify(bad))
  await writeFile(path('good.json'), JSON.stringify(good))
  await writeFile(path('main.conf'), `[general]\nnode_id = "root"\nnodes_list_file = "${path('nodeslist.json')}"\n`)
  await writeFile(path('logging.conf'), '')
  const read: string[][] = []
  let go: () => void = () => undefined
  const untilGo = new Promise<void>(resolve => {
    go = resolve
  })
  let isAsked: () => void = () => undefined
  const asked = new Promise<void>(resolve => {
    isAsked = resolve
  })
  const relay = await startSmallRelay(t, {
    'POST system/reload': async () => {
      isAsked()
      await untilGo
      const ids = Object.keys(JSON.parse(await readFile(path('nodeslist.json'), 'utf8')))
      read.push(ids)
      return ids.includes('bad') ? { result: 'error', errorDetails: 'a cycle' } : { result: 'success' }
    }
  })
  const start = (file: string) => {
    const { child, ended } = startTreeline(t, ['nodes', 'import', file, '--config', folder, '--server', relay.url])
    return { child, ended, told: child.stderr === null ? undefined : once(child.stderr, 'data') }
  }
  const first = start(path('bad.json'))
  await asked
  const second = start(path('good.json'))
  const third = start(path('good.json'))
  await Promise.all([second.told, third.told])
  third.child.kill('SIGTERM')
  assert.equal((await third.ended).code, 143)
  go()
  const [refused, taken] = await Promise.all([first.ended, second.ended])
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /a cycle\nThe former files are in place again/)
  assert.equal(taken.code, 0, taken.stderr)
  assert.match(taken.stderr, /^treeline: note: another `treeline nodes import` is under way; waiting/)
  assert.deepEqual(read, [['root', 'bad'], ['root'], ['root', 'good']])
  assert.deepEqual(JSON.parse(await readFile(path('nodeslist.json'), 'utf8')), good)
  assert.ok(!(await readdir(folder)).includes('.nodes-import~'))
})

test('nodes import puts files in place, and the former ones back when the relay refuses', async t => {
  const folder = await temporaryFolder(t)
  let isFine = true
  const path = (name: string) => join(folder, name)
  const lists: string[] = []
  const relay = await startSmallRelay(t, {
    'POST system/reload': async () => {
      lists.push(await readFile(path('nodeslist.json'), 'utf8'))
      return isFine ? { result: 'success' } : { result: 'error', errorDetails: 'a cycle: a, b' }
    }
  })
  const list = { root: { hostname: 'root.example', 'policy-server': 'root' } }
  await writeFile(path('nodeslist.json'), '{}')
  await writeFile(path('new.json'), JSON.stringify(list))
  await writeFile(
    path('main.conf'),
    `[general]\nnode_id = "root"\nnodes_list_file = "${path('nodeslist.json')}"\nnodes_certs_file = "${path('certs.pem')}"\n`
  )
  await writeFile(path('logging.conf'), '')
  const imported = (file: string, ...more: string[]) =>
    treeline(t, ['nodes', 'import', file, '--config', folder, '--server', relay.url, ...more])

  const good = await imported(path('new.json'))
  assert.equal(good.code, 0, good.stderr)
  assert.deepEqual(JSON.parse(await readFile(path('nodeslist.json'), 'utf8')), list)

  isFine = false
  await writeFile(path('new.json'), JSON.stringify({ ...list, b: { hostname: 'b', 'policy-server': 'root' } }))
  const refused = await imported(path('new.json'))
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /a cycle: a, b\nThe former files are in place again/)
  assert.deepEqual(
    lists.map(text => Object.keys(JSON.parse(text))),
    [['root'], ['root', 'b'], ['root']],
    'the relay has read the former list again'
  )
  const readAgain = await treeline(t, ['nodes', 'import', '--server', relay.url])
  assert.equal(readAgain.stderr, 'treeline: the relay could not read it: a cycle: a, b\n')
  assert.deepEqual(JSON.parse(await readFile(path('nodeslist.json'), 'utf8')), list)

  const next = await treeline(t, [
    'nodes',
    'import',
    path('new.json'),
    '--config',
    folder,
    '--server',
    'http://127.0.0.1:1'
  ])
  assert.equal(next.code, 1)
  assert.match(next.stderr, /nothing listens there; is the relay running\?\nThe new files are in place/)
  assert.match(await readFile(path('nodeslist.json'), 'utf8'), /"b"/)

  await writeFile(path('new.json'), '{"a/b":{},"c":{"policy-server":"c","hostname":"c"}}')
  const malformed = await imported(path('new.json'))
  assert.equal(malformed.code, 2, 'nothing was tried')
  assert.match(malformed.stderr, /"a\/b" is not a node id\n {2}c: is its own policy server/)
  assert.equal((await imported(path('new.json'), '--certs', path('main.conf'))).code, 2)
  const absent = await imported(path('nothing.json'))
  assert.equal(absent.code, 2)
  assert.equal(
    absent.stderr,
    `treeline: [nodeslist] ${path('nothing.json')} cannot be read: there is no such file; check the path\n`
  )
  assert.deepEqual(
    (await readdir(folder)).filter(name => name.endsWith('~')),
    []
  )
})
