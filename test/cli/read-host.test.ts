import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsageError } from '../../src/cli/command-error.js'
import { readHost } from '../../src/cli/commands/init.js'

test('--host is a name or address at which others reach this machine', () => {
  assert.deepEqual(readHost('--host', 'Relay.example:8443'), { hostname: 'relay.example', port: 8443 })
  assert.deepEqual(readHost('--host', '[2001:db8::1]:8443'), { hostname: '2001:db8::1', port: 8443 })
  for (const text of ['0.0.0.0', '0.0.0.0:443', '[::]:443', '224.0.0.1', '255.255.255.255', '[ff02::1]:443']) {
    assert.throws(() => readHost('--host', text), { constructor: UsageError, message: /other machines reach this one/ })
  }
})
