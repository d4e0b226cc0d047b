import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseConfig } from '../../src/config/config-parser.js'

function read(name: string): string {
  return readFileSync(new URL(`../../deploy/example/${name}`, import.meta.url), 'utf8')
}

/** The file with all settings that it has as comments switched on. */
function uncommented(text: string): string {
  return text.replace(/^# (?=\[[a-z_.]+\]$|"?[a-z0-9_-]+"? = )/gm, '')
}

test('the example is a good configuration, of which there is nothing to say', () => {
  const config = parseConfig(read('main.conf'), read('logging.conf'), '/etc/treeline', () => '')
  assert.deepEqual(config.notices, [])
  assert.equal(config.general.nodeId, 'relay-1')
})

test('what it has as comments can be switched on', () => {
  const text = uncommented(read('main.conf'))
  assert.ok(text.split('\n').filter(line => line.startsWith('#')).length < 20)
  const config = parseConfig(text, uncommented(read('logging.conf')), '/etc/treeline', () => '')
  assert.deepEqual(config.notices, [])
  assert.equal(config.general.httpsListen?.port, 443)
  assert.equal(config.neighbours.addresses.size, 1)
})
