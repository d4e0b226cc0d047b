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
  assert.equal(replaceUpstreamHost(before, 'output.upstream', '[2001:db8::1]:8443'), after)
  const windows = "[upstream]\r\nhost = 'a:1'\r\n"
  assert.equal(replaceUpstreamHost(windows, 'upstream', '$&:2'), '[upstream]\r\nhost = "$&:2"\r\n')
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
    assert.throws(() => replaceUpstreamHost(text, 'upstream', 'new:1'), /\[upstream\]/, text)
  }
})
