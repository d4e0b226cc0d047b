import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TreeRelay } from '../../demo/relay-tree.js'
import { parseMetadata } from '../../src/keys/signatures/file-metadata.js'
import { readPublicKey, verifyFileSignature } from '../../src/keys/signatures/verify-file.js'
import { orLong } from '../support/long.js'
import { ask } from '../support/network/http.js'
import { startTree } from '../support/relays/relay-tree.js'
import { chooseSeed, seededRandom } from '../support/seeded-random.js'
import { putUntilGone, type SentFile } from '../support/work/put-stream.js'
import { type SignedFile, signContent } from '../support/work/signed-files.js'

const KILLS = orLong(4, 20)
const IN_FLIGHT = 50
/** A relay is killed when it has said yes so often, at the latest. */
const MOST_ACKNOWLEDGED = 150
/** `sub` is never there, so what is for `s1` goes to the outbox. */
const RELAYS = [
  { id: 'root', under: 'root', nodes: ['n1', 'n2'] },
  { id: 'sub', under: 'root', nodes: ['s1'] }
]

interface Entry {
  readonly id: string
  readonly target: string
  readonly source: string
  readonly file_id: string
  readonly state: string
}

function nameOf({ target, source, fileId }: Pick<SentFile, 'target' | 'source' | 'fileId'>): string {
  return `${target}/${source}/${fileId}`
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : []
}

/** The copy with these bytes must be one that was sent, and not one that a later, acknowledged copy had replaced. */
function checkCopy(file: SentFile | undefined, name: string, bytes: Buffer): SignedFile {
  assert.ok(file !== undefined, `${name} was never sent`)
  const index = file.sent.findLastIndex(({ content }) => content.equals(bytes))
  assert.ok(index >= 0, `${name} is not whole: ${bytes.length} bytes`)
  assert.ok(index >= file.acknowledged, `${name} is copy ${index}, but copy ${file.acknowledged} was acknowledged`)
  return file.sent[index] ?? assert.fail()
}

/** Looks at all names in the folder of kept files. @returns those that are there */
function checkKept(relay: TreeRelay, sent: ReadonlyMap<string, SentFile>): Map<string, SignedFile> {
  const found = new Map<string, SignedFile>()
  const folder = join(relay.sharedFilesPath, 'n1/files')
  assert.deepEqual(
    // a kill before the very first row leaves nothing to tell it from a lost database
    namesIn(relay.sharedFilesPath).filter(name => name !== 'n1' && name !== 'lost~'),
    ['.incoming~', '.lock~', '.node-id~', '.outbox~']
  )
  assert.deepEqual(
    namesIn(folder).filter(name => name !== 'n2'),
    []
  )
  for (const fileId of namesIn(join(folder, 'n2'))) {
    const path = join(folder, 'n2', fileId)
    if (fileId.endsWith('.metadata')) {
      assert.ok(existsSync(path.slice(0, -'.metadata'.length)), `${fileId} is alone`)
      continue
    }
    const key = { target: 'n1', source: 'n2', fileId }
    const bytes = readFileSync(path)
    const copy = checkCopy(sent.get(nameOf(key)), nameOf(key), bytes)
    const metadata = parseMetadata(readFileSync(`${path}.metadata`, 'utf8'))
    verifyFileSignature(metadata, readPublicKey(metadata), key, createHash('sha512').update(bytes).digest())
    found.set(nameOf(key), copy)
  }
  return found
}

async function checkOutbox(relay: TreeRelay, sent: ReadonlyMap<string, SentFile>): Promise<Map<string, SignedFile>> {
  const found = new Map<string, SignedFile>()
  const { entries }: { entries: Entry[] } = JSON.parse((await ask(relay, '/outbox')).text)
  const folder = join(relay.sharedFilesPath, '.outbox~')
  assert.deepEqual(new Set(readdirSync(folder)), new Set(entries.map(({ id }) => id)))
  for (const entry of entries) {
    const name = nameOf({ ...entry, fileId: entry.file_id })
    assert.equal(entry.state, 'pending')
    assert.ok(!found.has(name), `${name} waits twice`)
    found.set(name, checkCopy(sent.get(name), name, readFileSync(join(folder, entry.id))))
  }
  return found
}

test(`kill -9, ${KILLS} times, in a stream of ${IN_FLIGHT} PUTs at once`, async t => {
  const seed = chooseSeed()
  t.diagnostic(`repeat with TREELINE_SEED=${seed}`)
  const random = seededRandom(seed)
  const tree = await startTree(t, { relays: RELAYS, absent: ['sub'] })
  const relay = tree.relay('root')
  const sizes = [0, 1, ...Array.from({ length: 24 }, () => Math.floor(random() * 20_000)), 70_000, 400_000, 3_000_000]
  const contents = sizes.map(size => signContent('n1', tree.member('n2'), 'any', randomBytes(size)))
  const sent = new Map<string, SentFile>()

  for (let round = 0; round < KILLS; round += 1) {
    const targets = ['n1', 's1']
    const killAt = 1 + Math.floor(random() * MOST_ACKNOWLEDGED)
    const onAcknowledged = (count: number) => {
      if (count === killAt) tree.processes.get('root')?.signal('SIGKILL')
    }
    const prefix = `r${round}`
    const stream = { relay, targets, source: 'n2', contents, random, width: IN_FLIGHT, prefix, onAcknowledged }
    for (const file of await putUntilGone(stream)) sent.set(nameOf(file), file)
    await tree.processes.get('root')?.ended
    await tree.restart('root')
    assert.deepEqual(readdirSync(join(relay.sharedFilesPath, '.incoming~')), [], `round ${round}`)
    const found = new Map([...checkKept(relay, sent), ...(await checkOutbox(relay, sent))])
    for (const file of sent.values()) {
      const name = nameOf(file)
      assert.ok(file.acknowledged < 0 || found.has(name), `${name} is lost`)
    }
    for (const file of sent.values()) {
      const copy = found.get(nameOf(file))
      if (copy === undefined || !file.fileId.startsWith(stream.prefix)) continue
      const path = `/shared-files/${nameOf(file)}?hash=${copy.hash}`
      assert.equal((await ask(relay, path, { method: 'HEAD' })).status, 200, path)
    }
  }
  const all = [...sent.values()]
  const count = (target: string) => all.filter(file => file.target === target && file.acknowledged >= 0).length
  t.diagnostic(`acknowledged names: ${count('n1')} kept, ${count('s1')} waiting; ${all.length} sent`)
  assert.ok(count('n1') > 0 && count('s1') > 0)
})
