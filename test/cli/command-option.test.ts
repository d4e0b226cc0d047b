import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commandHint } from '../../src/cli/options/command-option.js'

test('a command that is not there is told with where another one is set, and when that counts', async () => {
  const missing = '/nonexistent/rudder'
  assert.match(
    await commandHint(missing, 'relay', '/etc/treeline'),
    /^\nnote: \/nonexistent\/rudder .*, or until remote_run\.command in \/etc\/treeline\/main\.conf names another program and the relay is restarted$/
  )
  assert.match(
    await commandHint(missing, 'node', '/etc/treeline'),
    /, or until agent\.command in \/etc\/treeline\/agent\.conf names another program$/
  )
  assert.equal(await commandHint(process.execPath, 'relay', '/etc/treeline'), '')
})
