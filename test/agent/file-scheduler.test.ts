import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeAgentCertificate } from '../../demo/pki.js'
import { FileScheduler } from '../../src/agent/file-scheduler.js'
import { parseAgentConfig } from '../../src/config/agent/agent-parser.js'
import { NO_REVOCATIONS } from '../../src/values/keys/revocations.js'
import { type Logger, silentLogger } from '../../src/values/logging/logger.js'
import { eventually } from '../support/eventually.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

test('a transfer that does not end is broken off once the time to stop is over', async t => {
  const folder = await temporaryFolder(t)
  const own = await makeAgentCertificate({ nodeId: 'a', hostname: 'localhost', kind: 'rsa' })
  await writeFile(join(folder, 'cert'), own.certificatePem)
  await writeFile(join(folder, 'key'), own.privateKeyPem)
  await writeFile(join(folder, 'file'), 'content')
  const upper = createServer({ cert: own.certificatePem, key: own.privateKeyPem })
  t.after(() => upper.close())
  const putClosed = new Promise<void>(resolve => {
    upper.on('request', (request, response) => {
      if (request.method !== 'PUT') return void response.writeHead(404).end()
      response.on('close', resolve) // never answered
      request.resume().on('end', () => void stopping.push(work.stop()))
    })
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
[[agent.share]]
target = "b"
file_id = "f"
path = "${join(folder, 'file')}"
ttl = "1h"`
  const link = { isAwaited: false, secretFor: () => undefined }
  const work = new FileScheduler({
    config: parseAgentConfig(text, '', folder),
    link,
    revocations: NO_REVOCATIONS,
    logger: silentLogger
  })
  const stopping: Promise<void>[] = []
  work.start()
  await putClosed
  await Promise.all(stopping)
  assert.deepEqual(work.problems, [])
})

test('what keeps all files from being received is a problem that others can see, logged once, until it is over', async t => {
  const folder = await temporaryFolder(t)
  const own = await makeAgentCertificate({ nodeId: 'a', hostname: 'localhost', kind: 'rsa' })
  await writeFile(join(folder, 'cert'), own.certificatePem)
  await writeFile(join(folder, 'key'), own.privateKeyPem)
  let asked = 0
  const upper = createServer({ cert: own.certificatePem, key: own.privateKeyPem }, (_, response) => {
    asked += 1
    response.writeHead(404).end()
  })
  t.after(() => upper.close())
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
[[agent.receive]]
source = "b"
file_id = "f"
destination = "${join(folder, 'received')}"`
  const logged: string[] = []
  const work = new FileScheduler({
    config: parseAgentConfig(text, '', folder),
    link: { isAwaited: false, secretFor: () => undefined },
    revocations: NO_REVOCATIONS,
    logger: { ...silentLogger, error: (_: object, message: string) => void logged.push(message) } as Logger
  })
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
