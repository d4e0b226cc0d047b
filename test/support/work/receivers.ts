import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import { Receiver, type ReceiverOptions } from '../../../src/agent/files/file-receiver.js'
import { FileState } from '../../../src/agent/files/file-state.js'
import { parseAgentConfig } from '../../../src/config/agent/agent-parser.js'
import { type SigningKey, signFile } from '../../../src/keys/signatures/sign-file.js'
import { createRelayClient } from '../../../src/relay-client/relay-client.js'
import { silentLogger } from '../../../src/values/logging/logger.js'
import { temporaryFolder } from '../machine/treeline-command.js'
import { type SmallRelay, startSmallRelay } from '../relays/small-relay.js'

export const ED25519: SigningKey = { kind: 'ed25519', seed: randomBytes(32) }
export const RSA: SigningKey = { kind: 'rsa', key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey }

/** Puts `f` of `a` for `b` into the relay. */
export function put(relay: SmallRelay, content: string, signedAtMs: number, key = ED25519): void {
  const fileKey = { target: 'b', source: 'a', fileId: 'f' }
  const hashValue = createHash('sha512').update(content).digest('hex')
  const metadata = signFile(key, fileKey, { signedAtMs, algorithm: 'sha512', hashValue })
  relay.files.set('b/a/f', { metadata, content: Buffer.from(content), ttl: '1h' })
}

/**
 * @param entries of the configuration, where `f` of `a` goes, and further lines of it
 * @param stateIn the folder of the record; left out: that of the files
 */
export async function makeReceiver(
  t: TestContext,
  entries: (folder: string) => readonly (readonly [string, string?])[],
  stateIn?: string
) {
  const folder = await temporaryFolder(t)
  const relay = await startSmallRelay(t)
  const client = await createRelayClient({
    names: { server: 'upstream.host', ca: 'upstream.ca_file', pin: 'upstream.server_certificate_file' },
    server: relay.url,
    token: undefined,
    tls: { ca: undefined, cert: undefined, key: undefined, pin: undefined }
  })
  t.after(() => client.close())
  const receive = entries(folder).map(
    ([path, more = '']) => `[[agent.receive]]\nsource = "a"\nfile_id = "f"\ndestination = "${path}"\n${more}`
  )
  const text = `node_id = "b"\ncertificate_file = "c"\nkey_file = "k"\n[upstream]\nhost = "x"\n${receive.join('\n')}`
  const config = parseAgentConfig(text, '', folder)
  const begin = async (options: Pick<ReceiverOptions, 'turnMs' | 'onLateEnd'> = {}) => {
    const state = await FileState.open(stateIn ?? folder)
    const receiver = new Receiver({ config, state, logger: silentLogger, ...options })
    const entry = (index: number) => {
      const found = config.receive[index]
      assert.ok(found)
      return found
    }
    return {
      receive: (index: number) => receiver.receive(client, entry(index)),
      commandOf: (index: number) => receiver.commandOf(entry(index)),
      stop: () => receiver.stop()
    }
  }
  const start = async () => (await begin()).receive
  return { folder, relay, start, begin }
}
