import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import fs, {
  linkSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseConfig } from '../../src/config/config-parser.js'
import type { FolderRules } from '../../src/shared-folder/folder-file.js'
import { createSharedFolder } from '../../src/shared-folder/shared-folder.js'
import { WithheldFiles } from '../../src/shared-folder/withheld-files.js'
import { eventually } from '../support/eventually.js'

/** Of a caller that waits for its answer. */
const STAYS = new AbortController().signal
/** Takes longer to read than to ask for. */
const LARGE_BYTES = 128 * 1024 ** 2
const HOUR_AGO = new Date(Date.now() - 3_600_000)

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function rulesOf(followsLinks: boolean, ...withheld: string[]): FolderRules {
  return { followLinks: () => followsLinks, withheld: { has: path => withheld.includes(path) } }
}

function setUp(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'treeline-folder-'))
  const opened = t.mock.method(fs, 'createReadStream').mock
  syncBuiltinESMExports()
  t.after(() => {
    opened.restore()
    syncBuiltinESMExports()
    rmSync(root, { recursive: true })
  })
  return {
    root,
    folder: createSharedFolder(root, rulesOf(false)),
    file: join(root, 'f'),
    reads: () => opened.callCount()
  }
}

test('a file is read once, whoever asks and however often, and again when it is another one', async t => {
  const { folder, file, reads } = setUp(t)
  writeFileSync(file, 'one')
  const many = await Promise.all(
    Array.from({ length: 50 }, () => folder.hash('f', 'sha256', new AbortController().signal))
  )
  assert.deepEqual([...new Set(many)], [sha256('one')])
  assert.equal(await folder.hash('f', 'sha256', STAYS), sha256('one'))
  assert.equal(reads(), 1)

  writeFileSync(`${file}.new`, 'two') // of the same size and date
  for (const path of [file, `${file}.new`]) utimesSync(path, HOUR_AGO, HOUR_AGO)
  assert.equal(await folder.hash('f', 'sha256', STAYS), sha256('one'))
  renameSync(`${file}.new`, file)
  assert.equal(await folder.hash('f', 'sha256', STAYS), sha256('two'))
  assert.equal(reads(), 3)
  assert.equal((await folder.hash('f', 'sha512', STAYS)).length, 128)
  assert.equal(reads(), 4)
})

test('a file that cannot be read fails each time, and nothing of it is kept', async t => {
  const { folder, file } = setUp(t)
  writeFileSync(file, 'x')
  const failing = t.mock.method(fs, 'createReadStream', () => {
    throw new Error('cannot be read')
  })
  syncBuiltinESMExports()
  await assert.rejects(folder.hash('f', 'sha256', STAYS), /cannot be read/)
  failing.mock.restore()
  syncBuiltinESMExports()
  assert.equal(await folder.hash('f', 'sha256', STAYS), sha256('x'))
  await assert.rejects(folder.hash('g', 'sha256', STAYS), { code: 'NOT_FOUND' })
  await assert.rejects(folder.hash('../f', 'sha256', STAYS), { code: 'INVALID_INPUT' })
})

test('a hash goes on for as long as one of its callers is there, and a later caller has it computed anew', async t => {
  const { folder, file, reads } = setUp(t)
  writeFileSync(file, '')
  truncateSync(file, LARGE_BYTES)
  const leaving = new AbortController()
  const [left, stayed] = [folder.hash('f', 'sha256', leaving.signal), folder.hash('f', 'sha256', STAYS)]
  const refused = assert.rejects(left, /gone/)
  await eventually('the reading', () => reads() > 0)
  await folder.check('f') // opened after the others
  leaving.abort(new Error('gone'))
  await refused
  const hash = await stayed
  assert.equal(reads(), 1)

  const only = new AbortController()
  const ended = assert.rejects(folder.hash('f', 'sha512', only.signal), /gone/)
  await eventually('the reading', () => reads() > 1)
  only.abort(new Error('gone'))
  const later = folder.hash('f', 'sha512', STAYS)
  await ended
  assert.equal((await later).length, 128)
  assert.equal(reads(), 3)
  assert.equal(await folder.hash('f', 'sha256', STAYS), hash)
})

test('links that lead out are refused unless the setting allows them, others are followed', async t => {
  const { root, folder, file } = setUp(t)
  const outside = mkdtempSync(join(tmpdir(), 'treeline-folder-'))
  t.after(() => rmSync(outside, { recursive: true }))
  writeFileSync(join(outside, 'secret'), 'secret')
  writeFileSync(file, 'public')
  mkdirSync(join(root, 'sub'))
  symlinkSync('../f', join(root, 'sub', 'inside'))
  symlinkSync(join(outside, 'secret'), join(root, 'out'))
  symlinkSync(outside, join(root, 'away'))
  symlinkSync('nowhere', join(root, 'dangling'))
  symlinkSync(`${root}-beside`, join(root, 'beside')) // its path begins with that of the folder
  mkdirSync(`${root}-beside`)
  t.after(() => rmSync(`${root}-beside`, { recursive: true }))
  writeFileSync(`${root}-beside/secret`, 'secret')

  assert.equal(await folder.hash('sub/inside', 'sha256', STAYS), sha256('public'))
  await assert.rejects(folder.hash('dangling', 'sha256', STAYS), { code: 'NOT_FOUND' })
  const following = createSharedFolder(root, rulesOf(true))
  for (const path of ['out', 'away/secret', 'beside/secret']) {
    await assert.rejects(folder.hash(path, 'sha256', STAYS), {
      code: 'FORBIDDEN',
      message: /shared_folder.follow_links = true/
    })
    await assert.rejects(folder.check(path), { code: 'FORBIDDEN' })
    await assert.rejects(folder.open(path), { code: 'FORBIDDEN' })
    assert.equal(await following.hash(path, 'sha256', STAYS), sha256('secret'))
  }
})

test('a file that the relay keeps to itself is given to nobody, by no link either', async t => {
  const { root, file } = setUp(t)
  writeFileSync(file, 'secret')
  writeFileSync(join(root, 'other'), 'public')
  symlinkSync('f', join(root, 'link'))
  for (const follows of [false, true]) {
    const folder = createSharedFolder(root, rulesOf(follows, realpathSync(file)))
    for (const path of ['f', './f', 'link']) {
      await assert.rejects(folder.open(path), { code: 'FORBIDDEN', message: /a file of the relay itself/ })
      await assert.rejects(folder.hash(path, 'sha256', STAYS), { code: 'FORBIDDEN' })
    }
    assert.equal(await folder.hash('other', 'sha256', STAYS), sha256('public'))
  }
})

test('files of the relay are withheld by what they are now, and by what they were at the start', t => {
  const top = realpathSync(mkdtempSync(join(tmpdir(), 'treeline-withheld-')))
  t.after(() => rmSync(top, { recursive: true }))
  const file = (name: string) => {
    mkdirSync(join(top, name, '..'), { recursive: true })
    writeFileSync(join(top, name), name)
    return join(top, name)
  }
  const configOf = (key: string, storage: string) =>
    parseConfig(
      `[general]\nnode_id = "root"\nhttps_key_file = "${key}"\nhttps_certificate_file = "cert.pem"\n[shared_folder]\npath = "${top}"\n` +
        `[storage]\npath = "${storage}"\n[shared_files]\npath = "${join(top, 'files')}"\n`,
      '',
      join(top, 'etc'),
      () => ''
    )
  const [old, renewed] = [file('keys/1/tls.key'), file('keys/2/tls.key')]
  symlinkSync('1', join(top, 'keys/live'))
  const start = configOf(join(top, 'keys/live/tls.key'), join(top, 'data'))
  let current = start
  const withheld = new WithheldFiles(start, () => current)
  assert.deepEqual([withheld.has(old), withheld.has(renewed), withheld.has(file('other'))], [true, false, false])
  assert.ok(withheld.has(file('etc/main.conf')) && withheld.has(file('data/state.db')))
  linkSync(old, join(top, 'hard'))
  assert.equal(withheld.has(join(top, 'hard'), statSync(join(top, 'hard'), { bigint: true })), true)
  rmSync(join(top, 'keys/live'))
  symlinkSync('2', join(top, 'keys/live'))
  assert.equal(withheld.has(renewed), true)
  current = configOf(old, join(top, 'elsewhere'))
  assert.ok(withheld.has(file('data/state.db')) && withheld.has(file('elsewhere/state.db')) && withheld.has(old))
})

/** Calls `before` before each call of the file system that may look a path up, and once it has ended. */
function watchLookUps(t: TestContext, before: () => void): () => void {
  const names = ['open', 'stat', 'lstat', 'realpath', 'readlink'] as const
  const mocks = names.map(name => {
    const real = promises[name] as (...args: unknown[]) => Promise<unknown>
    return t.mock.method(promises, name, (...args: unknown[]) => {
      before()
      return real(...args)
    })
  })
  syncBuiltinESMExports()
  return () => {
    for (const { mock } of mocks) mock.restore()
    syncBuiltinESMExports()
  }
}

test('a link that is exchanged for the file, or for its folder, at any moment leads to nothing outside', async t => {
  const { root, folder } = setUp(t)
  const outside = `${root}-outside`
  mkdirSync(outside)
  t.after(() => rmSync(outside, { recursive: true }))
  writeFileSync(join(outside, 'f'), 'secret')
  mkdirSync(join(root, 'sub'))
  for (const entry of ['f', 'sub']) {
    const isFolder = entry === 'sub'
    const place = join(root, entry)
    if (isFolder) writeFileSync(join(place, 'f'), 'public')
    else writeFileSync(place, 'public')
    const [inside, link] = [`${place}-inside`, `${place}-link`]
    symlinkSync(isFolder ? outside : join(outside, 'f'), link)
    let isLink = false
    const put = (asLink: boolean) => {
      if (asLink === isLink) return
      renameSync(place, asLink ? inside : link)
      renameSync(asLink ? link : inside, place)
      isLink = asLink
    }
    const outcomes = new Set<string>()
    for (let pattern = 0; pattern < 128; pattern += 1) {
      let calls = 0
      const stop = watchLookUps(t, () => {
        put(((pattern >> (calls % 7)) & 1) === 1)
        calls += 1
      })
      const hash = await folder
        .hash(isFolder ? 'sub/f' : 'f', 'sha256', STAYS)
        .catch((error: { code: string }) => error.code)
      stop()
      outcomes.add(hash === sha256('public') ? 'public' : hash)
    }
    assert.deepEqual([...outcomes].sort(), ['FORBIDDEN', 'public'])
    put(false)
  }
})

test('a file that is replaced while it is opened is opened once more', async t => {
  const { folder, file } = setUp(t)
  writeFileSync(file, 'former')
  let calls = 0
  const stop = watchLookUps(t, () => {
    calls += 1
    if (calls !== 2) return
    writeFileSync(`${file}.new`, 'new')
    renameSync(`${file}.new`, file)
  })
  t.after(stop)
  assert.equal(await folder.hash('f', 'sha256', STAYS), sha256('new'))

  const named = `${file} (deleted)` // as the system shows what is gone
  writeFileSync(named, 'of that name')
  assert.equal(await folder.hash('f (deleted)', 'sha256', STAYS), sha256('of that name'))
})
