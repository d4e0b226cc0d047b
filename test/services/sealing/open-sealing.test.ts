import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSealKeys } from '../../../src/services/sealing/open-sealing.js'
import { parse, problemsOf, ROOT } from '../../support/config-texts.js'

const KEY = 'a'.repeat(32)

test('a file has 1 to 16 keys, a line each', () => {
  assert.deepEqual(parseSealKeys(`${KEY}\r\n\n ${KEY}b\n`, 'f').map(String), [KEY, `${KEY}b`])
  for (const text of ['', '\n', KEY.slice(1), `${KEY}\nshort`, `${KEY}\n`.repeat(17)]) {
    assert.throws(() => parseSealKeys(text, '/f'), /^Error: \/f: expected 1 to 16 lines of at least 32/)
  }
})

test('headers and the file of the key go together, and only headers of a request are sealed', () => {
  const services = (lines: string) => `${ROOT}[services]\n${lines}`
  const problem = (lines: string) => problemsOf(services(lines)).join()
  const both = 'seal_headers = ["X-Spinnaker-User", "x_team"]\nseal_key_file = "/k"'
  const { sealHeaders, sealKeyFile } = parse(services(both)).services
  assert.deepEqual([sealHeaders, sealKeyFile], [['x-spinnaker-user', 'x-team'], '/k'])
  assert.match(problem('seal_headers = ["X-A"]'), /seal_key_file: missing/)
  assert.match(problem('seal_key_file = "/k"'), /seal_headers: missing/)
  for (const name of ['Host', 'Content-Length', 'a b', '', 'Connection']) {
    assert.match(
      problem(`seal_headers = [${JSON.stringify(name)}]\nseal_key_file = "/k"`),
      /seal_headers: expected a list/
    )
  }
})
