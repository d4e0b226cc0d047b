import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { ask } from '../support/network/http.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { editConfig } from '../support/relays/tree-files.js'
import { type SignedFile, signContent } from '../support/work/signed-files.js'

interface Entry {
  readonly id: string
  readonly file_id: string
  readonly state: string
  readonly expires_at: string
  readonly last_error?: string
}

async function outboxOf(tree: RunningTree, id: string): Promise<Entry[]> {
  return JSON.parse((await ask(tree.relay(id), '/outbox')).text).entries
}

function put(tree: RunningTree, at: string, file: SignedFile, ttl = '1h') {
  return ask(tree.relay(at), `${file.path}?ttl=${ttl}`, { method: 'PUT', body: file.body })
}

async function headStatus(tree: RunningTree, at: string, file: SignedFile) {
  return (await ask(tree.relay(at), `${file.path}?hash=${file.hash}`, { method: 'HEAD' })).status
}

/** The outbox tries by itself too; asked, it does so at once. */
function delivered(tree: RunningTree, at: string) {
  return eventually(`the outbox of ${at} to be empty`, async () => {
    await ask(tree.relay(at), '/outbox/retry', { method: 'POST' })
    return (await outboxOf(tree, at)).length === 0
  })
}

async function stop(tree: RunningTree, id: string) {
  await tree.processes.get(id)?.stop()
}

async function expiryAt(tree: RunningTree, keeper: string, target: string, fileId: string): Promise<number> {
  const { files } = JSON.parse((await ask(tree.relay(keeper), `/shared-files/${target}?file_id=${fileId}`)).text)
  return Date.parse(files[0].expires_at)
}

test('a file whose next hop is away is kept, and delivered', async t => {
  const tree = await startTree(t)
  const sender = tree.member('node-b1')
  const make = (fileId: string, content = `content of ${fileId}`) => signContent('node-s1', sender, fileId, content)

  await t.test('down: 202, pending, HEAD 200 meanwhile, and there once the hop is back', async () => {
    await stop(tree, 'sub')
    const file = make('down')
    const answer = await put(tree, 'relay-b', file)
    assert.equal(answer.status, 202)
    assert.equal(answer.headers['treeline-state'], 'pending')
    for (const id of ['relay-b', 'root', 'relay-a']) assert.equal(await headStatus(tree, id, file), 200, id)
    const other = make('down', 'another')
    assert.equal(await headStatus(tree, 'relay-a', other), 404)
    assert.equal(await headStatus(tree, 'relay-a', make('never-sent')), 404)
    const [entry] = await outboxOf(tree, 'relay-a')
    assert.deepEqual([entry?.file_id, entry?.state], ['down', 'pending'])
    assert.match(entry?.last_error ?? '', /refused/)
    assert.deepEqual(await outboxOf(tree, 'relay-b'), [])
    const got = await ask(tree.relay('relay-a'), file.path, { as: tree.member('node-s1') })
    assert.equal(got.status, 502)
    assert.match(got.text, /^sub, which leads to node-s1, cannot be reached: /)
    assert.match((await ask(tree.relay('relay-a'), '/metrics')).text, /^treeline_outbox_pending 1$/m)
    await tree.restart('sub')
    await eventually('the outbox to try by itself', async () => (await outboxOf(tree, 'relay-a')).length === 0)
    assert.equal((await ask(tree.relay('sub'), file.path)).text, 'content of down')
    assert.equal(await headStatus(tree, 'relay-b', file), 200)
  })

  await t.test('up: the same, also across a kill of the relay that holds it', async () => {
    await stop(tree, 'root')
    const file = make('up')
    assert.equal((await put(tree, 'relay-b', file)).status, 202)
    tree.processes.get('relay-b')?.signal('SIGKILL')
    await tree.processes.get('relay-b')?.ended
    await tree.restart('relay-b')
    assert.equal(await headStatus(tree, 'relay-b', file), 200)
    await tree.restart('root')
    await delivered(tree, 'relay-b')
    assert.equal((await ask(tree.relay('sub'), file.path)).text, 'content of up')
  })

  await t.test(
    'the newest of several versions is delivered, whatever came when; an older one changes nothing',
    async () => {
      await stop(tree, 'sub')
      const [one, two] = [make('versions', 'one'), make('versions', 'two')]
      for (const file of [one, two]) assert.equal((await put(tree, 'relay-b', file)).status, 202)
      assert.equal((await outboxOf(tree, 'relay-a')).length, 1)
      assert.equal(await headStatus(tree, 'relay-a', two), 200)
      assert.equal(await headStatus(tree, 'relay-a', one), 404)
      await tree.restart('sub')
      await delivered(tree, 'relay-a')
      assert.equal((await ask(tree.relay('sub'), two.path)).text, 'two')

      // One copy waits at relay-b, while a newer one reaches the target another way: the same source, put at root.
      await stop(tree, 'root')
      const late = make('overtaken', 'late')
      assert.equal((await put(tree, 'relay-b', late)).status, 202)
      const newer = make('overtaken', 'newer')
      const headers = { 'treeline-source-key-hash': sender.certificate.keyHash, 'treeline-passed': 'root' }
      const direct = { method: 'PUT', body: newer.body, as: tree.member('root'), headers }
      assert.equal((await ask(tree.relay('relay-a'), `${newer.path}?ttl=1h`, direct)).status, 200)
      await tree.restart('root')
      await delivered(tree, 'relay-b')
      assert.equal((await ask(tree.relay('sub'), newer.path)).text, 'newer')
    }
  )

  await t.test('the ttl counts from the first acceptance', async () => {
    await stop(tree, 'sub')
    const file = make('ttl')
    const before = Date.now()
    assert.equal((await put(tree, 'relay-b', file, '2h')).status, 202)
    const [entry] = await outboxOf(tree, 'relay-a')
    const after = Date.now()
    const short = make('short')
    assert.equal((await put(tree, 'relay-b', short, '1')).status, 202)
    await eventually('its end', async () => (await headStatus(tree, 'relay-a', short)) === 404)
    await tree.restart('sub')
    await delivered(tree, 'relay-a')
    assert.equal(await headStatus(tree, 'sub', short), 404)
    const expiresAt = await expiryAt(tree, 'sub', 'node-s1', 'ttl')
    assert.ok(
      entry !== undefined && Math.abs(expiresAt - Date.parse(entry.expires_at)) <= 1_500,
      `${expiresAt} ${entry?.expires_at}`
    )
    assert.ok(expiresAt >= before + 7_200_000 - 1_500 && expiresAt <= after + 7_200_000 + 2_500)
  })

  await t.test('refused later: failed, shown, HEAD 404 again; another PUT takes its place', async () => {
    await stop(tree, 'sub')
    const file = make('refused')
    assert.equal((await put(tree, 'relay-b', file)).status, 202)
    await editConfig(tree.relay('sub'), text => text.replace('[shared_files]', '[shared_files]\nmax_body_size = 10'))
    await tree.restart('sub')
    // Once: asked again, the outbox would make a refused entry a pending one before anybody sees it.
    await ask(tree.relay('relay-a'), '/outbox/retry', { method: 'POST' })
    const failed = await eventually('the refusal', async () =>
      (await outboxOf(tree, 'relay-a')).find(({ state }) => state === 'failed')
    )
    assert.equal(failed.file_id, 'refused')
    assert.match(failed.last_error ?? '', /10 bytes/)
    assert.equal(await headStatus(tree, 'relay-a', file), 404)
    assert.match((await ask(tree.relay('relay-a'), '/metrics')).text, /^treeline_outbox_failed 1$/m)
    assert.ok(tree.processes.get('relay-a')?.log.some(line => line.includes('next relay refused a shared file')))
    assert.equal((await put(tree, 'relay-b', make('refused-at-once'))).status, 413)
    await stop(tree, 'sub')
    await editConfig(tree.relay('sub'), text => text.replace('max_body_size = 10', ''))
    await tree.restart('sub')
    assert.equal((await put(tree, 'relay-b', file)).status, 200)
    assert.equal(await headStatus(tree, 'relay-b', file), 200)
    assert.deepEqual(await outboxOf(tree, 'relay-a'), [])
  })

  await t.test('an entry can be given up', async () => {
    await stop(tree, 'sub')
    const file = make('dropped')
    assert.equal((await put(tree, 'relay-b', file)).status, 202)
    const [entry] = await outboxOf(tree, 'relay-a')
    assert.equal((await ask(tree.relay('relay-a'), `/outbox/${entry?.id}`, { method: 'DELETE' })).status, 204)
    assert.equal((await ask(tree.relay('relay-a'), `/outbox/${entry?.id}`, { method: 'DELETE' })).status, 404)
    assert.equal(await headStatus(tree, 'relay-a', file), 404)
    assert.deepEqual(await outboxOf(tree, 'relay-a'), [])
  })
})
