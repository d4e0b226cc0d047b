import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdir, readFile, realpath, rename, stat, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { walkPath } from '../../src/file-system/folders/path-walk.js'
import { walkPathSync } from '../../src/file-system/folders/path-walk-sync.js'
import { RemainingPath } from '../../src/file-system/folders/remaining-path.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const IS_LINUX = process.platform === 'linux' // elsewhere no folder can be held

/** What a walk finds on its way. */
interface Walk {
  readonly end: string
  readonly links: readonly string[]
  readonly content: string
}

async function walk(path: string): Promise<Walk> {
  const links: string[] = []
  const checkLink = ({ at }: { readonly at: string }) => void links.push(basename(at))
  const { folder, name } = await walkPath(path, { checkLink })
  try {
    return { end: join(folder.path, name), links, content: await readFile(folder.at(name), 'utf8') }
  } finally {
    await folder.close()
  }
}

function walkSync(path: string): Walk {
  const links: string[] = []
  const { folder, name } = walkPathSync(path, {
    checkFolder: () => undefined,
    checkLink: at => void links.push(basename(at)),
    isEnd: () => false
  })
  try {
    return { end: join(folder.path, name), links, content: readFileSync(folder.at(name), 'utf8') }
  } finally {
    folder.close()
  }
}

async function makeTree(t: TestContext): Promise<string> {
  const root = await realpath(await temporaryFolder(t))
  await mkdir(join(root, 'a/b'), { recursive: true })
  await writeFile(join(root, 'a/file'), 'content')
  await symlink('a/b', join(root, 'deep'))
  await symlink(root, join(root, 'a/top'))
  await symlink('top/deep/../file', join(root, 'a/end'))
  await symlink('round', join(root, 'round'))
  return root
}

test('both walks go where the system goes, by every link, and tell of each', async t => {
  if (!IS_LINUX) return
  const root = await makeTree(t)
  for (const [path, links] of [
    ['a/file', []],
    ['a//./file', []],
    ['deep/../file', ['deep']],
    ['a/end', ['end', 'top', 'deep']]
  ] as const) {
    const expected = { end: join(root, 'a/file'), links, content: 'content' }
    assert.deepEqual(await walk(`${root}/${path}`), expected)
    assert.deepEqual(walkSync(`${root}/${path}`), expected)
  }
  await assert.rejects(
    walkPath(join(root, 'none/file'), { checkLink: () => undefined, noFolder: path => new Error(`no ${path}`) }),
    {
      message: `no ${root}/none`
    }
  )
  for (const [path, code] of [
    ['none/file', 'ENOENT'],
    ['round', 'ELOOP']
  ] as const) {
    await assert.rejects(walk(join(root, path)), { code })
    assert.throws(() => walkSync(join(root, path)), { code })
  }
})

test('a folder that was entered stays the one in which the walk goes on', async t => {
  if (!IS_LINUX) return
  const root = await makeTree(t)
  await mkdir(join(root, 'other'))
  await writeFile(join(root, 'other/file'), 'of somebody else')
  let isExchanged = false
  const { folder, name } = await walkPath(join(root, 'a/file'), {
    checkFolder: async held => {
      if (isExchanged || basename(held.path) !== 'a') return
      isExchanged = true
      await rename(join(root, 'a'), join(root, 'away'))
      await symlink('other', join(root, 'a'))
    },
    checkLink: () => assert.fail('no link was there')
  })
  t.after(() => folder.close())
  assert.equal(await readFile(folder.at(name), 'utf8'), 'content')
})

test('each folder on the way is told, the last one as such, and what a check throws ends the walk', async t => {
  if (!IS_LINUX) return
  const root = await makeTree(t)
  const told: [string, boolean][] = []
  const rules = { checkLink: () => undefined, onlyLooks: true }
  const { folder } = await walkPath(join(root, 'deep/x'), {
    ...rules,
    checkFolder: async (held, isLast) => void told.push([held.path, isLast])
  })
  await folder.close()
  assert.deepEqual(told[0], ['/', false])
  assert.deepEqual(told.at(-1), [join(root, 'a/b'), true])
  assert.deepEqual(told.filter(([, isLast]) => isLast).length, 1)
  const refuse = async () => Promise.reject(new Error('refused'))
  await assert.rejects(walkPath(join(root, 'a/file'), { ...rules, checkFolder: refuse }), /refused/)
})

test('missing folders are made where the rules say so, with their mode', async t => {
  if (!IS_LINUX) return
  const root = await makeTree(t)
  const path = join(root, 'deep/new/er/file')
  const { folder } = await walkPath(path, { checkLink: () => undefined, makeMode: 0o700 })
  await folder.close()
  for (const made of ['a/b/new', 'a/b/new/er']) assert.equal((await stat(join(root, made))).mode & 0o777, 0o700)
})

test('a link can stay the end of a walk, and no other one', async t => {
  if (!IS_LINUX) return
  const root = await makeTree(t)
  const rules = { checkFolder: () => undefined, checkLink: () => undefined, isEnd: () => true }
  const { folder, name, found } = walkPathSync(join(root, 'a/top/deep'), rules)
  folder.close()
  assert.deepEqual([join(folder.path, name), found.isSymbolicLink()], [join(root, 'deep'), true])
})

test('the rest of a path has its names left, and follows 40 links', () => {
  const rest = new RemainingPath('/a/./b//c')
  assert.deepEqual([rest.name, rest.isLast], ['a', false])
  rest.enter()
  assert.equal(rest.follow('x/../y'), false)
  assert.equal(rest.name, 'x')
  assert.equal(rest.follow('/z'), true)
  for (const name of ['z', '..', 'y', 'c']) {
    assert.deepEqual([rest.name, rest.isLast], [name, name === 'c'])
    rest.enter()
  }
  assert.deepEqual([rest.name, rest.isLast], ['.', true])
  for (let links = 2; links < 40; links += 1) rest.follow('link')
  assert.throws(() => rest.follow('link'), { code: 'ELOOP' })
})
