import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http2'
import { join } from 'node:path'
import { test } from 'node:test'
import { openServer } from '../../support/network/open-server.js'
import { ownFolder, serviceConfig, startOwnServices } from '../../support/parts/own-services.js'
import { until } from '../../support/parts/stream-pairs.js'

test('a service in HTTP/2 gets its credentials, too, and one that has changed after a 401', async t => {
  const seen: unknown[] = []
  const server = createServer((request, response) => {
    seen.push(request.headers['x-api-key'])
    response.writeHead(request.headers['x-api-key'] === 'new' ? 200 : 401).end('answered')
  })
  const port = await openServer(t, server as never)
  const path = join(await ownFolder(t), 'secret')
  await writeFile(path, 'old')
  const { own, open } = await startOwnServices(t)
  const place = { kind: 'file', path } as const
  const credentials = { type: 'header', place, header: 'X-Api-Key' } as const
  await own.replace([serviceConfig({ url: `http://127.0.0.1:${port}`, protocol: 'h2c', credentials })])
  const ask = async () => {
    const { received } = open(['GET /x HTTP/1.1', 'Host: relay', 'X-Api-Key: mine'])
    await until(() => assert.ok(received.hasEnded, 'no end'))
    return received.text
  }
  assert.match(await ask(), /401/)
  await writeFile(path, 'new')
  assert.match(await ask(), /HTTP\/1.1 200 [\s\S]*answered$/)
  assert.deepEqual(seen, ['old', 'old', 'new'])
})
