import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { type Handler, startSmallRelay } from '../support/relays/small-relay.js'

const PIECE = Buffer.alloc(1024 * 1024, ' ')
/** More than any answer may have, and less than a string can. */
const PIECES = 100

/** Answers with blanks, which never become JSON, until its reader leaves. */
const blanks: Handler = (_, response) => {
  response.writeHead(200)
  Readable.from(Array.from({ length: PIECES }, () => PIECE)).pipe(response)
}

test('an answer that is far too long is not kept in memory, whichever command reads it', async t => {
  const relay = await startSmallRelay(t, {
    'GET nodes/node-1': blanks,
    'POST system/reload': blanks,
    'PUT shared-files/node-2/node-1/other': blanks
  })
  const folder = await temporaryFolder(t)
  const key = join(folder, 'agent.key')
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  await writeFile(key, privateKey.export({ type: 'pkcs1', format: 'pem' }))
  const share = (fileId: string) => [
    ...['share', 'node-2', fileId, key, '--ttl', '1 day', '--source', 'node-1', '--key', key]
  ]
  const shared = await treeline(t, [...share('file'), '--server', relay.url])
  assert.equal(shared.code, 0, shared.stderr)
  const before = await readdir(folder)
  const cases = [
    ['fetch', 'node-1', 'file', join(folder, 'copy'), '--target', 'node-2'],
    ['nodes', 'import'],
    share('other')
  ]
  for (const args of cases) {
    const { code, stderr } = await treeline(t, [...args, '--server', relay.url])
    assert.deepEqual([code, stderr], [1, "treeline: the relay's answer has more than 67108864 bytes\n"], args[0])
  }
  assert.deepEqual(await readdir(folder), before)
})
