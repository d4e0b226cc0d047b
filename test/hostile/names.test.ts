import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { exchangeRaw, head, statusesIn } from '../support/network/raw-client.js'
import { assertServes } from '../support/relays/relay-health.js'
import { startTree } from '../support/relays/relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

const ROOT_ALONE = [{ id: 'root', under: 'root', nodes: ['n1', 'n2'] }]
const PREFIXES = ['/rudder/relay-api', '/rudder/relay-api/1', '', '//relay-api']

/** No ids, in any of the three places: 400. */
const BAD_IDS = [
  '%2e',
  '%2e%2e',
  '.%2e',
  '%2E%2E',
  '..%2f..%2fetc',
  'a%2Fb',
  'a%5Cb',
  'a%00b',
  '%00',
  'a%0Ab',
  'a%0d%0aX:%20y',
  'a%20b',
  '%7E',
  '.incoming%7E',
  '~',
  'é',
  '%C3%A9',
  '%E2%80%AE',
  '%F0%9F%92%A9',
  'a:b',
  'a;b',
  'a,b',
  'a*',
  '%252e%252e',
  `x${'y'.repeat(200)}`
]

/** Percent signs that decode to nothing: the router's 400. */
const BAD_ENCODINGS = ['%', '%2', '%zz', '%ff', '%C3', '%c0%ae%c0%ae', '%ED%A0%80']

/** Names that only a file may not have. */
const BAD_FILE_IDS = ['f.metadata', 'f.METADATA', '.metadata']

test('ids that are none', async t => {
  const tree = await startTree(t, { relays: ROOT_ALONE })
  const relay = tree.relay('root')
  const { body, hash } = signContent('n1', tree.member('n2'), 'f', 'content')

  async function statusOf(method: string, path: string): Promise<number | undefined> {
    const isPut = method === 'PUT'
    const length = isPut ? [`Content-Length: ${body.length}`] : []
    const lines = head(`${method} ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...length)
    const answer = await exchangeRaw(t, relay, Buffer.concat([Buffer.from(lines), isPut ? body : Buffer.alloc(0)]))
    const statuses = statusesIn(answer)
    assert.equal(statuses.length, 1, `${method} ${path}: ${answer}`)
    return statuses[0]
  }

  async function assertStatus(path: string, status: number): Promise<void> {
    for (const method of ['PUT', 'HEAD', 'GET']) {
      const query = method === 'PUT' ? '?ttl=1h' : `?hash=${hash}`
      assert.equal(await statusOf(method, path + query), status, `${method} ${path}`)
    }
  }

  await t.test('in each of the three places: 400', async () => {
    for (const id of [...BAD_IDS, ...BAD_ENCODINGS]) {
      for (const path of [`${id}/n2/f`, `n1/${id}/f`, `n1/n2/${id}`]) {
        await assertStatus(`/shared-files/${path}`, 400)
      }
    }
    for (const id of BAD_FILE_IDS) await assertStatus(`/shared-files/n1/n2/${id}`, 400)
  })

  await t.test('under every prefix', async () => {
    for (const prefix of PREFIXES) await assertStatus(`${prefix}/shared-files/n1/n2/%2e%2e`, 400)
  })

  await t.test('plain dots are one more segment, or one less, for nobody: 400, or no such route', async () => {
    await assertStatus('/shared-files/../../../etc/passwd', 404)
    await assertStatus('/shared-files/n1/n2/..', 400)
    await assertStatus('/shared-files/n1/../f', 400)
    await assertStatus('/rudder/relay-api/../../etc/passwd', 404)
  })

  await t.test('of nodes to be run: 400, or 404 for one that is only unknown', async () => {
    for (const id of [...BAD_IDS, ...BAD_ENCODINGS]) {
      assert.equal(await statusOf('POST', `/remote-run/nodes/${id}`), 400, id)
    }
    assert.equal(await statusOf('POST', '/remote-run/nodes/unknown'), 404)
  })

  await t.test('in the shared folder: nothing outside of it', async () => {
    const paths = [
      '../main.conf',
      '%2e%2e/main.conf',
      '..%2fmain.conf',
      'a/..%2f..%2fmain.conf',
      '..%5cmain.conf',
      'a%00b'
    ]
    for (const path of paths) {
      for (const method of ['GET', 'HEAD']) {
        assert.equal(await statusOf(method, `/shared-folder/${path}`), 400, `${method} ${path}`)
      }
    }
    assert.equal(await statusOf('GET', '/shared-folder//etc/passwd'), 404)
  })

  await assertServes(tree, relay, 'n1', 'n2')
  assert.deepEqual(readdirSync(relay.sharedFilesPath).sort(), ['.incoming~', '.lock~', '.node-id~', '.outbox~', 'n1'])
  assert.deepEqual(readdirSync(join(relay.sharedFilesPath, 'n1/files')), ['n2'])
  assert.deepEqual(
    readdirSync(join(relay.sharedFilesPath, 'n1/files/n2')).filter(name => !name.startsWith('health-')),
    []
  )
  assert.ok(!existsSync(join(relay.directory, 'etc')))
})
