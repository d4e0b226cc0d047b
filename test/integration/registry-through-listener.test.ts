import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, randomFillSync } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { ask } from '../support/network/http.js'
import { startRegistry, whyNoRegistry } from '../support/network/registry.js'
import { startClientOf } from '../support/relays/clients.js'
import { startServiceTree } from '../support/relays/service-tree.js'
import { editConfig } from '../support/relays/tree-files.js'

const run = promisify(execFile)
const SECTION = '\n[[service_listener]]\nlisten = "127.0.0.1:0"\ntls = false\nfixed = "registry"\n'
const LAYER_BYTES = 20_000_000

test('images go to a registry two levels below and come back, and no request leaves the tree', {
  skip: whyNoRegistry
}, async t => {
  const { tree, untilKnown } = await startServiceTree(t, 'registry')
  const folder = join(tree.folder, 'images')
  const registry = await startRegistry(t, join(folder, 'registry'))
  await startClientOf(t, tree, { relay: 'low', key: 'registry', id: 'one', baseUrl: registry.url })
  await untilKnown('middle>low')
  await editConfig(tree.relay('root'), text => text + SECTION)
  await ask(tree.relay('root'), '/system/reload', { method: 'POST' })
  const line = await tree.processes.get('root')?.logged(text => text.includes('listener for services opened'))
  const [, address = ''] = /services at http:\/\/([\d.:]+)/.exec(line ?? '') ?? []
  const skopeo = async (from: string, to: string) => {
    const env = { PATH: process.env.PATH, HOME: folder, TMPDIR: folder, XDG_RUNTIME_DIR: folder }
    const plain = [from.startsWith('docker:') ? '--src-tls-verify=false' : '--dest-tls-verify=false']
    await run('skopeo', ['--insecure-policy', '--tmpdir', folder, 'copy', ...plain, from, to], { env })
  }

  const layer = await writeImage(join(folder, 'pushed'))
  await skopeo(`oci:${join(folder, 'pushed')}:first`, `docker://${address}/team/app:1`)
  const pushes = registry.requests.length
  assert.ok(registry.requests.some(({ line }) => line.startsWith('PATCH /v2/team/app/blobs/uploads/')))
  await skopeo(`docker://${address}/team/app:1`, `oci:${join(folder, 'pulled')}:first`)
  assert.ok(registry.requests.length > pushes)
  assert.deepEqual(
    await readFile(join(folder, 'pulled', 'blobs', 'sha256', layer)),
    await readFile(join(folder, 'pushed', 'blobs', 'sha256', layer))
  )
  for (const { line, askedAt } of registry.requests) assert.equal(askedAt, address, line)
})

/** Writes an image of one layer (OCI image layout). @returns the hash of the layer */
async function writeImage(folder: string): Promise<string> {
  const blobs = join(folder, 'blobs', 'sha256')
  await mkdir(blobs, { recursive: true })
  const write = async (mediaType: string, bytes: Buffer) => {
    const hash = createHash('sha256').update(bytes).digest('hex')
    await writeFile(join(blobs, hash), bytes)
    return { mediaType: `application/vnd.oci.image.${mediaType}`, digest: `sha256:${hash}`, size: bytes.length }
  }
  const json = (value: unknown) => Buffer.from(JSON.stringify(value))
  const content = randomFillSync(Buffer.alloc(LAYER_BYTES))
  const layer = await write('layer.v1.tar+gzip', gzipSync(content))
  const ids = [`sha256:${createHash('sha256').update(content).digest('hex')}`]
  const config = await write(
    'config.v1+json',
    json({ architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: ids } })
  )
  const manifest = await write('manifest.v1+json', json({ schemaVersion: 2, config, layers: [layer] }))
  const named = { ...manifest, annotations: { 'org.opencontainers.image.ref.name': 'first' } }
  await writeFile(join(folder, 'index.json'), json({ schemaVersion: 2, manifests: [named] }))
  await writeFile(join(folder, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }))
  return layer.digest.replace('sha256:', '')
}
