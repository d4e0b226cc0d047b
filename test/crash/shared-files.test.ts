import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createHash, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseMetadata } from '../../src/keys/signatures/file-metadata.js'
import { readPublicKey, verifyFileSignature } from '../../src/keys/signatures/verify-file.js'
import { orLong } from '../support/long.js'
import { originOf, rsaKey, startSharedFiles, TestHop, type TestRelay } from '../support/parts/shared-file-relays.js'
import type { WriterLine } from '../support/work/shared-file-writer.js'

const WRITER = fileURLToPath(new URL('../support/work/shared-file-writer.ts', import.meta.url))
const ROUNDS = orLong(4, 20)

/** Runs the writer and kills it after some of its lines. @returns all that it said */
async function writeUntilKilled(folder: string, round: number): Promise<WriterLine[]> {
  assert.equal(rsaKey.kind, 'rsa')
  const pem = rsaKey.kind === 'rsa' ? rsaKey.key.export({ format: 'pem', type: 'pkcs8' }) : ''
  const key = Buffer.from(pem).toString('base64')
  const writer: ChildProcessByStdio<null, Readable, null> = spawn(
    process.execPath,
    ['--import', 'tsx', WRITER, folder, key, String(round)],
    { stdio: ['ignore', 'pipe', 'inherit'] }
  )
  const lines: WriterLine[] = []
  const killAfter = randomInt(1, 300)
  createInterface({ input: writer.stdout }).on('line', text => {
    lines.push(JSON.parse(text))
    if (lines.length === killAfter) writer.kill('SIGKILL')
  })
  await once(writer, 'close')
  assert.ok(lines.length >= killAfter, 'the writer ended by itself')
  return lines
}

/** Checks every name on disk: it is a whole, verified file that was begun, and no older than the last acknowledged. */
async function checkWhole(relay: TestRelay, lines: readonly WriterLine[]): Promise<void> {
  const acknowledged = new Map<string, number>()
  for (const { event, path, count } of lines) {
    if (event === 'acknowledged') acknowledged.set(path, Math.max(count, acknowledged.get(path) ?? 0))
  }
  const began = new Map(lines.map(({ path, hash, count }) => [`${path} ${hash}`, count]))
  const found = [...keptFiles(relay), ...(await waitingFiles(relay))]
  for (const { path, content, metadataText } of found) {
    const metadata = parseMetadata(metadataText)
    const hash = createHash('sha512').update(content).digest()
    const [target = '', source = '', fileId = ''] = path.split('/')
    verifyFileSignature(metadata, readPublicKey(metadata), { target, source, fileId }, hash)
    const count = began.get(`${path} ${hash.toString('hex')}`)
    assert.ok(count !== undefined, `${path} was never put`)
    assert.ok(count >= (acknowledged.get(path) ?? 0), `${path} is older than what was acknowledged`)
  }
  const paths = found.map(({ path }) => path)
  assert.equal(new Set(paths).size, paths.length)
  for (const path of acknowledged.keys()) assert.ok(paths.includes(path), `${path} is lost`)
}

interface FoundFile {
  readonly path: string
  readonly content: Buffer
  readonly metadataText: string
}

function keptFiles(relay: TestRelay): FoundFile[] {
  const folder = join(relay.folder, 'shared-files/n1/files/n1')
  if (!existsSync(folder)) return []
  const names = readdirSync(folder)
  const files = names.filter(name => !name.endsWith('.metadata'))
  assert.equal(names.length, 2 * files.length, 'a file without metadata, or metadata without a file')
  return files.map(name => ({
    path: `n1/n1/${name}`,
    content: readFileSync(join(folder, name)),
    metadataText: readFileSync(join(folder, `${name}.metadata`), 'utf8')
  }))
}

async function waitingFiles(relay: TestRelay): Promise<FoundFile[]> {
  const entries = await relay.files.outbox.list()
  const folder = join(relay.folder, 'shared-files/.outbox~')
  assert.deepEqual(readdirSync(folder).sort(), entries.map(({ id }) => id).sort())
  const select = relay.db.prepare<[string], string>('SELECT metadata FROM outbox WHERE id = ?').pluck()
  return entries.map(({ id, key }) => ({
    path: `${key.target}/${key.source}/${key.fileId}`,
    content: readFileSync(join(folder, id)),
    metadataText: select.get(id) ?? ''
  }))
}

test('killed at any moment, everything acknowledged is there, whole, and nothing else', async t => {
  const { folder, stop } = await startSharedFiles(t)
  await stop()
  const lines: WriterLine[] = []
  for (let round = 1; round <= ROUNDS; round += 1) {
    lines.push(...(await writeUntilKilled(folder, round)))
    const relay = await startSharedFiles(t, { folder, hops: [new TestHop('relay')] })
    assert.deepEqual(readdirSync(join(folder, 'shared-files/.incoming~')), [])
    await checkWhole(relay, lines)
    assert.ok(!existsSync(join(folder, 'shared-files/lost~')), 'nothing has lost its record')
    for (const { path, content } of keptFiles(relay)) {
      const [target = '', source = '', fileId = ''] = path.split('/')
      const hash = createHash('sha512').update(content).digest('hex')
      assert.equal(await relay.files.head({ target, source, fileId }, hash, originOf()), true)
    }
    await relay.stop()
  }
})
