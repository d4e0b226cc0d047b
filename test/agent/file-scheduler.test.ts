import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeAgentCertificate } from '../../demo/pki.js'
import { FileScheduler } from '../../src/agent/files/file-scheduler.js'
import { parseAgentConfig } from '../../src/config/agent/agent-parser.js'
import { StableFile } from '../../src/file-exchange/stable-file.js'
import { NO_REVOCATIONS } from '../../src/keys/certificates/revocations.js'
import { type Logger, silentLogger } from '../../src/values/logging/logger.js'
import { eventually } from '../support/eventually.js'
import { holdTimers } from '../support/held-timers.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

/** The file work of an agent whose policy server answers as `listener` does. */
async function setUp(
  t: TestContext,
  listener: RequestListener,
  entries: (folder: string) => string,
  limits: { readonly stalledMs?: number; readonly answerMs?: number } = {}
) {
  const folder = await temporaryFolder(t)
  const own = await makeAgentCertificate({ nodeId: 'a', hostname: 'localhost', kind: 'rsa' })
  await writeFile(join(folder, 'cert'), own.certificatePem)
  await writeFile(join(folder, 'key'), own.privateKeyPem)
  await writeFile(join(folder, 'file'), 'content')
  const upper = createServer({ cert: own.certificatePem, key: own.privateKeyPem }, listener)
  t.after(() => {
    upper.closeAllConnections()
    upper.close()
  })
  upper.listen(0, '127.0.0.1')
  await once(upper, 'listening')
  const { port } = upper.address() as AddressInfo
  const text = `node_id = "a"
certificate_file = "cert"
key_file = "key"
[upstream]
host = "127.0.0.1:${port}"
server_certificate_file = "cert"
[storage]
path = "."
[agent]
stop_timeout = "1s"
${entries(folder)}`
  const logged: string[] = []
  const reasons: string[] = []
  const error = (details: { readonly reason?: string }, message: string) => {
    logged.push(message)
    reasons.push(details.reason ?? '')
  }
  const done: string[] = []
  const info = (_details: object, message: string) => void done.push(message)
  const work = new FileScheduler({
    config: parseAgentConfig(text, '', folder),
    link: { isAwaited: false, secretFor: () => undefined },
    revocations: NO_REVOCATIONS,
    logger: { ...silentLogger, error, info } as Logger,
    ...limits
  })
  return { folder, work, logged, reasons, done }
}

function shareOf(folder: string): string {
  return `[[agent.share]]
target = "b"
file_id = "f"
path = "${join(folder, 'file')}"
ttl = "1h"`
}

function receiveOf(folder: string, fileId: string): string {
  return `[[agent.receive]]
source = "b"
file_id = "${fileId}"
destination = "${join(folder, 'received')}"\n`
}

test('a transfer that does not end is broken off once the time to stop is over', async t => {
  const stopping: Promise<void>[] = []
  let putClosed = (): void => undefined
  const closed = new Promise<void>(resolve => {
    putClosed = resolve
  })
  const { work } = await setUp(
    t,
    (request, response) => {
      if (request.method !== 'PUT') return void response.writeHead(404).end()
      response.on('close', putClosed) // never answered
      request.resume().on('end', () => void stopping.push(work.stop()))
    },
    shareOf
  )
  work.start()
  await closed
  await Promise.all(stopping)
  assert.deepEqual(work.problems, [])
})

test('what keeps all files from being received is a problem that others can see, logged once, until it is over', async t => {
  let asked = 0
  const { folder, work, logged } = await setUp(
    t,
    (_, response) => {
      asked += 1
      response.writeHead(404).end()
    },
    at => receiveOf(at, 'f')
  )
  t.after(() => work.stop())
  const state = join(folder, 'files.json')
  const isOfAll = (problem: string) => problem.startsWith(`files: ${state} cannot be used`)
  await writeFile(state, '{"received":{"b/f')
  work.look()
  await eventually('the problem', () => work.problems.some(isOfAll))
  work.look()
  await writeFile(state, '{}')
  await eventually('the end of it', () => {
    work.look()
    return asked > 0 && !work.problems.some(isOfAll)
  })
  assert.deepEqual(
    logged.filter(message => message.includes('files')),
    ['cannot process files now; trying again']
  )
})

test('a transfer that hangs is broken off when the link opens again, and all is looked at anew', async t => {
  const asked: string[] = []
  const { work, reasons } = await setUp(
    t,
    (request, response) => {
      asked.push(new URL(request.url ?? '', 'https://localhost').searchParams.get('file_id') ?? '')
      if (asked.length > 1) response.writeHead(404).end() // the first one is never answered
    },
    folder => receiveOf(folder, 'one') + receiveOf(folder, 'other'),
    { stalledMs: 0 }
  )
  t.after(() => work.stop())
  work.look()
  await eventually('the first request', () => asked.length === 1)
  work.look()
  work.lookAtAll()
  assert.ok(await eventually('the reason', () => reasons.some(reason => reason.startsWith('the transfer hung'))))
  await eventually('both files', () => asked.slice(1).includes('one') && asked.slice(1).includes('other'))
})

test('an upload whose answer is awaited, and a file that is being hashed, go on when the link opens again', async t => {
  const { work, reasons, done } = await setUp(
    t,
    (request, response) => {
      request.resume().on('end', () => {
        if (request.method === 'PUT') work.lookAtAll() // the HEADs of later looks are no uploads
        setImmediate(() => response.writeHead(200).end())
      })
    },
    shareOf,
    { stalledMs: 0 }
  )
  t.after(() => work.stop())
  const hash = StableFile.prototype.hash
  t.mock.method(StableFile.prototype, 'hash', function (this: StableFile, algorithm: 'sha512') {
    work.lookAtAll()
    return hash.call(this, algorithm)
  })
  work.start()
  await eventually('the end', () => done.includes('file shared') || reasons.length > 0)
  assert.deepEqual(reasons, [])
})

test('an answer that is awaited too long after the link opened again is given up', async t => {
  const { work, reasons } = await setUp(
    t,
    request => void request.resume().on('end', () => work.lookAtAll()), // never answered
    shareOf,
    { answerMs: 50 }
  )
  t.after(() => work.stop())
  work.start()
  await eventually('the reason', () => reasons.some(reason => reason.startsWith('the transfer hung')))
})

test('a download whose first byte is awaited goes on when the link opens again', async t => {
  const { work, reasons } = await setUp(
    t,
    (request, response) => {
      if (request.url?.includes('?') === true) {
        return void response.end(JSON.stringify({ files: [{ source: 'b', file_id: 'f', hash: 'of it' }] }))
      }
      work.lookAtAll()
      setImmediate(() => response.writeHead(404).end('gone by now'))
    },
    folder => receiveOf(folder, 'f'),
    { stalledMs: 0 }
  )
  t.after(() => work.stop())
  work.look()
  const reason = await eventually('the reason', () => reasons[0])
  assert.match(reason, /refused \(404\): gone by now/)
})

test('work under way comes to its end when the agent takes another configuration', async t => {
  let asked = 0
  const { work, reasons } = await setUp(
    t,
    (_, response) => {
      asked += 1
      if (asked === 1) work.restart()
      setImmediate(() => response.end(JSON.stringify({ files: [] })))
    },
    folder => receiveOf(folder, 'f'),
    { stalledMs: 0 }
  )
  t.after(() => work.stop())
  work.look()
  await eventually('the second look', () => asked > 1 || reasons.length > 0)
  assert.deepEqual([asked, reasons], [2, []])
})

/** The waits before a file that failed is tried again: between the wait after a change and that of the next look. */
const isRetry = (ms: number) => ms >= 15_000 && ms < 30_000

/** An entry to receive, at a policy server whose answer is set by `answer`. `look` resolves when a try has failed. */
async function setUpFailing(t: TestContext) {
  const timers = holdTimers(t, isRetry)
  const answer = { status: 403, body: 'not for you' }
  const tried = await setUp(
    t,
    (_, response) => void response.writeHead(answer.status).end(answer.body),
    folder => receiveOf(folder, 'f')
  )
  t.after(() => tried.work.stop())
  async function failed(cause: () => void): Promise<void> {
    const { begun } = timers
    cause()
    await eventually('the next failure', () => timers.begun > begun)
  }
  async function succeeds(): Promise<void> {
    Object.assign(answer, { status: 200, body: '{"files":[]}' })
    tried.work.look()
    await eventually('the success', () => tried.work.problems.length === 0)
  }
  return { ...tried, timers, answer, failed, succeeds }
}

test('a file that fails is tried again by one timer, however often it was looked for, and by none once it is there', async t => {
  const { work, timers, failed, succeeds } = await setUpFailing(t)
  for (let looks = 0; looks < 4; looks++) await failed(() => work.look())
  assert.equal(timers.count, 1)
  await failed(() => timers.fire())
  assert.equal(timers.count, 1)
  await succeeds()
  assert.equal(timers.count, 0)
})

test('the failure of a file is logged once, and again when it is another one or has come back', async t => {
  const { work, reasons, answer, failed, succeeds } = await setUpFailing(t)
  const fail = async (body: string) => {
    Object.assign(answer, { status: 403, body })
    await failed(() => work.look())
  }
  for (const body of ['not for you', 'not for you', 'not now', 'not now']) await fail(body)
  await succeeds()
  await fail('not now')
  const logged = reasons.map(reason => reason.slice(reason.lastIndexOf('not')))
  assert.deepEqual(logged, ['not for you', 'not now', 'not now'])
})

test('changes of a shared file that come in quick succession wait on one timer', async t => {
  const timers = holdTimers(t, ms => ms === 500)
  const { folder, work } = await setUp(t, (_, response) => void response.writeHead(404).end(), shareOf)
  t.after(() => work.stop())
  work.start()
  await eventually('some changes', async () => {
    await writeFile(join(folder, 'file'), `content ${timers.begun}`)
    await writeFile(join(folder, 'other'), 'not shared')
    return timers.begun >= 5
  })
  assert.equal(timers.count, 1)
})
