import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { describeApi } from '../support/openapi.js'

test('docs/openapi.json is what the routes say (npm run openapi writes it anew)', async () => {
  const kept: unknown = JSON.parse(await readFile(new URL('../../docs/openapi.json', import.meta.url), 'utf8'))
  assert.deepEqual(JSON.parse(JSON.stringify(await describeApi())), kept)
})
