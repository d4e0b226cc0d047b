import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { TREELINE } from '../../src/hops/dialect.js'
import type { HopOutcome, HopRequest } from '../../src/hops/hop.js'
import type { TreeNode } from '../../src/tree/topology.js'
import { createTree, type Tree } from '../../src/tree/tree-service.js'
import { MAX_CHANGED_NODES, MAX_LINE_LENGTH } from '../../src/tree-sync/answer-reader.js'
import { TreeDigest } from '../../src/tree-sync/tree-digest.js'
import { END_LINE, formatEntry, formatHeader, formatRemoved } from '../../src/tree-sync/tree-lines.js'
import { type SyncOutcome, TreeSync } from '../../src/tree-sync/tree-sync.js'
import { TreeVersions } from '../../src/tree-sync/tree-versions.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { eventually } from '../support/eventually.js'
import { makeNodeCertificate } from '../support/parts/node-certificates.js'
import { toTreeNode } from '../support/parts/trees.js'

type Certificates = Readonly<Record<string, readonly Buffer[]>>

const node = (id: string, policyServer: string) => toTreeNode({ id, policyServer })
const TREE = [node('self', 'above'), node('n1', 'self'), node('sub', 'self'), node('n2', 'sub')]

interface Lower {
  readonly tree: Tree
  readonly sync: TreeSync
  readonly folder: string
  readonly requests: HopRequest[]
  readonly outcomes: SyncOutcome[]
  /** What the policy server answers from now on. */
  answer: (request: HopRequest) => HopOutcome | Promise<HopOutcome>
}

async function startLower(t: TestContext): Promise<Lower> {
  const storage = mkdtempSync(join(tmpdir(), 'treeline-sync-'))
  const folder = join(storage, 'tree')
  const tree = createTree({
    databaseFile: join(storage, 'topology.db'),
    nodesListFile: join(folder, 'nodeslist.json'),
    nodesCertsFile: join(folder, 'allnodescerts.pem'),
    selfId: 'self',
    logger: silentLogger
  })
  await tree.load()
  const requests: HopRequest[] = []
  const outcomes: SyncOutcome[] = []
  const request = async (asked: HopRequest) => {
    requests.push(asked)
    return lower.answer(asked)
  }
  const sync = new TreeSync({
    selfId: 'self',
    tree,
    versions: new TreeVersions(tree),
    upper: () => ({ id: 'policy-server', dialect: TREELINE, request }),
    folder,
    logger: silentLogger,
    observer: { synced: outcome => void outcomes.push(outcome), bytesReceived: () => undefined }
  })
  t.after(async () => {
    await sync.stop()
    await tree.close()
    rmSync(storage, { recursive: true, force: true })
  })
  const lower: Lower = { tree, sync, folder, requests, outcomes, answer: () => unreachable('nobody is there') }
  return lower
}

/** The files of the tree in force; those with `.part` are replaced by the next attempt. */
function filesOf({ folder }: Lower): Readonly<Record<string, string>> {
  const names = readdirSync(folder).filter(name => !name.endsWith('.part'))
  return Object.fromEntries(names.map(name => [name, readFileSync(join(folder, name), 'utf8')]))
}

function unreachable(reason: string): HopOutcome {
  return { kind: 'unreachable', reason, sent: false }
}

function answered(text: string | Readable, status = 200): HopOutcome {
  const body = typeof text === 'string' ? Readable.from([Buffer.from(text)], { objectMode: false }) : text
  return { kind: 'answered', status, headers: {}, body }
}

function versionOf(nodes: readonly TreeNode[], certificates: Certificates = {}): string {
  const digest = new TreeDigest()
  for (const each of nodes) {
    digest.addNode(each)
    for (const der of certificates[each.id] ?? []) {
      digest.addCertificate(each.id, createHash('sha256').update(der).digest())
    }
  }
  return digest.toString()
}

function header(version: string, base?: string, relay = 'self'): string {
  return formatHeader({ relay, version, generation: 1, base })
}

function entries(nodes: readonly TreeNode[], certificates: Certificates = {}): string {
  return nodes.map(each => formatEntry({ ...each, certificates: certificates[each.id] ?? [] })).join('')
}

function whole(nodes: readonly TreeNode[], certificates: Certificates = {}): string {
  return header(versionOf(nodes, certificates)) + entries(nodes, certificates) + END_LINE
}

function nodesIn(tree: Tree): TreeNode[] {
  return [...tree.current().nodes()].sort((a, b) => (a.id < b.id ? -1 : 1))
}

const SORTED = [...TREE].sort((a, b) => (a.id < b.id ? -1 : 1))

test('takes the whole, then differences, in any order, and 304', async t => {
  const lower = await startLower(t)
  const [old, renewed] = await Promise.all([makeNodeCertificate('n1'), makeNodeCertificate('n1')])
  lower.answer = () => answered(whole(TREE, { n1: [old.der] }))
  await lower.sync.ask()
  assert.equal(lower.sync.status.problem, undefined)
  assert.deepEqual(nodesIn(lower.tree), SORTED)
  assert.deepEqual(lower.tree.certificatesOf('n1'), [old.der])
  const first = versionOf(TREE, { n1: [old.der] })
  assert.equal(lower.sync.status.version, first)
  assert.equal(lower.requests[0]?.path, 'v1/tree')

  const later = [...TREE.filter(({ id }) => id !== 'n2'), node('n3', 'sub')]
  const certificates = { n1: [old.der, renewed.der] }
  const changed = later.filter(({ id }) => id === 'n3' || id === 'n1')
  const version = versionOf(later, certificates)
  lower.answer = () =>
    answered(header(version, first) + formatRemoved('n2') + entries(changed.reverse(), certificates) + END_LINE)
  await lower.sync.ask()
  assert.equal(lower.requests[1]?.path, `v1/tree?since=${first}`)
  assert.equal(lower.requests[1]?.headers['if-none-match'], `"${first}"`)
  assert.equal(lower.sync.status.problem, undefined)
  assert.deepEqual(
    nodesIn(lower.tree).map(({ id }) => id),
    ['n1', 'n3', 'self', 'sub']
  )
  assert.deepEqual(new Set(lower.tree.certificatesOf('n1').map(String)), new Set([old.der, renewed.der].map(String)))

  const before = readFileSync(join(lower.folder, 'nodeslist.json'))
  lower.answer = () => answered('', 304)
  await lower.sync.ask()
  assert.deepEqual(lower.outcomes, ['whole', 'difference', 'unchanged'])
  assert.equal(lower.sync.status.version, version)
  assert.deepEqual(readFileSync(join(lower.folder, 'nodeslist.json')), before)
})

test('whoever sees a new tree sees that it came', async t => {
  const lower = await startLower(t)
  const seen: (string | undefined)[][] = []
  lower.tree.onChange(() => {
    setImmediate(() => seen.push([lower.sync.status.version, lower.sync.status.problem, ...lower.outcomes]))
  })
  lower.answer = () => answered(whole(TREE))
  await lower.sync.ask()
  await eventually('the look', () => seen.length > 0)
  assert.deepEqual(seen, [[versionOf(TREE), undefined, 'whole']])
})

test('whatever is wrong with an answer, the old tree stays', async t => {
  const lower = await startLower(t)
  lower.answer = () => answered(whole(TREE))
  await lower.sync.ask()
  const before = lower.tree.current()
  const files = filesOf(lower)
  const base = versionOf(TREE)
  const { der } = await makeNodeCertificate('n1')
  const more = [...TREE, node('n3', 'self')]
  const good = whole(more)
  const breaking = () => {
    const chunks = [good.slice(0, -30)]
    return new Readable({
      read() {
        const chunk = chunks.shift()
        if (chunk === undefined) this.destroy(new Error('the connection broke'))
        else this.push(chunk)
      }
    })
  }
  const wrong: [what: string, answer: () => HopOutcome, problem: RegExp][] = [
    ['cut off', () => unreachable('https://above:443: connect ECONNREFUSED'), /ECONNREFUSED/],
    ['refused', () => ({ ...answered('not allowed\u0007 for you\n', 403), kind: 'refused' }) as HopOutcome, /403: not/],
    ['a broken body', () => answered(breaking()), /the connection broke/],
    ['without its end', () => answered(good.slice(0, -END_LINE.length)), /broke off/],
    ['half a line', () => answered(good.slice(0, -5)), /broke off within a line/],
    ['more after its end', () => answered(good + END_LINE), /follows its last line/],
    ['empty', () => answered(''), /is empty/],
    ['a page of a proxy', () => answered('<html>\n</html>\n'), /no JSON/],
    ['another format', () => answered('{"treeline":"tree","format":2}\n'), /format 2.*update the older/],
    ['of another relay', () => answered(header(base, undefined, 'other') + END_LINE), /tree of other/],
    ['to another base', () => answered(header(base, '1'.repeat(64)) + END_LINE), /version that is not here/],
    ['another version', () => answered(header('0'.repeat(64)) + entries(TREE) + END_LINE), /not the version/],
    ['a node twice', () => answered(header(base) + entries([...TREE, ...TREE]) + END_LINE), /the node self twice/],
    ['nothing', () => answered(whole([])), /without this relay, self/],
    ['without itself', () => answered(whole(TREE.slice(1))), /without this relay, self/],
    ['with others', () => answered(whole([...TREE, node('x', 'beside')])), /has x under beside, which is not below/],
    ['with the root', () => answered(whole([...TREE, node('root', 'root')])), /has root under root/],
    ['below its own', () => answered(whole([node('self', 'n1'), node('n1', 'self')])), /cycle/],
    ['below another', () => answered(whole([node('self', 'n1'), node('n1', 'up')])), /self, below n1, which is in/],
    ['a cycle', () => answered(whole([...TREE, node('x', 'y'), node('y', 'x')])), /cycle/],
    [
      'no host name',
      () => answered(whole([...TREE, toTreeNode({ id: 'x', policyServer: 'self', hostname: '-o' })])),
      /hostname/
    ],
    ['no id', () => answered(`${header(base)}{"id":"../x","hostname":"x","policy-server":"self"}\n`), /names no node/],
    ["another's certificate", () => answered(whole(more, { n3: [der] })), /certificate of n3 is of "n1"/],
    ['no certificate', () => answered(whole(more, { n3: [Buffer.from('x')] })), /certificate of n3 is none/],
    ['an endless line', () => answered(`{"id":"${'x'.repeat(MAX_LINE_LENGTH + 1)}`), /a line has more than/],
    [
      'an endless difference',
      () =>
        answered(
          header(base, base) + Array.from({ length: MAX_CHANGED_NODES + 1 }, (_, i) => formatRemoved(`x${i}`)).join('')
        ),
      /too large/
    ]
  ]
  for (const [what, answer, problem] of wrong) {
    lower.answer = answer
    await lower.sync.ask()
    assert.match(lower.sync.status.problem ?? '', problem, what)
    assert.equal(lower.tree.current(), before, what)
    assert.equal(lower.sync.status.version, base, what)
    assert.equal(lower.tree.status().state, 'success', what)
    assert.deepEqual(filesOf(lower), files, what)
  }
  assert.equal(lower.outcomes.filter(outcome => outcome === 'failed').length, wrong.length)
  lower.answer = () => answered(good)
  await lower.sync.ask()
  assert.equal(lower.sync.status.problem, undefined)
  assert.equal(lower.tree.current().size, 5)
})

test('a difference that does not lead to its version is not used: the whole is asked for', async t => {
  const lower = await startLower(t)
  lower.answer = () => answered(whole(TREE))
  await lower.sync.ask()
  const more = [...TREE, node('n3', 'self')]
  lower.answer = ({ path }) =>
    path.includes('since=')
      ? answered(header(versionOf(more), versionOf(TREE)) + formatRemoved('n1') + END_LINE)
      : answered(whole(more))
  await lower.sync.ask()
  assert.deepEqual(
    lower.requests.slice(-2).map(({ path }) => path),
    [`v1/tree?since=${versionOf(TREE)}`, 'v1/tree']
  )
  assert.equal(lower.tree.current().size, 5)
  assert.deepEqual(lower.outcomes, ['whole', 'whole'])
})

test('files that are gone are written again, though the tree is the same', async t => {
  const lower = await startLower(t)
  lower.answer = () => answered(whole(TREE))
  await lower.sync.ask()
  rmSync(lower.folder, { recursive: true })
  assert.equal((await lower.tree.reload()).state, 'error')
  await lower.sync.ask()
  assert.equal(lower.requests.at(-1)?.path, 'v1/tree')
  assert.equal((await lower.tree.reload()).state, 'success')
})

test('one attempt at a time, one more when asked meanwhile, none after the stop', async t => {
  const lower = await startLower(t)
  const waiting: (() => void)[] = []
  lower.answer = async () => {
    await new Promise<void>(resolve => waiting.push(resolve))
    return answered(whole(TREE))
  }
  const first = lower.sync.ask()
  await eventually('the first request', () => waiting.length === 1)
  const others = [lower.sync.ask(), lower.sync.ask(), lower.sync.ask()]
  assert.equal(lower.requests.length, 1)
  waiting[0]?.()
  await first
  await eventually('the second request', () => waiting.length === 2)
  waiting[1]?.()
  await Promise.all(others)
  assert.equal(lower.requests.length, 2)
  await lower.sync.stop()
  await lower.sync.ask()
  assert.equal(lower.requests.length, 2)
})
