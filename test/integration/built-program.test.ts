import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/http.js'
import { startTree } from '../support/relay-tree.js'
import { editConfig, editNodesList } from '../support/tree-files.js'
import { startProcess } from '../support/treeline-command.js'

const ROOT = join(import.meta.dirname, '../..')
/** Their list has more than the 256 KiB that are read and checked without a thread. */
const MANY = 4_000

/** The program as it is installed, made anew. @returns its `main.js` */
async function buildProgram(t: TestContext): Promise<string> {
  await mkdir(join(ROOT, 'dist'), { recursive: true })
  const folder = await mkdtemp(join(ROOT, 'dist', 'test-')) // below `package.json`, as it has to be
  t.after(() => rm(folder, { recursive: true, force: true }))
  const module = pathToFileURL(join(ROOT, 'scripts/prepare/bundle.mjs')).href
  const script = `(await import(${JSON.stringify(module)})).bundle(${JSON.stringify(ROOT)}, ${JSON.stringify(folder)})`
  const built = await startProcess(t, process.execPath, ['--input-type=module', '--eval', script], {}).ended
  assert.equal(built.code, 0, built.stderr)
  return join(folder, 'main.js')
}

test('the bundled program has all that it starts on its own: threads for a large tree, and the host of commands', async t => {
  const [main, tree] = await Promise.all([
    buildProgram(t),
    startTree(t, {
      relays: [
        { id: 'root', under: 'root', nodes: ['node-r1'] },
        { id: 'relay-a', under: 'root', nodes: ['node-a1'] }
      ],
      absent: ['root', 'relay-a']
    })
  ])
  await editNodesList(tree.relay('root'), nodes => {
    for (let index = 0; index < MANY; index++) {
      nodes[`node-m${index}`] = { hostname: `node-m${index}.a-long-name.example.test`, 'policy-server': 'relay-a' }
    }
  })
  await tree.restart('root')
  const relay = tree.relay('relay-a')
  for (const file of ['nodeslist.json', 'allnodescerts.pem']) await rm(join(relay.directory, file))
  await editConfig(relay, text => `${text}\n[tree]\nsource = "policy-server"\n`)
  const built = startProcess(t, process.execPath, [main, 'serve', '--config', relay.directory], {})
  await built.printed('"msg":"ready"')
  const nodes = await eventually('its tree', async () => {
    const { data } = JSON.parse((await ask(relay, '/system/status')).text)
    return (data.nodes.count > 0 || /thread|worker|module/.test(data.nodes.sync.problem)) && data.nodes
  })
  assert.equal(nodes.sync.problem, undefined)
  assert.equal(nodes.count, MANY + 2)
  const run = await postForm(relay, '/remote-run/nodes/node-a1', {})
  assert.equal(run.status, 200, run.text)
  assert.doesNotMatch(run.text, /error: /)
  built.child.kill('SIGTERM')
  assert.equal((await built.ended).code, 0)
})
