import assert from 'node:assert/strict'
import { KeyObject, webcrypto } from 'node:crypto'
import { once } from 'node:events'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect, createServer as createTlsServer } from 'node:tls'
import { Client } from 'undici'
import { x509 as loadX509 } from '../../src/membership/x509.js'
import { describeConnectionFailure, isUntrustedCertificate } from '../../src/network/connection-failure.js'
import { openServer } from '../support/network/open-server.js'

const DAY_MS = 24 * 3_600_000

/** A certificate of its own for localhost, whose life begins and ends so many days from now. */
async function certificateFor(fromDays: number, toDays: number): Promise<{ cert: string; key: string }> {
  const x509 = await loadX509()
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=localhost',
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() + fromDays * DAY_MS),
    notAfter: new Date(Date.now() + toDays * DAY_MS),
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        { type: 'url', value: 'urn:x' }
      ])
    ]
  })
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString()
  return { cert: certificate.toString('pem'), key }
}

/** The error of a TLS connection to a server with that certificate. */
async function failureAgainst(t: TestContext, own: { cert: string; key: string }, options: ConnectionOptions) {
  const server = createTlsServer({ ...own, maxVersion: 'TLSv1.3' })
  server.on('tlsClientError', () => undefined)
  return failureAt(await openServer(t, server), { servername: 'localhost', ...options })
}

async function failureAt(port: number, options: ConnectionOptions): Promise<Error> {
  const socket = connect({ host: '127.0.0.1', port, ...options })
  const [error] = (await once(socket, 'error')) as [Error]
  socket.destroy()
  return error
}

test('what is wrong with a certificate, and what to do about it', async t => {
  const good = await certificateFor(-1, 1)
  const future = await certificateFor(1, 2)
  const past = await certificateFor(-2, -1)
  const cases: readonly [string, { cert: string; key: string }, ConnectionOptions, RegExp][] = [
    ['its clock', future, { ca: future.cert }, /^its certificate is not valid yet: check the clock of this machine/],
    ['its end', past, { ca: past.cert }, /^its certificate has ended: renew it there, or check the clock/],
    ['its issuer', good, {}, /^its certificate is issued by nobody whom this machine trusts \(/],
    [
      'its name',
      good,
      { ca: good.cert, servername: 'other.example.com' },
      /^its certificate is for other names than the one it was asked by: DNS:localhost \(/
    ]
  ]
  for (const [name, own, options, text] of cases) {
    await t.test(name, async t => {
      const error = await failureAgainst(t, own, options)
      assert.match(describeConnectionFailure(error), text)
      assert.equal(isUntrustedCertificate(error), name === 'its issuer')
    })
  }
})

test('a cause is looked for within, and what is not known is said as it is', () => {
  const notFound = Object.assign(new Error('getaddrinfo ENOTFOUND relay.example.com'), { code: 'ENOTFOUND' })
  const wrapped = new TypeError('fetch failed', { cause: new AggregateError([notFound]) })
  assert.match(describeConnectionFailure(wrapped), /^its host name cannot be resolved: check the name/)
  assert.equal(describeConnectionFailure(new Error('something else')), 'something else')
  assert.equal(describeConnectionFailure('text'), 'text')
})

/** A port where every connection gets these bytes, and its end. */
function portThatSays(t: TestContext, bytes: Buffer): Promise<number> {
  return openServer(
    t,
    createServer(socket => void socket.resume().end(bytes))
  )
}

async function failureOfRequest(t: TestContext, port: number): Promise<unknown> {
  const client = new Client(`http://127.0.0.1:${port}`)
  t.after(() => client.destroy())
  return client.request({ method: 'GET', path: '/' }).catch((reason: unknown) => reason)
}

test('TLS to a plain port, plain HTTP to a port for TLS, and nobody there', async t => {
  const plain = await portThatSays(t, Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))
  const asTls = await failureAt(plain, {})
  assert.match(describeConnectionFailure(asTls), /^it does not speak TLS: this is a port for plain HTTP/)

  const alert = Buffer.from([21, 3, 3, 0, 2, 2, 70]) // what TLS says to a plain request
  const asPlain = await failureOfRequest(t, await portThatSays(t, alert))
  assert.match(describeConnectionFailure(asPlain), /^what it sends is not HTTP: is this a port for TLS/)

  const closed = createServer()
  closed.listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  const refused = await failureOfRequest(t, port)
  assert.equal(describeConnectionFailure(refused), 'connection refused: nothing listens there (ECONNREFUSED)')
})

/** The error of an HTTPS request, which writes before the other side has said anything, as joins and links do. */
async function failureOfHttps(port: number, options: RequestOptions): Promise<Error> {
  const request = httpsRequest({ host: '127.0.0.1', port, agent: false, rejectUnauthorized: false, ...options }).end()
  const [error] = (await once(request, 'error')) as [Error]
  return error
}

test('a TLS fault that comes with a write (EPROTO) is told as any other, in one line', async t => {
  const plain = await portThatSays(t, Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))
  const atPlain = await failureOfHttps(plain, { minVersion: 'TLSv1.3' })
  assert.equal(
    describeConnectionFailure(atPlain),
    'it does not speak TLS: this is a port for plain HTTP (ERR_SSL_WRONG_VERSION_NUMBER)'
  )

  const old = createTlsServer({ ...(await certificateFor(-1, 1)), maxVersion: 'TLSv1.2' })
  old.on('tlsClientError', () => undefined)
  const atOld = await failureOfHttps(await openServer(t, old), { minVersion: 'TLSv1.3' })
  assert.equal(describeConnectionFailure(atOld), 'it does not speak TLS 1.3 (ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION)')

  const alert = await failureOfHttps(await portThatSays(t, Buffer.from([21, 3, 3, 0, 2, 2, 80])), {})
  assert.equal(
    describeConnectionFailure(alert),
    'TLS failed: tlsv1 alert internal error (ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR)'
  )
})

test('a time limit that passed is told as the silence that it is', async t => {
  const silent = await openServer(
    t,
    createServer(socket => void socket.on('error', () => undefined).resume())
  )
  const error = await failureOfHttps(silent, { signal: AbortSignal.timeout(1) })
  assert.equal(describeConnectionFailure(error), 'it does not answer within the time limit')
})
