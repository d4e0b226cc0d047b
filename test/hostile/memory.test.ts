import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { formatMetadata } from '../../src/keys/signatures/file-metadata.js'
import { signFile } from '../../src/keys/signatures/sign-file.js'
import { ask } from '../support/network/http.js'
import { residentBytes } from '../support/relays/relay-health.js'
import { startTree } from '../support/relays/relay-tree.js'

const MIB = 1024 * 1024
const SIZE_BYTES = 256 * MIB
/** Coarse: the file is several times as large, so that holding even half of it shows. */
const MEMORY_BYTES = 110 * MIB
const RELAYS = [
  { id: 'root', under: 'root', nodes: ['n1', 'n2'] },
  { id: 'sub', under: 'root', nodes: ['s1'] }
]

/** The file's bytes, the same each time, without holding them. */
function* bytesOfFile(piece: Buffer): Generator<Buffer> {
  for (let sent = 0; sent < SIZE_BYTES; sent += piece.length) yield piece
}

async function* bodyOf(metadata: string, piece: Buffer): AsyncGenerator<Buffer> {
  yield Buffer.from(`${metadata}\n`)
  yield* bytesOfFile(piece)
}

test('a file of 256 MiB over two relays: whole, and neither holds it in memory', async t => {
  const tree = await startTree(t, { relays: RELAYS, settings: { shared_files: ['max_body_size = "1GiB"'] } })
  const root = tree.relay('root')
  const sender = tree.member('n2')
  const piece = randomBytes(MIB)
  const hash = createHash('sha512')
  for (const bytes of bytesOfFile(piece)) hash.update(bytes)
  const hashValue = hash.digest('hex')
  const metadata = formatMetadata(
    signFile(
      { kind: 'rsa', key: sender.certificate.privateKey },
      { target: 's1', source: 'n2', fileId: 'large' },
      { algorithm: 'sha512', hashValue, signedAtMs: Date.now() },
      {}
    )
  )
  const pids = ['root', 'sub'].map(id => tree.processes.get(id)?.pid ?? 0)
  const before = await Promise.all(pids.map(residentBytes))
  const most = [...before]
  const watching = new AbortController()
  const watch = async () => {
    while (!watching.signal.aborted) {
      for (const [index, pid] of pids.entries()) most[index] = Math.max(most[index] ?? 0, await residentBytes(pid))
      await delay(50)
    }
  }
  const watched = watch()
  const path = '/shared-files/s1/n2/large'
  const put = await ask(root, `${path}?ttl=1h`, { method: 'PUT', body: Readable.from(bodyOf(metadata, piece)) })
  assert.deepEqual([put.status, put.text], [200, ''])

  const stored = createHash('sha512')
  await pipeline(createReadStream(join(tree.relay('sub').sharedFilesPath, 's1/files/n2/large')), stored)
  assert.equal(stored.digest('hex'), hashValue)
  watching.abort()
  await watched
  for (const [index, bytes] of most.entries()) {
    const grown = bytes - (before[index] ?? 0)
    assert.ok(grown < MEMORY_BYTES, `relay ${index}: ${Math.round(grown / MIB)} MiB more than before`)
    t.diagnostic(`relay ${index}: ${Math.round(grown / MIB)} MiB above idle`)
  }
})
