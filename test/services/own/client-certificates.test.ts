import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { eventually } from '../../support/eventually.js'
import { openServer } from '../../support/network/open-server.js'
import { makeChain } from '../../support/network/openssl-certificate.js'
import { ownFolder, serviceConfig, startOwnServices } from '../../support/parts/own-services.js'
import { until } from '../../support/parts/stream-pairs.js'

const GET = ['GET /x HTTP/1.1', 'Host: relay']

/** A chain with its issuer as PEM of its own. */
async function makeIssued(folder: string, name: string, more = '') {
  await mkdir(join(folder, name))
  const { cert, key } = await makeChain(join(folder, name), 2, more)
  return { cert, key, ca: cert.slice(cert.lastIndexOf('-----BEGIN CERTIFICATE')) }
}

test('a service that asks for certificates is asked with another one from its exchange on, and no request fails', async t => {
  const folder = await ownFolder(t)
  const [service, one, two] = await Promise.all([
    makeIssued(folder, 'service', 'subjectAltName = IP:127.0.0.1'),
    makeIssued(folder, 'one'),
    makeIssued(folder, 'two')
  ])
  const shown: string[] = []
  const known = new Set([one, two].map(({ cert }) => new X509Certificate(cert).fingerprint256))
  const server = createServer(
    { cert: service.cert, key: service.key, requestCert: true, rejectUnauthorized: false }, // it looks itself
    (request, response) => {
      const { fingerprint256 = 'none' } = (request.socket as TLSSocket).getPeerX509Certificate() ?? {}
      shown.push(fingerprint256)
      response.writeHead(known.has(fingerprint256) ? 200 : 403).end(known.has(fingerprint256) ? 'ok' : 'no')
    }
  )
  const port = await openServer(t, server)
  const [ca, path] = [join(folder, 'ca.pem'), join(folder, 'client.pem')]
  await writeFile(ca, service.ca)
  await writeFile(path, one.cert + one.key)
  const { own, open, lines } = await startOwnServices(t)
  await own.replace([
    serviceConfig({
      url: `https://127.0.0.1:${port}`,
      caFile: ca,
      credentials: { type: 'client_certificate', place: { kind: 'file', path }, keyPlace: undefined }
    })
  ])
  const failed: string[] = []
  const ask = async () => {
    const { received } = open(GET)
    await until(() => assert.ok(received.hasEnded || received.reset !== undefined, 'no end'))
    if (!received.text.endsWith('ok')) failed.push(received.reset?.message ?? received.text)
  }
  await Promise.all([ask(), ask(), ask()])
  await writeFile(path, two.cert) // its key is still to come
  await eventually('the half of a pair', async () => {
    await ask()
    return lines.some(line => line.includes('cannot use the new credentials'))
  })
  await writeFile(path, two.cert + two.key)
  await eventually('the other certificate', async () => {
    await Promise.all([ask(), ask()])
    return new Set(shown).size === 2
  })
  shown.length = 0
  await Promise.all([ask(), ask(), ask()])
  assert.equal(new Set(shown).size, 1, 'the former one is not shown any more')
  assert.deepEqual(failed, [])
})

test('a service whose certificate is of another issuer than ca_file gets nothing, unless it is insecure', async t => {
  const folder = await ownFolder(t)
  const [service, other] = await Promise.all([makeIssued(folder, 'service'), makeIssued(folder, 'other')])
  let asked = 0
  const server = createServer({ cert: service.cert, key: service.key }, (_request, response) => {
    asked += 1
    response.end('ok')
  })
  const url = `https://127.0.0.1:${await openServer(t, server)}`
  const ca = join(folder, 'ca.pem')
  await writeFile(ca, other.ca)
  const { own, open } = await startOwnServices(t)
  await own.replace([serviceConfig({ url, caFile: ca })])
  const { received } = open(GET)
  await until(() => assert.match(received.reset?.message ?? '', /no answer from the service: /))
  assert.equal(asked, 0)
  await own.replace([serviceConfig({ url, isInsecure: true })])
  const again = open(GET)
  await until(() => assert.match(again.received.text, /ok$/))
})
