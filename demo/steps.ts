import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { formatMetadata } from '../src/keys/signatures/file-metadata.js'
import { signFile } from '../src/keys/signatures/sign-file.js'
import { ask } from './https.js'
import { runTreeline } from './programs.js'
import type { RelayTree } from './relay-tree.js'
import { shellLine } from './shell-line.js'
import { goOn, heading, result } from './terminal.js'

/** The file goes from a node of one branch to a node three levels down in the other. */
const SOURCE = 'node-b1'
const TARGET = 'node-s1'
const SOURCE_RELAY = 'relay-b'
const TARGET_RELAY = 'sub-relay'
const FILE_BYTES = 3_000_000
const SHORT_TTL_S = 2
const PURGE_PATIENCE_MS = 15_000

/** A step of the main job. @returns whether it did what it should */
export type Step = (number: number) => Promise<boolean>

/** The main job, step after step, on a tree whose relays run. A step under way rejects once it is interrupted. */
export function mainJob(tree: RelayTree, folder: string, interruption: AbortSignal): Step[] {
  const sourceRelay = tree.relay(SOURCE_RELAY)
  const targetRelay = tree.relay(TARGET_RELAY)
  const source = tree.member(SOURCE)
  const filesApi = `${sourceRelay.url}/rudder/relay-api/shared-files/${TARGET}/${SOURCE}`
  const run = (args: readonly string[]) => runTreeline(args, { folder, interruption })
  const asSource = `-k --cert ${SOURCE}.cert --key ${SOURCE}.key`
  const document = join(folder, 'document.bin')
  const hash = async () =>
    createHash('sha512')
      .update(await readFile(document))
      .digest('hex')
  const head = async (name: string, digest: string) =>
    (await ask(sourceRelay, source, 'HEAD', `shared-files/${TARGET}/${SOURCE}/${name}?hash=${digest}`)).status

  const shareArguments = (name: string, ttl: string) => [
    ...['share', TARGET, name, 'document.bin', '--ttl', ttl, '-c', SOURCE]
  ]
  const fetchArguments = ['fetch', SOURCE, 'document', 'received.bin', '-c', TARGET]
  const share = async (name: string, ttl: string) => (await run(shareArguments(name, ttl))).code

  return [
    async number => {
      heading(number, 'Run every agent, with the output of every level as it comes', [
        'treeline run --all -c root',
        'curl -N -d keep_output=true -d asynchronous=true $api/remote-run/all'
      ])
      const { code, output } = await run(['run', '--all', '-c', 'root'])
      const seen = [...tree.members.keys()].filter(id => output.includes(tree.member(id).hostname))
      const allRan = code === 0 && seen.length === tree.members.size
      result(allRan, `exit code ${code}; output from ${seen.length} of ${tree.members.size} nodes`)
      return allRan
    },
    async number => {
      heading(number, `Run one agent three levels down (${TARGET}), by an order to the root`, [
        `treeline run ${TARGET} --conditions urgent -c root`,
        `curl -d keep_output=true -d classes=urgent $api/remote-run/nodes/${TARGET}`
      ])
      const { code, output } = await run(['run', TARGET, '--conditions', 'urgent', '-c', 'root'])
      const ran = code === 0 && output.includes('urgent')
      result(ran, `exit code ${code}`)
      return ran
    },
    async number => {
      await writeFile(document, randomBytes(FILE_BYTES))
      heading(number, `Share a file from ${SOURCE} with ${TARGET}: up to the root, and down the other branch`, [
        'hash=$(openssl dgst -sha512 -r document.bin | cut -d " " -f1)',
        `files=${filesApi}`,
        `curl -I ${asSource} "$files/document?hash=$hash"`,
        shellLine(['treeline', ...shareArguments('document', '1h')]),
        shellLine(['treeline', ...fetchArguments])
      ])
      const before = await head('document', await hash())
      result(before === 404, `HEAD before: ${before}`)
      const shared = await share('document', '1h')
      const after = await head('document', await hash())
      result(shared === 0 && after === 200, `HEAD after: ${after}`)
      const fetched = await run(fetchArguments)
      const isSame =
        fetched.code === 0 && (await readFile(join(folder, 'received.bin'))).equals(await readFile(document))
      result(isSame, `GET by ${TARGET} at ${TARGET_RELAY}: ${isSame ? 'the same bytes' : 'other bytes'}`)
      return before === 404 && shared === 0 && after === 200 && isSame
    },
    async number => {
      const content = Buffer.from('what was signed\n')
      const names = { target: TARGET, source: SOURCE, fileId: 'forged' }
      const metadata = signFile({ kind: 'rsa', key: source.certificate.privateKey }, names, {
        algorithm: 'sha512',
        hashValue: createHash('sha512').update(content).digest('hex'),
        signedAtMs: Date.now()
      })
      const body = Buffer.concat([Buffer.from(`${formatMetadata(metadata)}\n`), Buffer.from('what was not\n')])
      await writeFile(join(folder, 'forged.body'), body)
      heading(number, 'Send a forged file: signed by the right node, changed on its way', [
        goOn('curl -X PUT --data-binary @forged.body', `${asSource} "$files/forged?ttl=1h"`)
      ])
      const answer = await ask(sourceRelay, source, 'PUT', `shared-files/${TARGET}/${SOURCE}/forged?ttl=1h`, body)
      result(answer.status === 403, `PUT: ${answer.status} ${answer.text.trim()}`)
      return answer.status === 403
    },
    async number => {
      heading(number, `Share a file for ${SHORT_TTL_S} seconds: the relay removes it then`, [
        shellLine(['treeline', ...shareArguments('short-lived', `${SHORT_TTL_S}s`)])
      ])
      const shared = await share('short-lived', `${SHORT_TTL_S}s`)
      const file = join(targetRelay.sharedFilesPath, TARGET, 'files', SOURCE, 'short-lived')
      const arrived = existsSync(file)
      result(shared === 0 && arrived, `kept at ${relative(folder, file)}`)
      const isPurged = await becomesTrue(() => !existsSync(file), PURGE_PATIENCE_MS, interruption)
      const after = await head('short-lived', await hash())
      result(isPurged && after === 404, `${isPurged ? 'gone' : 'still there'}; HEAD: ${after}`)
      return shared === 0 && arrived && isPurged && after === 404
    }
  ]
}

/** Writes the folders of the two nodes that exchange files: with `-c <node>`, `treeline` asks as that node. */
export async function writeNodeFolders(tree: RelayTree, folder: string): Promise<void> {
  for (const [id, relayId] of [
    [SOURCE, SOURCE_RELAY],
    [TARGET, TARGET_RELAY]
  ] as const) {
    const relay = tree.relay(relayId)
    await mkdir(join(folder, id))
    const lines = [
      `node_id = "${id}"`,
      `certificate_file = "../${id}.cert"`,
      `key_file = "../${id}.key"`,
      '[upstream]',
      `host = "${new URL(relay.url).host}"`,
      `server_certificate_file = "../${relayId}.cert"`
    ]
    await writeFile(join(folder, id, 'agent.conf'), `${lines.join('\n')}\n`)
  }
}

async function becomesTrue(condition: () => boolean, patienceMs: number, interruption: AbortSignal): Promise<boolean> {
  const deadline = Date.now() + patienceMs
  while (!condition() && Date.now() < deadline) await delay(100, undefined, { signal: interruption })
  return condition()
}
