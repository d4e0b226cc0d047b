import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startAgent } from '../support/relays/agents.js'
import { startServiceTree } from '../support/relays/service-tree.js'

const SETTINGS = ['seal_headers = ["X-Spinnaker-User"]', 'seal_key_file = "seal.key"']

test("a user's name crosses the tree sealed, and is a name again at a relay with the same key", async t => {
  const key = randomBytes(32).toString('hex')
  const other = randomBytes(32).toString('hex')
  const { tree, urlOf, untilKnown, serve } = await startServiceTree(t, '*', { services: SETTINGS }, id => ({
    'seal.key': id === 'middle' ? other : `${key}\n`
  }))
  const url = await serve((request, response) => response.end(`${request.url} ${request.headers['x-spinnaker-user']}`))
  await appendFile(
    join(tree.relay('low').directory, 'main.conf'),
    `\n[[service]]\nkey = "front50"\ntype = "front50"\nurl = "${url}"\n[[service]]\nkey = "fiat"\ntype = "fiat"\nurl = "${url}"\n`
  )
  tree.processes.get('low')?.signal('SIGHUP')
  await startAgent(t, tree, 'node-l1', {
    more: `[[service]]\nkey = "clouddriver"\ntype = "clouddriver"\nurl = "${url}"\n`
  })
  await untilKnown('middle>low', 'middle>low', 'middle>low')
  const ask = async (id: string, target: string, user?: string) => {
    const headers = user === undefined ? {} : { 'X-Spinnaker-User': user }
    const answer = await fetch(`${(await urlOf(id)).replace(/\*$/, '')}${target}`, { headers })
    return `${answer.status} ${await answer.text()}`
  }
  assert.equal(await ask('root', 'front50/x', 'anna'), '200 /x anna')
  const [, , token = ''] = (await ask('root', 'clouddriver/x', 'anna')).split(' ')
  assert.match(token, /^[\w-]+\.[\w-]+\.[\w-]+$/)
  assert.equal(await ask('root', 'front50/x', token), '200 /x anna')
  assert.equal(await ask('root', `fiat/authorize/${token}`), '200 /authorize/anna undefined')
  assert.match(await ask('root', 'fiat/authorize/anna'), /^403 the user in the path is not sealed/)
  assert.match(await ask('middle', 'front50/x', 'anna'), /^403 the header x-spinnaker-user is not sealed by a relay/)
})
