import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseConfig } from '../../src/config/config-parser.js'
import { changesThatNeedRestart, SECTIONS, settingName } from '../../src/relay/live-settings.js'

function parse(text: string) {
  return parseConfig(`${text}\n[output.upstream]\nhost = "rudder.example.com"`, '', '/etc/treeline', () => '')
}

const BEFORE = '[general]\nnode_id = "relay-1"\n'

test('what waits for a restart is named as in main.conf', () => {
  const after = `${BEFORE}listen = "127.0.0.1:4040"\n[remote_run]\ncommand = "other"\ntimeout = "5s"\nallowed_networks = ["10.0.0.0/8"]`
  assert.deepEqual(changesThatNeedRestart(parse(BEFORE), parse(after)), [
    'general.listen',
    'remote_run.command',
    'remote_run.timeout'
  ])
  assert.deepEqual(changesThatNeedRestart(parse(BEFORE), parse(BEFORE)), [])
})

test('every setting has the name that docs/configuration.md explains', () => {
  const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')
  const config = parse(BEFORE)
  for (const section of SECTIONS) {
    for (const key of Object.keys(config[section] ?? {})) {
      const path = settingName(`${section}.${key}`).split('.')
      const name = path.pop() ?? ''
      const [, keys = ''] = page.split(`\n### [${path.join('.')}]\n`)
      assert.match(keys.split('\n### ')[0] ?? '', new RegExp(`^\\| .*\`${name}\``, 'm'), `${section}.${key}: ${name}`)
    }
  }
})
