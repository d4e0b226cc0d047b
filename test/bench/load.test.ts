import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { LoadOptions, LoadResult } from '../../bench/support/load.js'

const PROGRAM = fileURLToPath(new URL('../../bench/support/load-program.ts', import.meta.url))

async function serve(t: TestContext, listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}

async function generate(options: LoadOptions): Promise<{ code: number; result: LoadResult | undefined }> {
  const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'ignore']
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  const [code] = (await once(child, 'close')) as [number]
  return { code, result: text === '' ? undefined : (JSON.parse(text) as LoadResult) }
}

test('every HEAD is counted once, by its status', async t => {
  let asked = 0
  const port = await serve(t, (request, response) => {
    assert.equal(request.method, 'HEAD')
    asked += 1
    response.statusCode = asked % 4 === 0 ? 404 : 200
    response.end()
  })
  const { result } = await generate({ port, method: 'HEAD', path: '/x', connections: 5, count: 200 })
  assert.deepEqual(
    { requests: result?.requests, statuses: result?.statuses, asked },
    {
      requests: 200,
      statuses: { '200': 150, '404': 50 },
      asked: 200
    }
  )
})

test('PUTs carry the body, each its own number, and answers in parts are understood', async t => {
  const paths = new Set<string>()
  let bytes = 0
  const port = await serve(t, (request, response) => {
    paths.add(request.url ?? '')
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    request.on('end', () => {
      response.setHeader('content-length', 6)
      response.write('abc')
      setImmediate(() => response.end('def'))
    })
  })
  const options = { port, method: 'PUT', path: '/f-{n}', connections: 3, count: 50, bodyFile: PROGRAM } as const
  const { result } = await generate(options)
  assert.equal(result?.statuses['200'], 50)
  assert.equal(paths.size, 50)
  assert.equal(bytes % 50, 0)
  assert.ok(bytes > 0)
})

test('a paced load keeps to its pace, whatever the server could do', async t => {
  const port = await serve(t, (_request, response) => response.end())
  const { result } = await generate({ port, method: 'HEAD', path: '/', connections: 5, perSecond: 100, count: 20 })
  assert.equal(result?.requests, 20)
})

test('a server that closes a connection is a failure, not a number', async t => {
  const port = await serve(t, request => request.socket.destroy())
  const { code, result } = await generate({ port, method: 'HEAD', path: '/', connections: 2, count: 10 })
  assert.equal(code, 1)
  assert.equal(result, undefined)
})
