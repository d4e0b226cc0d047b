import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FolderGuard } from '../../src/shared-files/keeping/folder-guard.js'
import { RelayError } from '../../src/values/failures/relay-error.js'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { temporaryFolder } from '../support/parts/neighbours.js'
import { LOCAL, originOf, sign, startSharedFiles, type TestRelay } from '../support/parts/shared-file-relays.js'

const ROOT = 0
const SOMEBODY = 65_534
const OPEN_TO_ALL = 0o777

const unusable = (says: RegExp) => (error: unknown) =>
  error instanceof RelayError && error.code === 'STORAGE_UNUSABLE' && says.test(error.message)

/** A folder beside the shared files, with a file of the same name as one that is shared. */
function makeElsewhere(relay: TestRelay, name = 'elsewhere'): string {
  const elsewhere = join(relay.folder, name)
  mkdirSync(join(elsewhere, 'files/n2'), { recursive: true })
  for (const file of ['x', 'x.metadata', 'files/n2/x', 'files/n2/x.metadata'])
    writeFileSync(join(elsewhere, file), 'theirs')
  return elsewhere
}

function assertUntouched(elsewhere: string): void {
  for (const folder of [elsewhere, join(elsewhere, 'files/n2')]) {
    const names = readdirSync(folder).filter(name => name !== 'files')
    assert.deepEqual(names, ['x', 'x.metadata'])
    for (const name of names) assert.equal(readFileSync(join(folder, name), 'utf8'), 'theirs')
  }
}

for (const link of ['n1', 'n1/files', 'n1/files/n2']) {
  test(`a link at ${link} in shared_files.path is named, and nothing is written where it leads`, async t => {
    const relay = await startSharedFiles(t)
    const elsewhere = makeElsewhere(relay)
    const at = join(relay.folder, 'shared-files', link)
    mkdirSync(join(at, '..'), { recursive: true })
    symlinkSync(link === 'n1/files' ? join(elsewhere, 'files') : elsewhere, at)
    const file = sign('n1/n2/x', 'ours')
    await assert.rejects(relay.put(file), unusable(new RegExp(`${link} is a symbolic link, and has to be a folder`)))
    assertUntouched(elsewhere)
    assert.equal(await relay.head(file), false)
    assert.deepEqual(readdirSync(join(relay.folder, 'shared-files/.incoming~')), [])
  })
}

for (const mode of [0o755, OPEN_TO_ALL]) {
  test(`in shared_files.path of mode ${mode.toString(8)}, a folder that a link took the place of is not used any more`, async t => {
    const relay = await startSharedFiles(t)
    const shared = join(relay.folder, 'shared-files')
    chmodSync(shared, mode)
    const file = sign('n1/n2/x', 'ours')
    assert.equal(await relay.put(file), 'stored')
    assert.equal(readFileSync(join(shared, 'n1/files/n2/x'), 'utf8'), 'ours')
    const elsewhere = makeElsewhere(relay)
    renameSync(join(shared, 'n1'), join(relay.folder, 'away'))
    symlinkSync(elsewhere, join(shared, 'n1'))
    relay.clock.nowMs += 7_200_000
    await relay.files.purgeExpired(new AbortController().signal)
    assertUntouched(elsewhere)
    await assert.rejects(relay.put(sign('n1/n2/x', 'later')), unusable(/n1 is a symbolic link/))
    assertUntouched(elsewhere)
  })
}

test('what others may do in shared_files.path keeps no file from its place, from being read and from being purged', async t => {
  const relay = await startSharedFiles(t)
  const shared = join(relay.folder, 'shared-files')
  chmodSync(shared, OPEN_TO_ALL)
  const [first, second] = [sign('n1/n2/x', 'ours'), sign('n1/n2/x', 'the next', { signedAtMs: 2 })]
  for (const file of [first, second]) {
    assert.equal(await relay.put(file), 'stored')
    const found = await relay.files.get(file.key, originOf({ ...LOCAL }), {})
    assert.equal(found.kind === 'kept' && readFileSync(found.path, 'utf8'), file.content.toString())
  }
  relay.clock.nowMs += 7_200_000
  assert.equal(await relay.files.purgeExpired(new AbortController().signal), 1)
  assert.deepEqual(readdirSync(join(shared, 'n1/files/n2')), [])
})

async function makeFolder(t: TestContext): Promise<string> {
  const root = await temporaryFolder(t)
  mkdirSync(join(root, 'n1/files'), { recursive: true })
  return root
}

test('where others may write, what is entered stays that folder, whatever takes its place meanwhile', async t => {
  if (process.platform !== 'linux') return
  const root = await makeFolder(t)
  chmodSync(root, OPEN_TO_ALL)
  mkdirSync(join(root, 'elsewhere/files'), { recursive: true })
  const guard = new FolderGuard(root)
  await guard.enter(join(root, 'n1/files'), async at => {
    renameSync(join(root, 'n1'), join(root, 'away'))
    symlinkSync('elsewhere', join(root, 'n1'))
    await writeFile(`${at}/x`, 'ours')
  })
  assert.deepEqual(readdirSync(join(root, 'elsewhere/files')), [])
  assert.equal(readFileSync(join(root, 'away/files/x'), 'utf8'), 'ours')
  await assert.rejects(guard.make(join(root, 'n1/files/n2')), unusable(/n1 is a symbolic link/))
})

testAsRoot('root enters no folder of somebody else, nor one that others may write in', async t => {
  const root = await makeFolder(t)
  chownSync(join(root, 'n1/files'), SOMEBODY, SOMEBODY)
  const guard = new FolderGuard(root, ROOT)
  await assert.rejects(guard.make(join(root, 'n1/files/n2')), unusable(/n1\S* belongs to user \d+/))
  assert.deepEqual(readdirSync(join(root, 'n1/files')), [])
  chownSync(join(root, 'n1/files'), ROOT, ROOT)
  chmodSync(join(root, 'n1/files'), 0o775)
  await assert.rejects(guard.make(join(root, 'n1/files/n2')), unusable(/n1\/files may be written in by group 0/))
  chmodSync(join(root, 'n1/files'), 0o755)
  assert.equal(await guard.make(join(root, 'n1/files/n2')), true)
})

test('an error names the folder, not the descriptor that it was used by', async t => {
  const root = await makeFolder(t)
  chmodSync(root, OPEN_TO_ALL)
  const guard = new FolderGuard(root)
  const reads = guard.enter(join(root, 'n1'), async at => readdirSync(`${at}/missing`))
  await assert.rejects(reads, { code: 'ENOENT', path: join(root, 'n1/missing') })
  await assert.rejects(
    guard.enter(join(root, 'n2/files'), async () => undefined),
    { code: 'ENOENT' }
  )
})

testAsRoot('a link that a group may put in the place of a folder is not followed later', async t => {
  const folder = await temporaryFolder(t)
  const [shared, elsewhere] = [join(folder, 'shared-files'), join(folder, 'elsewhere')]
  for (const path of [shared, join(shared, 'n1'), elsewhere]) {
    mkdirSync(path)
    chownSync(path, SOMEBODY, SOMEBODY)
    chmodSync(path, 0o2775)
  }
  const guard = new FolderGuard(shared, SOMEBODY)
  await guard.enter(join(shared, 'n1'), async () => undefined)
  renameSync(join(shared, 'n1'), join(folder, 'away'))
  symlinkSync(elsewhere, join(shared, 'n1'))
  await assert.rejects(
    guard.enter(join(shared, 'n1'), async () => undefined),
    unusable(/n1 is a symbolic link/)
  )
})
