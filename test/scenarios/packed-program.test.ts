import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { TreeRelay } from '../../demo/relay-tree.js'
import { openDatabase } from '../../src/storage/sqlite-engine/database.js'
import { eventually } from '../support/eventually.js'
import { type InstalledProgram, installPacked, readLateImports } from '../support/machine/packed-program.js'
import { startProcess } from '../support/machine/treeline-command.js'
import { ask, postForm } from '../support/network/http.js'
import { startTree } from '../support/relays/relay-tree.js'
import { editConfig, editNodesList } from '../support/relays/tree-files.js'

const ROOT = join(import.meta.dirname, '../..')
/** Their list has more than the 256 KiB that are read and checked without a thread. */
const MANY = 4_000
/** More than a build leaves of those that nobody uses. */
const BUILDS = 5
const ENTRIES = ['main.js', 'import-worker.js', 'subtree-check-worker.js', 'command-host-main.js']

/** Builds the program again where it is installed, each time another one. */
async function rebuild(t: TestContext, { main }: InstalledProgram, label: string): Promise<void> {
  const module = pathToFileURL(join(ROOT, 'scripts/prepare/bundle.mjs')).href
  const folder = JSON.stringify(dirname(main))
  const script = `const { bundle } = await import(${JSON.stringify(module)})
for (let build = 0; build < ${BUILDS}; build++)
  await bundle(${JSON.stringify(ROOT)}, ${folder}, { sourcemap: false, footer: { js: '// ${label} ' + build } })`
  const built = await startProcess(t, process.execPath, ['--input-type=module', '--eval', script], {}).ended
  assert.equal(built.code, 0, built.stderr)
}

async function giveManyNodes(relay: TreeRelay, prefix: string): Promise<void> {
  await editNodesList(relay, nodes => {
    for (let index = 0; index < MANY; index++) {
      const hostname = `${prefix}${index}.a-long-name.example.test`
      nodes[`node-${prefix}${index}`] = { hostname, 'policy-server': 'relay-a' }
    }
  })
}

async function checkImports(t: TestContext, { version, folder }: InstalledProgram): Promise<void> {
  const chunks = readdirSync(version).filter(name => name.endsWith('.js') && !ENTRIES.includes(name))
  assert.ok(chunks.length > 20)
  for (const entry of ENTRIES) assert.ok(existsSync(join(version, entry)), entry)
  const check = join(folder, 'check-imports.mjs')
  const base = JSON.stringify(pathToFileURL(`${version}/`).href)
  const script = `for (const name of ${JSON.stringify(chunks)}) await import(${base} + name)
for (const { from, names } of ${JSON.stringify(await readLateImports())}) {
  const found = await import(from)
  for (const name of names) if (found[name] === undefined) throw new Error(from + ' has no ' + name)
}
process.exit()`
  await writeFile(check, script)
  const { code, stderr } = await startProcess(t, process.execPath, [check], {}).ended
  assert.equal(code, 0, stderr)
}

test('the packed program has all that it imports, runs with addons, threads and helpers, and goes on when it is built again', async t => {
  const [program, tree] = await Promise.all([
    installPacked(t),
    startTree(t, {
      relays: [
        { id: 'root', under: 'root', nodes: ['node-r1'] },
        { id: 'relay-a', under: 'root', nodes: ['node-a1'], byLink: true }
      ],
      absent: ['root', 'relay-a']
    })
  ])
  await t.test('each part of it, and each package that it loads late', () => checkImports(t, program))
  const root = tree.relay('root')
  await giveManyNodes(root, 'm')
  await tree.restart('root')
  const relay = tree.relay('relay-a')
  for (const file of ['nodeslist.json', 'allnodescerts.pem']) await rm(join(relay.directory, file))
  await editConfig(relay, text => `${text}\n[tree]\nsource = "policy-server"\n`)
  const args = [program.main, 'serve', '--config', relay.directory]
  const running = startProcess(t, process.execPath, args, {})
  await running.printed('"msg":"ready"')
  const nodesOf = async () => JSON.parse((await ask(relay, '/system/status')).text).data.nodes
  const nodes = await eventually('its tree', async () => {
    const found = await nodesOf()
    return (found.count > 0 || /thread|worker|module/.test(found.sync.problem)) && found
  })
  assert.equal(nodes.sync.problem, undefined)
  assert.equal(nodes.count, MANY + 2)
  await eventually('its link', async () => {
    return JSON.parse((await ask(root, '/v1/relay/links')).text).result.length === 1
  })
  assert.doesNotMatch(running.soFar(), /bufferutil/)
  if (process.platform === 'linux') {
    const maps = await readFile(`/proc/${running.child.pid}/maps`, 'utf8')
    assert.match(maps, /better.sqlite3[^\n]*\.node$/m)
    assert.match(maps, /bufferutil[^\n]*\.node$/m)
  }

  // As a checkout of a later version has it.
  const migrations = join(program.folder, 'migrations/topology')
  await mkdir(migrations, { recursive: true })
  await writeFile(join(migrations, '0002_later.sql'), 'CREATE TABLE later (id INTEGER)')
  await rebuild(t, program, 'beside it')
  assert.ok(existsSync(program.version), 'what is in use stays')
  assert.doesNotMatch(await readFile(program.main, 'utf8'), new RegExp(program.name))
  await giveManyNodes(root, 'again')
  for (const one of [root, relay]) assert.equal((await ask(one, '/system/reload', { method: 'POST' })).status, 200)
  await eventually('the new tree', async () => {
    const { count, sync } = await nodesOf()
    assert.equal(sync.problem, undefined)
    return count === 2 * MANY + 2
  })
  openDatabase(join(relay.storagePath, 'topology.db'), 'topology').close() // has the schema of the version that runs
  const run = await postForm(relay, '/remote-run/nodes/node-a1', {})
  assert.equal(run.status, 200, run.text)
  assert.doesNotMatch(run.text, /error: /)
  running.child.kill('SIGTERM')
  const { code, stdout } = await running.ended
  assert.equal(code, 0)
  assert.doesNotMatch(stdout, /Cannot find module/)

  await rebuild(t, program, 'after it')
  assert.ok(!existsSync(program.version), 'what nobody uses any more goes')
  const again = startProcess(t, process.execPath, args, { WS_NO_BUFFER_UTIL: '1' })
  await again.printed('"msg":"ready"')
  assert.match(again.soFar(), /"level":40[^\n]*bufferutil/)
  again.child.kill('SIGTERM')
  assert.equal((await again.ended).code, 0)
})
