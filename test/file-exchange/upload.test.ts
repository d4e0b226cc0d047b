import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { openShareable } from '../../src/file-exchange/places/shareable-file.js'
import { StableFile } from '../../src/file-exchange/stable-file.js'
import { uploadFile } from '../../src/file-exchange/upload.js'
import { signFile } from '../../src/keys/signatures/sign-file.js'
import { createRelayClient } from '../../src/relay-client/relay-client.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'
import { listen } from '../support/relays/small-relay.js'

/** More than the buffers of both ends of a connection take. */
const LARGE_BYTES = 32 * 1_024 * 1_024

test('an upload of which the relay takes no more is broken off', async t => {
  const port = await listen(
    t,
    createServer(request => void request.pause())
  )
  const client = createRelayClient({
    names: { server: '--server', ca: '--ca', pin: '--pin' },
    server: `http://127.0.0.1:${port}`,
    token: undefined,
    tls: { ca: undefined, cert: undefined, key: undefined, pin: undefined }
  })
  t.after(() => client.close())
  const path = join(await temporaryFolder(t), 'large')
  await writeFile(path, Buffer.alloc(LARGE_BYTES))
  const file = await StableFile.open(path, { name: 'path', openFile: openShareable })
  t.after(() => file.close())
  const fileKey = { target: 'b', source: 'a', fileId: 'f' }
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
  const parts = { signedAtMs: 1, algorithm: 'sha512', hashValue: await file.hash('sha512') } as const
  const metadata = signFile({ kind: 'rsa', key: privateKey }, fileKey, parts, {})
  await assert.rejects(
    uploadFile(client, fileKey, file, metadata, '1h', undefined, 200),
    /^ClientError: the relay took no more of the file for 0\.2 s$/
  )
})
