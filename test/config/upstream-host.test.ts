import assert from 'node:assert/strict'
import { test } from 'node:test'
import { replaceUpstreamHost } from '../../src/config/upstream-host.js'

test('the host of the policy server is replaced, and nothing else', () => {
  const before = `# host = "no"
[general]
host = "other"

[ output . upstream ] # above
user = "me"
  host = "old.example:443" # moved in May
[links]
host = 'other'
`
  const after = before.replace('"old.example:443"', '"[2001:db8::1]:8443"')
  assert.equal(replaceUpstreamHost(before, 'output.upstream', { host: '[2001:db8::1]:8443' }), after)
  const windows = "[upstream]\r\nhost = 'a:1'\r\n"
  assert.equal(replaceUpstreamHost(windows, 'upstream', { host: '$&:2' }), '[upstream]\r\nhost = "$&:2"\r\n')
  const added = '[upstream]\r\nhost = "$&:2"\r\nnode_id = "up"\r\n'
  assert.equal(replaceUpstreamHost(windows, 'upstream', { host: '$&:2', nodeId: 'up' }), added)
})

test('its id is replaced with it, or put beside it', () => {
  const before = `[upstream]
node_id = 'old' # who
host = "old:1"
[agent]
node_id = "me"
`
  const after = before.replace("'old'", '"new"').replace('old:1', 'new:2')
  assert.equal(replaceUpstreamHost(before, 'upstream', { host: 'new:2', nodeId: 'new' }), after)
  assert.equal(
    replaceUpstreamHost(before.replace("node_id = 'old' # who\n", ''), 'upstream', { host: 'new:2', nodeId: 'new' }),
    '[upstream]\nhost = "new:2"\nnode_id = "new"\n[agent]\nnode_id = "me"\n'
  )
  const odd = '[upstream]\nhost = "old:1"\nnode_id = """old"""\n'
  assert.throws(() => replaceUpstreamHost(odd, 'upstream', { host: 'new:2', nodeId: 'new' }), /\[upstream\]/)
})

test('where it cannot be replaced for certain, nothing is', () => {
  for (const text of [
    '',
    'upstream = { host = "a:1" }',
    '[upstream]\nca_file = "x"\n[agent]\nhost = "a:1"',
    '[upstream]\nhost = """a:1"""',
    '[upstream]\nnote = """\nhost = "a:1"\n"""\nhost = "b:1"',
    '[other]\nnote = """\n[upstream]\nhost = "a:1"\n"""\n[upstream]\nhost = "b:1"'
  ]) {
    assert.throws(() => replaceUpstreamHost(text, 'upstream', { host: 'new:1' }), /\[upstream\]/, text)
  }
})
