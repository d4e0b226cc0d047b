import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../../src/config/config-parser.js'

const parse = (text: string) =>
  parseConfig(
    `[general]\nnode_id = "relay-1"\n[output.upstream]\nhost = "rudder.example.com"\n${text}`,
    '',
    '/etc/treeline',
    () => ''
  )

test('services have a rate, and single keys one of their own', () => {
  const { services } = parse('[services]\nrate = "2MiB"\nlog = true\n[services.rates]\ngit = "0"\nbuilds = "512KiB"\n')
  assert.deepEqual([services.rate, services.log], [2 * 1024 * 1024, true])
  assert.deepEqual(Object.fromEntries(services.rates), { git: 0, builds: 512 * 1024 })
})

test('a rate of what is no key, and a rate that is none, are problems', () => {
  assert.throws(() => parse('[services.rates]\n"a/b" = "1MiB"\n'), /services\.rates\."a\/b".*key of a service/s)
  assert.throws(() => parse('[services.rates]\ngit = "fast"\n'), /services\.rates\.git/)
})
