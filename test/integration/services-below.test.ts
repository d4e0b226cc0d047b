import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { startClientOf } from '../support/relays/clients.js'
import { startServiceTree } from '../support/relays/service-tree.js'

test('a service three levels down is called from every relay above it', async t => {
  const { tree, urlOf, untilKnown, serve } = await startServiceTree(t)
  const baseUrl = await serve((request, response) => {
    void text(request).then(body => response.end(`${request.method} ${request.url} ${body.length}`))
  })
  await startClientOf(t, tree, { relay: 'low', key: 'git', id: 'one', baseUrl })
  await untilKnown('middle>low')
  for (const id of ['root', 'middle', 'low']) {
    const url = await urlOf(id)
    assert.equal(await (await fetch(`${url}/a%2Fb?c=d`)).text(), 'GET /a%2Fb?c=d 0', id)
    const body = 'x'.repeat(3_000_000)
    assert.equal(await (await fetch(`${url}/b`, { method: 'POST', body })).text(), 'POST /b 3000000', id)
  }
  const other = await fetch(`${await urlOf('other')}/a`)
  assert.equal(other.status, 502)
  assert.match(await other.text(), /no client is registered under git/)
})

test('requests go to the nearest replica, then to another branch, and say where they ended', async t => {
  const { tree, urlOf, untilKnown, serve } = await startServiceTree(t)
  const answer = (name: string) => serve((_request, response) => void response.end(name))
  await startClientOf(t, tree, { relay: 'low', key: 'git', id: 'far', baseUrl: await answer('far') })
  await untilKnown('middle>low')
  const near = await startClientOf(t, tree, { relay: 'other', key: 'git', id: 'near', baseUrl: await answer('near') })
  await untilKnown('middle>low', 'other')
  const url = `${await urlOf('root')}/`
  const asked = new Set<string>()
  for (let times = 0; times < 20; times += 1) asked.add(await (await fetch(url)).text())
  assert.deepEqual(asked, new Set(['near']))
  near.child.kill('SIGKILL')
  await near.ended
  // the root may not know yet: what was refused at the nearer one goes to the other
  await eventually('the other one', async () => (await (await fetch(url)).text()) === 'far')
  const low = tree.processes.get('low')
  low?.signal('SIGKILL')
  await low?.ended
  const gone = await eventually('a refusal', async () => {
    const response = await fetch(url)
    return response.status === 502 && response.text()
  })
  assert.match(gone, /(root|middle|other)|no client is registered under git/)
  await untilKnown()
  assert.match(await (await fetch(url)).text(), /no client is registered under git/)
})

test('a request that is under way when a relay between is lost ends in an error that names the link', async t => {
  const { tree, urlOf, untilKnown, serve } = await startServiceTree(t)
  let arrived = 0
  const baseUrl = await serve(() => {
    arrived += 1
  })
  await startClientOf(t, tree, { relay: 'low', key: 'git', id: 'one', baseUrl })
  await untilKnown('middle>low')
  const asked = fetch(`${await urlOf('root')}/`, { method: 'POST', body: 'x' })
  await eventually('the request', () => arrived === 1)
  const low = tree.processes.get('low')
  low?.signal('SIGKILL')
  await low?.ended
  const response = await asked
  assert.equal(response.status, 502)
  assert.match(await response.text(), /the link of low was lost/)
  assert.equal(arrived, 1)
})
