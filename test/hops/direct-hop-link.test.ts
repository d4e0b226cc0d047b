import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { before, type TestContext, test } from 'node:test'
import { type CertificateMaterial, makeAgentCertificate } from '../../demo/pki.js'
import type { HopRequest } from '../../src/hops/hop.js'
import { startHttpsPeer } from '../support/network/tls-peer.js'
import { startNeighbours } from '../support/parts/neighbours.js'

const SECRET = 'treeline-link-secret'
/** Of a link to a relay that is older than secrets. */
const NONE = 'none'

let server: CertificateMaterial

before(async () => {
  server = await makeAgentCertificate({ nodeId: 'root', hostname: 'root.example.com' })
})

/** A relay whose link has `secrets`, one after another as it is replaced; undefined: it is away; `none`: it has none. */
async function startBelow(t: TestContext, listener: RequestListener, ...secrets: (string | undefined)[]) {
  const seen: (string | undefined)[] = []
  let at = 0
  const peer = await startHttpsPeer(t, server, (request, response) => {
    seen.push(request.headers[SECRET] as string | undefined)
    listener(request, response)
  })
  const address = `https://127.0.0.1:${peer.port}`
  const { neighbours } = await startNeighbours(t, {
    port: peer.port,
    upstream: { certificate: server },
    linkUp: {
      secretFor: asked => (asked === address && secrets[at] !== NONE ? secrets[at] : undefined),
      get isAwaited() {
        return secrets[at] === undefined
      }
    }
  })
  const replace = () => {
    at = Math.min(at + 1, secrets.length - 1)
  }
  return { up: neighbours.up(), seen, replace }
}

const GET: HopRequest = { method: 'GET', path: 'x', headers: { [SECRET]: 'of somebody who asked this relay' } }

/** As a relay that knows nobody by the secret. */
const unknown: RequestListener = (_request, response) => {
  response.writeHead(403, { [SECRET]: 'unknown', 'treeline-relay': '1' }).end('not allowed')
}

test('the secret of the link goes along, and that of a caller of this relay does not', async t => {
  const linked = await startBelow(t, (_request, response) => response.end('done'), 'a-secret')
  const outcome = await linked.up.request(GET)
  assert.ok(outcome.kind === 'answered')
  assert.equal(await text(outcome.body), 'done')
  assert.deepEqual(linked.seen, ['a-secret'])
  const alone = await startBelow(t, (_request, response) => response.end('done'), undefined)
  assert.equal((await alone.up.request(GET)).kind, 'answered')
  assert.deepEqual(alone.seen, [undefined])
})

test('what was refused because the link has been replaced is asked again with the new secret, whole', async t => {
  const bodies: Readable[] = []
  const received: string[] = []
  const below = await startBelow(
    t,
    async (request, response) => {
      if (request.headers[SECRET] === 'old') {
        below.replace()
        return unknown(request, response)
      }
      received.push(await text(request))
      response.end('done')
    },
    'old',
    'new'
  )
  const outcome = await below.up.request({
    method: 'PUT',
    path: 'x',
    headers: { 'content-length': '200000' },
    body: () => {
      const body = Readable.from([Buffer.alloc(200_000, 'x')])
      bodies.push(body)
      return body
    }
  })
  assert.equal(outcome.kind, 'answered')
  assert.deepEqual(below.seen, ['old', 'new'])
  assert.deepEqual(received, ['x'.repeat(200_000)])
  assert.equal(bodies.length, 2)
})

test('a refusal by one that knows nothing of the link any more is none yet; asked again only with another secret', async t => {
  const below = await startBelow(t, unknown, 'old')
  const outcome = await below.up.request(GET)
  assert.ok(outcome.kind === 'unreachable', outcome.kind)
  assert.match(outcome.reason, /answered 403 since it knows nothing of our link any more: not allowed/)
  assert.deepEqual(below.seen, ['old'])
  const twice = await startBelow(
    t,
    (request, response) => {
      twice.replace()
      unknown(request, response)
    },
    'first',
    'second',
    'third'
  )
  assert.equal((await twice.up.request(GET)).kind, 'unreachable')
  assert.deepEqual(twice.seen, ['first', 'second'])
})

test('what is refused while the link is away may be granted once it is there; other refusals stand', async t => {
  const cases: readonly (readonly [status: number, secret: string | undefined, kind: string])[] = [
    [401, undefined, 'unreachable'],
    [403, undefined, 'unreachable'],
    [404, undefined, 'refused'],
    [409, undefined, 'refused'],
    [403, 'a-secret', 'refused'],
    [403, NONE, 'refused']
  ]
  for (const [status, secret, kind] of cases) {
    const below = await startBelow(
      t,
      (_request, response) => response.writeHead(status, { 'treeline-relay': '1' }).end('no'),
      secret
    )
    const outcome = await below.up.request(GET)
    assert.equal(outcome.kind, kind, `${status} ${secret}`)
    if (outcome.kind === 'refused') outcome.body.destroy()
    assert.equal(below.seen.length, 1)
  }
})

test('an answer that was given in spite of the secret counts, and does not hand on what is said of it', async t => {
  const below = await startBelow(
    t,
    (_request, response) => response.writeHead(200, { [SECRET]: 'unknown', etag: '"a"' }).end('done'),
    'old',
    'new'
  )
  const outcome = await below.up.request(GET)
  assert.ok(outcome.kind === 'answered')
  assert.equal(await text(outcome.body), 'done')
  assert.equal(outcome.headers[SECRET], undefined)
  assert.equal(outcome.headers.etag, '"a"')
})
