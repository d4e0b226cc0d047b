import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NodesListError, parseNodesList } from '../../src/tree/import/nodes-list.js'
import { arbitraryTree, nodesListText, type TestNode } from '../support/parts/trees.js'

const FILE = '/var/lib/nodeslist.json'

function refused(text: string, pattern: RegExp): void {
  assert.throws(
    () => parseNodesList(text, FILE),
    (error: unknown) => {
      assert.ok(error instanceof NodesListError)
      assert.match(error.message, pattern)
      assert.ok(error.message.includes(FILE))
      assert.ok(error.message.length < 2_000, 'the message is too long')
      return true
    }
  )
}

function refusedNodes(nodes: readonly TestNode[], pattern: RegExp): void {
  refused(nodesListText(nodes), pattern)
}

function chain(length: number): TestNode[] {
  return Array.from({ length }, (_, index) => ({
    id: `n${index + 1}`,
    policyServer: index === 0 ? 'root' : `n${index}`
  }))
}

test('a tree that is written is read again', () => {
  fc.assert(
    fc.property(arbitraryTree(), tree => {
      assert.deepEqual(parseNodesList(nodesListText(tree), FILE).nodes, tree)
    })
  )
})

test('text that is no complete JSON object is refused', () => {
  const whole = nodesListText(chain(3))
  for (let length = 0; length < whole.length; length++) refused(whole.slice(0, length), /not complete JSON/)
  for (const text of ['[]', 'null', '1', '"a"']) refused(text, /not a JSON object/)
})

test('nothing but its own error is thrown, whatever the list', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json(),
        fc.string(),
        fc.dictionary(fc.string(), fc.jsonValue()).map(v => JSON.stringify(v))
      ),
      text => {
        try {
          parseNodesList(text, FILE)
        } catch (error) {
          assert.ok(error instanceof NodesListError)
          assert.ok(error.message.length < 2_000)
        }
      }
    )
  )
})

test('members of the wrong type are refused, naming the node', () => {
  refused('{"a": 1}', /"a" is not an object/)
  refused('{"a": []}', /"a" is not an object/)
  refused('{"a": {"policy-server": "root"}}', /"a" has the hostname \(missing\)/)
  refused('{"a": {"hostname": "a"}}', /"a" has the policy-server \(missing\)/)
  refused('{"a": {"hostname": 7, "policy-server": "root"}}', /"a" has the hostname 7/)
  refused('{"a": {"hostname": "a", "policy-server": {}}}', /"a" has the policy-server {}/)
})

test('a few nodes that cannot be used are left out, where that takes no other node along', () => {
  const good = chain(12)
  const parse = (nodes: readonly TestNode[]) => {
    const problems: string[] = []
    const { nodes: kept } = parseNodesList(nodesListText(nodes), FILE, problem => problems.push(problem))
    return { kept: kept.map(({ id }) => id), problems }
  }
  const wrong = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ id: `web-${index}`, policyServer: 'n1', hostname: 'web.1' }))
  for (const count of [1, 5]) {
    const { kept, problems } = parse([...wrong(count), ...good])
    assert.deepEqual(
      kept,
      good.map(({ id }) => id)
    )
    assert.equal(problems.length, count)
    assert.match(
      problems[0] ?? '',
      /nodeslist\.json: "web-0" has the hostname "web\.1", which cannot be one: .*: skipped$/
    )
  }
  const many = Array.from({ length: 100 }, (_, index) => ({ id: `m${index}`, policyServer: 'n1' }))
  assert.equal(parse([...good, ...many, ...wrong(12)]).problems.length, 12)
  const refusedLists: TestNode[][] = [
    [...good, ...wrong(6)],
    [...good, ...many, ...wrong(13)],
    [...chain(1), ...wrong(2)],
    [...good, { id: 'root', policyServer: 'root', hostname: 'web.1' }],
    [...good, ...wrong(1), { id: 'below', policyServer: 'web-0' }]
  ]
  for (const nodes of refusedLists) assert.throws(() => parse(nodes), NodesListError)
})

test('ids that cannot name a node are refused', () => {
  for (const id of ['', '.', '..', 'a/b', 'a b', 'é', 'x'.repeat(129), '../../etc']) {
    refusedNodes([{ id, policyServer: 'root' }], /cannot be the id of a node/)
    refusedNodes([{ id: 'a', policyServer: id }], /"a" has the policy-server/)
  }
})

test('host names that a command could take for something else are refused', () => {
  const bad = [
    '',
    '-v',
    '--help',
    'a,b',
    'a b',
    'a;b',
    '$(x)',
    'a\nb',
    'a\0',
    '.',
    'a/b',
    '127.1',
    '0x7f.0.0.1',
    'a.example.com:443',
    '[::1]',
    'x.'.repeat(128)
  ]
  for (const hostname of bad) refusedNodes([{ id: 'a', policyServer: 'root', hostname }], /"a" has the hostname/)
  const good = ['a', 'a-1.example.com', '10.0.0.1', 'fe80::1', '::1', 'under_score', `${'x.'.repeat(126)}x`]
  for (const hostname of good) assert.equal(hostnameOf(hostname), hostname)
})

test('host names are taken in their one form', () => {
  const forms = {
    'A.Example.com.': 'a.example.com',
    '::ffff:10.0.0.1': '10.0.0.1',
    'ä.example.com': 'xn--4ca.example.com'
  }
  for (const [hostname, form] of Object.entries(forms)) assert.equal(hostnameOf(hostname), form)
})

function hostnameOf(hostname: string): string | undefined {
  return parseNodesList(nodesListText([{ id: 'a', policyServer: 'root', hostname }]), FILE).nodes[0]?.hostname
}

test('a cycle is refused, naming those in it and nobody else', () => {
  const cycle = ['a', 'b', 'c'].map((id, index, all) => ({ id, policyServer: all[(index + 1) % 3] ?? 'a' }))
  refusedNodes(
    [{ id: 'root', policyServer: 'root' }, { id: 'below', policyServer: 'a' }, ...cycle],
    /of "a", "b", "c" form a cycle$/
  )
})

test('a node that is its own policy server is refused, but for root', () => {
  refusedNodes([{ id: 'a', policyServer: 'a' }], /"a" is its own policy server/)
  refusedNodes([{ id: 'root', policyServer: 'a' }], /root has the policy server "a"/)
  assert.equal(parseNodesList(nodesListText([{ id: 'root', policyServer: 'root' }]), FILE).nodes.length, 1)
})

test('a node may have 20 policy servers above it, and not 21', () => {
  parseNodesList(nodesListText([{ id: 'root', policyServer: 'root' }, ...chain(20)]), FILE)
  refusedNodes([{ id: 'root', policyServer: 'root' }, ...chain(21)], /"n21" has more than 20 policy servers/)
  // the relay itself, which need not be in its list, counts as well
  parseNodesList(nodesListText(chain(20)), FILE)
  refusedNodes(chain(21).reverse(), /"n21" has more than 20 policy servers/)
  refusedNodes(chain(5_000), /"n21" has more than 20 policy servers/)
})

test('of many problems a few are named, and the others counted', () => {
  const nodes = Array.from({ length: 1_000 }, (_, index) => ({ id: `n${index}`, policyServer: `n${index}` }))
  refusedNodes(nodes, /"n0".*"n4" .*and 995 more like these$/)
  refused(`{"${'x'.repeat(1_000_000)}": {}}`, /cannot be the id/)
  refused(JSON.stringify({ a: { hostname: ['y'.repeat(1_000_000)], 'policy-server': 'root' } }), /hostname/)
})

test('a key hash that cannot be read leaves the node without a key', () => {
  const sha256 = Buffer.alloc(32, 7)
  const readable = [
    `sha256//${sha256.toString('base64')}`,
    `sha256:${sha256.toString('hex')}`,
    `sha1//${Buffer.alloc(20, 7).toString('base64')}`,
    `sha512:${Buffer.alloc(64, 7).toString('hex')}`
  ]
  const keyHashOf = (keyHash: unknown) => {
    const list = { a: { hostname: 'a', 'policy-server': 'root', 'key-hash': keyHash, 'agent-type': 'unknown member' } }
    return parseNodesList(JSON.stringify(list), FILE).nodes[0]?.keyHash
  }
  for (const keyHash of readable) assert.equal(keyHashOf(keyHash), keyHash)
  for (const keyHash of [
    '',
    'sha256:',
    'sha256//',
    'md5:00',
    'sha256:zz',
    `${readable[1]}00`,
    5,
    null,
    [],
    undefined
  ]) {
    assert.equal(keyHashOf(keyHash), undefined)
  }
})

test('names that objects have anyway are ids like others', () => {
  const list =
    '{"__proto__": {"hostname": "a", "policy-server": "constructor"}, "constructor": {"hostname": "b", "policy-server": "root"}}'
  assert.deepEqual(
    parseNodesList(list, FILE).nodes.map(({ id, policyServer }) => [id, policyServer]),
    [
      ['__proto__', 'constructor'],
      ['constructor', 'root']
    ]
  )
})
