import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { checkSubtreeFile } from '../../src/tree-sync/subtree-check.js'
import { finishPlacing, placeTree, writeTree } from '../../src/tree-sync/tree-files.js'
import { type TestNode, toTreeNode, writeNodesList } from '../support/parts/trees.js'

const LIST = 'nodeslist.json'
const CERTIFICATES = 'allnodescerts.pem'

function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'treeline-files-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function write(folder: string, name: string): Promise<void> {
  async function* entries() {
    yield { ...toTreeNode({ id: name, policyServer: 'above' }), certificates: [Buffer.from(name)] }
  }
  await writeTree(folder, entries(), der => createHash('sha256').update(der).digest())
}

/** The name in the list and the one in the certificates. */
function inPlace(folder: string): [string | undefined, string] {
  const [id] = Object.keys(JSON.parse(readFileSync(join(folder, LIST), 'utf8')))
  const base64 = readFileSync(join(folder, CERTIFICATES), 'utf8').split('\n')[1] ?? ''
  return [id, Buffer.from(base64, 'base64').toString()]
}

test('wherever a kill comes, both files are the old ones or both the new ones after the next start', async t => {
  const part = (name: string) => `${name}.part`
  const fresh = (name: string) => `${name}.new`
  /** The renames of `placeTree`, in their order. */
  const steps: [from: string, to: string][] = [
    [part(CERTIFICATES), fresh(CERTIFICATES)],
    [part(LIST), fresh(LIST)],
    [fresh(CERTIFICATES), CERTIFICATES],
    [fresh(LIST), LIST]
  ]
  for (let done = 0; done <= steps.length; done++) {
    const folder = makeFolder(t)
    await write(folder, 'old')
    await placeTree(folder)
    assert.deepEqual(inPlace(folder), ['old', 'old'])
    await write(folder, 'new')
    for (const [from, to] of steps.slice(0, done)) renameSync(join(folder, from), join(folder, to))
    finishPlacing(folder)
    assert.deepEqual(inPlace(folder), done < 2 ? ['old', 'old'] : ['new', 'new'], `after ${done} renames`)
    assert.deepEqual(readdirSync(folder).sort(), [CERTIFICATES, LIST], 'nothing is left over')
    finishPlacing(folder)
    await write(folder, 'next')
    await placeTree(folder)
    assert.deepEqual(inPlace(folder), ['next', 'next'])
  }
})

test('a half-written file is not put in place, also where there is none yet', t => {
  const folder = makeFolder(t)
  writeFileSync(join(folder, `${LIST}.part`), '{"half')
  writeFileSync(join(folder, `${CERTIFICATES}.new`), 'whole, but without its list')
  finishPlacing(folder)
  assert.deepEqual(readdirSync(folder), [])
  finishPlacing(join(folder, 'not-there'))
  assert.equal(existsSync(join(folder, 'not-there')), false)
})

test('a large list is checked in a thread, with the same result', async t => {
  const listFile = join(makeFolder(t), LIST)
  const nodes: TestNode[] = [
    { id: 'self', policyServer: 'above' },
    { id: 'n1', policyServer: 'self' }
  ]
  for (const sizeLimit of [0, 1_000_000]) {
    writeNodesList(listFile, nodes)
    await checkSubtreeFile({ listFile, selfId: 'self' }, sizeLimit)
    writeNodesList(listFile, [...nodes, { id: 'n2', policyServer: 'elsewhere' }])
    await assert.rejects(checkSubtreeFile({ listFile, selfId: 'self' }, sizeLimit), /has n2 under elsewhere/)
  }
})
