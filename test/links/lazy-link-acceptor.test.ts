import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { pino } from 'pino'
import { createLazyLinkAcceptor } from '../../src/links/upper/accepting/lazy-link-acceptor.js'
import type { LinkAcceptor } from '../../src/links/upper/accepting/link-acceptor.js'
import { LinkRegistry } from '../../src/links/upper/link-registry.js'

const logger = pino({ level: 'silent' })

/** A late acceptor whose real one is there when the test says so. */
function late() {
  const asked: unknown[] = []
  let closed = 0
  let maxPending: number | undefined
  const real: LinkAcceptor = {
    takes: () => true,
    limitPending: max => {
      maxPending = max
    },
    upgrade: (request, _socket, head) => asked.push(`${request.url} ${head}`),
    close: () => {
      closed += 1
    }
  }
  let loads = 0
  const { promise: code, resolve, reject } = withResolvers<() => LinkAcceptor>()
  const registry = new LinkRegistry({ max: 10, logger })
  const acceptor = createLazyLinkAcceptor(
    { selfId: 'root', registry, admit: () => ({ refused: 'no' }), logger },
    () => {
      loads += 1
      return code
    }
  )
  const ask = (url: string) => {
    const socket = new PassThrough()
    acceptor.upgrade({ url } as IncomingMessage, socket, Buffer.from('head'))
    return socket
  }
  const isLoaded = async () => {
    resolve(() => real)
    await code
    await new Promise(setImmediate)
  }
  return {
    acceptor,
    asked,
    ask,
    isLoaded,
    reject,
    maxPending: () => maxPending,
    loads: () => loads,
    closed: () => closed
  }
}

function withResolvers<T>() {
  let resolve: (value: T) => void = () => undefined
  let reject: (error: Error) => void = () => undefined
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue
    reject = onError
  })
  return { promise, resolve, reject }
}

test('nothing is loaded before somebody asks for a link, and then once', async () => {
  const { acceptor, ask, asked, isLoaded, loads } = late()
  assert.equal(acceptor.takes({ url: '/v1/relay/register?x=1' } as IncomingMessage), true)
  assert.equal(acceptor.takes({ url: '/v1/relay/links' } as IncomingMessage), false)
  assert.equal(loads(), 0)
  for (const url of ['1', '2', '3']) ask(url)
  assert.deepEqual(asked, [])
  await isLoaded()
  ask('4')
  assert.deepEqual(asked, ['1 head', '2 head', '3 head', '4 head'])
  assert.equal(loads(), 1)
})

test('the bound of its handshakes is that of the one that is loaded', async () => {
  const { acceptor, ask, isLoaded, maxPending } = late()
  acceptor.limitPending(5)
  ask('1')
  await isLoaded()
  assert.equal(maxPending(), 5)
  acceptor.limitPending(6)
  assert.equal(maxPending(), 6)
})

test('whoever goes while it is loaded does no harm', async () => {
  const { ask, asked, isLoaded } = late()
  ask('1').destroy(new Error('reset'))
  await isLoaded()
  assert.deepEqual(asked, ['1 head'])
})

test('closed while it is loaded, it is closed for those who wait', async () => {
  const { acceptor, ask, asked, isLoaded, closed } = late()
  ask('1')
  acceptor.close()
  await isLoaded()
  assert.equal(closed(), 1)
  assert.deepEqual(asked, ['1 head'])
})

test('where it cannot be loaded, those who wait are cut off, and it is tried again', async () => {
  const { ask, reject, loads } = late()
  const socket = ask('1')
  const gone = new Promise(resolve => socket.once('close', resolve))
  reject(new Error('no such file'))
  await gone
  ask('2')
  assert.equal(loads(), 2)
})
