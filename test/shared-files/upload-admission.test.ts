import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../src/network/caller.js'
import { createQuota } from '../../src/shared-files/keeping/quota.js'
import { type Upload, UploadAdmission } from '../../src/shared-files/receiving/upload-admission.js'
import { RelayError } from '../../src/values/failures/relay-error.js'

const NODE: Caller = { kind: 'node', id: 'node-h', address: '192.0.2.1' }
const RELAY: Caller = { kind: 'relay', id: 'relay-h', address: '192.0.2.2' }
/** From the same address as the node. */
const OTHERS: readonly Caller[] = [
  { kind: 'node', id: 'node-b', address: '192.0.2.1' },
  { kind: 'relay', id: 'relay-b', address: '192.0.2.1' },
  { kind: 'network', address: '192.0.2.3' },
  { kind: 'local', address: '127.0.0.1' },
  { kind: 'policy-server', address: '192.0.2.4' },
  { kind: 'admin', address: '192.0.2.1' }
]

const quota = createQuota({ maxTotalBytes: undefined, maxFilesPerSource: undefined })
const reserve = async () => quota.reserve('source', 0, 0)

/** Begins uploads of a caller that last, until there is no slot for another one. */
async function beginAll(admission: UploadAdmission, caller: Caller): Promise<{ uploads: Upload[]; refusal: string }> {
  const uploads: Upload[] = []
  for (;;) {
    const upload = await admission.open(caller, reserve)
    try {
      await upload.begin()
      uploads.push(upload)
    } catch (error) {
      upload.release()
      assert.ok(error instanceof RelayError && error.code === 'BUSY')
      return { uploads, refusal: error.message }
    }
  }
}

for (const [hostile, most] of [
  [NODE, 192],
  [RELAY, 240]
] as const) {
  test(`one ${hostile.kind} with its certificate cannot hold all uploads: everybody else can begin some`, async () => {
    const admission = new UploadAdmission(512)
    const { uploads, refusal } = await beginAll(admission, hostile)
    assert.equal(uploads.length, most)
    assert.match(refusal, new RegExp(`^${most} files are being received already, too many of them from ${hostile.id} `))
    for (const caller of OTHERS) await (await admission.open(caller, reserve)).begin()
    for (const upload of uploads) upload.release()
    assert.equal((await beginAll(admission, hostile)).uploads.length > most / 2, true)
  })
}

for (const kind of ['node', 'relay'] as const) {
  test(`a ${kind} whose id is an address takes no upload of the strangers at that address`, async () => {
    const admission = new UploadAdmission(512)
    const { refusal } = await beginAll(admission, { kind, id: '203.0.113.7', address: '192.0.2.1' })
    assert.match(refusal, /too many of them from 203\.0\.113\.7 /)
    await beginOne(admission, { kind: 'network', address: '203.0.113.7' })
  })
}

test('relays and nodes together leave uploads for local callers, the administrator and the policy server', async () => {
  const admission = new UploadAdmission(512)
  for (let id = 0; id < 20; id += 1) await beginAll(admission, { ...RELAY, id: `relay-${id}` })
  await assert.rejects(beginOne(admission, NODE), { code: 'BUSY' })
  for (const caller of OTHERS.slice(3)) await beginOne(admission, caller)
})

test('one node cannot hold all places of uploads whose metadata is awaited', async () => {
  const admission = new UploadAdmission(8)
  await assert.rejects(
    async () => {
      for (let count = 0; count < 4 * 8; count += 1) await admission.open(NODE, reserve)
    },
    { code: 'BUSY' }
  )
  for (const caller of OTHERS) await beginOne(admission, caller)
})

async function beginOne(admission: UploadAdmission, caller: Caller): Promise<void> {
  await (await admission.open(caller, reserve)).begin()
}
