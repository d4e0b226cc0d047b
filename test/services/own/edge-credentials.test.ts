import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { CredentialsConfig } from '../../../src/config/services/service-config.js'
import { formatTrailers } from '../../../src/services/exchange/exchange-messages.js'
import { ownFolder, serviceConfig, startOwnServices } from '../../support/parts/own-services.js'
import { until } from '../../support/parts/stream-pairs.js'

const GET = ['GET /x HTTP/1.1', 'Host: relay']
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const REFUSED = 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno'

for (const [type, secret, header] of [
  ['bearer', 'abc\n', 'Authorization: Bearer abc'],
  ['token', 'abc', 'Authorization: Token abc'],
  ['basic', 'robot:a b:c\r\n', `Authorization: Basic ${Buffer.from('robot:a b:c').toString('base64')}`],
  ['header', ' abc ', 'X-Api-Key: abc']
] as const) {
  test(`a service with credentials of type ${type} gets them in place of the caller's`, async t => {
    const { own, open, next, url } = await startOwnServices(t)
    const path = join(await ownFolder(t), 'secret')
    await writeFile(path, secret)
    const place = { kind: 'file', path } as const
    const credentials: CredentialsConfig = type === 'header' ? { type, place, header: 'X-Api-Key' } : { type, place }
    await own.replace([serviceConfig({ url, credentials })])
    const name = header.slice(0, header.indexOf(':'))
    const lines = [`${name}: mine`, `${name.toLowerCase().replaceAll('-', '_')}: mine`, `${name.toUpperCase()}: mine`]
    const { received } = open([...GET, ...lines, 'X-Other: stays'])
    const service = await next()
    const head = await service.until(/\r\n\r\n$/)
    assert.equal(head, `GET /x HTTP/1.1\r\nHost: ${new URL(url).host}\r\nX-Other: stays\r\n${header}\r\n\r\n`)
    service.send(OK)
    await until(() => assert.ok(received.text.endsWith('ok'), 'no answer'))
  })
}

test('a service without credentials gets those of the caller, and with host = "keep" the Host that it asked for', async t => {
  const { own, open, next, url } = await startOwnServices(t)
  await own.replace([serviceConfig({ url, keepsHost: true })])
  open([...GET, 'Authorization: Bearer mine'])
  assert.equal(
    await (await next()).until(/\r\n\r\n$/),
    'GET /x HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer mine\r\n\r\n'
  )
})

test("a caller's trailer with the name of the credentials does not reach the service", async t => {
  const { own, open, next, url } = await startOwnServices(t)
  const path = join(await ownFolder(t), 'secret')
  await writeFile(path, 'abc')
  const place = { kind: 'file', path } as const
  await own.replace([serviceConfig({ url, credentials: { type: 'header', place, header: 'X-Api-Key' } })])
  const { stream } = open(['POST /x HTTP/1.1', 'Host: relay'], { body: 'chunked' })
  stream.write(Buffer.from('data'))
  stream.message(formatTrailers(['X-Api-Key', 'mine', 'x_api_key', 'mine', 'X-Sum', '1']))
  stream.end()
  assert.match(await (await next()).until(/0\r\n[\s\S]*\r\n\r\n$/), /\r\n0\r\nX-Sum: 1\r\n\r\n$/)
})

test('a request that was refused is sent once more when the credential has changed meanwhile', async t => {
  const { own, open, next, url } = await startOwnServices(t)
  const path = join(await ownFolder(t), 'secret')
  await writeFile(path, 'old')
  await own.replace([serviceConfig({ url, credentials: { type: 'bearer', place: { kind: 'file', path } } })])
  const { received } = open(GET)
  const first = await next()
  await first.until(/Bearer old\r\n/)
  await writeFile(path, 'new')
  first.send(REFUSED)
  const second = await next()
  await second.until(/Bearer new\r\n/)
  second.send(REFUSED) // not a third time
  await until(() => assert.match(received.text, /401 Unauthorized[\s\S]*no$/))
  await until(() => assert.ok(received.hasEnded, 'the answer did not end'))
})

for (const [what, head, facts, body] of [
  ['whose credential is the same', GET, {}, ''],
  ['with a body', ['PUT /x HTTP/1.1', 'Host: relay', 'Content-Length: 2'], { body: 'length' }, 'hi'],
  ['that is not repeatable', ['POST /x HTTP/1.1', 'Host: relay'], {}, '']
] as const) {
  test(`the answer 401 to a request ${what} goes to the caller`, async t => {
    const { own, open, next, url, lines } = await startOwnServices(t)
    const path = join(await ownFolder(t), 'secret')
    await writeFile(path, 'old')
    await own.replace([serviceConfig({ url, credentials: { type: 'bearer', place: { kind: 'file', path } } })])
    const { stream, received } = open(head, facts)
    if (body !== '') stream.write(Buffer.from(body))
    stream.end()
    const service = await next()
    await service.until(new RegExp(`\r\n\r\n${body}$`))
    if (head !== GET) await writeFile(path, 'new')
    service.send(REFUSED)
    await until(() => assert.match(received.text, /401 Unauthorized[\s\S]*no$/))
    if (head !== GET) await until(() => assert.match(lines.join(), /a service has other credentials/))
    open(GET)
    await service.until(head === GET ? /Bearer old[\s\S]*Bearer old/ : /Bearer old[\s\S]*Bearer new/) // on the same connection
  })
}

test('a request is refused while there are no credentials, and reaches the service as soon as there are', async t => {
  const { own, open, next, url, accepted, lines } = await startOwnServices(t)
  const path = join(await ownFolder(t), 'secret')
  await own.replace([serviceConfig({ url, credentials: { type: 'bearer', place: { kind: 'file', path } } })])
  const { received } = open([...GET, 'Authorization: Bearer mine'])
  await until(() => assert.match(received.reset?.message ?? '', /its credentials.file cannot be used/))
  assert.ok(!received.reset?.message.includes(path), 'callers are shown no paths')
  assert.equal(accepted.length, 0)
  assert.match(lines.join('\n'), /"key":"builds".*there is no such file/)
  await writeFile(path, 'abc')
  await until(() => {
    open(GET)
    assert.ok(accepted.length > 0, 'not asked')
  })
  await (await next()).until(/Bearer abc\r\n/)
})
